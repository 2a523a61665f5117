"""The program ``vocoder``: composes a command's configuration with Hydra and calls its ``run``.

Only this module, `vocoder.cli.overrides` and `vocoder.cli.sweep` know Hydra. What a command gets
are plain objects.
"""

from __future__ import annotations

import gc
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocoder.cli.codes import BAD, BROKEN_PIPE, DONE, INTERRUPTED
from vocoder.cli.help import command_help, command_module, commands, key_help, overview
from vocoder.config import (
    build,
    check,
    hydra_conf,
    missing_settings,
    nearest,
    require_types,
    text_keys,
)
from vocoder.errors import BadInput

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main() -> None:
    """Entry point: exit with `run`'s code."""
    if isinstance(sys.stdout, TextIOWrapper):  # as standard error: names of files may be any bytes
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # see vocoder.cpu.torch_threads
    gc.disable()  # until `_call`: imports leave no garbage, and looking for it takes .1 s
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    gc.freeze()  # or Python looks through all that torch holds as it ends: .3 s
    sys.exit(code)


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
        return dispatch(arguments)
    except BadInput as error:
        print(f"vocoder: {error}", file=sys.stderr)
        return BAD
    except KeyboardInterrupt:
        print("vocoder: interrupted; what is finished stays", file=sys.stderr)
        return INTERRUPTED


def dispatch(arguments: Sequence[str]) -> int:
    """Do as `run`, but raise `BadInput` and `KeyboardInterrupt`."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return DONE
    if arguments[0] == "--version":
        print(f"vocoder {version('vocoder')}")
        return DONE
    command, *rest = arguments
    if command not in commands():
        raise BadInput(
            f"unknown command {command}{nearest(command, commands())}", key="command.unknown"
        )
    if "-h" in rest or "--help" in rest:
        print(command_help(command, [word for word in rest if not word.startswith("-")]))
        return DONE
    return _launch(command, rest)


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
        raise BadInput(
            f"cannot use {error.filename}: {error.strerror}", key="file.unusable"
        ) from error


@_files_told()
def _launch(command: str, arguments: list[str]) -> int:
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from vocoder.cli import overrides, sweep

    # Pillow and soundfile warn of what our own errors say better.
    warnings.filterwarnings("ignore", module="PIL")
    flags, settings = overrides.split(arguments)
    is_sweep = bool(overrides.SWEEP & flags)
    try:
        with hydra_conf():
            texts = text_keys(_function(command))
            parsed = overrides.parse(settings, texts, sweeps=is_sweep)
            if is_sweep:
                lines = overrides.require_all(command, parsed)
            else:
                config = overrides.compose(command, parsed)
        if is_sweep:
            return sweep.run(command, lines, parsed, _call)
        if flags:
            print(OmegaConf.to_yaml(config), end="")
            return DONE
        return _call(command, config)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(" ".join(str(error).split()), key="setting.conflict") from error


@_files_told()
def _call(command: str, config: DictConfig) -> int:
    """Check that nothing is missing, build the objects, run the command."""
    from omegaconf import OmegaConf

    if missing := sorted(missing_settings(OmegaConf.to_container(config))):
        key = missing[0]
        raise BadInput(f"{key}= must be given: {key_help(command, key)}", key=f"{key}.missing")
    values: Any = _at_home(OmegaConf.to_container(config, resolve=True))
    if empty := [key for key in ("input", "output") if values.get(key) == ""]:
        raise BadInput(
            f"{empty[0]}= is empty: {key_help(command, empty[0])}", key=f"{empty[0]}.missing"
        )
    function = _function(command)
    names = inspect.signature(function).parameters
    arguments = {key: value for key, value in values.items() if key in names}
    require_types(function, arguments, "")
    check(arguments, "")
    if "model" in values:  # networks draw their first weights when they are built
        import torch

        torch.manual_seed(values["seed"])
    built = {key: build(value, key) for key, value in arguments.items()}
    if "composed" in names:  # what a command records
        built["composed"] = values
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    code: int = function(**built)
    return code


def _at_home(value: Any) -> Any:
    """Values with a leading ``~/`` expanded, which not every shell does after ``=``."""
    if isinstance(value, dict):
        return {key: _at_home(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_at_home(inner) for inner in value]
    if isinstance(value, str) and value.startswith("~/"):
        return str(Path(value).expanduser())
    return value


def _function(command: str) -> Callable[..., int]:
    function: Callable[..., int] = command_module(command).run
    return function


if __name__ == "__main__":
    main()
