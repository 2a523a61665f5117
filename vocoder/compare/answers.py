"""What listeners answer: one declared shape for the page, the disk and the statistics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from vocoder.errors import BadInput

T = TypeVar("T")
REFERENCE = "reference"  # the hidden reference among the systems of a MUSHRA trial
ANCHORS = ("anchor35", "anchor70")  # the reference low-passed at 3.5 and at 7 kHz
SCALES = {"mushra": (0.0, 100.0), "dcr": (1.0, 5.0)}  # lowest and highest score
MAX_TEXT = 2000  # characters of what a listener types


def _require_offset(time: str) -> str:
    if datetime.fromisoformat(time).tzinfo is None:
        raise ValueError("expected ISO 8601 with an offset, such as 2026-01-31T12:00:00+00:00")
    return time


Name = Annotated[str, Field(min_length=1, max_length=1000)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Time = Annotated[str, AfterValidator(_require_offset)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Record(BaseModel):
    """Plain values that may come from outside: all of the right type, none unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Answer(Record):
    """What one listener said in one trial of a study; the parent of one class a question.

    ``seconds`` is how long it took, ``time`` when it was: ISO 8601 with an offset from UTC.
    """

    question: str
    listener: Name
    trial: Annotated[int, Field(ge=0)]
    item: Name
    time: Time
    seconds: Seconds
    comment: Text = ""

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that it is about, all different."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _differ(self) -> Answer:
        if len(set(self.systems)) < len(self.systems):
            raise ValueError(f"{self.systems[0]} is compared with itself")
        return self

    def says_the_same(self, other: Answer) -> bool:
        """Whether nothing but the time differs."""
        when = {"time", "seconds"}
        return self.model_dump(exclude=when) == other.model_dump(exclude=when)


class PreferenceAnswer(Answer):
    """Which of two systems sounded better."""

    question: Literal["ab"] = "ab"
    left: Name
    right: Name
    choice: Literal["left", "right", "none"]

    @property
    def systems(self) -> tuple[str, ...]:
        return self.left, self.right


class AbxAnswer(Answer):
    """Which of two systems X was: the truth ``x`` and the ``choice``."""

    question: Literal["abx"] = "abx"
    a: Name
    b: Name
    x: Literal["a", "b"]
    choice: Literal["a", "b"]

    @property
    def systems(self) -> tuple[str, ...]:
        return self.a, self.b

    @property
    def is_correct(self) -> bool:
        """Whether the listener told what X was."""
        return self.choice == self.x


class MushraAnswer(Answer):
    """Scores, 0 to 100, of all systems of a trial, hidden reference and anchors among them."""

    question: Literal["mushra"] = "mushra"
    scores: Annotated[dict[Name, Annotated[float, Field(ge=0, le=100)]], Field(min_length=2)]

    @property
    def systems(self) -> tuple[str, ...]:
        return tuple(self.scores)

    @model_validator(mode="after")
    def _has_reference(self) -> MushraAnswer:
        if REFERENCE not in self.scores:
            raise ValueError(f"scores lack the hidden {REFERENCE}")
        return self


class DegradationAnswer(Answer):
    """How annoying a system was beside the reference: 5 (inaudible) to 1 (very annoying)."""

    question: Literal["dcr"] = "dcr"
    system: Name
    score: Annotated[int, Field(ge=1, le=5)]

    @property
    def systems(self) -> tuple[str, ...]:
        return (self.system,)


AnyAnswer = Annotated[
    PreferenceAnswer | AbxAnswer | MushraAnswer | DegradationAnswer,
    Field(discriminator="question"),
]
ANSWER: TypeAdapter[Any] = TypeAdapter(AnyAnswer)
Details = dict[Name, Text]  # what a listener answered about himself, by question
DETAILS: TypeAdapter[Details] = TypeAdapter(Details)


def checked(
    kind: TypeAdapter[T] | type[Record], values: object, source: str, key: str = "answer.invalid"
) -> Any:
    """Read a record from plain values; what is wrong with it is told with its place.

    Parameters
    ----------
    values : object
        Plain values, or JSON as ``bytes``.
    """
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        if isinstance(values, bytes):
            return adapter.validate_json(values)
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        found = "" if first["type"] == "missing" else f", found {_short(first.get('input'))}"
        raise BadInput(f"{source}: {place}: {first['msg']}{found}", key=key) from error
    except (RecursionError, ValueError) as error:
        raise BadInput(f"{source}: cannot be read ({error})", key=key) from error


def _short(value: object) -> str:
    text = "an object" if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
