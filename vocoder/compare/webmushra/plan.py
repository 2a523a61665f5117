"""What a webMUSHRA configuration asks for, in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Stimulus:
    """A sound under its condition's name; the path is relative to webMUSHRA's root folder."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page; the parent of one class a type.

    Parameters
    ----------
    id : str
        What results call the page; empty only for the last one.
    name : str
        Title.
    content : str
        HTML, as it came: to be escaped or cleaned before it is shown.
    """

    id: str
    name: str
    content: str


@dataclass(frozen=True, kw_only=True)
class GenericPage(Page):
    """Text only."""


@dataclass(frozen=True, kw_only=True)
class ConsentPage(Page):
    """Text with a box to tick, which ``must_consent`` makes a condition for going on."""

    must_consent: bool


@dataclass(frozen=True, kw_only=True)
class VolumePage(Page):
    """A sound to set the volume with; ``default_volume`` is from 0 to 1."""

    stimulus: str
    default_volume: float


@dataclass(frozen=True, kw_only=True)
class ComparisonPage(Page):
    """What MUSHRA and paired comparisons share.

    Parameters
    ----------
    reference : str
        Path of the reference's sound.
    stimuli : tuple of Stimulus
        The conditions, without hidden reference and anchors.
    show_waveform, enable_looping : bool
    """

    reference: str
    stimuli: tuple[Stimulus, ...]
    show_waveform: bool
    enable_looping: bool


@dataclass(frozen=True, kw_only=True)
class MushraPage(ComparisonPage):
    """A trial after ITU-R BS.1534.

    Parameters
    ----------
    create_anchor35, create_anchor70 : bool
        Whether the reference low-passed at 3.5 and at 7 kHz is among the conditions.
    randomize : bool
        Whether the conditions' order is.
    show_condition_names : bool
        Whether the listener sees their names.
    strict : bool
        Whether the trial must comply with the recommendation.
    """

    create_anchor35: bool
    create_anchor70: bool
    randomize: bool
    show_condition_names: bool
    strict: bool


@dataclass(frozen=True, kw_only=True)
class PairedComparisonPage(ComparisonPage):
    """Each stimulus against the reference: which of two is it?

    Parameters
    ----------
    unforced : str or None
        What the third choice is called; ``None`` without one.
    """

    unforced: str | None


@dataclass(frozen=True)
class Response:
    """A point of a Likert scale: what results say, and what the listener sees."""

    value: str
    label: str


@dataclass(frozen=True, kw_only=True)
class LikertPage(Page):
    """Ratings on a Likert scale.

    Parameters
    ----------
    stimuli : tuple of Stimulus
    response : tuple of Response
        The scale.
    one_at_a_time : bool
        Whether each stimulus has a page of its own.
    must_rate : bool
    must_playback : str or None
        ``ended`` (heard to the end), ``processUpdate`` (begun), or ``None``.
    """

    stimuli: tuple[Stimulus, ...]
    response: tuple[Response, ...]
    one_at_a_time: bool
    must_rate: bool
    must_playback: str | None


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about the listener, on the last page.

    Parameters
    ----------
    type : str
        ``text``, ``number``, ``likert`` or ``long_text``.
    name : str
        The column in results.
    label : str
    optional : bool
    response : tuple of Response
        The choices of a ``likert`` question.
    """

    type: str
    name: str
    label: str
    optional: bool
    response: tuple[Response, ...]


@dataclass(frozen=True, kw_only=True)
class FinishPage(Page):
    """The last page: whether results are shown and stored, and questions about the listener."""

    show_results: bool
    write_results: bool
    popup_content: str
    questionnaire: tuple[Question, ...]


@dataclass(frozen=True)
class Block:
    """Pages and further blocks, one after the other; mixed anew for each listener if random.

    A block inside stays together.
    """

    entries: tuple[Page | Block, ...]
    is_random: bool = False

    def pages(self) -> Iterator[Page]:
        """All pages in the order of the file."""
        for entry in self.entries:
            yield from entry.pages() if isinstance(entry, Block) else (entry,)

    def drawn(self, draw: random.Random) -> Iterator[Page]:
        """All pages in the order of one listener."""
        entries = list(self.entries)
        if self.is_random:
            draw.shuffle(entries)
        for entry in entries:
            yield from entry.drawn(draw) if isinstance(entry, Block) else (entry,)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole configuration.

    Parameters
    ----------
    test_name : str
        What listeners see.
    test_id : str
        What results say.
    language : str
        Two letters; ``en`` where none is given.
    show_previous_button : bool
    block : Block
        Its last page is the `FinishPage`.
    ignored : tuple of str
        Settings that mean nothing to us, with where they stand.
    """

    test_name: str
    test_id: str
    language: str
    show_previous_button: bool
    block: Block
    ignored: tuple[str, ...]

    def pages(self) -> list[Page]:
        """All pages in the order of the file."""
        return list(self.block.pages())

    def order(self, seed: int) -> list[Page]:
        """All pages in an order that a seed decides."""
        return list(self.block.drawn(random.Random(seed)))
