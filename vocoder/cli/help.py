"""Help texts: what stands in the comments of ``conf/``, by the configuration that Hydra composes.

A comment beside a key is what the setting means, wherever in the options' ancestry it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import Any

from vocoder.config import all_settings, conf_dir, hydra_conf, options

_EXAMPLE = "# $ "
_HYDRA = "# @"  # directives
_WIDTH = 34  # of the column with keys


def commands() -> list[str]:
    """Every command: one module here and one file in ``conf/``."""
    modules = {path.stem.rstrip("_") for path in Path(__file__).parent.glob("*.py")}
    return sorted(path.stem for path in conf_dir().glob("*.yaml") if path.stem in modules)


def command_module(command: str) -> ModuleType:
    """The module whose ``run`` is the command."""
    name = f"{command}_" if iskeyword(command) else command
    return import_module(f"vocoder.cli.{name}")


def overview() -> str:
    """What ``vocoder`` alone prints."""
    summaries = [(name, _summary(f"{name}.yaml")) for name in commands()]
    examples = [line for name, _ in summaries for line in _examples(name)[:1]]
    return "\n".join(
        [
            "vocoder - spectrogram images to speech, and back",
            "",
            "usage: vocoder COMMAND key=value ...",
            "",
            "commands:",
            *_table(summaries),
            "",
            "examples:",
            *(f"  {line}" for line in examples),
            "",
            "vocoder COMMAND --help lists a command's settings; -m runs every combination of",
            "values given with commas: vocoder invert -m inverter=griffin_lim,admm ...",
            "vocoder --version prints the version.",
        ]
    )


def command_help(command: str, settings: Sequence[str] = ()) -> str:
    """What ``vocoder COMMAND --help`` prints: every setting with its default and its meaning.

    Parameters
    ----------
    settings : sequence of str
        What else was given: the options chosen there are those whose settings are listed.
    """
    from omegaconf import OmegaConf

    from vocoder.cli import overrides

    with hydra_conf():
        parsed = overrides.parse(settings, sweeps=False)
        values = OmegaConf.to_container(overrides.compose(command, parsed))
        places, choices = overrides.places(command, parsed)
        meanings = _meanings(places)
    first = _meanings([(command, "")])  # the command's own settings before those that it includes
    leaves = [
        (name, value)
        for name, value in all_settings(values).items()
        # Neither what has settings of its own nor what only repeats another.
        if not (isinstance(value, dict) and value) and "${" not in str(value)
    ]
    leaves.sort(key=lambda leaf: leaf[0] not in first)
    own = [(name, value) for name, value in leaves if _group_of(name, choices) is None]
    parts = [
        f"vocoder {command} - {_summary(f'{command}.yaml')}",
        "",
        f"usage: vocoder {command} key=value ...",
        "",
        "settings (??? must be given):",
        *_table([(f"{name}={_text(value)}", meanings.get(name, "")) for name, value in own]),
    ]
    for key, chosen in reversed(choices.items()):
        group, _, place = key.partition("@")
        names = [(name, _summary(f"{group}/{name}.yaml")) for name in options(group)]
        parts += ["", f"{place or group}= one of", *_table(names)]
        inside = [
            (f"{name}={_text(value)}", meanings.get(name, ""))
            for name, value in leaves
            if _group_of(name, choices) == key
        ]
        if inside:
            parts += [f"settings of {place or group}={chosen}", *_table(inside)]
    for title, entries in getattr(command_module(command), "help_sections", dict)().items():
        parts += ["", title, *_table(entries)]
    parts += ["", "examples:", *(f"  {line}" for line in _examples(command))]
    parts += [
        "",
        "Settings of another option: give it beside --help. --cfg job prints all as YAML; -m runs",
        "every combination of values given with commas.",
    ]
    return "\n".join(parts)


def key_help(command: str, key: str) -> str:
    """The meaning of one setting, for the error that it is missing."""
    from vocoder.cli import overrides

    group = key.partition(".")[0]
    with hydra_conf():
        places, _ = overrides.places(command, [])
    others = [(f"{group}/{name}", group) for name in options(group)]
    return _meanings([*others, *places]).get(key, "")


def _summary(name: str) -> str:
    lines = (conf_dir() / name).read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if not line.startswith(_HYDRA)).removeprefix("# ")


def _examples(command: str) -> list[str]:
    text = (conf_dir() / f"{command}.yaml").read_text(encoding="utf-8")
    return [line.removeprefix(_EXAMPLE) for line in text.splitlines() if line.startswith(_EXAMPLE)]


def _meanings(places: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The comments of files of ``conf/``, each put at its place, by the keys' full names."""
    import yaml

    found: dict[str, str] = {}
    for name, place in places:
        text = (conf_dir() / f"{name}.yaml").read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        _collect(tree, f"{place}." if place else "", text.splitlines(), found)
    return found


def _collect(node: Any, prefix: str, lines: Sequence[str], found: dict[str, str]) -> None:
    if node is None or node.id != "mapping":
        return
    for key, value in node.value:
        _, mark, comment = lines[key.start_mark.line].partition("  # ")
        if mark:
            found[f"{prefix}{key.value}"] = comment
        _collect(value, f"{prefix}{key.value}.", lines, found)


def _group_of(name: str, choices: dict[str, Any]) -> str | None:
    """The choice whose option has the setting: the innermost, if there are several."""
    places = {key.partition("@")[2] or key: key for key in choices}
    inside = [place for place in places if name.startswith(f"{place}.")]
    return places[max(inside, key=len)] if inside else None


def _text(value: Any) -> str:
    """A value as it is given on the command line."""
    if isinstance(value, list):
        return f"[{','.join(_text(one) for one in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _table(entries: Sequence[tuple[str, str]]) -> list[str]:
    width = min(_WIDTH, max((len(name) for name, _ in entries), default=0))
    return [f"  {name:<{width}}  {text}".rstrip() for name, text in entries]
