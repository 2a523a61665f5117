"""ABX: the chance of so many right answers or more, not of exactly so many."""

from math import comb
from typing import Any

import pytest

from tests.compare.listeners import abx
from vocoder.compare.statistics.abx import CORRECT, CORRECT_ELSEWHERE, analyse_abx

SYSTEMS = ["admm", "hifigan"]


@pytest.mark.parametrize(
    ("n_right", "p"),
    [(9, (comb(10, 9) + 1) / 2**10), (2, 1 - (1 + 10) / 2**10)],  # tails; of 9 the point is 10/1024
)
def test_of_ten_by_hand(n_right, p):
    rows = [("ann", f"l{k}", k < n_right) for k in range(10)]
    (found,) = analyse_abx(abx(rows), SYSTEMS).of(CORRECT)
    assert found.subject == "admm or hifigan"
    assert found.p == pytest.approx(p)
    if n_right == 9:  # Wilson 1927, as tables have it
        assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_listeners_who_differ_widen_the_second_interval_only():
    rows = [(f"n{who}", f"l{k}", who % 2 == 0 or k % 2 == 0) for who in range(10) for k in range(8)]
    analysis: Any = analyse_abx(abx(rows), SYSTEMS)
    (wilson,), (elsewhere,) = analysis.of(CORRECT), analysis.of(CORRECT_ELSEWHERE)
    assert wilson.value == elsewhere.value == 0.75
    assert elsewhere.high - elsewhere.low > 1.4 * (wilson.high - wilson.low)
    assert analyse_abx([], SYSTEMS).findings == ()
