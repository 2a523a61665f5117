"""The program ``vocoder``: composes a command's configuration with Hydra and calls its ``run``.

The only module that knows Hydra. What a command gets are plain objects.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from vocoder.cli.codes import BAD, DONE, INTERRUPTED
from vocoder.cli.help import command_help, commands, key_help, overview
from vocoder.composition import (
    build,
    conf_dir,
    nearest,
    plain_types,
    require_option,
    require_types,
)
from vocoder.errors import BadInput

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

HYDRA_VERSION = "1.3"
EXAMPLES = {"spec": "mel256", "codec": "gray8"}  # of groups that have no choice of their own
_LAUNCHER_EXTRAS = {"joblib": "cluster", "ray": "ray"}
_SWEEP = {"-m", "--multirun"}
_MODES = _SWEEP | {"-r", "--run", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"}


class _Unfinished(Exception):
    """A job of a sweep ended with another exit code than 0; the others go on."""


def main() -> None:
    """Entry point: exit with `run`'s code."""
    if isinstance(sys.stdout, TextIOWrapper):  # as standard error: names of files may be any bytes
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.

    Returns
    -------
    int
        0 done, 2 bad use or bad input, 130 interrupted. A bug raises.
    """
    try:
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(overview())
            return DONE
        if arguments[0] == "--version":
            print(f"vocoder {version('vocoder')}")
            return DONE
        command, *rest = arguments
        if command not in commands():
            raise BadInput(f"{command} is no command{nearest(command, commands())}")
        if {"-h", "--help"} & set(rest):
            print(command_help(command))
            return DONE
        return _launch(command, rest)
    except BadInput as error:
        print(f"vocoder: {error}", file=sys.stderr)
        return BAD
    except _Unfinished:
        return BAD
    except KeyboardInterrupt:
        print("vocoder: interrupted; what is finished stays", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _files_told() -> Iterator[None]:
    """Make `BadInput` of what the system says of a file: that may be of any name, anywhere.

    Other errors of the system speak of no file, and are bugs.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise BadInput(f"cannot use {error.filename}: {error.strerror}") from error


@_files_told()
def _launch(command: str, arguments: list[str]) -> int:
    from hydra import compose, initialize_config_dir, main
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    # Pillow and soundfile warn of what our own errors say better.
    warnings.filterwarnings("ignore", module="PIL")
    flags, overrides = _split(arguments)
    if len(modes := sorted(_MODES & {flag.split("=")[0] for flag in flags})) > 1:
        raise BadInput(f"{' and '.join(modes)} exclude each other; give one of them")
    for flag in flags:
        if flag.startswith("-") and flag.split("=")[0] not in _MODES:
            key = flag.lstrip("-").split("=")[0]
            raise BadInput(f"{flag} is no flag; settings are written {key}=value, without dashes")
    try:
        with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
            parsed = _parse(overrides, [] if _SWEEP & set(flags) else _text_keys(command))
            _check(command, parsed)
            lines = [str(override.input_line) for override in parsed]
            if not flags:
                config = compose(command, lines)
                return _call(command, config)
        # Sweeps and Hydra's own flags need Hydra's own program.
        os.environ["HYDRA_FULL_ERROR"] = "1"  # so that exceptions reach us
        sys.argv = [f"vocoder {command}", *flags, *lines]
        sys.argv += [*_sweep_settings(parsed), *_ray_settings(parsed)]
        job = _Job(command, is_sweep=bool(_SWEEP & set(flags)))
        program = main(version_base=HYDRA_VERSION, config_path=str(conf_dir()), config_name=command)
        with _without_traces(parsed):
            program(job)()
        return DONE
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(" ".join(str(error).split())) from error
    except ConnectionError as error:
        if error.errno is not None:
            raise
        # Ray's own, of a cluster that is not there.
        raise BadInput(str(error)) from error


@contextmanager
def _without_traces(overrides: Sequence[Override]) -> Iterator[None]:
    """Keep from users what Hydra leaves behind: a file in a sweep's folder, a line after errors."""
    output = next((str(one.value()) for one in overrides if one.key_or_group == "output"), ".")
    record = Path(output) / "multirun.yaml"
    theirs = record.exists()
    try:
        with redirect_stderr(cast(TextIO, _Errors(sys.stderr))):
            yield
    finally:
        if not theirs:
            record.unlink(missing_ok=True)


class _Errors:
    """Standard error without the line that Hydra adds to a job's own message."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if text.startswith("Error executing job with overrides"):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's own flags, each with the word after it if that is no setting; and the settings."""
    flags: list[str] = []
    overrides: list[str] = []
    after_flag = False
    for argument in arguments:
        is_flag = argument.startswith("-")
        (flags if is_flag or (after_flag and "=" not in argument) else overrides).append(argument)
        after_flag = is_flag
    return flags, overrides


class _Job:
    """One job of a sweep; a class, since launchers send it to other processes."""

    def __init__(self, command: str, *, is_sweep: bool) -> None:
        self._command, self._is_sweep = command, is_sweep

    def __call__(self, config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import open_dict

        job = HydraConfig.get()
        if self._is_sweep:
            with open_dict(config):
                config.output = job.runtime.output_dir
        try:
            code = _call(self._command, config)
        except BadInput as error:  # Hydra would keep it to itself, but for the first job's
            name = job.job.override_dirname
            print(f"vocoder: {name + ': ' if name else ''}{error}", file=sys.stderr)
            code = BAD
        if code != DONE:
            raise _Unfinished


@_files_told()
def _call(command: str, config: DictConfig) -> int:
    """Check that nothing is missing, build the objects, run the command."""
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        key = missing[0]
        raise BadInput(f"{key}= must be given: {key_help(command, key)}")
    values: Any = OmegaConf.to_container(config, resolve=True)
    if empty := [key for key in ("input", "output") if values.get(key) == ""]:
        raise BadInput(f"{empty[0]}= is empty: {key_help(command, empty[0])}")
    function = _function(command)
    arguments = _built(values, function)
    require_types(function, arguments, "")
    code: int = function(**arguments)
    return code


def _built(values: dict[str, Any], function: Callable[..., int]) -> dict[str, Any]:
    """The objects of a configuration; and, for a command that records it, the values as well."""
    require_types(function, {key: values[key] for key in plain_types(function)}, "")
    if "model" in values:  # networks draw their first weights when they are built
        import torch

        torch.manual_seed(values["seed"])
    arguments = {key: build(value, key) for key, value in values.items()}
    if "composed" in inspect.signature(function).parameters:
        arguments["composed"] = values
    return arguments


def _function(command: str) -> Callable[..., int]:
    function: Callable[..., int] = importlib.import_module(f"vocoder.cli.{command}").run
    return function


def _text_keys(command: str) -> list[str]:
    """The keys whose values can be nothing but text (or null), such as file names."""
    types = plain_types(_function(command))
    return [name for name, words in types.items() if "str" in words and {*words} <= {"str", "None"}]


def _parse(overrides: Sequence[str], text_keys: Sequence[str]) -> list[Override]:
    """Parse overrides; a value that is not in Hydra's grammar is taken as it stands.

    File names hold brackets, commas, spaces and equal signs, or look like numbers, and a shell's
    completion quotes for the shell only.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed = []
    for line in overrides:
        key, equals, value = line.partition("=")
        if not equals:
            raise BadInput(f"{line!r} is no setting; expected key=value")
        try:
            (override,) = parser.parse_overrides([line])
            literal = key in text_keys and not isinstance(override.value(), str | None)
        except HydraException:
            literal = True
        if literal:
            # Within Hydra's quotes a backslash counts only before one.
            quoted = re.sub(r"(\\*)('|$)", lambda found: _escaped(*found.groups()), value)
            (override,) = parser.parse_overrides([f"{key}='{quoted}'"])
        parsed.append(override)
    return parsed


def _escaped(backslashes: str, quote: str) -> str:
    return backslashes * 2 + (f"\\{quote}" if quote else "")


def _check(command: str, overrides: Sequence[Override]) -> None:
    """Refuse options and keys that do not exist, naming the nearest."""
    from hydra import compose
    from omegaconf import OmegaConf

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
            _require_launcher(str(override.value()))
        if name.startswith("hydra.launcher."):  # launchers hand on what others define
            continue
        if override.is_delete() or override.is_add() or override.is_force_add():
            raise BadInput(f"{override.input_line}: keys cannot be added or removed, only set")
        if name.startswith("hydra") or name in own or name in known:
            continue
        parent = name.rpartition(".")[0]
        if parent in EXAMPLES and parent in known:
            raise BadInput(
                f"{name}= changes a field of {parent}, so say which: {parent}=..., such as "
                f"{parent}={EXAMPLES[parent]}"
                if OmegaConf.select(base, parent) is None
                else f"{parent} has no key {name}{nearest(name, known)}"
            )
        raise BadInput(f"{command} has no key {name}{nearest(name, known)}")


def _require_launcher(name: str) -> None:
    """Refuse a launcher that Hydra does not find, naming the extra or the nearest."""
    from hydra.core.global_hydra import GlobalHydra

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
    import yaml

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


def _sweep_settings(overrides: Sequence[Override]) -> list[str]:
    """Where the jobs of a sweep write: ``output/key=value,…``, only the swept keys named."""
    fixed = [o.key_or_group for o in overrides if not o.is_sweep_override()]
    return [
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
        "hydra/job_logging=disabled",
        "hydra/hydra_logging=disabled",
        "hydra.sweep.dir=${output}",
        "hydra.sweep.subdir=${hydra.job.override_dirname}",
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]",
    ]


def _ray_settings(overrides: Sequence[Override]) -> list[str]:
    """What makes Ray's launcher run on this machine and on a cluster alike, and tell nobody."""
    memory = "hydra.launcher.ray.init.object_store_memory"
    chosen = {override.key_or_group: override.value() for override in overrides}
    if chosen.get("hydra/launcher") != "ray":
        return []
    # Ray reports its use to its makers, and shows one of several lines that differ in numbers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # The launcher's own default is refused by a cluster that runs already.
    return [] if memory in chosen else [f"+{memory}=null"]


if __name__ == "__main__":
    main()
