"""Sweeps: one command line, many jobs, run by Hydra's launchers on this machine or on others.

Imported when a command runs, not before: Hydra is slow to import.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, TextIO, cast

from hydra import main as hydra_main
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from vocoder.cli.codes import BAD, DONE
from vocoder.cli.overrides import quoted
from vocoder.config import HYDRA_VERSION, conf_dir
from vocoder.errors import BadInput

_FOLDER = "vocoder.folder"


class Unfinished(Exception):
    """A job ended with another exit code than 0; the others go on."""


class Job:
    """One job; a class, since launchers send it to other processes.

    Parameters
    ----------
    call : callable
        Runs a command with its configuration.
    """

    def __init__(self, command: str, call: Callable[[str, DictConfig], int]) -> None:
        self._command, self._call = command, call
        self._folder = Path.cwd()

    def __call__(self, config: DictConfig) -> None:
        job = HydraConfig.get()
        with open_dict(config):
            config.output = job.runtime.output_dir
            # Hydra has made the folder of a job that an interrupted sweep did not come to.
            if config.get("resume") and not _began(Path(config.output)):
                config.resume = False
        _forget_launcher()
        try:
            _enter(self._folder)
            code = self._call(self._command, config)
        except BadInput as error:  # Hydra would keep it to itself, but for the first job's
            name = job.job.override_dirname
            print(f"vocoder: {name + ': ' if name else ''}{error}", file=sys.stderr)
            code = BAD
        if code != DONE:
            raise Unfinished


def run(
    command: str,
    lines: Sequence[str],
    parsed: Sequence[Override],
    call: Callable[[str, DictConfig], int],
) -> int:
    """Run a job for every combination of the values, by Hydra's own program.

    Parameters
    ----------
    lines : sequence of str
        The settings, all of which exist.
    parsed : sequence of Override
        The same as the user gave them.
    call : callable
        Runs a command with its configuration.

    Returns
    -------
    int
        0, or 2 if a job ended with another code.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that exceptions reach us
    sys.argv = [f"vocoder {command}", "-m", *lines, *_settings(parsed)]
    program = hydra_main(
        version_base=HYDRA_VERSION, config_path=str(conf_dir()), config_name=command
    )
    try:
        with _without_traces(parsed):
            program(Job(command, call))()
    except Unfinished:
        return BAD
    except ConnectionError as error:
        if error.errno is not None:
            raise
        # Ray's own, of a cluster that is not there.
        raise BadInput(str(error), key="launcher.missing") from error
    return DONE


def _began(folder: Path) -> bool:
    """Whether a job has left anything: what is hidden is a lock, or was not finished."""
    return any(not path.name.startswith(".") for path in folder.iterdir())


def _forget_launcher() -> None:
    """Let a job start processes as any program does, not as joblib's workers do.

    Those want a main module that knows joblib, and PyTorch's and our own workers have none.
    """
    usual = multiprocessing.get_all_start_methods()
    if multiprocessing.get_start_method(allow_none=True) not in (None, *usual):
        multiprocessing.set_start_method(usual[0], force=True)


def _enter(folder: Path) -> None:
    """Go where the sweep was started, since names of files are seen from there.

    Processes of a cluster begin where the cluster was started.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise BadInput(
            f"this machine cannot enter {folder} ({error.strerror}), where the sweep was started; "
            "start it in a folder that all machines see",
            key="folder.missing",
        ) from error


def _settings(overrides: Sequence[Override]) -> list[str]:
    """Settings of Hydra's: jobs write to ``output/key=value,…``, only the swept keys named."""
    fixed = [one.key_or_group for one in overrides if not one.is_sweep_override()]
    return [
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
        "hydra/job_logging=disabled",
        "hydra/hydra_logging=disabled",
        f"hydra.sweep.dir={_whole_output(overrides)}",
        f"hydra.sweep.subdir='${{{_FOLDER}:${{hydra.job.override_dirname}}}}'",
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]",
        *_ray_settings(overrides),
    ]


def _whole_output(overrides: Sequence[Override]) -> str:
    """The output with all of its path, since a cluster's processes begin elsewhere."""
    given = next((one for one in overrides if one.key_or_group == "output"), None)
    if given is None:
        return "${output}"
    if given.is_sweep_override():
        raise BadInput(
            f"{given.input_line}: jobs have folders of their own in output; give one",
            key="output.conflict",
        )
    if not (name := given.value()):
        raise BadInput(
            "output= is empty; give a folder, in which every job has one of its own",
            key="output.missing",
        )
    here = str(Path.cwd()).replace("${", r"\${")  # no interpolation
    return quoted(str(Path(here) / Path(str(name)).expanduser()))


def _folder_name(swept: str) -> str:
    """One folder for each job, be its values paths or not: slashes as in web addresses."""
    return swept.replace("%", "%25").replace("/", "%2F")


OmegaConf.register_new_resolver(_FOLDER, _folder_name, replace=True)


def _ray_settings(overrides: Sequence[Override]) -> list[str]:
    """What makes Ray's launcher run on this machine and on a cluster alike, and tell nobody."""
    memory = "hydra.launcher.ray.init.object_store_memory"
    chosen: dict[str, Any] = {one.key_or_group: one.value() for one in overrides}
    if chosen.get("hydra/launcher") != "ray":
        return []
    # Ray reports its use to its makers, and shows one of several lines that differ in numbers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # The launcher's own default is refused by a cluster that runs already.
    return [] if memory in chosen else [f"+{memory}=null"]


@contextmanager
def _without_traces(overrides: Sequence[Override]) -> Iterator[None]:
    """Keep from users what Hydra leaves behind: a file in a sweep's folder, a line after errors."""
    output = next((str(one.value()) for one in overrides if one.key_or_group == "output"), ".")
    record = Path(output).expanduser() / "multirun.yaml"
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
