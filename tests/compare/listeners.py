"""Answers for the tests, made from little."""

from typing import Any

from vocoder.compare.answers import AbxAnswer, MushraAnswer, PreferenceAnswer

SIDES: Any = ("a", "b")
NOW = "2026-01-31T12:00:00+00:00"


def preferences(rows):
    """From ``(listener, item, left, right, choice)``."""
    return [
        PreferenceAnswer(
            listener=listener,
            trial=k,
            item=item,
            time=NOW,
            seconds=5.0,
            left=left,
            right=right,
            choice=choice,
        )
        for k, (listener, item, left, right, choice) in enumerate(rows)
    ]


def abx(rows):
    """From ``(listener, item, is_right)``; X is A every other time."""
    return [
        AbxAnswer(
            listener=listener,
            trial=k,
            item=item,
            time=NOW,
            seconds=5.0,
            a="admm",
            b="hifigan",
            x=SIDES[k % 2],
            choice=SIDES[k % 2 if is_right else 1 - k % 2],
        )
        for k, (listener, item, is_right) in enumerate(rows)
    ]


def mushra(rows):
    """From ``(listener, item, scores)``; the hidden reference gets 100 where it is left out."""
    return [
        MushraAnswer(
            listener=listener,
            trial=k,
            item=item,
            time=NOW,
            seconds=30.0,
            scores={"reference": 100.0} | scores,
        )
        for k, (listener, item, scores) in enumerate(rows)
    ]
