"""Pitch on the same frames: tones a semitone apart, and means over the right frames."""

import numpy as np
import pytest

from recipes import pitch

NAN = np.nan


def tone(hz, seconds=0.6, rate=22_050):
    time = np.arange(int(seconds * rate)) / rate
    return sum(np.sin(2 * np.pi * hz * k * time) / k for k in (1, 2, 3, 4)) / 4


def test_a_semitone_is_a_hundred_cents_and_silence_has_no_pitch():
    pytest.importorskip("swift_f0")
    true = np.concatenate([tone(200), tone(200)])
    half = tone(200 * 2 ** (1 / 12))
    sound = np.concatenate(
        [half, 1e-5 * half[::-1] * np.random.default_rng(0).normal(size=half.size)]
    )
    cents = pitch.cents_off(true, sound, 22_050)
    assert np.median(cents[3:30]) == pytest.approx(100, abs=10)
    assert np.isnan(cents[-25:]).all()


def test_the_same_frames_are_those_that_all_voice():
    lines = [
        {"a": np.array([3.0, 300.0, NAN, 4.0]), "b": np.array([5.0, NAN, 9.0, 12.0])},
        {"a": np.array([10.0, 10.0]), "b": np.array([110.0, 110.0])},
    ]
    _, _, first, second = pitch.table(lines).splitlines()
    own = (np.sqrt((9 + 90_000 + 16) / 3) + 10) / 2
    assert first.startswith(f"| `a` | 5 | {own:.0f} (10 to ")
    assert first.endswith("| 7 (4 to 10) | 7 | 0.0% |")
    assert second.startswith("| `b` | 5 | 60 (9 to 110) |") and second.endswith("| 50.0% |")


def test_a_line_without_a_common_voice_counts_for_nothing():
    lines = [
        {"a": np.array([1.0, NAN]), "b": np.array([NAN, 2.0])},
        {"a": np.ones(2), "b": np.ones(2)},
    ]
    assert pitch.table(lines).splitlines()[2].endswith("| 1 | 1 | 0.0% |")
