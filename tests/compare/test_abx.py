"""ABX: the chance of so many right answers or more, not of exactly so many."""

from math import comb
from typing import Any

import pytest

from tests.compare.listeners import abx
from vocoder.compare.statistics.abx import (
    CORRECT,
    CORRECT_ELSEWHERE,
    CORRECT_OF_LISTENER,
    analyse_abx,
)

SYSTEMS = ["admm", "hifigan"]


def test_nine_of_ten_by_hand():
    (found,) = analyse_abx(abx([("ann", f"l{k}", k != 3) for k in range(10)]), SYSTEMS).of(CORRECT)
    assert found.subject == "admm or hifigan"
    assert found.p == pytest.approx((comb(10, 9) + 1) / 2**10)  # the tail; the point is 10 / 1024
    # Wilson 1927, as tables have it for 9 of 10.
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert found.detail["heard_share"] == pytest.approx(0.8)


def test_fewer_than_half_right_is_no_evidence():
    (found,) = analyse_abx(abx([("ann", f"l{k}", k < 2) for k in range(10)]), SYSTEMS).of(CORRECT)
    assert found.p == pytest.approx(1 - (1 + 10) / 2**10)
    assert found.detail["heard_share"] == 0


def test_listeners_who_differ_widen_the_second_interval_only():
    rows = [(f"n{who}", f"l{k}", who % 2 == 0 or k % 2 == 0) for who in range(10) for k in range(8)]
    analysis: Any = analyse_abx(abx(rows), SYSTEMS)
    (wilson,), (elsewhere,) = analysis.of(CORRECT), analysis.of(CORRECT_ELSEWHERE)
    assert wilson.value == elsewhere.value == 0.75
    assert elsewhere.high - elsewhere.low > 1.4 * (wilson.high - wilson.low)
    each = analysis.of(CORRECT_OF_LISTENER)
    assert [one.value for one in each] == [1.0, 0.5] * 5
    assert each[0].p == pytest.approx(1 / 2**8)
    assert each[0].p_holm == pytest.approx(10 / 2**8)


def test_no_answers_say_nothing():
    assert analyse_abx([], SYSTEMS).findings == ()
