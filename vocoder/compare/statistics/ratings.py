"""MUSHRA and DCR: scores of systems, and which systems differ."""

from __future__ import annotations

from collections.abc import Sequence
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
from vocoder.compare.statistics.clusters import Groups
from vocoder.compare.statistics.findings import Analysis, Finding, with_holm

SCORE = "score"
DIFFERENCE = "score difference"
OMNIBUS = "any difference"
FRIEDMAN = "Friedman"
WILCOXON = "Wilcoxon signed-rank"
# With fewer pairs not even a unanimous Wilcoxon test falls below 5 %: 2 / 2**6 = 0.03.
MIN_LISTENERS = 6
# Means of equal scores differ in their last bits by the order they were added in, which ranks
# would take for a difference; listeners give whole numbers.
DECIMALS = 9
NOTE_FEW = (
    f"Fewer than {MIN_LISTENERS} listeners gave complete scores, too few for a test with one "
    "value a listener: each item of each listener counts as one, as if they were independent. "
    "Its p-values are too small if listeners differ."
)
Cells = dict[tuple[str, str], float]  # one system's score of each listener and item


def analyse_ratings(
    answers: Sequence[MushraAnswer] | Sequence[DegradationAnswer], systems: Sequence[str]
) -> Analysis:
    """Mean scores, Friedman's test over all systems, and Wilcoxon's over each pair with Holm.

    Means and differences have intervals that allow for listeners and items that differ
    (`clusters`). The tests take one value a listener, the mean over the items, since a listener's
    scores are not independent; they leave out the hidden reference and the anchors, which are
    there to be told apart, and would make any study significant.

    Parameters
    ----------
    answers : sequence of MushraAnswer or of DegradationAnswer
        At least one.
    systems : sequence of str
        In the order of the study.
    """
    question = answers[0].question
    cells = _cells(answers)
    order = [*systems, *(name for name in (REFERENCE, *ANCHORS) if name not in systems)]
    heard = [name for name in order if name in cells]
    findings = [_score(question, name, cells[name]) for name in heard]
    tested = [name for name in heard if name not in (REFERENCE, *ANCHORS)]
    if len(tested) < 2:
        return Analysis(question=question, findings=tuple(findings))
    common = [cell for cell in cells[tested[0]] if all(cell in cells[name] for name in tested)]
    by_listener = len({listener for listener, _ in common}) >= MIN_LISTENERS
    if len(tested) > 2 and len(common) > 1:
        findings.append(_friedman(question, [cells[name] for name in tested], common, by_listener))
    findings += with_holm(
        [
            _difference(question, (first, second), cells, by_listener)
            for first, second in combinations(tested, 2)
            if cells[first].keys() & cells[second].keys()
        ]
    )
    notes = () if by_listener else (NOTE_FEW,)
    return Analysis(question=question, findings=tuple(findings), notes=notes)


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


def _score(question: str, system: str, cells: Cells) -> Finding:
    groups, scores = _crossed(cells)
    mean = float(scores.mean())
    low, high = groups.of_mean(scores).mean_interval(mean)
    lowest, highest = SCALES[question]
    quartiles = np.percentile(scores, [0, 25, 50, 75, 100]).tolist()
    return Finding(
        question=question,
        measure=SCORE,
        subject=system,
        **groups.sizes,
        value=mean,
        low=max(lowest, low),
        high=min(highest, high),
        detail=dict(
            zip(("min", "quartile1", "median", "quartile3", "max"), quartiles, strict=True)
        ),
    )


def _difference(
    question: str, pair: tuple[str, str], cells: dict[str, Cells], by_listener: bool
) -> Finding:
    first, second = (cells[name] for name in pair)
    both = {cell: first[cell] - second[cell] for cell in first if cell in second}
    groups, differences = _crossed(both)
    mean = float(differences.mean())
    low, high = groups.of_mean(differences).mean_interval(mean)
    values = _rounded(_listener_means(groups, differences) if by_listener else differences)
    signs = np.sign(_rounded(differences))
    return Finding(
        question=question,
        measure=DIFFERENCE,
        subject=" over ".join(pair),
        **groups.sizes,
        value=mean,
        low=low,
        high=high,
        test=WILCOXON,
        p=float(stats.wilcoxon(values).pvalue) if np.any(values) else 1.0,
        detail={
            "first": pair[0],
            "second": pair[1],
            "wins": int(np.sum(signs > 0)),
            "losses": int(np.sum(signs < 0)),
            "ties": int(np.sum(signs == 0)),
        },
    )


def _friedman(
    question: str,
    cells: Sequence[Cells],
    common: Sequence[tuple[str, str]],
    by_listener: bool,
) -> Finding:
    """Over complete blocks: one a listener, or one a cell if listeners are few."""
    groups = Groups([listener for listener, _ in common], [item for _, item in common])
    scores = np.array([[system[cell] for system in cells] for cell in common])
    blocks = _rounded(
        np.stack([_listener_means(groups, column) for column in scores.T], axis=1)
        if by_listener
        else scores
    )
    # Where everybody scores all systems alike there is nothing to rank.
    alike = bool(np.all(blocks == blocks[:, :1]))
    statistic, p = (0.0, 1.0) if alike else stats.friedmanchisquare(*blocks.T)
    return Finding(
        question=question,
        measure=OMNIBUS,
        subject=f"{blocks.shape[1]} systems",
        **groups.sizes,
        test=FRIEDMAN,
        p=float(p),
        detail={"statistic": float(statistic), "blocks": len(blocks)},
    )


def _listener_means(groups: Groups, values: np.ndarray) -> np.ndarray:
    sums = np.bincount(groups.listener, weights=values)
    return np.asarray(sums / np.bincount(groups.listener))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.round(values, DECIMALS)


def _crossed(cells: Cells) -> tuple[Groups, np.ndarray]:
    groups = Groups([listener for listener, _ in cells], [item for _, item in cells])
    return groups, np.array(list(cells.values()))
