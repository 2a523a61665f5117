"""What follows a command: flags and settings in Hydra's grammar, composed with errors for people.

Imported by what needs Hydra anyway, which is slow to import.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    QuotedString,
    Sweep,
)
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from vocoder.config import all_settings, groups, nearest, options, require_option
from vocoder.errors import BadInput
from vocoder.renamed import require_current

SWEEP = {"-m", "--multirun"}
PRINT = {"-c", "--cfg"}
_LAUNCHER = "hydra/launcher"
_LAUNCHER_EXTRAS = {"joblib": "cluster", "ray": "ray"}
_EXAMPLES = {"spec": "mel256", "codec": "gray8"}  # of groups that have no choice of their own
# Keys whose values are text, whatever they look like: names of files above all.
_TEXTS = {"input", "input_a", "output", "manifest", "label", "program", "reference", "root"}


def split(arguments: Sequence[str]) -> tuple[set[str], list[str]]:
    """Flags, and settings; the word after ``--cfg`` is none."""
    flags, settings = set(), []
    words = iter(arguments)
    for word in words:
        name = word.split("=")[0]
        if not word.startswith("-"):
            settings.append(word)
        elif name in SWEEP:
            flags.add("-m")
        elif name in PRINT:
            flags.add("-c")
            what = word.partition("=")[2] or next(words, "job")
            if what != "job":
                raise BadInput(f"unknown {name} {what}; expected {name} job", key="flag.unknown")
        else:
            key = name.lstrip("-")
            raise BadInput(
                f"unknown flag {word}; settings are written {key}=value, without dashes",
                key="flag.unknown",
            )
    if len(flags) > 1:
        raise BadInput("--cfg and -m exclude each other; give one of them", key="flag.conflict")
    return flags, settings


def parse(settings: Sequence[str], texts: Sequence[str] = (), *, sweeps: bool) -> list[Override]:
    """Parse settings; a value that is not in Hydra's grammar is taken as it stands.

    File names hold brackets, commas, spaces and equal signs, or look like numbers.

    Parameters
    ----------
    texts : sequence of str
        More keys whose values are text whatever they look like.
    sweeps : bool
        Whether commas part values, of these keys too.
    """
    parser = OverridesParser.create()
    parsed = []
    for line in settings:
        key, equals, value = line.partition("=")
        if not equals:
            raise BadInput(f"{line!r} is not a setting; expected key=value", key="setting.format")
        try:
            (override,) = parser.parse_overrides([line])
            swept = sweeps and override.is_sweep_override()
            is_text = key in texts or key.rpartition(".")[2] in _TEXTS
            literal = is_text and not swept and not isinstance(override.value(), str | None)
        except HydraException:
            literal = True
        if literal:
            (override,) = parser.parse_overrides([f"{key}={quoted(value)}"])
        _require_allowed(override)
        parsed.append(override)
    return parsed


def quoted(text: str) -> str:
    """Any text as a value in Hydra's grammar."""
    # Within Hydra's quotes a backslash counts only before one.
    escaped = re.sub(r"(\\*)('|$)", lambda found: _escaped(*found.groups()), text)
    return f"'{escaped}'"


def _escaped(backslashes: str, quote: str) -> str:
    return backslashes * 2 + (f"\\{quote}" if quote else "")


def _require_allowed(override: Override) -> None:
    """Refuse what Hydra would do, but nobody should ask of it here."""
    key, line = override.key_or_group, str(override.input_line)
    parts = re.split(r"[./@]", key)
    if parts[0] == "hydra":
        if key == "hydra.launcher":
            raise BadInput(
                f"a launcher is chosen with a slash: {_LAUNCHER}={override.value()}",
                key="launcher.format",
            )
        if parts[1:2] not in (["launcher"], ["sweeper"]):
            raise BadInput(
                f"{line}: of Hydra's own settings only {_LAUNCHER}= and hydra.launcher.* can be "
                "set",
                key="setting.unknown",
            )
    elif override.is_delete() or override.is_add() or override.is_force_add():
        raise BadInput(
            f"{line}: settings cannot be added or removed, only changed", key="setting.unknown"
        )
    elif any(part.startswith("_") for part in parts):
        raise BadInput(f"unknown setting {key}", key="setting.unknown")


def compose(command: str, parsed: Sequence[Override]) -> DictConfig:
    """Compose a command's configuration; Hydra's errors in our words, with the nearest name.

    Needs `vocoder.config.hydra_conf` around it.
    """
    lines = [_line(command, override, parsed) for override in parsed]
    if any(_is_odd_choice(override) for override in parsed):
        _explain(command, parsed)
    try:
        return hydra_compose(command, lines)
    except HydraException as error:
        _explain(command, parsed)
        raise BadInput(" ".join(str(error).split()), key="setting.conflict") from error


def _is_odd_choice(override: Override) -> bool:
    """Whether an option is chosen by something else than the name of one, which Hydra stumbles
    over, or by the name of a file that only holds what several have in common.
    """
    value = override.value()
    shown = str(getattr(value, "text", value))
    is_name = isinstance(value, str | Sweep | QuotedString) and not shown.startswith("_")
    return override.key_or_group in groups() and not is_name


def require_all(command: str, parsed: Sequence[Override]) -> list[str]:
    """Refuse a sweep of which any job could not be composed; return its settings as text."""
    for override in parsed:
        if override.key_or_group == _LAUNCHER:
            _require_launcher(override)
    mine = [one for one in parsed if not one.key_or_group.startswith("hydra")]
    choices = [_choices(one) for one in mine]
    parser = OverridesParser.create()
    for values in itertools.product(*choices):
        words = [f"{one.key_or_group}={word}" for one, word in zip(mine, values, strict=True)]
        compose(command, parser.parse_overrides(words))
    return [_line(command, override, parsed) for override in parsed]


def _choices(override: Override) -> list[str]:
    """What a sweep takes for a group, each; for a setting one value will do."""
    key, sweep = override.key_or_group, override.value()
    if not override.is_sweep_override():
        return [str(override.input_line).partition("=")[2]]
    if isinstance(sweep, IntervalSweep):
        raise BadInput(
            f"{override.input_line}: expected values with commas, or range()", key=f"{key}.type"
        )
    group = key.partition("@")[0]
    if group not in groups():
        return ["null"]
    if isinstance(sweep, Glob):
        found = [name for name in options(group) if sweep.filter([name])]
        return found or ["*"]
    if not isinstance(sweep, ChoiceSweep):
        raise BadInput(
            f"{override.input_line}: expected names of options, with commas", key=f"{key}.type"
        )
    return [str(getattr(choice, "text", choice)) for choice in sweep.list]


def _line(command: str, override: Override, parsed: Sequence[Override]) -> str:
    """The setting as Hydra wants it: the option of a nested group, ``data.codec=gray8``, as its
    ``codec@data.codec=gray8``.
    """
    key = override.key_or_group
    group = key.rpartition(".")[2]
    if group == key or group not in groups():
        return str(override.input_line)
    chosen = [str(one.input_line) for one in parsed if one.key_or_group in groups()]
    if f"{group}@{key}" in _tree(command, chosen):
        return f"{group}@{override.input_line}"
    return str(override.input_line)


def _tree(command: str, lines: Sequence[str]) -> dict[str, Any]:
    """The groups that a command chooses an option of, nested ones as ``group@place``."""
    try:
        return _choices_of(_defaults(command, lines))
    except HydraException:
        return {}


def places(
    command: str, parsed: Sequence[Override]
) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """The files of ``conf/`` that a command is composed of, each with the key that it is put at;
    and the options chosen. Needs `vocoder.config.hydra_conf` around it.
    """
    found = _defaults(command, [_line(command, override, parsed) for override in parsed])
    files = [(str(one.config_path), _place(one)) for one in found.defaults]
    return [(path, place) for path, place in files if not path.startswith("hydra")], _choices_of(
        found
    )


def _defaults(command: str, lines: Sequence[str]) -> Any:
    loader = GlobalHydra.instance().config_loader()
    return loader.compute_defaults_list(command, [*lines], RunMode.RUN)


def _choices_of(defaults: Any) -> dict[str, Any]:
    known: dict[str, Any] = defaults.overrides.known_choices
    return {group: name for group, name in known.items() if not group.startswith("hydra")}


def _place(default: Any) -> str:
    """The key that a file's contents are put at; empty for the root, for which there are words."""
    return "" if default.package in (None, "_global_", "<root>") else str(default.package)


def _explain(command: str, parsed: Sequence[Override]) -> None:
    """Say which of the settings there is not, and which is the nearest."""
    own = _tree(command, [])
    chosen = []
    for override in parsed:
        key = override.key_or_group
        if key in own:
            require_option(key.partition("@")[0], _choices(override)[0])
            chosen.append(str(override.input_line))
    base = hydra_compose(command, chosen)
    known = list(all_settings(OmegaConf.to_container(base, resolve=False)))
    for override in parsed:
        key = override.key_or_group
        if key.startswith("hydra") or key in own or key in known:
            continue
        require_current(key, known=[*known, *own])
        parent = key.rpartition(".")[0]
        if parent in _EXAMPLES and parent in known:
            if OmegaConf.select(base, parent) is None:
                raise BadInput(
                    f"{key}= changes a setting of {parent}, so say which: {parent}=..., such as "
                    f"{parent}={_EXAMPLES[parent]}",
                    key=f"{parent}.missing",
                )
            known = [path for path in known if path.startswith(f"{parent}.")]
        raise BadInput(
            f"unknown setting {key} of {command}{nearest(key, known)}", key=f"{key}.unknown"
        )


def _require_launcher(override: Override) -> None:
    """Refuse a launcher that Hydra does not find, naming the extra or the nearest."""
    if override.is_sweep_override():
        raise BadInput(
            f"{override.input_line}: all jobs have one launcher; give one", key="launcher.conflict"
        )
    name = str(override.value())
    known = GlobalHydra.instance().config_loader().get_group_options(_LAUNCHER)
    if name in known:
        return
    if extra := _LAUNCHER_EXTRAS.get(name):
        raise BadInput(
            f"{_LAUNCHER}={name} needs more packages; install them with "
            f"pip install 'vocoder[{extra}]'",
            key="launcher.extra",
        )
    raise BadInput(f"unknown {_LAUNCHER}={name}{nearest(name, known)}", key="launcher.unknown")
