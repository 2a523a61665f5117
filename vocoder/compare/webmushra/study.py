"""What a webMUSHRA test asks for, as the sources of a study of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vocoder.compare.listening.sources import Sources
from vocoder.compare.listening.study import ABX, MUSHRA
from vocoder.compare.webmushra.plan import (
    ComparisonPage,
    FinishPage,
    LikertPage,
    MushraPage,
    PairedComparisonPage,
    Plan,
)
from vocoder.compare.webmushra.read import read_plan
from vocoder.errors import BadInput


@dataclass(frozen=True)
class PlannedStudy:
    """What a study takes from a webMUSHRA configuration.

    Parameters
    ----------
    test : {"mushra", "abx"}
        A paired comparison asks which of two sounds the reference is, which ABX asks too.
    sources : Sources
        Conditions are systems, pages are items.
    title : str
    notes : list of str
        What the configuration says and a study of ours does otherwise, for people.
    """

    test: str
    sources: Sources
    title: str
    notes: list[str]


def planned_study(path: Path) -> PlannedStudy:
    """Read a webMUSHRA configuration for a study of ours.

    Sounds are looked for as webMUSHRA does, below the folder that holds the configuration's own
    (``configs``), and below the configuration's folder.

    Parameters
    ----------
    path : Path
        YAML.

    Raises
    ------
    BadInput
        It can't be read, its pages don't make one test, or a sound is missing.
    """
    plan = read_plan(path)
    pages = [page for page in plan.pages() if isinstance(page, ComparisonPage)]
    test = _test(plan, pages, path)
    root = _root(path, pages[0].reference)
    systems: dict[str, dict[str, Path]] = {}
    for page in pages:
        for stimulus in page.stimuli:
            systems.setdefault(stimulus.name, {})[page.id] = root / stimulus.path
    references = {page.id: root / page.reference for page in pages}
    problems = {
        page.id: f"{' and '.join(lacking)} {'lack' if len(lacking) > 1 else 'lacks'} it"
        for page in pages
        if (lacking := [name for name, files in systems.items() if page.id not in files])
    }
    items = tuple(sorted(page.id for page in pages if page.id not in problems))
    if not items:
        raise BadInput(
            f"{path}: no page has all of the conditions {', '.join(systems)}; a study compares "
            "the same systems throughout"
        )
    for sounds in (references, *systems.values()):
        for file in sounds.values():
            if not file.is_file():
                raise BadInput(f"{path} names {file.relative_to(root)}, which is not in {root}")
    sources = Sources(systems, references, items, problems)
    return PlannedStudy(test, sources, plan.test_name, _notes(plan, pages))


def _test(plan: Plan, pages: Sequence[ComparisonPage], path: Path) -> str:
    """The one test that all pages ask for."""
    if likert := [page.id for page in plan.pages() if isinstance(page, LikertPage)]:
        raise BadInput(
            f"{path}: {likert[0]} is a Likert page, which no test here corresponds to; test=dcr "
            "rates sounds beside their reference, from folders: systems= and reference="
        )
    kinds = {type(page) for page in pages}
    if kinds == {MushraPage}:
        return MUSHRA
    if kinds == {PairedComparisonPage}:
        return ABX
    found = "both MUSHRA and paired-comparison pages" if pages else "no page that compares sounds"
    raise BadInput(
        f"{path} has {found}; a study asks one kind of question: keep pages of type mushra, or of "
        "type paired_comparison"
    )


def _root(path: Path, sound: str) -> Path:
    roots = [path.absolute().parent.parent, path.absolute().parent]
    for root in roots:
        if (root / sound).is_file():
            return root
    raise BadInput(f"{path} names {sound}, which is neither in {roots[0]} nor in {roots[1]}")


def _notes(plan: Plan, pages: Sequence[ComparisonPage]) -> list[str]:
    notes = [f"{setting} has no meaning here" for setting in plan.ignored]
    shown = (MushraPage, PairedComparisonPage, FinishPage)
    if words := [page.id for page in plan.pages() if not isinstance(page, shown)]:
        notes.append(f"the study has its own pages before the test instead of {', '.join(words)}")
    if any(page.questionnaire for page in plan.pages() if isinstance(page, FinishPage)):
        notes.append("questions about the listener are not asked")
    if any(
        isinstance(page, MushraPage) and not (page.create_anchor35 and page.create_anchor70)
        for page in pages
    ):
        notes.append("both anchors are made, as ITU-R BS.1534 asks for")
    if any(isinstance(page, PairedComparisonPage) and page.unforced for page in pages):
        notes.append("every trial needs an answer: there is no third choice")
    return notes
