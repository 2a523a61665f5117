"""Who is left out, and who is not."""

from tests.compare.listeners import abx, degradations, mushra, preferences
from vocoder.compare.statistics.screening import screen


def test_hidden_reference_below_90_in_more_than_15_per_cent():
    rows = [
        (who, f"l{k}", {"a": 50.0, "reference": 89.0 if k < n_low else 100.0})
        for who, n_low in (("careful", 3), ("deaf", 4))
        for k in range(20)
    ]
    assert screen(mushra(rows)) == {"deaf": "hidden reference below 90 in 4 of 20"}


def test_anchor_above_90_unless_many_found_it_so_good():
    def rows(n_fooled):
        return [
            (
                f"n{who}",
                f"l{k}",
                {"anchor70": 95.0 if k == 0 and who < n_fooled else 30.0, "a": 5.0},
            )
            for who in range(12)
            for k in range(5)
        ]

    assert screen(mushra(rows(3))) == dict.fromkeys(
        ("n0", "n1", "n2"), "7 kHz anchor above 90 in 1 of 5"
    )
    assert screen(mushra(rows(4))) == {}


def test_one_side_only():
    rows = [("lazy", f"l{k}", "a", "b", "left") for k in range(11)]
    rows += [("early", f"l{k}", "a", "b", "left") for k in range(10)]  # one in 512: may be chance
    rows += [("undecided", f"l{k}", "a", "b", "none") for k in range(20)]
    assert screen(preferences(rows)) == {"lazy": "left in 11 of 11"}


def test_repeats_no_better_than_a_coin():
    def rows(who, second):
        return [
            row
            for k in range(6)
            for row in (
                (who, f"l{k}", "a", "b", "left" if k % 2 else "right"),
                (who, f"l{k}", "b", "a", second(k)),
            )
        ]

    steady = rows("steady", lambda k: "right" if k % 2 else "left")
    fickle = rows("fickle", lambda k: "left" if k % 2 else "right")
    found = screen(preferences(steady + fickle))
    assert found == {"fickle": "0 of 6 repeated pairs answered alike"}


def test_abx_listeners_are_never_judged_by_right_answers():
    assert screen(abx([("unlucky", f"l{k}", False) for k in range(30)])) == {}
    stuck = [("stuck", f"l{k}", k % 2 == 0) for k in range(20)]  # always says A
    assert screen(abx(stuck)) == {"stuck": "a in 20 of 20"}


def test_the_same_grade_throughout():
    rows = [(who, f"l{k}", "a", 3) for who, n in (("stuck", 8), ("short", 7)) for k in range(n)]
    assert screen(degradations(rows)) == {"stuck": "score 3 in all 8 trials"}
