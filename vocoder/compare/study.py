"""A listening study and its key: who hears what in which order, and behind which names.

Everything random follows from the study's stored seed and the listener's name, so that nothing
but answers needs to be kept of a session. A page that needs no server has no listener's name to
begin with: it takes one of `PAGE_ORDERS` orders, which are drawn in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from vocoder.compare.answers import (
    ANSWER,
    REFERENCE,
    Answer,
    Details,
    Name,
    Record,
    Text,
    checked,
)
from vocoder.errors import BadInput
from vocoder.files import atomic_path

STUDY_NAME = "study.json"
TESTS = ("ab", "abx", "mushra", "dcr")
PRACTICE = -1  # the number of the practice trial
MIN_HEARD_S = 1.0  # of every version, or all of it where it is shorter
X, OPEN = "x", "reference"  # places on the page beside those numbered from 0
PAGE, PAGE_ORDERS = "page", 40  # owner of an exported page's names, and how many orders it has
_SIDES = {"ab": ("left", "right"), "abx": ("a", "b")}
_JUDGED = {"ab": 2, "abx": 2, "dcr": 1}  # systems of a trial
_NAME_LENGTH = 20
_CLOCK_S = 0.01  # how far the browser's idea of a length may be off


class Trial(Record):
    """One question about one item, the same for all listeners; its number is -1 for practice.

    Judged are two systems for A/B and ABX, all for MUSHRA, one for DCR.
    """

    trial: int
    item: Name
    systems: Annotated[tuple[Name, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Arrangement:
    """A trial as one listener meets it.

    Parameters
    ----------
    order : tuple of str
        The systems from left to right.
    x : int or None
        Which of them X is, in ABX.
    names : dict of str to str
        Place on the page (``0``, ``1``, …, ``x``, ``reference``) to the opaque name of its audio.
    """

    trial: Trial
    order: tuple[str, ...]
    x: int | None
    names: Mapping[str, str]

    def system(self, place: str) -> str:
        """The system that is heard at a place."""
        if place == OPEN:
            return REFERENCE
        return self.order[self.x if place == X and self.x is not None else int(place)]

    def shown(self) -> dict[str, Any]:
        """All that the page gets to know of it."""
        return {
            "versions": [self.names[str(index)] for index in range(len(self.order))],
            "x": self.names.get(X),
            "reference": self.names.get(OPEN),
        }


class Said(Record):
    """What the page sends: audio is called by its opaque names, and seconds are heard seconds."""

    model_config = ConfigDict(extra="ignore")

    heard: dict[str, float]
    seconds: float
    choice: str | None = None
    scores: dict[str, float] | None = None
    score: int | None = None
    comment: Text = ""


class Audio(Record):
    """One version of an item, and what was done to its audio; all else is as it was.

    Parameters
    ----------
    file : str
        Its name below the study's folder, once it is written.
    source_sha256 : str
        Of the bytes of its source: whether a study is of the same files, wherever they lie now.
    delay_samples : int
        Moved earlier by so many samples (later, if negative) to fit the others.
    polarity : int
        -1 where it was turned over.
    low_pass_hz : float or None
        Of an anchor.
    loudness_lufs : float
        Before the gain.
    gain_db : float
        What brings it to `stimuli.LOUDNESS_LUFS`, and the attenuation that all share.
    """

    model_config = ConfigDict(extra="ignore")

    system: Name
    item: Name
    file: str = ""
    source: str = ""
    source_sha256: str = ""
    source_rate: int = 0
    delay_samples: int = 0
    polarity: int = 1
    low_pass_hz: float | None = None
    loudness_lufs: float = 0.0
    loudness_method: str = ""
    gain_db: float = 0.0


class Texts(Record):
    """What the page says and asks beside the test.

    Parameters
    ----------
    consent, questions
        What a listener has to agree to, and is asked about himself.
    words : dict of str to str
        The page's words in another language, by the English ones.
    """

    title: str
    question: str
    consent: str = ""
    questions: tuple[Name, ...] = ()
    comments: bool = False
    words: dict[str, str] = Field(default_factory=dict)


class Study(Texts):
    """A listening study, complete with its key: never to be sent to a page.

    Parameters
    ----------
    secret : str
        Behind session tokens and opaque names; not derived from the seed, which people publish.
    systems : tuple of str
        Without reference and anchors.
    training : str
        The item of the practice trial.
    has_reference : bool
        Whether the page offers the reference as such.
    samples : dict of str to int
        Length of each item.
    settings : dict
        What it was asked for with, to know it again.
    notes : tuple of str
        What was done to the audio that a listener might not expect.
    """

    model_config = ConfigDict(extra="ignore")

    test: Literal["ab", "abx", "mushra", "dcr"]
    seed: int
    secret: Annotated[str, Field(min_length=16)]
    systems: tuple[Name, ...]
    items: tuple[Name, ...]
    training: Name
    has_reference: bool
    sample_rate: Annotated[int, Field(gt=0)]
    samples: dict[str, Annotated[int, Field(gt=0)]]
    trials: Annotated[tuple[Trial, ...], Field(min_length=1)]
    settings: dict[str, Any]
    stimuli: tuple[Audio, ...]
    loudness_lufs: float = 0.0
    shared_attenuation_db: float = 0.0
    left_out: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Study:
        wanted = _JUDGED.get(self.test)
        for one in self.trials:
            if wanted is not None and len(one.systems) != wanted:
                raise ValueError(f"trial {one.trial} has {len(one.systems)} systems")
        if lacking := {self.training, *(one.item for one in self.trials)} - self.samples.keys():
            raise ValueError(f"samples lack {lacking.pop()}")
        return self

    def file(self, item: str, system: str) -> str:
        """Name of an audio file, below the study's folder."""
        for one in self.stimuli:
            if (one.item, one.system) == (item, system):
                return one.file
        raise BadInput(f"{STUDY_NAME} names no audio of {item} by {system}", key="study.damaged")

    def sign(self, message: str) -> str:
        """Letters that nobody can find without the study's secret."""
        return hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).hexdigest()[:32]

    def name(self, owner: str, trial: int, place: str) -> str:
        """The opaque name of audio: another one for each owner, trial and place."""
        return self.sign(f"sound/{owner}/{trial}/{place}")[:_NAME_LENGTH]

    def session(self, listener: str, owner: str | None = None) -> list[Arrangement]:
        """All trials in the order and arrangement of one listener; sides and X are balanced.

        Parameters
        ----------
        owner : str or None
            Whose opaque names are used; ``None`` for the listener's own.
        """
        draw = random.Random(f"{self.seed}/{listener}")
        trials = list(self.trials)
        draw.shuffle(trials)
        turned, second = _balanced(trials, draw), _balanced(trials, draw)
        return [
            self._arranged(owner or listener, one, turned[one.trial], second[one.trial], draw)
            for one in trials
        ]

    def practice(self, listener: str, owner: str | None = None) -> Arrangement:
        """The trial that does not count: the first trial's systems, on the item for training."""
        draw = random.Random(f"{self.seed}/{listener}/practice")
        trial = Trial(trial=PRACTICE, item=self.training, systems=self.trials[0].systems)
        turned, second = draw.random() < 0.5, draw.random() < 0.5
        return self._arranged(owner or listener, trial, turned, second, draw)

    def public(self) -> dict[str, Any]:
        """All that the page gets to know of the study."""
        return {
            "test": self.test,
            "title": self.title,
            "question": self.question,
            "count": len(self.trials),
            "sampleRate": self.sample_rate,
            "minHeard": MIN_HEARD_S,
            "consent": self.consent,
            "questions": self.questions,
            "comments": self.comments,
            "words": self.words,
        }

    def checked_details(self, details: Details) -> Details:
        """What a listener said about himself, if it answers the study's questions."""
        if missing := [one for one in self.questions if not details.get(one, "").strip()]:
            raise BadInput(f"{missing[0]} is not answered", key="details.missing")
        return {question: details[question] for question in self.questions}

    def resolve(self, listener: str, arrangement: Arrangement, said: Any, time: str) -> Answer:
        """Turn what the page says, in opaque names, into an answer with the systems' names.

        Parameters
        ----------
        said : dict
            As of `Said`: ``choice`` (a name or ``none``), ``scores`` (by name) or ``score``.
        time : str
            ISO 8601 with an offset.
        """
        given: Said = checked(Said, said, "the answer")
        self._require_heard(arrangement, given.heard)
        order, names = arrangement.order, arrangement.names
        values: dict[str, Any] = {
            "question": self.test,
            "listener": listener,
            "trial": arrangement.trial.trial,
            "item": arrangement.trial.item,
            "time": time,
            "seconds": given.seconds,
            "comment": given.comment,
        }
        if sides := _SIDES.get(self.test):
            choices = {names[str(at)]: side for at, side in enumerate(sides)} | {"none": "none"}
            if arrangement.x is not None:
                values["x"] = sides[arrangement.x]
            values |= dict(zip(sides, order, strict=True))
            values["choice"] = choices.get(given.choice or "")
        elif self.test == "mushra":
            scores = given.scores or {}
            rated = {names[str(at)]: system for at, system in enumerate(order)}
            if set(scores) != set(rated):
                raise BadInput("scores do not name every version once", key="answer.invalid")
            values["scores"] = {rated[name]: score for name, score in scores.items()}
        else:
            values |= {"system": order[0], "score": given.score}
        answer: Answer = checked(ANSWER, values, "the answer")
        return answer

    def require_fit(self, answer: Answer, source: str) -> None:
        """Refuse an answer that is to another study."""
        trials = {trial.trial: trial for trial in self.trials}
        trial = trials.get(answer.trial)
        if (
            trial is None
            or (answer.question, answer.item) != (self.test, trial.item)
            or set(answer.systems) != set(trial.systems)
        ):
            raise BadInput(
                f"{source} holds an answer of another study: by {answer.listener}, to trial "
                f"{answer.trial} about {answer.item} by {', '.join(answer.systems)}; keep each "
                f"study's {STUDY_NAME} and answers together",
                key="answers.conflict",
            )

    def write(self, folder: Path) -> None:
        """Write ``study.json``, which makes the folder a study; for its owner's eyes only."""
        with atomic_path(folder / STUDY_NAME, overwrite=False) as temporary:
            temporary.touch(mode=0o600)
            text = self.model_dump_json(indent=1)
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    def _arranged(
        self, owner: str, trial: Trial, turned: bool, second: bool, draw: random.Random
    ) -> Arrangement:
        systems = list(trial.systems)
        if self.test == "mushra":
            draw.shuffle(systems)
        elif turned:
            systems.reverse()
        # Names go by the system, not by the side: a page's are the same in all of its orders.
        roles = {str(at): str(trial.systems.index(one)) for at, one in enumerate(systems)}
        if self.test == "abx":
            roles[X] = f"x{trial.systems.index(systems[second])}"
        if self.has_reference:
            roles[OPEN] = OPEN
        names = {place: self.name(owner, trial.trial, role) for place, role in roles.items()}
        return Arrangement(trial, tuple(systems), int(second) if X in roles else None, names)

    def _require_heard(self, arrangement: Arrangement, heard: Mapping[str, float]) -> None:
        length_s = self.samples[arrangement.trial.item] / self.sample_rate
        needed_s = min(MIN_HEARD_S, length_s) - _CLOCK_S
        # Written so that NaN is too short.
        if not all(heard.get(name, 0.0) >= needed_s for name in arrangement.names.values()):
            raise BadInput(
                "not every version of this trial was heard; listen to all first", key="answer.heard"
            )


def read_study(folder: Path) -> Study:
    """Read a study's ``study.json``."""
    path = folder / STUDY_NAME
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{folder} holds no study ({STUDY_NAME}: {error.strerror}); give systems= to make one",
            key="study.missing",
        ) from error
    study: Study = checked(Study, text, f"{path} is damaged", "study.damaged")
    return study


def _balanced(trials: Sequence[Trial], draw: random.Random) -> dict[int, bool]:
    """True for half of the trials of each pair, by number of the trial; of an odd one by chance."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for trial in trials:
        groups.setdefault(trial.systems, []).append(trial.trial)
    drawn: dict[int, bool] = {}
    for numbers in groups.values():
        half = len(numbers) // 2
        values = [True] * half + [False] * half + [draw.random() < 0.5] * (len(numbers) % 2)
        draw.shuffle(values)
        drawn |= dict(zip(numbers, values, strict=True))
    return drawn
