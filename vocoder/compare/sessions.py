"""Listeners of a running study: tokens, where each stands, and keeping every answer at once."""

from __future__ import annotations

import hmac
import secrets
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from vocoder.compare.answers import DETAILS, checked
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import Arrangement, Study
from vocoder.errors import BadInput


class Sessions:
    """The sessions of a study. Methods may be called from several threads.

    A token is the listener's random name with a signature under the study's secret. Orders follow
    from the name, answers from the disk, so that a session outlives the server.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self.store = AnswerStore(folder)
        self._lock = threading.Lock()
        for answer in self.store.answers():
            study.require_fit(answer, str(self.store.path))
        # Bounded, since anybody may make up sessions.
        self.session = lru_cache(maxsize=256)(study.session)
        self._files = lru_cache(maxsize=256)(self._find_files)

    def begin(self, details: Any) -> str:
        """A token for a new listener, with the answers to the study's questions about him."""
        listener = secrets.token_hex(6)
        given = self.study.checked_details(checked(DETAILS, details, "the questions"))
        if given:
            self.store.add_listener(listener, given)
        return f"{listener}.{self._signature(listener)}"

    def listener(self, token: str) -> str | None:
        """The listener that a token names, or ``None`` if it is not one of ours."""
        name, _, signature = token.partition(".")
        genuine = hmac.compare_digest(self._signature(name).encode(), signature.encode())
        return name if genuine else None

    def state(self, listener: str) -> dict[str, Any]:
        """Where a listener stands, and all that the page needs for the trial that comes next."""
        session = self.session(listener)
        answered = self.store.trials_of(listener)
        position = self._next(listener, answered)
        return {
            "answered": len(answered),
            "count": len(session),
            "position": position,
            "trial": None if position is None else session[position].shown(),
            "practice": self.study.practice(listener).shown(),
        }

    def file(self, listener: str, name: str) -> str | None:
        """The file, below the study's folder, behind an opaque name; ``None`` for other names."""
        return self._files(listener).get(name)

    def answer(self, listener: str, position: Any, said: Any) -> None:
        """Keep what a listener said; it is on the disk when this returns.

        The first answer to a trial stays. Saying the same again, as a page does that lost the
        reply, is no mistake.

        Raises
        ------
        BadInput
            With the key ``answer.exists`` if the trial has another answer already, in another
            window say; ``answers.write`` if the disk is full, say, and the listener may try
            again; else the answer is none, or not to the trial that comes next.
        """
        session = self.session(listener)
        if type(position) is not int or not 0 <= position < len(session):
            raise BadInput("the answer names no trial of this session", key="answer.trial")
        arrangement = session[position]
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        answer = self.study.resolve(listener, arrangement, said, time)
        with self._lock:
            answered = self.store.trials_of(listener)
            if answer.trial not in answered and position != self._next(listener, answered):
                raise BadInput("the answer is to a trial that is not open yet", key="answer.trial")
            self.store.add([answer])
            kept = self.store.answer(listener, answer.trial)
        if kept is not None and not kept.says_the_same(answer):
            raise BadInput(
                "This question was answered before, in another window perhaps. The first answer "
                "is kept.",
                key="answer.exists",
            )

    def _next(self, listener: str, answered: set[int]) -> int | None:
        session = enumerate(self.session(listener))
        return next((at for at, one in session if one.trial.trial not in answered), None)

    def _find_files(self, listener: str) -> dict[str, str]:
        arrangements: list[Arrangement] = [*self.session(listener), self.study.practice(listener)]
        return {
            name: self.study.file(one.trial.item, one.system(place))
            for one in arrangements
            for place, name in one.names.items()
        }

    def _signature(self, listener: str) -> str:
        return self.study.sign(f"session/{listener}")
