"""What listeners answered: one JSON object a line, appended, never changed.

An answer is on the disk before the listener sees the next trial. Whatever happens in between (a
kill, a full disk, a power cut) costs at most the line that was being written: the reader reports
a cut line and keeps the rest, and the next answer begins a line of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from vocoder.errors import BadInput

RESULTS_NAME = "results.jsonl"
REFERENCE = "reference"  # the hidden reference among the systems of a MUSHRA trial
ANCHORS = ("anchor35", "anchor70")  # the reference low-passed at 3.5 and at 7 kHz
MAX_MUSHRA, MAX_DCR = 100.0, 5
_KIND = "answer"
_CUT_MARK = b" # cut here"  # what an append puts after a line that was cut before it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one listener said in one trial; the parent of one class a question.

    Parameters
    ----------
    listener : str
        Who; the same through a session.
    trial : int
        Number of the trial in the study, from 0. A listener's last answer to it counts.
    item : str
        Which sentence was heard.
    time : str
        When, ISO 8601 with an offset from UTC.
    seconds : float
        How long the listener took.
    """

    question: ClassVar[str]
    listener: str
    trial: int
    item: str
    time: str
    seconds: float

    def __post_init__(self) -> None:
        _require(bool(self.listener), "listener", self.listener, "a name")
        _require(bool(self.item), "item", self.item, "a name")
        _require(self.trial >= 0, "trial", self.trial, "a number from 0")
        _require(0 <= self.seconds < float("inf"), "seconds", self.seconds, "a time from 0")
        try:
            has_zone = datetime.fromisoformat(self.time).tzinfo is not None
        except ValueError:
            has_zone = False
        _require(has_zone, "time", self.time, "ISO 8601 with an offset, 2026-01-31T12:00:00+00:00")

    def to_dict(self) -> dict[str, Any]:
        """What a line of the results says."""
        return {"kind": _KIND, "question": self.question, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class PreferenceAnswer(Answer):
    """Which of two systems sounded better; ``choice`` is ``left``, ``right`` or ``none``."""

    question: ClassVar[str] = "ab"
    left: str
    right: str
    choice: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_two(self.left, self.right)
        _require_choice("choice", self.choice, "left", "right", "none")


@dataclass(frozen=True, kw_only=True)
class AbxAnswer(Answer):
    """Which of two systems X was: the truth ``x`` and the ``choice`` are ``a`` or ``b``."""

    question: ClassVar[str] = "abx"
    a: str
    b: str
    x: str
    choice: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_two(self.a, self.b)
        _require_choice("x", self.x, "a", "b")
        _require_choice("choice", self.choice, "a", "b")

    @property
    def is_correct(self) -> bool:
        """Whether the listener told what X was."""
        return self.choice == self.x


@dataclass(frozen=True, kw_only=True)
class MushraAnswer(Answer):
    """Scores, 0 to 100, of all systems of a trial, hidden reference and anchors among them."""

    question: ClassVar[str] = "mushra"
    scores: Mapping[str, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(len(self.scores) >= 2, "scores", dict(self.scores), "two systems or more")
        _require(REFERENCE in self.scores, "scores", sorted(self.scores), f"{REFERENCE} among them")
        for system, score in self.scores.items():
            _require(0 <= score <= MAX_MUSHRA, f"score of {system}", score, "0 to 100")


@dataclass(frozen=True, kw_only=True)
class DegradationAnswer(Answer):
    """How annoying a system was beside the reference: ``score`` 5 (inaudible) to 1 (very)."""

    question: ClassVar[str] = "dcr"
    system: str
    score: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(bool(self.system), "system", self.system, "a name")
        _require(1 <= self.score <= MAX_DCR, "score", self.score, "1 to 5")


QUESTIONS: dict[str, type[Answer]] = {
    kind.question: kind for kind in (PreferenceAnswer, AbxAnswer, MushraAnswer, DegradationAnswer)
}
_TYPES: dict[str, type | tuple[type, ...]] = {"trial": int, "score": int, "seconds": (int, float)}


def answer_from_dict(values: Any, source: str) -> Answer:
    """The answer that a line of the results, or a browser, tells.

    Parameters
    ----------
    values : dict
        As of `Answer.to_dict`.
    source : str
        Where it comes from, for the error.

    Raises
    ------
    BadInput
        A field missing, unknown, of the wrong type or out of range.
    """
    if not isinstance(values, dict):
        raise BadInput(f"{source}: expected an object, found {_short(values)}")
    if values.get("kind") != _KIND:
        raise BadInput(f"{source}: kind is {_short(values.get('kind'))}; expected {_KIND!r}")
    question = values.get("question")
    kind = QUESTIONS.get(question) if isinstance(question, str) else None
    if kind is None:
        known = ", ".join(QUESTIONS)
        raise BadInput(f"{source}: question is {_short(question)}; expected one of {known}")
    given = {name: value for name, value in values.items() if name not in ("kind", "question")}
    names = [field.name for field in fields(kind)]
    for name in [*names, *given]:
        if name not in given or name not in names:
            problem = "is missing" if name in names else f"is no field of an {question} answer"
            raise BadInput(f"{source}: {name} {problem}; expected {', '.join(names)}")
    for name, value in given.items():
        if not _is_typed(name, value):
            raise BadInput(f"{source}: {name} is {_short(value)}, which is not of its type")
    try:
        return kind(**given)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from error


@dataclass(frozen=True)
class Answers:
    """What `read_answers` found.

    Parameters
    ----------
    answers : tuple of Answer
        One a listener and trial, in the order they were given.
    n_replaced : int
        How many more there were that the listener answered anew later.
    cut_lines : tuple of str
        Lines that were cut while written, told as ``file, line n``; their answers are lost.
    """

    answers: tuple[Answer, ...]
    n_replaced: int = 0
    cut_lines: tuple[str, ...] = ()

    def of(self, question: type[Answer]) -> list[Any]:
        """The answers to one question."""
        return [answer for answer in self.answers if isinstance(answer, question)]


def read_answers(*paths: Path) -> Answers:
    """Read results, strictly but for lines that were cut.

    Parameters
    ----------
    *paths : Path
        JSON lines; several files, as browsers download them, are taken as one after the other.

    Raises
    ------
    BadInput
        A file that cannot be read, or a whole line that is no answer: file and line are named.
    """
    latest: dict[tuple[str, int], Answer] = {}
    n_read = 0
    cut: list[str] = []
    for path in paths:
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
        for number, line in enumerate(lines, start=1):
            source = f"{path.name}, line {number}"
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:  # UnicodeDecodeError is one too
                if line.endswith(_CUT_MARK) or number == len(lines):
                    cut.append(source)
                    continue
                raise BadInput(
                    f"{path}, line {number} is no JSON ({error}); mend or remove the line"
                ) from error
            answer = answer_from_dict(values, source)
            n_read += 1
            latest.pop((answer.listener, answer.trial), None)  # so that order is that of the last
            latest[answer.listener, answer.trial] = answer
    return Answers(tuple(latest.values()), n_read - len(latest), tuple(cut))


def append_answer(path: Path, answer: Answer) -> None:
    """Put an answer at the end of the results; it is on the disk when this returns.

    Threads and processes may append to one file at once: a lock on the file lasts for the append.
    A line that was cut before is closed with a mark, so that the answer begins its own.

    Raises
    ------
    BadInput
        It could not be written, with the reason (disk full, no permission); the file is as before.
    """
    append_answers(path, [answer])


def append_answers(path: Path, answers: Sequence[Answer]) -> None:
    """`append_answer` for several, in one piece."""
    text = "".join(
        json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        for answer in answers
    ).encode()
    try:
        is_new = not path.exists()
        with path.open("ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file closes
            size = file.seek(0, os.SEEK_END)
            try:
                _write_all(file.fileno(), _close_last_line(file, size) + text)
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise BadInput(
            f"the answer could not be saved to {path}: {error.strerror or error}"
        ) from error


def _close_last_line(file: Any, size: int) -> bytes:
    """What ends the last line, if it has no end."""
    if size == 0:
        return b""
    file.seek(size - 1)
    if file.read() == b"\n":
        return b""
    file.seek(0)
    try:
        json.loads(file.read().rpartition(b"\n")[2])
    except ValueError:
        return _CUT_MARK + b"\n"
    return b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    """A file system may take less than it is given, such as before it is full."""
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    """A new file is safe once its name is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_typed(name: str, value: Any) -> bool:
    if name == "scores":
        return isinstance(value, dict) and all(
            isinstance(score, int | float) and not isinstance(score, bool)
            for score in value.values()
        )
    return isinstance(value, _TYPES.get(name, str)) and not isinstance(value, bool)


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise BadInput(f"{name} is {_short(value)}; expected {expected}")


def _require_two(first: str, second: str) -> None:
    _require(bool(first and second) and first != second, "pair", (first, second), "two systems")


def _require_choice(name: str, value: str, *choices: str) -> None:
    _require(value in choices, name, value, f"one of {', '.join(choices)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
