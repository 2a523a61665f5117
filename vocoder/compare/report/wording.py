"""Findings in words: headline, sentences, and numbers as people write them."""

from __future__ import annotations

from dataclasses import replace

from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.compare.report.results import Results
from vocoder.compare.statistics.abx import CORRECT, CORRECT_ELSEWHERE
from vocoder.compare.statistics.findings import Analysis, Finding
from vocoder.compare.statistics.preference import ORDER_BIAS, PREFERENCE
from vocoder.compare.statistics.ratings import DIFFERENCE, OMNIBUS, SCORE
from vocoder.compare.statistics.screening import RULES
from vocoder.compare.statistics.strengths import STRENGTH
from vocoder.evaluate.inference import ALPHA

SHARES = (PREFERENCE, ORDER_BIAS, CORRECT, CORRECT_ELSEWHERE)
TITLES = {
    PREFERENCE: "Preference, pair by pair",
    ORDER_BIAS: "Does the side matter?",
    STRENGTH: "Strength on one scale (Bradley-Terry, log odds)",
    CORRECT: "Right answers",
    CORRECT_ELSEWHERE: "Right answers, allowing for other listeners and items",
    SCORE: "Scores",
    OMNIBUS: "Do the systems differ at all?",
    DIFFERENCE: "Differences of scores, pair by pair",
}
TESTS = {"ab": "A/B", "abx": "ABX", "mushra": "MUSHRA", "dcr": "DCR"}
NO_PROOF = "That is no proof that there is none."
_CLUSTERS = (
    "Intervals are 95 % and allow for listeners and items that differ: the variance is that over "
    "listeners plus that over items less that over single answers (Cameron, Gelbach and Miller "
    "2011), with Student's t and Satterthwaite's degrees of freedom."
)
_HOLM = (
    "Where several pairs are tested, p-values are corrected by Holm's method (1979). A row is bold "
    "where the corrected p-value is below 0.05."
)
_WILSON = (
    "Intervals of shares have Wilson's form for the effective number of answers (Franco, Little, "
    "Louis and Slud 2019)."
)
_RANKS = (
    "The p-value of a difference is that of Student's t which its interval belongs to. Friedman's "
    "test (do the systems differ at all?) and Wilcoxon's signed-rank test (which pairs do?) take "
    "one value a listener, the mean over items, and so speak of these items only. All are "
    "corrected by Holm's method, and leave hidden reference and anchors out."
)
METHODS = {
    "ab": (
        "A share of preference counts “no difference” as one half, and is the mean of the share "
        "with the system on the left and that with it on the right. Its p-value is that of the "
        "score test which its interval belongs to: below 0.05 where the interval excludes 50 %.",
        "Strengths are those of Bradley and Terry (1952), with half an answer added each way to "
        "every pair heard. They sum to zero.",
        _WILSON,
    ),
    "abx": (
        "The p-value is the exact chance of so many right answers or more by guessing.",
        "Wilson's interval takes answers for independent; that below it allows for other listeners "
        "and items.",
        _WILSON,
    ),
    "mushra": (_RANKS,),
    "dcr": (
        "Scores go from 5 (degradation inaudible) to 1 (very annoying), ITU-T P.800, annex D.",
        _RANKS,
    ),
}
_MINUS = "\N{MINUS SIGN}"


def methods(question: str) -> list[str]:
    """How the numbers of a question came about, in sentences."""
    screening = (
        f"Screening leaves out listeners by this rule: {RULES[question]}. No rule looks at which "
        "system won."
    )
    return [*METHODS[question], _CLUSTERS, _HOLM, screening]


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
    return text.replace("-", _MINUS)


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
    """Whether the test excludes "no difference"; of what is not tested, never."""
    return finding.decisive_p is not None and finding.decisive_p < ALPHA


def turned(finding: Finding) -> Finding:
    """The same of a pair with the better system first."""
    middle = neutral(finding.measure) or 0.0
    if "first" not in finding.detail or finding.value is None or finding.value >= middle:
        return finding
    detail = dict(finding.detail)
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


def headline(analysis: Analysis) -> str:
    """The outcome in one sentence."""
    if pairs := analysis.of(CORRECT):
        return _heard(pairs)
    if pairs := analysis.of(PREFERENCE):
        return _ranked(pairs, "was preferred to", "No preference was found.")
    if pairs := analysis.of(DIFFERENCE):
        return _ranked(pairs, "scored above", "No difference between the systems was found.")
    ours = (REFERENCE, *ANCHORS)  # there to be told apart, not to be judged
    scores = [one for one in analysis.of(SCORE) if one.subject not in ours]
    best = max(scores, key=lambda one: one.value or 0)
    return f"{best.subject} scored {number(best.value, SCORE)} on average."


def _ranked(pairs: list[Finding], verb: str, nothing: str) -> str:
    """What was better than what, surely; the one that beat most others first."""
    beaten: dict[str, list[str]] = {}
    for finding in map(turned, pairs):
        if is_sure(finding):
            beaten.setdefault(finding.detail["first"], []).append(finding.detail["second"])
    order = sorted(beaten, key=lambda name: -len(beaten[name]))
    parts = [f"{name} {verb} {_join(beaten[name])}" for name in order]
    return "; ".join(parts) + "." if parts else f"{nothing} {NO_PROOF}"


def _heard(pairs: list[Finding]) -> str:
    sure = [one.subject.replace(" or ", " from ") for one in pairs if is_sure(one)]
    unsure = [one.subject.replace(" or ", " from ") for one in pairs if not is_sure(one)]
    parts = []
    if sure:
        parts.append(f"Listeners could tell {_join(sure)}.")
    if unsure:
        parts.append(
            f"It was not shown that anybody could tell {_join(unsure)}; that is no proof that "
            "nobody can."
        )
    return " ".join(parts)


def _join(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def notes(results: Results) -> list[str]:
    """What a reader has to know before believing the rest."""
    study, n = results.study, len(results.listeners)
    found = [*results.decisive.notes, *(f"{note}." for note in study.notes)]
    if n == 1:
        found.append(
            "There is one listener: intervals speak of this listener and other items, not of "
            "other listeners."
        )
    if len(study.items) == 1:
        found.append("There is one item: nothing is known of others.")
    if unfinished := sum(one.n_answers < len(study.trials) for one in results.listeners):
        found.append(
            f"{_count(unfinished, 'listener')} of {n} did not answer all {len(study.trials)} "
            "trials; what was answered counts."
        )
    if study.test == "abx":
        found.append(
            f"The study fixed {_count(len(study.trials), 'trial')} a listener, but not how many "
            "listeners: the p-values hold if their number did not depend on results seen before."
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
