"""The answers of a study on disk: one SQLite file, in which a listener's first answer stays."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vocoder.compare.answers import ANSWER, DETAILS, Answer, Details, checked
from vocoder.errors import BadInput

ANSWERS_NAME = "answers.sqlite"
_BUSY_S = 30.0  # how long another process may hold the file
_TABLES = """
CREATE TABLE IF NOT EXISTS listeners (listener TEXT PRIMARY KEY, details TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    listener TEXT NOT NULL, trial INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (listener, trial)
);
"""


class AnswerStore:
    """All answers of a study; what was added is on the disk when a method returns.

    One connection, which threads take turns with; other processes may read and add, too. The file
    is made when something is added first.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ANSWERS_NAME
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def add(self, answers: Sequence[Answer]) -> int:
        """Add answers, all or none of them; returns how many are new.

        Where a listener answered a trial before, that answer stays.
        """
        rows = [(one.listener, one.trial, one.model_dump_json()) for one in answers]
        with self._transaction("write") as connection:
            before = connection.total_changes
            connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)
            return connection.total_changes - before

    def add_listener(self, listener: str, details: Details) -> None:
        """Keep what a listener said about himself; what was said first stays."""
        with self._transaction("write") as connection:
            connection.execute(
                "INSERT OR IGNORE INTO listeners VALUES (?, ?)", (listener, json.dumps(details))
            )

    def answer(self, listener: str, trial: int) -> Answer | None:
        """A listener's answer to a trial, if there is one."""
        found = self._answers("WHERE listener = ? AND trial = ?", listener, trial)
        return found[0] if found else None

    def answers(self) -> list[Answer]:
        """All answers, in the order they were given."""
        return self._answers("")

    def trials_of(self, listener: str) -> set[int]:
        """Numbers of the trials that a listener has answered."""
        query = "SELECT trial FROM answers WHERE listener = ?"
        return {int(trial) for (trial,) in self._select(query, listener)}

    def details(self) -> dict[str, Details]:
        """What listeners said about themselves."""
        return {
            listener: checked(DETAILS, text.encode(), f"{self.path}, listener {listener}")
            for listener, text in self._select("SELECT listener, details FROM listeners")
        }

    def _answers(self, where: str, *values: object) -> list[Answer]:
        query = f"SELECT listener, trial, answer FROM answers {where} ORDER BY rowid"
        return [
            checked(ANSWER, str(text).encode(), f"{self.path}, {listener}, trial {trial}")
            for listener, trial, text in self._select(query, *values)
        ]

    def _select(self, query: str, *values: object) -> list[tuple]:
        if self._connection is None and not self.path.exists():
            return []
        with self._transaction("read") as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self, fault: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._opened()
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                verb = "saved to" if fault == "write" else "read from"
                raise BadInput(
                    f"answers could not be {verb} {self.path}: {error}", key=f"answers.{fault}"
                ) from error

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")  # also after a power cut
            connection.executescript(_TABLES)
        except sqlite3.Error:
            connection.close()
            raise
        return connection
