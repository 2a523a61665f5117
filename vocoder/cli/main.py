"""The program ``vocoder``: composes a command's configuration with Hydra and calls its ``run``.

Only this module, `vocoder.cli.overrides` and `vocoder.cli.sweep` know Hydra. What a command gets
are plain objects.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from io import TextIOWrapper
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from vocoder.cli.codes import BAD, DONE, INTERRUPTED
from vocoder.cli.help import command_help, commands, key_help, overview
from vocoder.config import (
    build,
    conf_dir,
    nearest,
    plain_types,
    require_types,
)
from vocoder.errors import BadInput

if TYPE_CHECKING:
    from omegaconf import DictConfig

HYDRA_VERSION = "1.3"


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

    from vocoder.cli import overrides, sweep

    # Pillow and soundfile warn of what our own errors say better.
    warnings.filterwarnings("ignore", module="PIL")
    flags, words = overrides.split(arguments)
    is_sweep = bool(overrides.SWEEP & set(flags))
    try:
        with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
            texts = overrides.text_keys(_function(command))
            parsed = overrides.parse(words, texts, sweeps=is_sweep)
            overrides.check(command, parsed)
            lines = [str(override.input_line) for override in parsed]
            if not flags:
                config = compose(command, lines)
                return _call(command, config)
        # Sweeps and Hydra's own flags need Hydra's own program.
        os.environ["HYDRA_FULL_ERROR"] = "1"  # so that exceptions reach us
        sys.argv = [f"vocoder {command}", *flags, *lines]
        sys.argv += sweep.settings(parsed)
        program = main(version_base=HYDRA_VERSION, config_path=str(conf_dir()), config_name=command)
        with sweep.without_traces(parsed):
            program(sweep.Job(command, _call, is_sweep=is_sweep))()
        return DONE
    except sweep.Unfinished:
        return BAD
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(" ".join(str(error).split())) from error
    except ConnectionError as error:
        if error.errno is not None:
            raise
        # Ray's own, of a cluster that is not there.
        raise BadInput(str(error)) from error


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
    module = f"{command}_" if iskeyword(command) else command
    function: Callable[..., int] = importlib.import_module(f"vocoder.cli.{module}").run
    return function


if __name__ == "__main__":
    main()
