"""Reading a study and its results, and analysing them with and without screened listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from vocoder.compare.answers import (
    ANCHORS,
    REFERENCE,
    RESULTS_NAME,
    AbxAnswer,
    Answer,
    Answers,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
    read_answers,
)
from vocoder.compare.listening.study import Study, read_study
from vocoder.compare.statistics.abx import analyse_abx
from vocoder.compare.statistics.bradley_terry import MIN_SYSTEMS, analyse_strengths
from vocoder.compare.statistics.finding import Analysis
from vocoder.compare.statistics.preference import analyse_preference
from vocoder.compare.statistics.ratings import Ratings, analyse_ratings
from vocoder.compare.statistics.screening import screen
from vocoder.errors import BadInput


@dataclass(frozen=True)
class Listener:
    """One listener's part in the study.

    Parameters
    ----------
    name : str
    n_answers : int
    seconds : float
        Median time an answer took.
    excluded : str
        Why screening leaves the listener out; empty if it does not.
    """

    name: str
    n_answers: int
    seconds: float
    excluded: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """A study, what was answered, and what that says.

    Parameters
    ----------
    study : Study
    answers : Answers
    listeners : tuple of Listener
    everyone : Analysis
        Of all answers.
    screened : Analysis or None
        Without the listeners that the rule leaves out; ``None`` if it leaves nobody or all out.
    """

    study: Study
    answers: Answers
    listeners: tuple[Listener, ...]
    everyone: Analysis
    screened: Analysis | None

    @property
    def decisive(self) -> Analysis:
        """The analysis to judge by: the screened one if there is one."""
        return self.screened or self.everyone

    @property
    def excluded(self) -> list[Listener]:
        """Those whom screening leaves out."""
        return [listener for listener in self.listeners if listener.excluded]

    @property
    def unfinished(self) -> list[Listener]:
        """Those who did not answer every trial."""
        return [one for one in self.listeners if one.n_answers < len(self.study.trials)]

    @property
    def problems(self) -> list[str]:
        """What went wrong with the results, in sentences."""
        return [
            f"{line} was cut while it was written; its answer is lost, all others are here."
            for line in self.answers.cut_lines
        ]


def read_results(folder: Path, *, seed: int, n_bootstrap: int) -> Results:
    """Read and analyse a listening session's folder.

    Parameters
    ----------
    folder : Path
        Holds ``study.json`` and ``results.jsonl``, or the files that an exported page let its
        listeners download: every ``*.jsonl`` there is read.
    seed, n_bootstrap : int
        Of the bootstrap behind strengths.

    Raises
    ------
    BadInput
        No study, no answers, or answers to another study.
    """
    study = read_study(folder)
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise BadInput(f"{folder} holds no {RESULTS_NAME}; has anybody listened?")
    answers = read_answers(*paths)
    if not answers.answers:
        lost = f" ({len(answers.cut_lines)} lines are cut)" if answers.cut_lines else ""
        raise BadInput(f"{folder} holds no answers yet{lost}; has anybody listened?")
    for answer in answers.answers:
        _require_fit(answer, study, folder)
    excluded = screen(answers.answers)
    kept = [answer for answer in answers.answers if answer.listener not in excluded]
    by_listener: dict[str, list[Answer]] = {}
    for answer in answers.answers:
        by_listener.setdefault(answer.listener, []).append(answer)
    return Results(
        study=study,
        answers=answers,
        listeners=tuple(
            Listener(
                name,
                len(given),
                median(answer.seconds for answer in given),
                excluded.get(name, ""),
            )
            for name, given in by_listener.items()
        ),
        everyone=analyse(answers.answers, study.systems, seed=seed, n_bootstrap=n_bootstrap),
        screened=analyse(kept, study.systems, seed=seed, n_bootstrap=n_bootstrap)
        if kept and excluded
        else None,
    )


def analyse(
    answers: Sequence[Answer], systems: Sequence[str], *, seed: int, n_bootstrap: int
) -> Analysis:
    """Analyse the answers to one question.

    Parameters
    ----------
    answers : sequence of Answer
        At least one, all of one question.
    systems : sequence of str
        Under test, without reference and anchors.
    seed, n_bootstrap : int
        Of the bootstrap behind strengths.
    """
    names = [*systems, *(one for one in (REFERENCE, *ANCHORS) if one not in systems)]

    def preference(given: Sequence[PreferenceAnswer]) -> Analysis:
        analysis = analyse_preference(given, names)
        heard = {name for one in given for name in (one.left, one.right)}
        if len(heard) < MIN_SYSTEMS:
            return analysis
        try:
            strengths = analyse_strengths(given, names, seed=seed, n_bootstrap=n_bootstrap)
        except BadInput as error:
            return replace(analysis, notes=(*analysis.notes, f"No common scale: {error}."))
        return replace(analysis, findings=(*strengths.findings, *analysis.findings))

    kinds: Mapping[type[Answer], Callable[..., Analysis]] = {
        PreferenceAnswer: preference,
        AbxAnswer: lambda given: analyse_abx(given, names),
        MushraAnswer: lambda given: analyse_ratings(Ratings.of_mushra(given), names),
        DegradationAnswer: lambda given: analyse_ratings(Ratings.of_degradation(given), names),
    }
    return kinds[type(answers[0])](answers)


def _require_fit(answer: Answer, study: Study, folder: Path) -> None:
    """That an answer is one to this study."""
    where = f"{folder}: the answer of {answer.listener} to trial {answer.trial}"
    hint = "; do study.json and the results belong together?"
    trials = {trial.number: trial for trial in study.trials}
    if answer.question != study.test or answer.trial not in trials:
        raise BadInput(f"{where} ({answer.question}) is to no trial of the study{hint}")
    trial = trials[answer.trial]
    if answer.item != trial.item or set(systems_of(answer)) != set(trial.systems):
        raise BadInput(
            f"{where} is about {answer.item} by {', '.join(systems_of(answer))}, but the study "
            f"asks about {trial.item} by {', '.join(trial.systems)}{hint}"
        )


def systems_of(answer: Answer) -> tuple[str, ...]:
    """The systems that an answer is about."""
    match answer:
        case PreferenceAnswer():
            return answer.left, answer.right
        case AbxAnswer():
            return answer.a, answer.b
        case MushraAnswer():
            return tuple(answer.scores)
        case DegradationAnswer():
            return (answer.system,)
    raise TypeError(f"{type(answer).__name__} is no kind of answer")
