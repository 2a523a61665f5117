"""A study as a folder of static files, and the answers that come back from it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from vocoder.compare.answers import Answer, Details, Name, Record, Time, checked
from vocoder.compare.page import FOLDER, INDEX_NAME, STUDY_SCRIPT, assets, study_script
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import PAGE, PAGE_ORDERS, STUDY_NAME, Study
from vocoder.errors import BadInput
from vocoder.files import atomic_path, reading, refuse_existing, write_text

AUDIO_NAME = "audio"
_AUDIO = re.compile(r"[0-9a-f]{20}\.js")


class Given(Record):
    """One answer in a file that an exported page let its listener save, beside `Said`."""

    model_config = ConfigDict(extra="allow")

    position: Annotated[int, Field(ge=0)]
    time: Time


class Saved(Record):
    """Such a file."""

    study: str
    listener: Name
    order: Annotated[int, Field(ge=0, lt=PAGE_ORDERS)]
    details: Details = Field(default_factory=dict)
    answers: list[Given]


def export_page(study: Study, folder: Path, output: Path, *, overwrite: bool) -> None:
    """Write a page that needs no server, from a web server or opened as a file.

    It holds no key: listeners' answers name audio by opaque names, and `collect` tells what they
    were. The page takes one of several orders that were drawn here. Audio comes in scripts, since
    a page opened as a file may load nothing else. Who wants to can still compare the files or
    change answers.

    Parameters
    ----------
    overwrite : bool
        Whether files in ``output`` may be replaced, and audio of an earlier page removed.
    """
    if (output / STUDY_NAME).exists():
        raise BadInput(
            f"export={output} is a study's folder, which holds the key; give another",
            key="export.conflict",
        )
    refuse_existing(output / INDEX_NAME, overwrite=overwrite)
    for path in (output / AUDIO_NAME).glob("*") if overwrite else ():
        if _AUDIO.fullmatch(path.name):  # others are not ours
            path.unlink()
    orders = [study.session(f"{PAGE}{order}", PAGE) for order in range(PAGE_ORDERS)]
    practice = study.practice(PAGE, PAGE)
    written: set[str] = set()
    for one in (practice, *(one for session in orders for one in session)):
        for place, name in one.names.items():
            if name not in written:
                path = folder / study.file(one.trial.item, one.system(place))
                data = base64.b64encode(path.read_bytes()).decode()
                target = output / AUDIO_NAME / f"{name}.js"
                write_text(target, f'AUDIO("{name}", "{data}");\n', overwrite=overwrite)
                written.add(name)
    public: dict[str, Any] = {
        **study.public(),
        "id": _page_id(study),
        "practice": practice.shown(),
        "orders": [[one.shown() for one in session] for session in orders],
    }
    write_text(output / STUDY_SCRIPT, study_script(public), overwrite=overwrite)
    page = assets(FOLDER)
    for name in sorted(page, key=lambda name: name == INDEX_NAME):  # with it the page is there
        with atomic_path(output / name, overwrite=overwrite) as temporary:
            temporary.write_bytes(page[name].read_bytes())


def collect(study: Study, folder: Path, downloads: Sequence[Path]) -> tuple[int, int, int]:
    """Add the answers that exported pages gave to the study's own.

    Parameters
    ----------
    downloads : sequence of Path
        Files that listeners sent back. Of a bad one nothing is added, nor of the others.

    Returns
    -------
    added, known, other : int
        Answers; those there already, of the same listener and trial, are left as they are, also
        where what comes now says otherwise.
    """
    files = [_read(study, path) for path in downloads]
    found = [answer for _, _, answers in files for answer in answers]
    with AnswerStore(folder) as store:
        for listener, details, _ in files:
            if details:
                store.add_listener(listener, details)
        before = [store.answer(one.listener, one.trial) for one in found]
        added = store.add(found) if found else 0
    other = sum(
        kept is not None and not kept.says_the_same(one)
        for kept, one in zip(before, found, strict=True)
    )
    return added, len(found) - added - other, other


def _page_id(study: Study) -> str:
    return study.name(PAGE, 0, "study")


def _read(study: Study, path: Path) -> tuple[str, Details, list[Answer]]:
    """The listener, what he said about himself, and his answers."""
    with reading(path, "collect.missing"):
        text = path.read_bytes()
    source = f"{path} is not a file that an exported page let listeners save"
    saved: Saved = checked(Saved, text, source, "collect.invalid")
    if saved.study != _page_id(study):
        raise BadInput(f"{path} holds answers to another study", key="collect.conflict")
    details = study.checked_details(saved.details) if saved.details else {}
    session = study.session(f"{PAGE}{saved.order}", PAGE)
    answers = []
    for number, given in enumerate(saved.answers, start=1):
        try:
            if given.position >= len(session):
                raise BadInput(f"trial {given.position} is unknown", key="trial.unknown")
            arrangement = session[given.position]
            said = given.model_dump()
            answers.append(study.resolve(saved.listener, arrangement, said, given.time))
        except BadInput as error:
            raise BadInput(
                f"{path}, answer {number} cannot be used: {error}", key="collect.invalid"
            ) from error
    return saved.listener, details, answers
