"""MUSHRA and DCR: scores of systems, and which systems differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from vocoder.compare.answers import (
    ANCHORS,
    MAX_DCR,
    MAX_MUSHRA,
    REFERENCE,
    DegradationAnswer,
    MushraAnswer,
)
from vocoder.compare.statistics.clusters import Groups, design_effect, mean_interval
from vocoder.compare.statistics.finding import Analysis, Finding, with_holm
from vocoder.compare.statistics.power import more_answers

SCORE = "score"
DIFFERENCE = "score difference"
OMNIBUS = "any difference"
FRIEDMAN = "Friedman"
WILCOXON = "Wilcoxon signed-rank"
# With fewer pairs not even a unanimous Wilcoxon test falls below 5 %: 2 / 2**6 = 0.03.
MIN_LISTENERS = 6
NOTE_FEW = (
    f"Fewer than {MIN_LISTENERS} listeners gave complete scores, too few for a test with one "
    "value a listener: each item of each listener counts as one, as if they were independent. "
    "Its p-values are too small if listeners differ."
)


@dataclass(frozen=True)
class Ratings:
    """Scores as a long table.

    Parameters
    ----------
    question : str
    lowest, highest : float
        Of the scale.
    listeners, items, systems : tuple of str
        ``(scores,)`` each.
    scores : ndarray
        ``(scores,)`` float.
    """

    question: str
    lowest: float
    highest: float
    listeners: tuple[str, ...]
    items: tuple[str, ...]
    systems: tuple[str, ...]
    scores: np.ndarray

    @classmethod
    def of_mushra(cls, answers: Sequence[MushraAnswer]) -> Ratings:
        """One row a system of an answer."""
        rows = [
            (answer.listener, answer.item, system, score)
            for answer in answers
            for system, score in answer.scores.items()
        ]
        return cls._of_rows(MushraAnswer.question, 0.0, MAX_MUSHRA, rows)

    @classmethod
    def of_degradation(cls, answers: Sequence[DegradationAnswer]) -> Ratings:
        """One row an answer."""
        rows = [(one.listener, one.item, one.system, float(one.score)) for one in answers]
        return cls._of_rows(DegradationAnswer.question, 1.0, float(MAX_DCR), rows)

    @classmethod
    def _of_rows(
        cls,
        question: str,
        lowest: float,
        highest: float,
        rows: Sequence[tuple[str, str, str, float]],
    ) -> Ratings:
        listeners, items, systems, scores = zip(*rows, strict=True) if rows else ((),) * 4
        return cls(question, lowest, highest, listeners, items, systems, np.array(scores, float))

    def cells(self, system: str) -> dict[tuple[str, str], float]:
        """A system's score of each listener and item; the mean of several."""
        found: dict[tuple[str, str], list[float]] = {}
        for listener, item, name, score in zip(
            self.listeners, self.items, self.systems, self.scores, strict=True
        ):
            if name == system:
                found.setdefault((listener, item), []).append(float(score))
        return {cell: sum(scores) / len(scores) for cell, scores in found.items()}


def analyse_ratings(ratings: Ratings, systems: Sequence[str]) -> Analysis:
    """Mean scores, Friedman's test over all systems, and Wilcoxon's over each pair with Holm.

    Means and differences have intervals that allow for listeners and items that differ
    (`clusters`). The tests take one value a listener, the mean over the items, since a listener's
    scores are not independent; they leave out the hidden reference and the anchors, which are
    there to be told apart, and would make any study significant.

    Parameters
    ----------
    ratings : Ratings
    systems : sequence of str
        In the order of the study.
    """
    heard = [name for name in systems if name in set(ratings.systems)]
    heard += [
        name for name in (REFERENCE, *ANCHORS) if name in ratings.systems and name not in heard
    ]
    cells = {name: ratings.cells(name) for name in heard}
    findings = [_score(ratings, name, cells[name]) for name in heard]
    tested = [name for name in heard if name not in (REFERENCE, *ANCHORS)]
    if len(tested) < 2:
        return Analysis(question=ratings.question, findings=tuple(findings))
    blocks, by_listener = _blocks([cells[name] for name in tested])
    if len(tested) > 2 and len(blocks) > 1:
        findings.append(_friedman(ratings, blocks))
    findings += with_holm(
        [
            _difference(ratings, (first, second), cells, by_listener)
            for first, second in combinations(tested, 2)
            if cells[first].keys() & cells[second].keys()
        ]
    )
    notes = () if by_listener else (NOTE_FEW,)
    return Analysis(question=ratings.question, findings=tuple(findings), notes=notes)


def _score(ratings: Ratings, system: str, cells: dict[tuple[str, str], float]) -> Finding:
    groups, scores = _crossed(cells)
    low, high = mean_interval(float(scores.mean()), groups.of_mean(scores))
    return Finding(
        question=ratings.question,
        measure=SCORE,
        subject=system,
        **groups.sizes,
        value=float(scores.mean()),
        low=max(ratings.lowest, low),
        high=min(ratings.highest, high),
        detail={"median": float(np.median(scores)), "deviation": float(np.std(scores))},
    )


def _difference(
    ratings: Ratings,
    pair: tuple[str, str],
    cells: dict[str, dict[tuple[str, str], float]],
    by_listener: bool,
) -> Finding:
    first, second = (cells[name] for name in pair)
    both = {cell: first[cell] - second[cell] for cell in first if cell in second}
    groups, differences = _crossed(both)
    values = _listener_means(both) if by_listener else differences
    better, worse = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    signs = np.sign(differences)
    effect = design_effect(groups.of_mean(signs), signs)
    needed, more = more_answers(len(both), better + worse, effect, two_sided=True)
    low, high = mean_interval(float(differences.mean()), groups.of_mean(differences))
    return Finding(
        question=ratings.question,
        measure=DIFFERENCE,
        subject=" over ".join(pair),
        **groups.sizes,
        value=float(differences.mean()),
        low=low,
        high=high,
        test=WILCOXON,
        p=float(stats.wilcoxon(values).pvalue) if np.any(values) else 1.0,
        detail={
            "first": pair[0],
            "second": pair[1],
            "wins": better,
            "losses": worse,
            "ties": len(both) - better - worse,
            "design_effect": effect,
            "needed_answers": needed,
            "more_answers": more,
        },
    )


def _friedman(ratings: Ratings, blocks: np.ndarray) -> Finding:
    # Where everybody scores all systems alike there is nothing to rank.
    alike = bool(np.all(blocks == blocks[:, :1]))
    statistic, p = (0.0, 1.0) if alike else stats.friedmanchisquare(*blocks.T)
    return Finding(
        question=ratings.question,
        measure=OMNIBUS,
        subject=f"{blocks.shape[1]} systems",
        n_answers=len(ratings.scores),
        n_listeners=len(set(ratings.listeners)),
        n_items=len(set(ratings.items)),
        test=FRIEDMAN,
        p=float(p),
        detail={"statistic": float(statistic), "blocks": len(blocks)},
    )


def _blocks(cells: Sequence[dict[tuple[str, str], float]]) -> tuple[np.ndarray, bool]:
    """Complete blocks ``(blocks, systems)``: one a listener, or a cell if listeners are few.

    A listener's means are over the items that all systems were scored on.
    """
    common = [cell for cell in cells[0] if all(cell in other for other in cells)]
    scores = np.array([[system[cell] for system in cells] for cell in common])
    listeners = list(dict.fromkeys(listener for listener, _ in common))
    if len(listeners) < MIN_LISTENERS:
        return scores.reshape(len(common), len(cells)), False
    whose = np.array([listeners.index(listener) for listener, _ in common])
    return np.array([scores[whose == k].mean(axis=0) for k in range(len(listeners))]), True


def _listener_means(cells: dict[tuple[str, str], float]) -> np.ndarray:
    groups, values = _crossed(cells)
    return np.bincount(groups.listener, weights=values) / np.bincount(groups.listener)


def _crossed(cells: dict[tuple[str, str], float]) -> tuple[Groups, np.ndarray]:
    groups = Groups([listener for listener, _ in cells], [item for _, item in cells])
    return groups, np.array(list(cells.values()))
