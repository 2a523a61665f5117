"""A study as a folder of static files, and the answers that come back from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vocoder.compare.answers import RESULTS_NAME, Answer, append_answers, read_answers
from vocoder.compare.listening.page import (
    ASSETS,
    FOLDER,
    INDEX_NAME,
    STUDY_SCRIPT,
    study_script,
)
from vocoder.compare.listening.study import (
    ABX,
    OPAQUE_NAME,
    OPEN,
    STUDY_NAME,
    Arrangement,
    Study,
    Trial,
    X,
)
from vocoder.errors import BadInput
from vocoder.files import atomic_path, refuse_existing, write_text

SOUNDS_NAME = "sounds"
_SOUND_SUFFIX = ".js"
_OWNER = "exported"  # of the opaque names, in place of a listener


def export_page(study: Study, folder: Path, output: Path, *, overwrite: bool) -> None:
    """Write a page that needs no server, from a web server or opened as a file.

    It holds no key: listeners' answers name sounds by opaque names, and `collect` tells what they
    were. The page draws order, sides and X itself. Sounds are scripts, since a page opened as a
    file may load nothing else. Who wants to can still compare sounds or change answers.

    Parameters
    ----------
    study : Study
    folder : Path
        Of the study.
    output : Path
        Folder for ``index.html`` and what it needs.
    overwrite : bool
        Whether files in ``output`` may be replaced, and sounds of an earlier page removed.

    Raises
    ------
    BadInput
        ``output`` holds a page already, is a study's folder, or cannot be written.
    """
    if (output / STUDY_NAME).exists():
        raise BadInput(f"export={output} is a study's folder, which holds the key; give another")
    refuse_existing(output / INDEX_NAME, overwrite=overwrite)
    for path in (output / SOUNDS_NAME).glob(f"*{_SOUND_SUFFIX}") if overwrite else ():
        if OPAQUE_NAME.fullmatch(path.stem):  # others are not ours
            path.unlink()
    shown = []
    for trial in [study.practice_trial, *study.trials]:
        for name, system in _sounds(study, trial).items():
            path = folder / study.sound(trial.item, system)
            data = base64.b64encode(path.read_bytes()).decode()
            target = output / SOUNDS_NAME / f"{name}{_SOUND_SUFFIX}"
            write_text(target, f'SOUND("{name}", "{data}");\n', overwrite=overwrite)
        shown.append(_shown(study, trial))
    public = {**study.public(), "id": study.name(_OWNER, 0, "study"), "trials": shown}
    for name in ASSETS:
        with atomic_path(output / name, overwrite=overwrite) as asset:
            asset.write_bytes((FOLDER / name).read_bytes())
    write_text(output / STUDY_SCRIPT, study_script(public), overwrite=overwrite)
    with atomic_path(output / INDEX_NAME, overwrite=overwrite) as index:
        index.write_bytes((FOLDER / INDEX_NAME).read_bytes())


def collect(study: Study, folder: Path, downloads: Sequence[Path]) -> tuple[int, int]:
    """Add the answers that exported pages gave to the study's results.

    Parameters
    ----------
    study : Study
    folder : Path
        Of the study.
    downloads : sequence of Path
        Files that listeners sent back.

    Returns
    -------
    added, known : int
        Answers; those there already, of the same listener and trial, are left as they are.

    Raises
    ------
    BadInput
        A file is none of these or of another study; then nothing is added.
    """
    results = folder / RESULTS_NAME
    there = read_answers(results).answers if results.exists() else ()
    seen = {(one.listener, one.trial) for one in there}
    added: list[Answer] = []
    known = 0
    for path in downloads:
        for answer in _answers(study, path):
            if (answer.listener, answer.trial) in seen:
                known += 1
            else:
                seen.add((answer.listener, answer.trial))
                added.append(answer)
    if added:
        append_answers(results, added)
    return len(added), known


def _sounds(study: Study, trial: Trial) -> dict[str, str]:
    """Opaque names of a trial's sounds, and the systems behind them."""
    places = {str(at): system for at, system in enumerate(trial.systems)}
    if study.test == ABX:
        places |= {f"{X}{at}": system for at, system in enumerate(trial.systems)}
    if study.has_reference:
        places[OPEN] = OPEN
    return {study.name(_OWNER, trial.number, place): system for place, system in places.items()}


def _shown(study: Study, trial: Trial) -> dict[str, Any]:
    """What the page knows of a trial: sorted by their random names, which tells nothing."""
    name = study.name
    places = range(len(trial.systems))
    return {
        "trial": trial.number,
        "sounds": sorted(name(_OWNER, trial.number, str(at)) for at in places),
        "xs": sorted(name(_OWNER, trial.number, f"{X}{at}") for at in places)
        if study.test == ABX
        else None,
        "reference": name(_OWNER, trial.number, OPEN) if study.has_reference else None,
    }


def _answers(study: Study, path: Path) -> list[Answer]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        listener, rows = values["listener"], values["answers"]
        if values["study"] != study.name(_OWNER, 0, "study"):
            raise BadInput(f"{path} holds answers to another study")
        if not isinstance(listener, str) or not isinstance(rows, list):
            raise TypeError("a list of answers is expected")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except BadInput:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadInput(
            f"{path} is no file that an exported page let listeners save ({error!r})"
        ) from error
    trials = {trial.number: trial for trial in study.trials}
    found = []
    for number, row in enumerate(rows, start=1):
        try:
            arrangement = _arrangement(study, trials[row["trial"]], row["shown"])
            found.append(study.resolve(listener, arrangement, row, row["time"]))
        except (BadInput, LookupError, TypeError, ValueError) as error:
            raise BadInput(f"{path}, answer {number} cannot be used: {error}") from error
    return found


def _arrangement(study: Study, trial: Trial, shown: Any) -> Arrangement:
    """What a page showed, in opaque names, with the systems behind them."""
    systems = _sounds(study, trial)
    names = {str(at): name for at, name in enumerate(shown["sounds"])}
    order = tuple(systems[name] for name in names.values())
    if sorted(order) != sorted(trial.systems):
        raise BadInput(f"it was shown {len(order)} sounds that are not those of its trial")
    x = None
    if study.test == ABX:
        names[X] = shown["x"]
        x = order.index(systems[shown["x"]])
    if study.has_reference:
        names[OPEN] = study.name(_OWNER, trial.number, OPEN)
    return Arrangement(trial, order, x, names)
