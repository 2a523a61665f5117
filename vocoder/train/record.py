"""What a run is made from, for ``run.json`` and its checkpoints, and whether it may go on so."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vocoder.errors import BadInput, differences, some_of

RECORD_NAME = "run.json"
# What a run that is resumed must agree in with its beginning, or else its best validation and its
# weights would be of two things at once. The rest, such as the steps, the learning rate and the
# size of batches, may change on the way; the record then keeps what it was before.
FIXED = (
    "spec",
    "model",
    "seed",
    "data",
    "degradation",
    "train.init",
    "train.plan.init_share",
    "train.task",
    "train.validation_utterances",
)
# Settings within these that only say where something lies or is computed; data have hashes.
PLACES = ("root", "cache", "folder", "input", "reference", "manifest", "device")
MAX_SHOWN = 60  # letters of a value in a message
DIGEST = "sha256"  # the end of the names of hashes
# Whose versions decide what a run computes.
PACKAGES = ("vocoder", "torch", "numpy", "scipy", "numba", "Pillow", "soundfile")


def new_record(
    config: Mapping[str, Any], data: Mapping[str, Any], seed: int, processes: int
) -> dict[str, Any]:
    """The record of a run that begins now, from its settings and its data's hashes and counts."""
    record = {
        "config": config,
        "data": data,
        "seed": seed,
        "processes": processes,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "from_step": 0,
        "earlier": [],
    }
    plain: dict[str, Any] = json.loads(json.dumps(record))  # as it is read again
    return plain


def continued(before: Mapping[str, Any], now: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The record of a run that goes on from ``step``: what it was before is kept in ``earlier``."""
    if _essence(before) == _essence(now):
        return dict(before)
    old = {key: value for key, value in before.items() if key != "earlier"}
    return {**now, "from_step": step, "earlier": [*before["earlier"], old]}


def require_same_settings(
    before: Mapping[str, Any], config: Mapping[str, Any], folder: Path
) -> None:
    """Refuse to go on with other settings of `FIXED` than the run in ``folder`` began with."""
    _refuse(
        [
            f"{name} is {_short(now)} and was {_short(then)}"
            for key in FIXED
            for name, then, now in differences(
                _at(before.get("config"), key), _at(config, key), key
            )
            if not name.startswith("model.spec.")  # the same once more
            and name.rpartition(".")[2] not in PLACES
        ],
        folder,
    )


def require_same_data(before: Mapping[str, Any], data: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other recordings or images: their hashes tell."""
    _refuse(
        [
            f"the data are not those that the run was begun with: {name} differs"
            for name, _, _ in differences(before.get("data"), data)
            if name.endswith(DIGEST)
        ],
        folder,
    )


def _at(config: Any, name: str) -> Any:
    """The value of a nested key, None where there is none."""
    for key in name.split("."):
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _refuse(faults: list[str], folder: Path) -> None:
    if faults:
        raise BadInput(
            f"resume=true, but {some_of(faults)} in {folder}; give what the run was begun with, or "
            "another output with train.init=",
            key="resume.conflict",
        )


def _essence(record: Mapping[str, Any]) -> Any:
    """What a record says of how its steps were made."""
    kept = {key: record.get(key) for key in ("data", "processes", "versions", "config")}
    return {**kept, "config": {**(kept["config"] or {}), "resume": None}}
