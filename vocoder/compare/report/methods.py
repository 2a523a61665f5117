"""What the report says about how its numbers came about."""

from __future__ import annotations

from vocoder.compare.statistics.screening import RULES

_CLUSTERS = (
    "Intervals are 95 % and allow for listeners and items that differ: the variance is that over "
    "listeners plus that over items less that over single answers (Cameron, Gelbach and Miller "
    "2011), with Student's t and Satterthwaite's degrees of freedom."
)
_HOLM = (
    "Where several pairs are tested, p-values are corrected by Holm's method (1979). A row is bold "
    "where the corrected p-value is below 0.05 and (but for ABX) the interval excludes no "
    "difference."
)
_WILSON = (
    "Intervals of shares have Wilson's form for the effective number of answers (Franco, Little, "
    "Louis and Slud 2019)."
)
METHODS = {
    "ab": (
        "A share of preference counts “no difference” as one half, and is the mean of the share "
        "with the system on the left and that with it on the right.",
        "The sign test is exact and two-sided, and leaves “no difference” out. It takes answers "
        "for independent, which they are if nobody hears a difference; “one vote a listener” does "
        "not need that.",
        "Strengths are those of Bradley and Terry (1952), with half an answer added each way to "
        "every pair heard; their variances come from bootstraps over listeners, over items and "
        "over the pairs of both, put together as for all intervals. They sum to zero.",
    ),
    "abx": (
        "The p-value is the exact chance of so many right answers or more by guessing.",
        "Wilson's interval takes answers for independent; that below it allows for other listeners "
        "and items.",
    ),
    "mushra": (
        "Friedman's test asks whether the systems differ at all, Wilcoxon's signed-rank test which "
        "pairs do. Both take one value a listener, the mean over items, and leave the hidden "
        "reference and the anchors out.",
    ),
    "dcr": (
        "Scores go from 5 (degradation inaudible) to 1 (very annoying), ITU-T P.800, annex D.",
        "Friedman's test asks whether the systems differ at all, Wilcoxon's signed-rank test which "
        "pairs do. Both take one value a listener, the mean over items.",
    ),
}


def methods(question: str) -> list[str]:
    """Sentences about the statistics of a question."""
    shares = [_WILSON] if question in ("ab", "abx") else []
    screening = (
        f"Screening leaves out listeners by this rule: {RULES[question]}. No rule looks at which "
        "system won."
    )
    return [*METHODS[question], _CLUSTERS, *shares, _HOLM, screening]
