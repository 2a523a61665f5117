"""What ``decode`` and ``invert`` share: going through the utterances, and reporting on them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from vocoder.cli.codes import BAD, DONE
from vocoder.cli.page import Entry, write_page
from vocoder.cpu import usable_cores
from vocoder.errors import BadInput, differences, expect, some_of
from vocoder.files import read_record, refuse_existing, remove_leftovers, write_text

if TYPE_CHECKING:
    from vocoder.image.source import Found, Utterance

REPORT_NAME = "report.json"
AUDIO_SUFFIX, DRAWING_SUFFIX = ".wav", ".png"
_SHOWN = 10  # names a list on the terminal; the report has all
_SHOWN_BY_BROWSERS, _SHOWN_TILES = (".png", ".jpg", ".jpeg", ".webp", ".bmp"), 8


@dataclass
class Result:
    """What became of one utterance.

    Parameters
    ----------
    file : str
        Name of what was written; empty if nothing was.
    seconds : float
        Length of the audio.
    problems : dict of str to str
        What was wrong with its files: file name to reason.
    note : str
        What else is worth knowing; changes nothing about success.
    measures : dict of str to float
        Further figures of the command; empty where they could not be taken.
    repaired : dict of str to float
        See `vocoder.spectrogram.Spectrogram.repaired`.
    inconsistency_db : float or None
        See `vocoder.spectrogram.Spectrogram.inconsistency_db`.
    doubts : list of str
        What says that it can only be noise.
    """

    utterance: str
    file: str = ""
    seconds: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)
    note: str = ""
    measures: dict[str, float] = field(default_factory=dict)
    repaired: dict[str, float] = field(default_factory=dict)
    inconsistency_db: float | None = None
    doubts: list[str] = field(default_factory=list)
    reference: str = ""  # the true recording, where there is one
    gain_db: float = 0.0  # what the file was amplified by for its peak


def select(
    utterances: list[Utterance],
    root: Path,
    suffix: str,
    *extras: str,
    resume: bool,
    overwrite: bool,
) -> tuple[list[Utterance], list[str]]:
    """The utterances still to do, and the names of those done before.

    Parameters
    ----------
    root : Path
        Folder for the results.
    suffix, *extras : str
        Of the files that an utterance gives; all are there when it is done.
    """
    if root.exists() and not root.is_dir():
        raise BadInput(f"output={root} is a file; give a folder", key="output.type")
    ends = (suffix, *extras)
    places = {one.name: [root / f"{one.name}{end}" for end in ends] for one in utterances}
    paths = [path for mine in places.values() for path in mine]
    read = {path.resolve() for one in utterances for path in one.paths}
    for path in paths:
        if path.resolve() in read:
            raise BadInput(
                f"{path} is read and would be written too; choose another output",
                key="output.conflict",
            )
    there = {name for name, mine in places.items() if all(path.exists() for path in mine)}
    if there and not (resume or overwrite):
        raise BadInput(
            f"{root} holds {len(there)} of the {len(utterances)} results already, such as "
            f"{min(there)}{suffix}; choose another output, resume=true to go on, or overwrite=true",
            key="output.exists",
        )
    for path in (root / REPORT_NAME, *paths):
        refuse_existing(path, overwrite=resume or overwrite)
    if overwrite:
        return utterances, []
    to_do = [one for one in utterances if one.name not in there]
    if any(path.exists() for one in to_do for path in places[one.name]):
        require_report(root)  # or else what seems unfinished, and would be replaced, is not ours
    return to_do, sorted(there)


def require_report(root: Path) -> None:
    """For ``resume=true``: refuse a folder whose files no earlier run can have left there."""
    if not (root / REPORT_NAME).is_file():
        raise BadInput(
            f"resume=true, but {root} holds no {REPORT_NAME} of an earlier run",
            key="output.unfinished",
        )


def refuse_problems(found: Found) -> None:
    """For ``strict=true``: refuse what is missing, foreign or broken before work starts."""
    from vocoder.image.utterances import load_utterance

    problems = dict(found.problems)
    for one in found.utterances:
        try:
            problems |= load_utterance(one, found).problems
        except BadInput as error:
            problems[one.name] = str(error)
    lines = [f"{name}: {reason}" for name, reason in problems.items()]
    if lines:
        raise BadInput(f"strict=true, and {some_of(lines)}", key="input.strict")


def work_through(
    groups: Sequence[Sequence[Utterance]],
    work: Callable[[Sequence[Utterance], Event], list[Result]],
    workers: int | None,
    advice: str,
) -> list[Result]:
    """Do every group of utterances in threads, with a progress bar; one that fails doesn't stop
    the others.

    Torch is told to use one thread for each: two that wait for each other are slower. ``work``
    gets an event that is set when it should give up. ``advice`` is for who has too little memory.
    """
    import torch

    from vocoder.memory import enough_memory

    expect(workers is None or workers >= 1, "workers", workers, "1 or more")
    threads = min(workers or len(usable_cores()), max(1, len(groups)))
    torch.set_num_threads(1)
    results: list[Result] = []
    stop = Event()
    with (
        ThreadPoolExecutor(threads) as pool,
        progress(sum(map(len, groups)), "utterance") as step,
    ):
        pending = {pool.submit(work, group, stop): group for group in groups}
        try:
            for done in as_completed(pending):
                names = [one.name for one in pending[done]]
                try:
                    with enough_memory(advice):
                        made = done.result()
                except BadInput as error:
                    made = [Result(name, problems={name: str(error)}) for name in names]
                results += made
                step(names[-1], sum(result.seconds for result in made), len(names))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(results, key=lambda result: result.utterance)


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar; what is given is called with what is done and its seconds of audio."""
    from tqdm import tqdm

    started, audio_s = time.perf_counter(), 0.0
    with tqdm(total=total, unit=unit, disable=None) as bar:

        def step(name: str, seconds: float, count: int = 1) -> None:
            nonlocal audio_s
            audio_s += seconds
            bar.set_description(name[-30:], refresh=False)
            bar.set_postfix_str(f"{audio_s / (time.perf_counter() - started):.0f}x real time")
            bar.update(count)

        yield step


def begin(root: Path, settings: dict[str, Any], *, resume: bool) -> None:
    """Note down a run's settings before it starts, and refuse to resume one with others.

    What a killed run has left half-written is removed.
    """
    path = root / REPORT_NAME
    remove_leftovers(root)
    if resume and path.exists():
        before = read_record(path, "report.damaged", "begin anew in another output")
        found = {key: before[key] for key in settings if key in before}
        now = json.loads(json.dumps({key: settings[key] for key in found}))
        for key, old, new in differences(found, now):
            raise BadInput(
                f"resume=true, but {root} was begun with {key} {old}, and this run has {new}; give "
                "the same settings, or another output",
                key="output.conflict",
            )
        return
    write_text(path, json.dumps({**settings, "utterances": []}, indent=2), overwrite=True)


def report(
    root: Path,
    command: str,
    found: Found,
    results: list[Result],
    before: list[str],
    legend: str = "",
    **more: Any,
) -> int:
    """Write ``report.json``, print a table and what went wrong; return the exit code.

    ``legend`` says what the measures are, ``more`` is noted down.
    """
    problems: dict[str, str] = {}  # broken files before those that are merely not there
    for result in results:
        problems |= result.problems
    problems |= found.problems
    if not before and not any(result.file for result in results):
        reasons = [reason for result in results for reason in result.problems.values()]
        others = f" (the first of {len(reasons)} problems)" if len(reasons) > 1 else ""
        (root / REPORT_NAME).unlink(missing_ok=True)  # what `begin` noted is of no use
        with suppress(OSError):
            root.rmdir()  # if it was made for this
        raise BadInput(f"nothing was written: {reasons[0]}{others}", key="input.unusable")
    hints = list(found.hints)
    if found.codec is not None and found.codec.caveat:
        hints.append(found.codec.caveat)
    rows = [*rows_before(root, before), *(asdict(result) for result in results)]
    content = {
        "command": command,
        "program": found.program,
        "label": found.label,
        "spec": None if found.spec is None else found.spec.to_dict(),
        "codec": None if found.codec is None else found.codec.to_dict(),
        **more,
        "done_before": before,
        "utterances": rows,
        "problems": problems,
        "hints": hints,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_text(root / REPORT_NAME, text, overwrite=True)
    write_results_page(root, command, rows, found.utterances)
    source = f"{found.program}, label {found.label}" if found.label else found.program
    count = len(found.utterances)
    print(f"{count} {'utterance' if count == 1 else 'utterances'} from {source}")
    _print_table(results)
    if legend and any(result.measures for result in results):
        print(legend)
    for hint in hints:
        print(hint)
    if before:
        print(f"{len(before)} were there already and are kept")
    for result in results:
        if result.note:
            print(f"{result.file}: {result.note}")
    print_some("Problems", problems)
    print(f"\nResults and {REPORT_NAME} in {root}")
    return BAD if problems else DONE


def print_some(
    title: str, lines: Sequence[str] | Mapping[str, str], all_in: str = REPORT_NAME
) -> None:
    """Print the first of many lines, or of names with reasons, and where all of them are."""
    shown = [f"{k}: {v}" for k, v in lines.items()] if isinstance(lines, Mapping) else list(lines)
    if not shown:
        return
    print(f"\n{title} ({len(shown)}):", *shown[:_SHOWN], sep="\n  ")
    if len(shown) > _SHOWN:
        print(f"  and {len(shown) - _SHOWN} more, see {all_in}")


def write_results_page(
    root: Path, command: str, rows: list[dict[str, Any]], utterances: Sequence[Utterance] = ()
) -> None:
    """A page of all that can be heard and seen: where nothing was drawn, the images themselves."""
    tiles = {
        one.name: [path for path in one.paths if path.suffix in _SHOWN_BY_BROWSERS]
        for one in utterances
    }
    entries = []
    for row in rows:
        if not row["file"]:
            continue
        drawing = root / f"{row['utterance']}{DRAWING_SUFFIX}"
        images = [drawing] if drawing.exists() else tiles.get(row["utterance"], [])[:_SHOWN_TILES]
        audio = {}
        if row["file"].endswith(AUDIO_SUFFIX):
            audio["made of the image"] = root / row["file"]
        if row["reference"]:
            audio["true recording"] = Path(row["reference"])
        figures = {"seconds": row["seconds"], **row["measures"]}
        entries.append(Entry(row["utterance"], figures, audio, images))
    if entries:
        write_page(root, f"{root.resolve().name}, made by {command}", entries)


def rows_before(root: Path, before: list[str]) -> list[dict[str, Any]]:
    """What an earlier report says of utterances that are kept; rows that are none are left out."""
    if not before:
        return []
    from pydantic import TypeAdapter, ValidationError  # of use here alone

    try:
        rows = read_record(root / REPORT_NAME, "report.damaged").get("utterances")
    except BadInput:  # none of ours
        return []
    shape, kept = TypeAdapter(Result), []
    for row in rows if isinstance(rows, list) else []:
        with suppress(ValidationError):
            result = shape.validate_json(json.dumps(row), strict=True)
            if result.utterance in before:
                kept.append(asdict(result))
    return kept


def _print_table(results: list[Result]) -> None:
    done = [result for result in results if result.file]
    if not done:
        return
    columns = list(dict.fromkeys(name for result in done for name in result.measures))
    width = max(len(result.file) for result in done)
    print(f"{'file':<{width}}  {'seconds':>7}", *(f"{name:>10}" for name in columns))
    for result in done:
        figures = (f"{result.measures.get(name, math.nan):>10.3f}" for name in columns)
        print(f"{result.file:<{width}}  {result.seconds:>7.2f}", *figures)
