"""Training, validation and test splits that do not leak into each other."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import TypeVar

from vocoder.errors import BadInput, expect

# A stretch holds at most so much speech; with little speech, this share of all, so that there are
# enough stretches to choose from.
STRETCH_S = 60.0
STRETCH_SHARE = 1 / 20
_MIN_STRETCHES = 3

Item = TypeVar("Item", bound=Hashable)


def stretches(utterances: Sequence[tuple[str, float]]) -> list[tuple[str, int]]:
    """Group neighbouring utterances, since those share words, room and mood.

    A recording that is no longer than a stretch is one, so that a folder of short recordings is
    split by recording.

    From recording and seconds of every utterance, in order of time, to its recording and the number
    of its stretch.
    """
    max_s = min(STRETCH_S, STRETCH_SHARE * sum(seconds for _, seconds in utterances))
    found: list[tuple[str, int]] = []
    filled_s = 0.0
    for recording, seconds in utterances:
        begins = not found or found[-1][0] != recording
        if begins or filled_s + seconds > max_s:
            found.append((recording, 0 if begins else found[-1][1] + 1))
            filled_s = 0.0
        else:
            found.append(found[-1])
        filled_s += seconds
    return found


def assign(
    groups: Sequence[Hashable], seconds: Sequence[float], shares: dict[str, float], seed: int
) -> list[str]:
    """Give whole groups of utterances to splits.

    In an order that only the seed and the groups' names decide.

    Parameters
    ----------
    groups, seconds : sequence
        Of every utterance, as the splits that are given back.
    shares : dict
        Of the seconds, for ``val`` and ``test``; the rest is ``train``. A share above 0 gets at
        least one group.
    """
    for name, share in shares.items():
        expect(0 <= share < 1, name, share, "a share of 0 to less than 1")
    if sum(shares.values()) >= 1:
        raise BadInput(
            f"{' and '.join(shares)} make {sum(shares.values()):g}; expected less than 1",
            key="split.range",
        )
    lengths: dict[Hashable, float] = {}
    for group, length in zip(groups, seconds, strict=True):
        lengths[group] = lengths.get(group, 0.0) + length
    if len(lengths) < _MIN_STRETCHES:
        raise BadInput(
            f"only {len(lengths)} stretches of speech are usable, {sum(seconds):.0f} s in all; "
            f"expected {_MIN_STRETCHES} at least, to train, validate and test; give more "
            "recordings",
            key="corpus.short",
        )
    drawn = draw(list(lengths), seed)
    splits: dict[Hashable, str] = {}
    for name, share in shares.items():
        wanted, taken = share * sum(lengths.values()), 0.0
        # To the nearest: a group that goes beyond by more than is lacking stays out.
        while share and drawn and (not taken or wanted - taken > lengths[drawn[0]] / 2):
            taken += lengths[drawn[0]]
            splits[drawn.pop(0)] = name
    if not drawn:
        raise BadInput(
            f"the shares of {' and '.join(shares)} leave nothing to train on; there are only "
            f"{len(lengths)} stretches of speech",
            key="split.range",
        )
    return [splits.get(group, "train") for group in groups]


def draw(items: Sequence[Item], seed: int) -> list[Item]:
    """Shuffle so that each item's place depends on the seed and itself alone.

    So whatever else is added or dropped, what was drawn before others stays so.
    """
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed} {item!r}".encode()).digest())
