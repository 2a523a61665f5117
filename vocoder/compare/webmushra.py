"""webMUSHRA's formats: its tests (YAML) as sources of a study, and its tables of results.

The tables are those that its own ``service/write.php`` writes: the test's name, the questions to
the listener, then the trial, times in milliseconds. (pymushra reads its own database only.)
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from vocoder.compare.answers import (
    AbxAnswer,
    Answer,
    Details,
    MushraAnswer,
    Name,
    PreferenceAnswer,
    Record,
    checked,
)
from vocoder.compare.sources import Sources, paired
from vocoder.errors import BadInput, some_of
from vocoder.files import parse_yaml, reading

# The files that ``write.php`` writes, and their columns after those of the session.
FILES = {"mushra": "mushra.csv", "abx": "paired_comparison.csv", "ab": "paired_comparison.csv"}
COLUMNS = {
    "mushra.csv": "session_uuid trial_id rating_stimulus rating_score rating_time rating_comment",
    "paired_comparison.csv": (
        "trial_id choice_reference choice_non_reference choice_answer choice_time choice_comment"
    ),
}
KINDS = {"mushra": "mushra", "paired_comparison": "abx"}  # which of two is the reference: ABX
RANDOM = "random"
MAX_DEPTH, MAX_PAGES = 20, 2000  # an alias of YAML may make lists of pages endless
# Text with a colon in it, without the quotes that YAML asks for.
_LOOSE = re.compile(r"""^(\s*(?:-\s+)?\w+:[ \t]+)([^\s'"|>\[{&*#].*:[ \t].*)$""", re.MULTILINE)
_NOT_OURS = ("generic", "volume", "finish")  # pages that a study has in its own way


def _require_inner(file: str) -> str:
    path = PurePosixPath(file.strip().replace("\\", "/"))
    if not path.name or path.is_absolute() or ".." in path.parts:
        raise ValueError("expected a path below webMUSHRA's folder")
    return str(path)


def _as_text(value: object) -> object:
    return str(value) if type(value) in (int, float) else value


File = Annotated[str, AfterValidator(_require_inner)]
Named = Annotated[Name, BeforeValidator(_as_text)]  # YAML reads a name such as 3 as a number


class Rated(Record):
    """What is taken of a page with audio to rate; names may be numbers."""

    model_config = ConfigDict(extra="ignore")

    id: Named
    reference: File
    stimuli: Annotated[dict[Named, File], Field(min_length=1)]


@dataclass(frozen=True)
class WebMushra:
    """What a study takes from a webMUSHRA test: conditions are systems, pages are items.

    The notes say, for people, what the study does otherwise than the test.
    """

    test: str
    sources: Sources
    title: str
    consent: str
    questions: tuple[str, ...]
    notes: list[str]


def read_webmushra(path: Path) -> WebMushra:
    """Read a webMUSHRA test: its MUSHRA pages, or if there are none its paired comparisons.

    Audio is looked for as webMUSHRA does, below the folder that holds the test's own
    (``configs``), and below the test's folder. The text of consent pages and the questions of
    the last page are taken over; what is not is told by ``notes``.
    """
    values = _load(path)
    pages = list(islice(_pages(values.get("pages"), f"{path.name}, pages"), MAX_PAGES))
    if len(pages) == MAX_PAGES:
        raise BadInput(f"{path.name} has {MAX_PAGES} pages or more", key="webmushra.format")
    kinds = [kind for kind in KINDS if any(page["type"] == kind for page in pages)]
    if not kinds:
        found = ", ".join(dict.fromkeys(str(page["type"]) for page in pages)) or "no pages"
        raise BadInput(
            f"{path.name} has {found}; expected pages of type mushra or paired_comparison "
            "(test=dcr asks how much worse a system is: systems= and reference=)",
            key="webmushra.unknown",
        )
    chosen = [page for page in pages if page["type"] == kinds[0]]
    rated: list[Rated] = [
        checked(Rated, page, f"{path.name}, page {page.get('id')!r:.60}", "webmushra.format")
        for page in chosen
    ]
    items = [page.id for page in rated]
    if len(set(items)) < len(items):
        raise BadInput(f"{path.name}: two pages have one id", key="webmushra.twice")
    root = _root(
        path, [file for page in rated for file in (page.reference, *page.stimuli.values())]
    )
    systems: dict[str, dict[str, Path]] = {}
    for page in rated:
        for name, file in page.stimuli.items():
            systems.setdefault(name, {})[page.id] = root / file
    references = {page.id: root / page.reference for page in rated}
    asked = [one for page in pages for one in _maps(page.get("questionnaire"))]
    return WebMushra(
        KINDS[kinds[0]],
        paired(systems, references, systems, items),
        str(values.get("testname") or path.stem),
        "\n\n".join(_plain(page.get("content")) for page in pages if page["type"] == "consent"),
        tuple(str(one.get("label") or one.get("name")) for one in asked),
        _notes(pages, chosen, bool(asked)),
    )


def table(
    answers: Sequence[Answer],
    title: str,
    questions: Sequence[str],
    details: Mapping[str, Details],
    systems: Sequence[str],
) -> tuple[list[str], list[tuple[object, ...]]]:
    """Header and rows of its table of such answers; ``trial_id`` is the item.

    webMUSHRA knows but one paired question, which of two sounds is the reference. ABX answers are
    that: X is the reference. Of an A/B preference the system that comes first in ``systems``
    stands for it, so that ``correct`` means that the first was preferred (as its users have done,
    by hiding the reference's button).

    Parameters
    ----------
    answers : sequence of Answer
        At least one, all of one question; not DCR's.
    title : str
        Of the test.
    questions, details
        What listeners were asked about themselves, and said.
    """
    rows: list[tuple[object, ...]] = []
    for one in answers:
        said = details.get(one.listener, {})
        session = title, *(said.get(question, "") for question in questions)
        end = round(1000 * one.seconds), one.comment
        if isinstance(one, MushraAnswer):
            about = *session, one.listener, one.item
            rows += [(*about, name, f"{score:g}", *end) for name, score in one.scores.items()]
        elif isinstance(one, AbxAnswer | PreferenceAnswer):
            rows.append((*session, one.item, *_choice(one, systems), *end))
    columns = COLUMNS[FILES[answers[0].question]].split()
    return ["session_test_id", *questions, *columns], rows


def _choice(answer: AbxAnswer | PreferenceAnswer, systems: Sequence[str]) -> tuple[str, str, str]:
    """Reference, the other, and the answer."""
    if isinstance(answer, AbxAnswer):
        x, other = (answer.a, answer.b) if answer.x == "a" else (answer.b, answer.a)
        return x, other, "correct" if answer.is_correct else "incorrect"
    first, second = sorted((answer.left, answer.right), key=list(systems).index)
    if answer.choice == "none":
        return first, second, "undecided"
    chosen = answer.left if answer.choice == "left" else answer.right
    return first, second, "correct" if chosen == first else "incorrect"


def _load(path: Path) -> dict[str, Any]:
    with reading(path, "webmushra.missing"):
        content = path.read_bytes()
    try:
        text = content.decode()
        try:
            values = parse_yaml(text)
        except yaml.scanner.ScannerError:  # its parser takes such text, and its own tests have it
            values = parse_yaml(_LOOSE.sub(lambda found: found[1] + json.dumps(found[2]), text))
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # bad UTF-8, or a bad date
        words = " ".join(str(error).split())
        raise BadInput(f"{path} is not valid YAML: {words}", key="webmushra.format") from error
    if not isinstance(values, dict):
        raise BadInput(
            f"{path} holds {values!r:.60}; expected keys and values", key="webmushra.format"
        )
    return values


def _pages(entries: Any, where: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    """All pages in order; what a list of them says about their order is for the study to decide."""
    if not isinstance(entries, list) or depth > MAX_DEPTH:
        raise BadInput(f"{where} is {entries!r:.60}; expected a list", key="webmushra.format")
    for number, entry in enumerate(entries, start=1):
        here = f"{where}, {number}"
        if isinstance(entry, list):
            yield from _pages(entry, here, depth + 1)
        elif isinstance(entry, dict) and "type" in entry:
            yield entry
        elif entry != RANDOM:
            raise BadInput(
                f"{here} is {entry!r:.60}; expected a page with its type", key="webmushra.format"
            )


def _root(path: Path, files: Sequence[str]) -> Path:
    """The folder that the files are below."""
    roots = (path.absolute().parent.parent, path.absolute().parent)
    with reading(path, "webmushra.missing"):  # where a file is called as none can be
        missing = {root: [file for file in files if not (root / file).is_file()] for root in roots}
    root = min(roots, key=lambda root: len(missing[root]))
    if missing[root]:
        raise BadInput(
            f"{path.name} names files that are not below {root}: {some_of(missing[root])}",
            key="webmushra.missing",
        )
    return root


def _maps(values: Any) -> list[dict[str, Any]]:
    found = values if isinstance(values, list) else []
    return [one for one in found if isinstance(one, dict) and (one.get("label") or one.get("name"))]


def _plain(content: Any) -> str:
    """Text without its HTML."""
    text = re.sub(r"<(?:br|p|/p|li)\b[^>]*>", "\n", str(content or ""), flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()


def _notes(
    pages: Sequence[dict[str, Any]], chosen: Sequence[dict[str, Any]], asked: bool
) -> list[str]:
    notes = []
    others = [page for page in pages if page["type"] not in (*_NOT_OURS, "consent")]
    if left := [str(page.get("id")) for page in others if page not in chosen]:
        notes.append(
            f"a study asks one kind of question, {chosen[0]['type']}; left out: {', '.join(left)}"
        )
    if words := [str(page.get("id")) for page in pages if page["type"] in _NOT_OURS[:2]]:
        notes.append(f"the study has its own pages before the test instead of {', '.join(words)}")
    if asked:
        notes.append("questions to the listener come first, and are answered in free text")
    if chosen[0]["type"] == "mushra":
        if not all(page.get("createAnchor35") and page.get("createAnchor70") for page in chosen):
            notes.append("both anchors are made, as ITU-R BS.1534 asks for")
    elif any(page.get("unforced") for page in chosen):
        notes.append("every trial needs an answer: there is no third choice")
    return notes
