"""Settings of a rendering: a flat mapping, its objects, and words and YAML that say the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from vocoder.config import load, options
from vocoder.errors import BadInput
from vocoder.image.codec.base import Codec
from vocoder.image.codec.foreign import Foreign
from vocoder.inverter.base import Inverter
from vocoder.repair.base import Repair
from vocoder.spec import SpectrogramSpec

GROUPS = ("spec", "codec", "repair", "inverter")
DEFAULTS = {"repair": "auto", "inverter": "griffin_lim"}
FORCE = "force"
# What the page has a control for.
CODEC_FIELDS = ("unit", "db_min", "db_max", "cmap", "dark_is_loud", "row_0", "rows", "hz_min")
Values = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """The objects that settings stand for; ``None`` where the file has to say it itself."""

    spec: SpectrogramSpec | None
    codec: Codec | None
    repair: Repair
    inverter: Inverter
    force: bool


def parse(text: str) -> Values:
    """Settings as the command line takes them.

    >>> parse("spec=mel256 codec=gray8 codec.db_min=-80")
    {'spec': 'mel256', 'codec': 'gray8', 'codec.db_min': -80}
    """
    values: Values = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"{text!r} has an open quote", key="setting.format") from error
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"{word!r} is not a setting; expected key=value", key="setting.format")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:  # as the command line takes it: as it stands
            values[key] = value
    return _ordered(values)


def build(values: Mapping[str, Any]) -> Built:
    """The objects; the same settings give the same ones."""
    return _built(json.dumps(_ordered(values)))


@lru_cache(maxsize=16)
def _built(text: str) -> Built:
    values = json.loads(text)
    made = {group: _load(group, values) for group in GROUPS}
    return Built(force=bool(values.get(FORCE, False)), **made)


def _load(group: str, values: Mapping[str, Any]) -> Any:
    option = values.get(group, DEFAULTS.get(group))
    changes = _changes(group, values)
    if option is not None:
        return load(group, str(option), **changes)
    if changes:
        key = f"{group}.{next(iter(changes))}"
        raise BadInput(f"{key}= changes a setting of {group}; say which", key=f"{group}.missing")
    return None


def _changes(group: str, values: Mapping[str, Any]) -> Values:
    """Those of an option's own settings."""
    start = f"{group}."
    return {key.removeprefix(start): one for key, one in values.items() if key.startswith(start)}


def changed(values: Mapping[str, Any], key: str, value: Any) -> Values:
    """Settings after one was changed; a codec that cannot say it becomes ``codec=foreign``."""
    group, _, field = key.partition(".")
    new = dict(values)
    if not field:
        new = {name: one for name, one in new.items() if not name.startswith(f"{group}.")}
        new.pop(group, None)
        return _ordered(new if value is None else new | {group: value})
    if group == "codec":
        codec = _load(group, new)
        known = {} if codec is None else vars(codec)
        if field not in known or (value is None and not isinstance(codec, Foreign)):
            carried = {one: known[one] for one in ("db_min", "db_max", "cmap") if one in known}
            new = changed(new, "codec", "foreign")
            for name, one in carried.items():
                new = changed(new, f"codec.{name}", one)
    new[key] = value
    usual = load(group, str(new.get(group, DEFAULTS.get(group))))
    if getattr(usual, field, ...) == value:
        del new[key]
    return _ordered(new)


def shown(values: Mapping[str, Any], *, is_array: bool) -> Values:
    """What every control of the page stands at; ``None`` where it has nothing to say."""
    built = build(values)
    law = built.codec or Foreign()
    found: Values = {
        **{group: values.get(group, DEFAULTS.get(group)) for group in GROUPS},
        **{f"codec.{name}": getattr(law, name, getattr(Foreign(), name)) for name in CODEC_FIELDS},
        "repair.strength": getattr(built.repair, "strength", None),
        FORCE: built.force,
    }
    found["codec.row_0"] = found["codec.row_0"] or ("low" if is_array else "high")
    if found["codec.unit"] != "db":
        found["codec.db_min"] = found["codec.db_max"] = None
    if found["codec.rows"] not in ("linear", "log"):
        found["codec.hz_min"] = None
    return found


def words(values: Mapping[str, Any]) -> list[str]:
    """As on the command line, unquoted."""
    return [f"{key}={_text(value)}" for key, value in _ordered(values).items()]


def command(input: str, values: Mapping[str, Any], output: str) -> str:
    """A whole command line for a shell."""
    parts = ["vocoder", "invert", f"input={input}", *words(values), f"output={output}"]
    return shlex.join(parts)


def as_yaml(values: Mapping[str, Any]) -> str:
    """Options of one's own that say the same: files to put in ``conf/``."""
    files = []
    for group in GROUPS:
        if changes := _changes(group, values):
            option = values.get(group, DEFAULTS.get(group))
            body = yaml.safe_dump({"defaults": [option, "_self_"]} | changes, sort_keys=False)
            files.append(f"# conf/{group}/mine.yaml, for {group}=mine\n{body}")
        elif group in values:
            files.append(f"# {group}={values[group]}\n")
    return "\n".join(files) or "# nothing: the file says itself how it was made\n"


def choices(group: str) -> list[str]:
    """The options that need no further settings."""
    found = []
    for name in options(group):
        try:
            load(group, name)
        except BadInput:
            continue
        found.append(name)
    return found


def _ordered(values: Mapping[str, Any]) -> Values:
    """Group by group, an option before its settings."""
    known: Values = {}
    for group in GROUPS:
        known |= {key: one for key, one in values.items() if key == group}
        known |= {key: one for key, one in values.items() if key.startswith(f"{group}.")}
    known |= {key: one for key, one in values.items() if key == FORCE and one}
    if unknown := [key for key in values if key not in known and key != FORCE]:
        raise BadInput(
            f"unknown setting {unknown[0]}; expected those of {', '.join(GROUPS)}, or {FORCE}",
            key=f"{unknown[0]}.unknown",
        )
    return known


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
