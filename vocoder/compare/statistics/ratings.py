"""MUSHRA and DCR: scores of systems, and which systems differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy import stats

from vocoder.compare.answers import (
    ANCHORS,
    REFERENCE,
    SCALES,
    DegradationAnswer,
    MushraAnswer,
)
from vocoder.compare.statistics.clusters import Groups, Spread
from vocoder.compare.statistics.findings import Analysis, Finding, with_holm
from vocoder.evaluate.inference import holm

SCORE = "score"
DIFFERENCE = "score difference"
OMNIBUS = "any difference"
FRIEDMAN = "Friedman, one value a listener"
TEST = "Student's t, allowing for listeners and items"
# With fewer not even a unanimous Wilcoxon test falls below 5 %: 2 / 2**6 = 0.03.
MIN_LISTENERS = 6
NOTE_FEW = (
    f"Fewer than {MIN_LISTENERS} listeners: Wilcoxon's test, which takes one value a listener, "
    "cannot fall below 0.05, whatever they say."
)
QUARTILES = ("min", "quartile1", "median", "quartile3", "max")
# Means of equal scores differ in their last bits by the order they were added in, which ranks
# would take for a difference; listeners give whole numbers.
DECIMALS = 9
ROUNDING = 1 / 12  # variance of what rounding to whole numbers hides, of each score
Cells = dict[tuple[str, str], float]  # one system's score of each listener and item


def analyse_ratings(
    answers: Sequence[MushraAnswer] | Sequence[DegradationAnswer], systems: Sequence[str]
) -> Analysis:
    """Mean scores and their differences, Friedman's test over all systems, Wilcoxon's by pairs.

    Intervals allow for listeners and items that differ (`clusters`), and the p-value of a
    difference belongs to its interval. The rank tests that BS.1534 papers report stand beside it:
    they take the mean over items of each listener, and so speak of these items only. All leave
    out the hidden reference and the anchors, which are there to be told apart, and would make any
    study significant.

    Parameters
    ----------
    answers : sequence of MushraAnswer or of DegradationAnswer
        At least one.
    systems : sequence of str
        In the order of the study.
    """
    cells = _cells(answers)
    order = [*systems, *(name for name in (REFERENCE, *ANCHORS) if name not in systems)]
    heard = [name for name in order if name in cells]
    tested = [name for name in heard if name not in (REFERENCE, *ANCHORS)]
    findings = [_score(name, cells[name], SCALES[answers[0].question]) for name in heard]
    findings += _friedman([cells[name] for name in tested])
    differences = with_holm(
        [
            _difference(pair, cells)
            for pair in combinations(tested, 2)
            if cells[pair[0]].keys() & cells[pair[1]].keys()
        ]
    )
    ranked = holm([one.detail["wilcoxon"] for one in differences])
    findings += [
        replace(one, detail={**one.detail, "wilcoxon_holm": p})
        for one, p in zip(differences, ranked, strict=True)
    ]
    few = any(one.n_listeners < MIN_LISTENERS for one in differences)
    return Analysis(findings=tuple(findings), notes=(NOTE_FEW,) if few else ())


def _cells(
    answers: Sequence[MushraAnswer] | Sequence[DegradationAnswer],
) -> dict[str, Cells]:
    """Cells of every system; repeats are averaged."""
    given: dict[str, dict[tuple[str, str], list[float]]] = {}
    for answer in answers:
        scores = (
            answer.scores
            if isinstance(answer, MushraAnswer)
            else {answer.system: float(answer.score)}
        )
        for system, score in scores.items():
            of_system = given.setdefault(system, {})
            of_system.setdefault((answer.listener, answer.item), []).append(score)
    return {
        system: {cell: float(np.mean(scores)) for cell, scores in of_system.items()}
        for system, of_system in given.items()
    }


def _score(system: str, cells: Cells, scale: tuple[float, float]) -> Finding:
    groups, scores = _crossed(cells)
    mean = float(scores.mean())
    low, high = _spread(groups, scores, ROUNDING).mean_interval(mean)
    lowest, highest = scale
    quartiles = np.percentile(scores, [0, 25, 50, 75, 100]).tolist()
    return Finding(
        measure=SCORE,
        subject=system,
        **groups.sizes,
        value=mean,
        low=max(lowest, low),
        high=min(highest, high),
        detail=dict(zip(QUARTILES, quartiles, strict=True)),
    )


def _difference(pair: tuple[str, str], cells: dict[str, Cells]) -> Finding:
    first, second = (cells[name] for name in pair)
    groups, values = _crossed(
        {cell: first[cell] - second[cell] for cell in first if cell in second}
    )
    mean = float(values.mean())
    spread = _spread(groups, values, 2 * ROUNDING)
    low, high = spread.mean_interval(mean)
    signs = np.sign(np.round(values, DECIMALS))
    of_listeners = _listener_means(groups, values)
    return Finding(
        measure=DIFFERENCE,
        subject=" over ".join(pair),
        **groups.sizes,
        value=mean,
        low=low,
        high=high,
        test=TEST,
        p=spread.mean_p(mean),
        detail={
            "first": pair[0],
            "second": pair[1],
            "wilcoxon": float(stats.wilcoxon(of_listeners).pvalue) if of_listeners.any() else 1.0,
            "wins": int(np.sum(signs > 0)),
            "losses": int(np.sum(signs < 0)),
            "ties": int(np.sum(signs == 0)),
        },
    )


def _friedman(cells: Sequence[Cells]) -> list[Finding]:
    """Over the cells that all systems have; nothing for two systems, or for one listener."""
    common = [cell for cell in cells[0] if all(cell in other for other in cells)] if cells else []
    groups = Groups([listener for listener, _ in common], [item for _, item in common])
    if len(cells) < 3 or groups.n_listeners < 2:
        return []
    means = [_listener_means(groups, np.array([one[cell] for cell in common])) for one in cells]
    # Where everybody scores all systems alike there is nothing to rank.
    alike = all((one == means[0]).all() for one in means)
    statistic, p = (0.0, 1.0) if alike else stats.friedmanchisquare(*means)
    return [
        Finding(
            measure=OMNIBUS,
            subject=f"{len(cells)} systems",
            **groups.sizes,
            test=FRIEDMAN,
            p=float(p),
            detail={"statistic": float(statistic)},
        )
    ]


def _spread(groups: Groups, values: np.ndarray, rounding: float) -> Spread:
    """Of their mean; those who agree on a whole number may still differ by less than one."""
    found = groups.of_mean(values)
    return replace(found, variance=max(found.variance, rounding / found.n_groups))


def _listener_means(groups: Groups, values: np.ndarray) -> np.ndarray:
    sums = np.bincount(groups.listener, weights=values)
    return np.round(sums / np.bincount(groups.listener), DECIMALS)


def _crossed(cells: Cells) -> tuple[Groups, np.ndarray]:
    groups = Groups([listener for listener, _ in cells], [item for _, item in cells])
    return groups, np.array(list(cells.values()))
