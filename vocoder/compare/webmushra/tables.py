"""Writing results as webMUSHRA does: ``mushra.csv`` and ``paired_comparison.csv``.

The first column is the test's name, then come the answers to its questionnaire, of which we have
one, ``listener``. Times are in milliseconds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from vocoder.compare.answers import AbxAnswer, MushraAnswer, PreferenceAnswer
from vocoder.files import atomic_path

QUESTIONNAIRE = ("listener",)
MUSHRA_COLUMNS = (
    "session_test_id",
    *QUESTIONNAIRE,
    "session_uuid",
    "trial_id",
    "rating_stimulus",
    "rating_score",
    "rating_time",
    "rating_comment",
)
PAIRED_COLUMNS = (
    "session_test_id",
    *QUESTIONNAIRE,
    "trial_id",
    "choice_reference",
    "choice_non_reference",
    "choice_answer",
    "choice_time",
    "choice_comment",
)
CORRECT, INCORRECT, UNDECIDED = "correct", "incorrect", "undecided"


def write_mushra(
    path: Path, answers: Sequence[MushraAnswer], test_id: str, *, overwrite: bool
) -> None:
    """Write one row a score; ``trial_id`` is the item, ``session_uuid`` the listener.

    Raises
    ------
    BadInput
        The file exists or cannot be written.
    """
    rows = (
        (
            test_id,
            answer.listener,
            answer.listener,
            answer.item,
            system,
            f"{score:g}",
            _milliseconds(answer.seconds),
            "",
        )
        for answer in answers
        for system, score in answer.scores.items()
    )
    _write(path, MUSHRA_COLUMNS, rows, overwrite=overwrite)


def write_paired_comparison(
    path: Path,
    answers: Sequence[AbxAnswer | PreferenceAnswer],
    test_id: str,
    *,
    systems: Sequence[str],
    overwrite: bool,
) -> None:
    """Write one row an answer; ``trial_id`` is the item.

    webMUSHRA knows but one paired question, which of two sounds is the reference. ABX answers are
    that: X is the reference. Of an A/B preference the system that comes first in the study stands
    for it, so that ``correct`` means that the first was preferred (as its users have done, by
    hiding the reference's button).

    Parameters
    ----------
    systems : sequence of str
        Of the study, in its order.

    Raises
    ------
    BadInput
        The file exists or cannot be written.
    """
    rows = (
        (
            test_id,
            answer.listener,
            answer.item,
            *_choice(answer, systems),
            _milliseconds(answer.seconds),
            "",
        )
        for answer in answers
    )
    _write(path, PAIRED_COLUMNS, rows, overwrite=overwrite)


def _choice(answer: AbxAnswer | PreferenceAnswer, systems: Sequence[str]) -> tuple[str, str, str]:
    """Reference, the other, and the answer."""
    if isinstance(answer, AbxAnswer):
        x, other = (answer.a, answer.b) if answer.x == "a" else (answer.b, answer.a)
        return x, other, CORRECT if answer.is_correct else INCORRECT
    first, second = sorted((answer.left, answer.right), key=list(systems).index)
    if answer.choice == "none":
        return first, second, UNDECIDED
    chosen = answer.left if answer.choice == "left" else answer.right
    return first, second, CORRECT if chosen == first else INCORRECT


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _write(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, overwrite: bool
) -> None:
    with (
        atomic_path(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
