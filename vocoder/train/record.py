"""The record of a run, ``run.json``: what it is made from, and whether it may go on with that."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vocoder.errors import BadInput
from vocoder.files import write_text

# What a run that is resumed must agree in with its beginning, or else its best validation and its
# weights would be of two things at once. The rest, such as the steps, the learning rate and the
# size of batches, may change on the way; the record then keeps what it was before.
FIXED = (
    "spec",
    "model",
    "seed",
    "data",
    "channel",
    "train.init",
    "train.task",
    "train.validation_lines",
)
# Settings within these that only say where something lies or is computed; data have hashes.
PLACES = ("root", "cache", "input", "reference", "manifest", "device")
DIGEST = "sha256"  # the end of the names of hashes
# Whose versions decide what a run computes.
PACKAGES = ("vocoder", "torch", "numpy", "scipy", "numba", "Pillow", "soundfile")


def require_same_settings(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings than a run began with.

    Parameters
    ----------
    path : Path
        The run's record.
    config : mapping
        The composed configuration as plain values.

    Raises
    ------
    BadInput
        One of `FIXED` differs, or there is no whole record.
    """
    before = _read(path)["config"]
    _refuse(
        path,
        [
            (name, then, now)
            for key in FIXED
            for name, then, now in _differences(key, _at(before, key), _at(config, key))
            if not name.startswith("model.spec.")  # the same once more
            and name.rpartition(".")[2] not in PLACES
        ],
    )


def require_same_data(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse to go on with other recordings or pictures than a run began with.

    Parameters
    ----------
    path : Path
        The run's record.
    data : mapping
        The record of the data that are there now.

    Raises
    ------
    BadInput
        A hash differs.
    """
    _refuse(
        path,
        [
            (f"the data's {name.removeprefix('.')}", then, now)
            for name, then, now in _differences("", _read(path)["data"], data)
            # Earlier versions noted others.
            if name.endswith(DIGEST) and None not in (then, now)
        ],
    )


def write_record(
    path: Path, config: Mapping[str, Any], data: Mapping[str, Any], seed: int, world: int, step: int
) -> None:
    """Write down what a run is made from.

    Parameters
    ----------
    path : Path
    config : mapping
        The composed configuration as plain values.
    data : mapping
        Record of the data.
    seed : int
    world : int
        Processes.
    step : int
        That the run goes on from: what the record has said of the steps before is kept in it, as
        ``earlier``, where it is something else.

    Raises
    ------
    BadInput
        It cannot be written, or what is to be kept cannot be read.
    """
    now: dict[str, Any] = {
        "config": config,
        "data": data,
        "seed": seed,
        "processes": world,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "from_step": step,
    }
    earlier: list[dict[str, Any]] = []
    if step:
        before = _read(path)
        entries = [*before.pop("earlier", []), before]
        earlier = [entry for entry in entries if entry.get("from_step", 0) < step]
    if earlier and _essence(earlier[-1]) == _essence(now):
        now["from_step"] = earlier.pop().get("from_step", 0)
    content = {**now, "earlier": earlier}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False), overwrite=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        whole = {"spec", "model", "seed"} <= content["config"].keys()
        whole = whole and {"data", "processes", "versions"} <= content.keys()
    except FileNotFoundError as error:
        raise BadInput(f"resume=true, but {path.parent} lost its {path.name}") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no record of a run; it is damaged") from error
    if not whole:
        raise BadInput(f"{path} is no record of a run; it is damaged")
    return content


def _at(config: Any, name: str) -> Any:
    """The value of a nested key, None where there is none."""
    for key in name.split("."):
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def _differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Nested plain values that differ, with their names."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f"{name}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield name, old, new


def _refuse(path: Path, differing: list[tuple[str, Any, Any]]) -> None:
    if differing:
        named = "; ".join(f"{name} is {now!r} and was {then!r}" for name, then, now in differing)
        raise BadInput(
            f"resume=true, but {named} in {path.parent}; give what the run was begun with, or "
            "another output with train.init="
        )


def _essence(entry: Mapping[str, Any]) -> Any:
    """What an entry says of how its steps were made, as JSON gives it back."""
    kept = {key: entry[key] for key in ("data", "processes", "versions")}
    kept["config"] = {**entry["config"], "resume": None}
    return json.loads(json.dumps(kept))
