"""Help texts, read from ``conf/`` as text: no import that takes time."""

from __future__ import annotations

import re
from pathlib import Path

from vocoder.config import conf_dir, options

_KEY = re.compile(r"^( *)([a-z]\w*):(?: +([^#]*?))?(?: +# (.*))?$")
_EXAMPLE = "# $ "
_HYDRA = "# @"  # directives


def commands() -> list[str]:
    """Every command: one module here and one file in ``conf/``."""
    modules = {path.stem.rstrip("_") for path in Path(__file__).parent.glob("*.py")}
    return sorted(path.stem for path in conf_dir().glob("*.yaml") if path.stem in modules)


def overview() -> str:
    """What ``vocoder`` alone prints."""
    summaries = [(name, _summary(conf_dir() / f"{name}.yaml")) for name in commands()]
    examples = [line for name, _ in summaries for line in _examples(name)[:1]]
    return "\n".join(
        [
            "vocoder - spectrogram pictures to speech, and back",
            "",
            "usage: vocoder COMMAND key=value ...",
            "",
            "commands:",
            *_table(summaries),
            "",
            "examples:",
            *(f"  {line}" for line in examples),
            "",
            "vocoder COMMAND --help tells a command's keys and options; -m runs every combination",
            "of values given with commas: vocoder invert -m inverter=griffin_lim,admm ...",
            "vocoder --version tells which one this is.",
        ]
    )


def command_help(command: str) -> str:
    """What ``vocoder COMMAND --help`` prints."""
    path = conf_dir() / f"{command}.yaml"
    groups = re.findall(r"^  - (\w+):", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = [
        f"vocoder {command} - {_summary(path)}",
        "",
        f"usage: vocoder {command} key=value ...",
        "",
        "keys (??? must be given):",
        *_table(_keys(path)),
    ]
    for group in groups:
        entries = [(name, _summary(conf_dir() / group / f"{name}.yaml")) for name in options(group)]
        parts += ["", f"{group}=", *_table(entries)]
    parts += ["", "examples:", *(f"  {line}" for line in _examples(command))]
    parts += [
        "",
        "An option's own keys are set with a dot, as in codec.db_min=-80; --cfg job prints them",
        "all; -m sweeps over values given with commas.",
    ]
    return "\n".join(parts)


def key_help(command: str, key: str) -> str:
    """The line about one key, for the error that it is missing."""
    group, _, rest = key.partition(".")
    places = [(conf_dir() / f"{command}.yaml", key)]
    places += [(path, rest) for path in sorted((conf_dir() / group).glob("*.yaml"))]
    for path, wanted in places:
        for name, text in _keys(path):
            if name.split("=")[0] == wanted and text:
                return text
    return ""


def _summary(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if not line.startswith(_HYDRA))
    return first.removeprefix("# ")


def _examples(command: str) -> list[str]:
    text = (conf_dir() / f"{command}.yaml").read_text(encoding="utf-8")
    return [line.removeprefix(_EXAMPLE) for line in text.splitlines() if line.startswith(_EXAMPLE)]


def _keys(path: Path) -> list[tuple[str, str]]:
    """Each key with its value and comment; nested keys joined with a dot."""
    entries: list[tuple[str, str]] = []
    parent = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _KEY.match(line)
        if match is None or match[2] == "defaults":
            continue
        indent, name, value, comment = match.groups(default="")
        if not indent and not value:
            parent = f"{name}."
            continue
        entries.append((f"{parent if indent else ''}{name}={value}", comment))
    return entries


def _table(entries: list[tuple[str, str]]) -> list[str]:
    width = min(28, max((len(name) for name, _ in entries), default=0))
    return [f"  {name:<{width}}  {text}".rstrip() for name, text in entries]
