"""A listening study and its key: who hears what in which order, and behind which names.

Everything random follows from the study's stored seed and the listener's name, so that nothing
but answers needs to be kept of a session.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vocoder.compare.answers import REFERENCE, Answer, answer_from_dict
from vocoder.errors import BadInput
from vocoder.files import atomic_path

STUDY_NAME = "study.json"
AB, ABX, MUSHRA, DCR = "ab", "abx", "mushra", "dcr"
TESTS = (AB, ABX, MUSHRA, DCR)
TRAINING = -1  # the number of the practice trial
LEAST_HEARD_S = 1.0  # of every version, or all of it where it is shorter
X, OPEN = "x", "reference"  # places on the page beside those numbered from 0
NO_DIFFERENCE = "none"
_SIDES = {AB: ("left", "right"), ABX: ("a", "b")}
_NAME_LENGTH = 20
OPAQUE_NAME = re.compile(f"[0-9a-f]{{{_NAME_LENGTH}}}")  # of a sound; see `Study.name`
_CLOCK_S = 0.01  # how far the browser's idea of a length may be off


@dataclass(frozen=True)
class Trial:
    """One question about one item, the same for all listeners.

    Parameters
    ----------
    number : int
        From 0, which is what results call it; -1 for practice.
    item : str
    systems : tuple of str
        What is judged: two systems for A/B and ABX, all for MUSHRA, one for DCR.
    """

    number: int
    item: str
    systems: tuple[str, ...]


@dataclass(frozen=True)
class Arrangement:
    """A trial as one listener meets it.

    Parameters
    ----------
    trial : Trial
    order : tuple of str
        The systems from left to right.
    x : int or None
        Which of them X is, in ABX.
    names : dict of str to str
        Place on the page (``0``, ``1``, …, ``x``, ``reference``) to the opaque name of its sound.
    """

    trial: Trial
    order: tuple[str, ...]
    x: int | None
    names: Mapping[str, str]

    def system(self, place: str) -> str:
        """What sounds at a place."""
        if place == OPEN:
            return REFERENCE
        return self.order[self.x if place == X and self.x is not None else int(place)]

    def shown(self) -> dict[str, Any]:
        """All that the page gets to know of it."""
        return {
            "sounds": [self.names[str(index)] for index in range(len(self.order))],
            "x": self.names.get(X),
            "reference": self.names.get(OPEN),
        }


@dataclass(frozen=True, kw_only=True)
class Study:
    """A listening study, complete with its key: never to be sent to a page.

    Parameters
    ----------
    test : {"ab", "abx", "mushra", "dcr"}
    seed : int
        Of the draw of items, and of every order and side.
    secret : str
        Behind session tokens and opaque names; not derived from the seed, which people publish.
    title, question : str
        What the page says.
    systems : tuple of str
        Without reference and anchors.
    items : tuple of str
    training : str
        The item of the practice trial.
    has_reference : bool
        Whether the page offers the reference as such.
    sample_rate : int
        In Hz.
    samples : dict of str to int
        Length of each item.
    trials : tuple of Trial
    settings : dict
        What it was asked for with, to know it again.
    stimuli : list of dict
        What was done to each sound, and the file it is in.
    more : dict
        What else ``study.json`` tells.
    """

    test: str
    seed: int
    secret: str
    title: str
    question: str
    systems: tuple[str, ...]
    items: tuple[str, ...]
    training: str
    has_reference: bool
    sample_rate: int
    samples: Mapping[str, int]
    trials: tuple[Trial, ...]
    settings: Mapping[str, Any]
    stimuli: Sequence[Mapping[str, Any]]
    more: Mapping[str, Any] = field(default_factory=dict)

    def sound(self, item: str, system: str) -> str:
        """File name of a sound, below the study's folder."""
        (found,) = (
            one["file"] for one in self.stimuli if one["item"] == item and one["system"] == system
        )
        return str(found)

    def name(self, owner: str, trial: int, place: str) -> str:
        """The opaque name of a sound: another one for each listener, trial and place."""
        message = f"sound/{owner}/{trial}/{place}".encode()
        return hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest()[:_NAME_LENGTH]

    def session(self, listener: str) -> list[Arrangement]:
        """All trials in the order and arrangement of one listener; sides and X are balanced."""
        draw = random.Random(f"{self.seed}/{listener}")
        trials = list(self.trials)
        draw.shuffle(trials)
        turned, second = _balanced(trials, draw), _balanced(trials, draw)
        return [
            self._arranged(listener, one, turned[one.number], second[one.number], draw)
            for one in trials
        ]

    def practice(self, listener: str) -> Arrangement:
        """The trial that does not count."""
        draw = random.Random(f"{self.seed}/{listener}/practice")
        turned, second = draw.random() < 0.5, draw.random() < 0.5
        return self._arranged(listener, self.practice_trial, turned, second, draw)

    @property
    def practice_trial(self) -> Trial:
        """What is practised: the first trial's systems, on the item for training."""
        return Trial(TRAINING, self.training, self.trials[0].systems)

    def public(self) -> dict[str, Any]:
        """All that the page gets to know of the study."""
        return {
            "test": self.test,
            "title": self.title,
            "question": self.question,
            "count": len(self.trials),
            "sampleRate": self.sample_rate,
            "leastHeard": LEAST_HEARD_S,
            "hasReference": self.has_reference,
        }

    def resolve(self, listener: str, arrangement: Arrangement, said: Any, time: str) -> Answer:
        """Turn what the page says, in opaque names, into an answer with the systems' names.

        Parameters
        ----------
        listener : str
        arrangement : Arrangement
        said : dict
            ``seconds``, ``heard`` (seconds by name) and the answer: ``choice`` (a name or
            ``none``), ``scores`` (by name) or ``score``.
        time : str
            ISO 8601.

        Raises
        ------
        BadInput
            Something is missing, out of range, or was not heard.
        """
        if not isinstance(said, dict):
            raise BadInput("the answer is no JSON object")
        self._require_heard(arrangement, said.get("heard"))
        order, places = arrangement.order, {name: at for at, name in arrangement.names.items()}
        values: dict[str, Any] = {
            "kind": "answer",
            "question": self.test,
            "listener": listener,
            "trial": arrangement.trial.number,
            "item": arrangement.trial.item,
            "time": time,
            "seconds": said.get("seconds"),
        }
        if self.test in _SIDES:
            sides = _SIDES[self.test]
            choices = {arrangement.names[str(at)]: side for at, side in enumerate(sides)}
            if self.test == AB:
                choices[NO_DIFFERENCE] = NO_DIFFERENCE
            elif arrangement.x is not None:
                values["x"] = sides[arrangement.x]
            choice = said.get("choice")
            values |= dict(zip(sides, order, strict=True))
            values["choice"] = choices.get(choice) if isinstance(choice, str) else None
        elif self.test == MUSHRA:
            scores = said.get("scores")
            rated = {arrangement.names[str(at)] for at in range(len(order))}
            if not isinstance(scores, dict) or set(scores) != rated:
                raise BadInput("scores do not name every sound of the trial once")
            values["scores"] = {order[int(places[name])]: score for name, score in scores.items()}
        else:
            values |= {"system": order[0], "score": said.get("score")}
        return answer_from_dict(values, "the answer")

    def to_dict(self) -> dict[str, Any]:
        """What ``study.json`` says."""
        return {
            "seed": self.seed,
            "test": self.test,
            "systems": list(self.systems),
            "items": list(self.items),
            "trials": [
                {"trial": one.number, "item": one.item, "systems": list(one.systems)}
                for one in self.trials
            ],
            "training": self.training,
            "has_reference": self.has_reference,
            "title": self.title,
            "question": self.question,
            "sample_rate": self.sample_rate,
            "samples": dict(self.samples),
            "settings": dict(self.settings),
            "secret": self.secret,
            **self.more,
            "stimuli": [dict(one) for one in self.stimuli],
        }

    def write(self, folder: Path) -> None:
        """Write ``study.json``, which makes the folder a study; for its owner's eyes only."""
        with atomic_path(folder / STUDY_NAME, overwrite=False) as temporary:
            temporary.touch(mode=0o600)
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    def _arranged(
        self, listener: str, trial: Trial, turned: bool, second: bool, draw: random.Random
    ) -> Arrangement:
        systems = list(trial.systems)
        if self.test == MUSHRA:
            draw.shuffle(systems)
        elif turned:
            systems.reverse()
        places = [str(index) for index in range(len(systems))]
        places += [X] * (self.test == ABX) + [OPEN] * self.has_reference
        names = {place: self.name(listener, trial.number, place) for place in places}
        return Arrangement(trial, tuple(systems), int(second) if X in places else None, names)

    def _require_heard(self, arrangement: Arrangement, heard: Any) -> None:
        length_s = self.samples[arrangement.trial.item] / self.sample_rate
        needed_s = min(LEAST_HEARD_S, length_s) - _CLOCK_S
        for name in arrangement.names.values():
            seconds: Any = heard.get(name) if isinstance(heard, dict) else None
            if type(seconds) not in (int, float) or not seconds >= needed_s:
                raise BadInput("not every version of this trial was heard; listen to all first")


def read_study(folder: Path) -> Study:
    """Read a study's ``study.json``.

    Raises
    ------
    BadInput
        There is none, or it is none of ours.
    """
    path = folder / STUDY_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known: dict[str, Any] = {
            name: values.pop(name)
            for name in ("secret", "test", "seed", "title", "question", "training", "has_reference")
        }
        known |= {
            name: values.pop(name) for name in ("sample_rate", "samples", "settings", "stimuli")
        }
        known |= {name: tuple(values.pop(name)) for name in ("systems", "items")}
        trials = tuple(
            Trial(one["trial"], one["item"], tuple(one["systems"])) for one in values.pop("trials")
        )
        study = Study(**known, trials=trials, more=values)
    except OSError as error:
        raise BadInput(
            f"{folder} holds no study ({STUDY_NAME}: {error.strerror}); give systems= to make one"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is damaged or no study of ours ({error!r})") from error
    if study.test not in TESTS or not study.trials:
        raise BadInput(f"{path} is no study of ours: test {study.test!r}, {len(trials)} trials")
    return study


def _balanced(trials: Sequence[Trial], draw: random.Random) -> dict[int, bool]:
    """True for half of the trials of each pair, by number of the trial; of an odd one by chance."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for trial in trials:
        groups.setdefault(trial.systems, []).append(trial.number)
    drawn: dict[int, bool] = {}
    for numbers in groups.values():
        half = len(numbers) // 2
        values = [True] * half + [False] * half + [draw.random() < 0.5] * (len(numbers) % 2)
        draw.shuffle(values)
        drawn |= dict(zip(numbers, values, strict=True))
    return drawn
