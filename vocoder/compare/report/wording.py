"""Findings in words: headline, sentences, and numbers as people write them."""

from __future__ import annotations

from dataclasses import replace

from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.compare.report.results import Results
from vocoder.compare.statistics.abx import CORRECT, CORRECT_ELSEWHERE, CORRECT_OF_LISTENER
from vocoder.compare.statistics.bradley_terry import STRENGTH, WIN_PROBABILITY
from vocoder.compare.statistics.finding import ALPHA, Analysis, Finding
from vocoder.compare.statistics.power import SHARE, needed_answers
from vocoder.compare.statistics.preference import (
    ORDER_BIAS,
    PREFERENCE,
    PREFERENCE_OF_LISTENERS,
)
from vocoder.compare.statistics.ratings import DIFFERENCE, OMNIBUS, SCORE

SHARES = (PREFERENCE, ORDER_BIAS, WIN_PROBABILITY, CORRECT, CORRECT_ELSEWHERE, CORRECT_OF_LISTENER)
TITLES = {
    PREFERENCE: "Preference, pair by pair",
    PREFERENCE_OF_LISTENERS: "One vote a listener",
    ORDER_BIAS: "Does the side matter?",
    STRENGTH: "Strength on one scale (Bradley-Terry, log odds)",
    WIN_PROBABILITY: "Probability of being preferred (Bradley-Terry)",
    CORRECT: "Right answers",
    CORRECT_ELSEWHERE: "Right answers, allowing for other listeners and items",
    CORRECT_OF_LISTENER: "Right answers of each listener",
    SCORE: "Mean scores",
    OMNIBUS: "Do the systems differ at all?",
    DIFFERENCE: "Differences of scores, pair by pair",
}
MINUS = "\N{MINUS SIGN}"
TESTS = {
    "ab": "A/B",
    "abx": "ABX",
    "mushra": "MUSHRA",
    "dcr": "DCR",
}


def neutral(measure: str) -> float | None:
    """The value that means "no difference"."""
    if measure in SHARES:
        return 0.5
    return 0.0 if measure in (STRENGTH, DIFFERENCE) else None


def number(value: float | None, measure: str) -> str:
    """A value of a measure: a share in per cent, a score or a strength with its decimals."""
    if value is None:
        return ""
    if measure in SHARES:
        return f"{100 * value:.1f} %"
    digits = 2 if measure == STRENGTH else 1
    text = f"{value:+.{digits}f}" if measure in (STRENGTH, DIFFERENCE) else f"{value:.1f}"
    return text.replace("-", MINUS)


def interval(finding: Finding) -> str:
    """``low to high``."""
    low, high = number(finding.low, finding.measure), number(finding.high, finding.measure)
    return f"{low.removesuffix(' %')} to {high}" if low else ""


def p_value(value: float | None) -> str:
    """Three digits, or that it is smaller."""
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def is_sure(finding: Finding) -> bool:
    """Whether both the test and the interval exclude "no difference".

    Of right answers in ABX the one-sided test alone, which Wilson's interval does not go with.
    """
    p, middle = finding.decisive_p, neutral(finding.measure)
    if finding.measure in (CORRECT, CORRECT_OF_LISTENER):
        middle = None
    outside = (
        middle is None
        or finding.low is None
        or finding.high is None
        or not finding.low <= middle <= finding.high
    )
    return p is not None and p < ALPHA and outside


def turned(finding: Finding) -> Finding:
    """The same of a pair the other way round: ``second over first``."""
    detail, middle = dict(finding.detail), neutral(finding.measure) or 0.0
    for one, other in (("first", "second"), ("wins", "losses")):
        if one in detail:
            detail[one], detail[other] = detail[other], detail[one]

    def mirrored(value: float | None) -> float | None:
        return None if value is None else 2 * middle - value

    return replace(
        finding,
        subject=f"{detail['first']} over {detail['second']}",
        value=mirrored(finding.value),
        low=mirrored(finding.high),
        high=mirrored(finding.low),
        detail=detail,
    )


def is_against(finding: Finding) -> bool:
    """Whether a pair came out for its second system."""
    if "first" not in finding.detail:
        return False
    if finding.value is None:
        return int(finding.detail["wins"]) < int(finding.detail["losses"])
    return finding.value < (neutral(finding.measure) or 0.0)


def headline(analysis: Analysis) -> str:
    """The outcome in one sentence."""
    return {"ab": _preferred, "abx": _heard, "mushra": _scored, "dcr": _scored}[analysis.question](
        analysis
    )


def _preferred(analysis: Analysis) -> str:
    return _ranked(
        analysis.of(WIN_PROBABILITY) or analysis.of(PREFERENCE),
        analysis.of(PREFERENCE),
        "preferred to",
        "No preference was found.",
    )


def _scored(analysis: Analysis) -> str:
    pairs = analysis.of(DIFFERENCE)
    if not pairs:
        ours = (REFERENCE, *ANCHORS)  # there to be told apart, not to be judged
        scores = [one for one in analysis.of(SCORE) if one.subject not in ours]
        best = max(scores, key=lambda one: one.value or 0)
        return f"{best.subject} scored {number(best.value, SCORE)} on average."
    return _ranked(pairs, pairs, "scored above", "No difference between the systems was found.")


def _ranked(pairs: list[Finding], tested: list[Finding], verb: str, nothing: str) -> str:
    """What was better than what, surely; the one that beat all others first."""
    beaten: dict[str, list[str]] = {}
    for finding in pairs:
        if is_sure(finding):
            better, worse = _winner(finding)
            beaten.setdefault(better, []).append(worse)
    if not beaten:
        return f"{nothing} {_undecided(tested)}".strip()
    order = sorted(beaten, key=lambda name: -len(beaten[name]))
    parts = [f"{name} was {verb} {_join(beaten[name])}" for name in order]
    if verb == "scored above":
        parts = [f"{name} {verb} {_join(beaten[name])}" for name in order]
    return "; ".join(parts) + "."


def _undecided(tested: list[Finding]) -> str:
    """That too little was asked, if so."""
    more = max((int(one.detail.get("more_answers", 0)) for one in tested), default=0)
    return "That is no proof that there is none: too few answers were given." if more else ""


def _heard(analysis: Analysis) -> str:
    pairs = analysis.of(CORRECT)
    sure = [one.subject.replace(" or ", " from ") for one in pairs if is_sure(one)]
    unsure = [one.subject.replace(" or ", " from ") for one in pairs if not is_sure(one)]
    parts = []
    if sure:
        parts.append(f"Listeners could tell {_join(sure)}.")
    if unsure:
        parts.append(
            f"It was not shown that anybody could tell {_join(unsure)}"
            f"{'; that is no proof that nobody can' if _undecided(pairs) else ''}."
        )
    return " ".join(parts)


def _winner(finding: Finding) -> tuple[str, str]:
    detail = (turned(finding) if is_against(finding) else finding).detail
    return str(detail["first"]), str(detail["second"])


def _join(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def power(results: Results) -> str:
    """How many answers more would be needed to tell a 60:40 preference."""
    analysis = results.decisive
    counted = [one for one in analysis.findings if "needed_answers" in one.detail]
    counted = [one for one in counted if one.measure != CORRECT_OF_LISTENER]
    if not counted:
        return ""
    worst = max(counted, key=lambda one: int(one.detail["more_answers"]))
    needed, more = int(worst.detail["needed_answers"]), int(worst.detail["more_answers"])
    share = f"{100 * SHARE:.0f}:{100 * (1 - SHARE):.0f}"
    what = "share of right answers" if analysis.question == "abx" else "preference"
    ideal = needed_answers(two_sided=analysis.question != "abx")
    text = (
        f"To tell a {share} {what} in four of five studies takes {ideal} independent answers that "
        f"are no ties. With the ties of this study and the likeness of its answers (variance "
        f"{float(worst.detail['design_effect']):.2f} times that of independent ones) it takes "
        f"{needed} on {worst.subject}; there are {worst.n_answers}. "
    )
    if not more:
        return text + "No more trials are needed."
    each = max(1, round(worst.n_answers / worst.n_listeners))
    text += f"{_count(more, 'trial')} more would be needed"
    return text + f": about {_count(-(-more // each), 'listener')} more with {each} each."


def notes(results: Results) -> list[str]:
    """What a reader has to know before believing the rest."""
    found = list(results.decisive.notes)
    study, n = results.study, len(results.listeners)
    if n == 1:
        found.append(
            "There is one listener: intervals speak of this listener and other items, not of "
            "other listeners."
        )
    if len(study.items) == 1:
        found.append("There is one item: nothing is known of others.")
    if results.unfinished:
        found.append(
            f"{_count(len(results.unfinished), 'listener')} of {n} did not answer all "
            f"{len(study.trials)} trials; what was answered counts."
        )
    if study.test == "abx":
        found.append(
            f"The study fixed {_count(len(study.trials), 'trial')} a listener, but not how many "
            "listeners: the p-values hold if their number did not depend on results seen before."
        )
    if results.answers.n_replaced:
        found.append(
            f"{_count(results.answers.n_replaced, 'answer')} were given anew by the same listener "
            "to the same trial; the last counts."
        )
    if results.screened is None and results.excluded:
        found.append("Screening would leave nobody; everything here is of all listeners.")
    if results.screened is not None and headline(results.everyone) != headline(results.screened):
        found.append(
            "Screening changes the outcome. With all listeners it would be: "
            f"{headline(results.everyone)}"
        )
    return found


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
