"""What follows a command: flags and overrides in Hydra's grammar, checked with errors for people.

Imported by what needs Hydra anyway, which is slow to import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from vocoder.config import conf_dir, nearest, plain_types, require_option
from vocoder.errors import BadInput

SWEEP = {"-m", "--multirun"}
_MODES = SWEEP | {"-r", "--run", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"}
_LAUNCHER_EXTRAS = {"joblib": "cluster", "ray": "ray"}
_EXAMPLES = {"spec": "mel256", "codec": "gray8"}  # of groups that have no choice of their own


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's own flags, each with the word after it if that is no setting; and the settings.

    Raises
    ------
    BadInput
        A flag that there is not, or two that exclude each other.
    """
    flags: list[str] = []
    overrides: list[str] = []
    after_flag = False
    for argument in arguments:
        is_flag = argument.startswith("-")
        (flags if is_flag or (after_flag and "=" not in argument) else overrides).append(argument)
        after_flag = is_flag
    if len(modes := sorted(_MODES & {flag.split("=")[0] for flag in flags})) > 1:
        raise BadInput(f"{' and '.join(modes)} exclude each other; give one of them")
    for flag in flags:
        if flag.startswith("-") and flag.split("=")[0] not in _MODES:
            key = flag.lstrip("-").split("=")[0]
            raise BadInput(f"{flag} is no flag; settings are written {key}=value, without dashes")
    return flags, overrides


def text_keys(function: Callable[..., int]) -> list[str]:
    """The keys of a command that can be nothing but text (or null), such as file names."""
    types = plain_types(function)
    return [name for name, words in types.items() if "str" in words and {*words} <= {"str", "None"}]


def parse(overrides: Sequence[str], texts: Sequence[str], *, sweeps: bool) -> list[Override]:
    """Parse overrides; a value that is not in Hydra's grammar is taken as it stands.

    File names hold brackets, commas, spaces and equal signs, or look like numbers, and a shell's
    completion quotes for the shell only.

    Parameters
    ----------
    overrides : sequence of str
    texts : sequence of str
        Keys whose values are text whatever they look like.
    sweeps : bool
        Whether commas part values, of these keys too.

    Raises
    ------
    BadInput
        One has no equal sign.
    """
    parser = OverridesParser.create()
    parsed = []
    for line in overrides:
        key, equals, value = line.partition("=")
        if not equals:
            raise BadInput(f"{line!r} is no setting; expected key=value")
        try:
            (override,) = parser.parse_overrides([line])
            swept = sweeps and override.is_sweep_override()
            literal = key in texts and not swept and not isinstance(override.value(), str | None)
        except HydraException:
            literal = True
        if literal:
            (override,) = parser.parse_overrides([f"{key}={quoted(value)}"])
        parsed.append(override)
    return parsed


def quoted(text: str) -> str:
    """Any text as a value in Hydra's grammar."""
    # Within Hydra's quotes a backslash counts only before one.
    escaped = re.sub(r"(\\*)('|$)", lambda found: _escaped(*found.groups()), text)
    return f"'{escaped}'"


def _escaped(backslashes: str, quote: str) -> str:
    return backslashes * 2 + (f"\\{quote}" if quote else "")


def check(command: str, overrides: Sequence[Override]) -> None:
    """Refuse options and keys that do not exist, naming the nearest.

    Needs Hydra initialised with the folder ``conf/``.

    Raises
    ------
    BadInput
    """
    groups = []
    own = _groups(command)
    for override in overrides:
        name = override.key_or_group
        if name in own and not override.is_delete():
            value = override.value()
            choices = value.list if override.is_sweep_override() else [value]  # type: ignore[union-attr]
            chosen = [
                "null" if choice is None else str(getattr(choice, "text", choice))
                for choice in choices
            ]
            for choice in chosen:  # Hydra has no group=null; to leave it out is the same
                require_option(name, choice)
            groups.append(f"{name}={chosen[0]}")
    base = compose(command, groups)
    values = OmegaConf.to_container(base, resolve=False)
    known = _paths(values)
    for override in overrides:
        name = override.key_or_group
        if name == "hydra/launcher":
            _require_launcher(override)
        if name == "hydra.launcher":
            raise BadInput(f"a launcher is chosen with a slash: hydra/launcher={override.value()}")
        if name.startswith("hydra.launcher."):  # launchers hand on what others define
            continue
        if override.is_delete() or override.is_add() or override.is_force_add():
            raise BadInput(f"{override.input_line}: keys cannot be added or removed, only set")
        if name.startswith("hydra") or name in own or name in known:
            continue
        parent = name.rpartition(".")[0]
        if parent in _EXAMPLES and parent in known:
            raise BadInput(
                f"{name}= changes a field of {parent}, so say which: {parent}=..., such as "
                f"{parent}={_EXAMPLES[parent]}"
                if OmegaConf.select(base, parent) is None
                else f"{parent} has no key {name}{nearest(name, known)}"
            )
        raise BadInput(f"{command} has no key {name}{nearest(name, known)}")


def _require_launcher(override: Override) -> None:
    """Refuse a launcher that Hydra does not find, naming the extra or the nearest."""
    if override.is_sweep_override():
        raise BadInput(f"{override.input_line}: all jobs have one launcher; give one")
    name = str(override.value())
    known = GlobalHydra.instance().config_loader().get_group_options("hydra/launcher")
    if name in known:
        return
    if extra := _LAUNCHER_EXTRAS.get(name):
        raise BadInput(
            f"hydra/launcher={name} needs more packages; install them with "
            f"pip install 'vocoder[{extra}]'"
        )
    raise BadInput(f"hydra/launcher={name} does not exist{nearest(name, known)}")


def _groups(command: str) -> set[str]:
    """Groups that a command chooses an option of; others would be taken for its own."""
    content = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text(encoding="utf-8"))
    entries = content.get("defaults", [])
    return {group for entry in entries if isinstance(entry, dict) for group in entry}


def _paths(values: Any, prefix: str = "") -> list[str]:
    """Every key of nested mappings, joined with dots."""
    paths = []
    for key, value in values.items():
        paths.append(f"{prefix}{key}")
        if isinstance(value, dict):
            paths += _paths(value, f"{prefix}{key}.")
    return [path for path in paths if not path.endswith("_target_")]
