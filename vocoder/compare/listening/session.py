"""Listeners of a running study: tokens, what each has answered, and saving every answer at once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from vocoder.compare.answers import RESULTS_NAME, append_answer, read_answers
from vocoder.compare.listening.study import Arrangement, Study
from vocoder.errors import BadInput


class NotSaved(BadInput):
    """An answer was understood but could not be put on the disk; it may be given again."""


class Sessions:
    """The sessions of a study. Methods may be called from several threads.

    A token is the listener's random name with a signature under the study's secret. Orders follow
    from the name, answers from the results, so that a session outlives the server.

    Parameters
    ----------
    study : Study
    folder : Path
        Of the study; answers are appended to its ``results.jsonl``.

    Raises
    ------
    BadInput
        There are results that cannot be read, or of another study.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self._path = folder / RESULTS_NAME
        self._lock = threading.Lock()
        self._answered: dict[str, set[int]] = {}
        # Bounded, since anybody may make up sessions.
        self.session = lru_cache(maxsize=256)(study.session)
        self._sounds = lru_cache(maxsize=256)(self._find_sounds)
        self.cut_lines: tuple[str, ...] = ()
        if self._path.exists():
            found = read_answers(self._path)
            self.cut_lines = found.cut_lines
            numbers = {trial.number for trial in study.trials}
            for answer in found.answers:
                if answer.trial not in numbers or answer.question != study.test:
                    raise BadInput(
                        f"{self._path} holds an answer of another study ({answer.question}, trial "
                        f"{answer.trial}); move it away"
                    )
                self._answered.setdefault(answer.listener, set()).add(answer.trial)

    @property
    def n_listeners(self) -> int:
        """Listeners who answered something."""
        return len(self._answered)

    @property
    def n_answers(self) -> int:
        """Answers that are kept, of all listeners."""
        return sum(map(len, self._answered.values()))

    def begin(self) -> str:
        """A token for a new listener; nothing is kept of one who answers nothing."""
        listener = secrets.token_hex(6)
        return f"{listener}.{self._signature(listener)}"

    def listener(self, token: str) -> str | None:
        """The listener that a token names, or ``None`` if it is not one of ours."""
        name, _, signature = token.partition(".")
        genuine = hmac.compare_digest(self._signature(name).encode(), signature.encode())
        return name if genuine else None

    def state(self, listener: str) -> dict[str, Any]:
        """Where a listener stands, and all that the page needs for the trial that comes next."""
        answered = self._answered.get(listener, set())
        session = self.session(listener)
        position = self._next(listener)
        return {
            "answered": len(answered),
            "count": len(session),
            "position": position,
            "trial": None if position is None else session[position].shown(),
            "practice": self.study.practice(listener).shown(),
        }

    def sound(self, listener: str, name: str) -> str | None:
        """The file, below the study's folder, behind an opaque name; ``None`` for other names."""
        return self._sounds(listener).get(name)

    def answer(self, listener: str, position: Any, said: Any) -> None:
        """Keep what a listener said; it is on the disk when this returns.

        Asked twice for the same trial, as by a page that lost the reply, the first answer stays.

        Raises
        ------
        NotSaved
            The disk is full, say; the listener may try again.
        BadInput
            The answer is none, or not to the trial that comes next.
        """
        with self._lock:
            session = self.session(listener)
            if type(position) is not int or not 0 <= position < len(session):
                raise BadInput("the answer names no trial of this session")
            arrangement = session[position]
            if arrangement.trial.number in self._answered.get(listener, ()):
                return
            if position != self._next(listener):
                raise BadInput("the answer is to a trial that is not open yet")
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            answer = self.study.resolve(listener, arrangement, said, time)
            try:
                append_answer(self._path, answer)
            except BadInput as error:
                raise NotSaved(str(error)) from error
            self._answered.setdefault(listener, set()).add(arrangement.trial.number)

    def _next(self, listener: str) -> int | None:
        answered = self._answered.get(listener, set())
        for position, arrangement in enumerate(self.session(listener)):
            if arrangement.trial.number not in answered:
                return position
        return None

    def _find_sounds(self, listener: str) -> dict[str, str]:
        arrangements: list[Arrangement] = [*self.session(listener), self.study.practice(listener)]
        return {
            name: self.study.sound(one.trial.item, one.system(place))
            for one in arrangements
            for place, name in one.names.items()
        }

    def _signature(self, listener: str) -> str:
        key, message = self.study.secret.encode(), f"session/{listener}".encode()
        return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]
