"""Reading a study and its answers, and analysing them with and without screened listeners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from vocoder.compare.answers import ANCHORS, REFERENCE, Answer, Details
from vocoder.compare.statistics.abx import analyse_abx
from vocoder.compare.statistics.findings import Analysis, grouped
from vocoder.compare.statistics.preference import analyse_preference
from vocoder.compare.statistics.ratings import analyse_ratings
from vocoder.compare.statistics.screening import screen
from vocoder.compare.statistics.strengths import MIN_SYSTEMS, analyse_strengths
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import Study, read_study
from vocoder.errors import BadInput


@dataclass(frozen=True)
class Listener:
    """One listener's part in the study.

    ``seconds`` is the median time an answer took; ``excluded`` is why screening leaves the
    listener out, empty if it does not.
    """

    name: str
    n_answers: int
    seconds: float
    excluded: str
    details: Details


@dataclass(frozen=True, kw_only=True)
class Results:
    """A study, what was answered, and what that says.

    ``screened`` is without the listeners that the rule leaves out, and ``None`` if it leaves
    nobody or all out.
    """

    study: Study
    answers: Sequence[Answer]
    listeners: tuple[Listener, ...]
    everyone: Analysis
    screened: Analysis | None

    @property
    def decisive(self) -> Analysis:
        """The analysis to judge by: the screened one if there is one."""
        return self.screened or self.everyone

    @property
    def analyses(self) -> dict[str, Analysis]:
        """All analyses, by the listeners they are of."""
        screened = {} if self.screened is None else {"screened": self.screened}
        return {"all": self.everyone, **screened}

    @property
    def excluded(self) -> list[Listener]:
        """Those whom screening leaves out."""
        return [listener for listener in self.listeners if listener.excluded]

    @property
    def details(self) -> Mapping[str, Details]:
        """What listeners said about themselves, by listener and question."""
        return {listener.name: listener.details for listener in self.listeners}


def read_results(folder: Path) -> Results:
    """Read and analyse the study in a folder."""
    study = read_study(folder)
    with AnswerStore(folder) as store:
        answers, details = store.answers(), store.details()
        source = str(store.path)
    if not answers:
        raise BadInput(f"{folder} holds no answers yet; has anybody listened?", key="answers.none")
    for answer in answers:
        study.require_fit(answer, source)
    excluded = screen(answers)
    kept = [answer for answer in answers if answer.listener not in excluded]
    return Results(
        study=study,
        answers=answers,
        listeners=tuple(
            Listener(
                name,
                len(given),
                median(answer.seconds for answer in given),
                excluded.get(name, ""),
                details.get(name, {}),
            )
            for name, given in grouped(answers, lambda one: one.listener).items()
        ),
        everyone=analyse(answers, study.systems),
        screened=analyse(kept, study.systems) if kept and excluded else None,
    )


def analyse(answers: Sequence[Any], systems: Sequence[str]) -> Analysis:
    """Analyse the answers to one question.

    Parameters
    ----------
    answers : sequence of Answer
        At least one, all of one question.
    systems : sequence of str
        Under test, without reference and anchors.
    """
    names = [*systems, *(one for one in (REFERENCE, *ANCHORS) if one not in systems)]
    question = answers[0].question
    if question == "abx":
        return analyse_abx(answers, names)
    if question != "ab":
        return analyse_ratings(answers, names)
    analysis = analyse_preference(answers, names)
    if len({name for one in answers for name in one.systems}) < MIN_SYSTEMS:
        return analysis
    try:
        strengths = analyse_strengths(answers, names)
    except BadInput as error:
        return replace(analysis, notes=(*analysis.notes, f"No common scale: {error}."))
    return replace(analysis, findings=(*analysis.findings, *strengths.findings))
