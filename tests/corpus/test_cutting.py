"""Speech is found, measured and cut where it should be, on real speech with known pauses."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from tests.refusals import refused
from vocoder.corpus.activity import Activity, find_speech
from vocoder.corpus.cleaning import CLIPPED, NOISY, OFFSET, QUIET, Clipping, Limits
from vocoder.corpus.cut import OTHERS, SHORT, SILENCE, Cut, cut
from vocoder.corpus.partial import Partial
from vocoder.corpus.report import Dropped, Report
from vocoder.corpus.spans import Span, intersect, merge, subtract, total_s
from vocoder.corpus.splitting import assign, draw, stretches

RATE = 22_050


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """A minute of white noise with an RMS of 1."""
    return np.random.default_rng(0).standard_normal(60 * RATE).astype(np.float32)


def placed(speech: np.ndarray, *starts_s: float, total_s: float = 20.0) -> np.ndarray:
    sound = np.zeros(round(total_s * RATE), np.float32)
    for start_s in starts_s:
        first = round(start_s * RATE)
        sound[first : first + len(speech)] = speech
    return sound


def with_noise(sound: np.ndarray, noise: np.ndarray, snr_db: float, speech: np.ndarray):
    level = np.sqrt(np.mean(speech**2)) * 10 ** (-snr_db / 20)
    return sound + np.float32(level) * noise[: len(sound)]


def test_spans():
    a, b = [Span(0, 2), Span(3, 5)], [Span(1, 4)]
    assert merge([Span(3, 5), Span(0, 2), Span(1, 1.5)], 0) == a
    assert merge(a, 1) == [Span(0, 5)]
    assert intersect(a, b) == [Span(1, 2), Span(3, 4)]
    assert subtract(a, b, 9) == [Span(0, 1), Span(4, 5)]
    assert subtract([Span(0, 9)], [], 9) == [Span(0, 9)]
    assert total_s(a) == 4


@pytest.mark.parametrize("snr_db", [60, 40, 25])
def test_speech_is_found_in_noise(speech, noise, snr_db):
    sound = with_noise(placed(speech, 2.0, 9.0), noise, snr_db, speech)
    found = merge(find_speech(sound, RATE).speech, 0.7)
    assert len(found) == 2
    length_s = len(speech) / RATE
    for span, start_s in zip(found, (2.0, 9.0), strict=True):
        assert abs(span.start_s - start_s) < 0.25
        assert abs(span.end_s - start_s - length_s) < 0.35


@pytest.mark.parametrize("what", ["silence", "noise", "hum", "clicks", "tiny"])
def test_what_is_no_speech_is_not_found(noise, what):
    time_s = np.arange(10 * RATE) / RATE
    sound = {
        "silence": np.zeros(10 * RATE, np.float32),
        "noise": 0.1 * noise[: 10 * RATE],
        "hum": (0.1 * np.sin(2 * np.pi * 100 * time_s)).astype(np.float32),
        "clicks": np.where(np.arange(10 * RATE) % RATE < 300, noise[: 10 * RATE], 0) * 0.3,
        "tiny": 1e-3 * noise[:7],
    }[what].astype(np.float32)
    assert find_speech(sound, RATE).speech == []


def test_the_rate_matters_little_and_blocks_not_at_all(speech, noise, monkeypatch):
    sound = with_noise(placed(speech, 2.0, 9.0), noise, 40, speech)
    whole = find_speech(sound, RATE)
    monkeypatch.setattr("vocoder.corpus.activity._BLOCK_FRAMES", 100)
    pieces = find_speech(sound, RATE)
    np.testing.assert_allclose(pieces.level_db, whole.level_db, atol=0.01)
    assert pieces.speech == whole.speech
    slow = find_speech(sound[::2].copy(), RATE // 2)
    assert abs(total_s(slow.speech) - total_s(whole.speech)) < 0.3


@pytest.mark.parametrize("snr_db", [40, 25, 15])
def test_the_ratio_of_speech_to_noise_is_estimated_within_4_db(speech, noise, snr_db):
    sound = with_noise(placed(speech, 2.0, 9.0), noise, snr_db, speech)
    found = find_speech(sound, RATE).snr_db(Span(2.0, 2.0 + len(speech) / RATE))
    assert snr_db - 1 < found < snr_db + 4


def heard(*speech: tuple[float, float], total_s: float = 60.0) -> Activity:
    """As a detector would hear these spans, with a dip at every full second."""
    hop_s = 0.01
    level_db = np.full(round(total_s / hop_s) + 1, -20.0)
    level_db[:: round(1 / hop_s)] = -40.0
    return Activity(hop_s, level_db, np.full_like(level_db, -60.0), [Span(*one) for one in speech])


def rounded(spans: list[Span]) -> list[tuple[float, float]]:
    return [(round(span.start_s, 3), round(span.end_s, 3)) for span in spans]


def test_pauses_are_cut_out_and_margins_kept():
    spans, left_out_s = cut(heard((1, 2), (2.4, 4), (4.6, 6), (8, 8.5)), 60.0, Cut())
    assert rounded(spans) == [(0.9, 4.1), (4.5, 6.1)]
    assert left_out_s[SHORT] == pytest.approx(0.7)
    assert left_out_s[SILENCE] == pytest.approx(60 - 0.7 - total_s(spans))
    assert left_out_s[OTHERS] == 0


def test_long_speech_is_cut_at_its_quietest():
    spans, _ = cut(heard((0, 40.5)), 60.0, Cut())
    assert spans[0].start_s == 0
    assert spans[-1].end_s == pytest.approx(40.6)
    assert all(1.0 <= span.length_s <= 12.0 for span in spans)
    for span, after in pairwise(spans):
        assert span.end_s == after.start_s
        assert span.end_s % 1 == pytest.approx(0)


def test_only_the_wanted_speaker_and_nobody_else():
    activity = heard((0, 30))
    spans, left_out_s = cut(activity, 60.0, Cut(), [Span(2, 5), Span(5.3, 8)], [Span(7, 12)])
    assert rounded(spans) == [(1.9, 6.95)]
    assert left_out_s[OTHERS] == pytest.approx(60 - 5.05)
    spans, _ = cut(activity, 60.0, Cut(), [Span(2, 5), Span(5.6, 8)], [Span(5.1, 5.4)])
    assert rounded(spans) == [(1.9, 5.05), (5.45, 8.1)]


def test_impossible_cuts_are_refused():
    with refused("cut.margin_s.range"):
        Cut(margin_s=0.3)
    with refused("cut.min_s.range"):
        Cut(max_s=1.5)


def test_limits(speech):
    limits = Limits()
    assert limits.fault(speech, 40.0, 0.0) is None
    assert limits.fault(speech, 12.0, 0.0) == NOISY
    assert limits.fault(speech, 40.0, 0.01) == CLIPPED
    assert limits.fault(1e-3 * speech, 40.0, 0.0) == QUIET
    assert limits.fault(speech + np.float32(0.02), 40.0, 0.0) == OFFSET
    with refused("limits.max_clipped.range"):
        Limits(max_clipped=2)


@pytest.mark.parametrize("gain", [1.0, 0.4])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_clipping_is_found_at_any_level_and_only_where_it_is(tmp_path, speech, gain, subtype):
    driven = np.clip(speech * 8, -1, 1)
    share = float(np.mean(np.abs(driven) == 1))
    sound = gain * np.concatenate([0.9 * speech, driven])
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.stack([sound, 0.1 * sound], 1), RATE, subtype=subtype)
    length_s = len(speech) / RATE
    for channel in ("mix", 1):
        clipping = Clipping(path, channel)
        assert clipping.share(Span(0, length_s)) < 1e-4
        assert clipping.share(Span(length_s, 2 * length_s)) == pytest.approx(share, rel=0.1)


def test_neighbours_stay_together():
    utterances = [("a", 4.0)] * 60 + [("b", 4.0), ("c", 4.0)]
    groups = stretches(utterances)
    counts = Counter(groups)
    assert len({recording for recording, _ in groups}) == 3
    assert max(counts.values()) * 4.0 <= 4.0 * 62 / 20
    splits = assign(groups, [4.0] * 62, {"test": 0.1, "val": 0.1}, seed=0)
    for group in counts:
        assert len({split for one, split in zip(groups, splits, strict=True) if one == group}) == 1
    assert 3 <= splits.count("val") <= 9
    assert 3 <= splits.count("test") <= 9
    assert assign(groups, [4.0] * 62, {"test": 0.1, "val": 0.1}, seed=0) == splits
    assert assign(groups, [4.0] * 62, {"test": 0.1, "val": 0.1}, seed=1) != splits
    assert set(assign(groups, [4.0] * 62, {"test": 0, "val": 0}, seed=0)) == {"train"}


def test_long_stretches_are_a_minute():
    groups = stretches([("a", 10.0)] * 400)
    assert Counter(Counter(groups).values()) == {6: 66, 4: 1}


def test_shares_that_leave_nothing_are_refused():
    with refused("val.range"):
        assign([1, 2, 3], [1, 1, 1], {"val": 1.0}, 0)
    with refused("split.range"):
        assign([1, 2, 3], [1, 1, 1], {"val": 0.6, "test": 0.6}, 0)
    with refused("corpus.short"):
        assign([1, 1, 2], [1, 1, 1], {"val": 0.1}, 0)
    with refused("split.range"):
        assign([1, 2, 3], [1, 1, 1], {"val": 0.6, "test": 0.39}, 0)


def test_a_draw_stays_when_others_are_dropped():
    items = [f"line {k}" for k in range(50)]
    drawn = draw(items, 3)
    assert sorted(drawn) == sorted(items)
    assert drawn != items
    assert draw(items[:20], 3) == [item for item in drawn if item in items[:20]]
    assert draw(items, 4) != drawn


def test_a_half_done_corpus_goes_on_with_the_same_settings_only(tmp_path):
    output = tmp_path / "out"
    made = Partial(output, {"a": 1}).piece("one", "key", lambda: [1, 2])
    again = Partial(output, {"a": 1})
    assert again.piece("one", "key", lambda: "made anew") == made == [1, 2]
    assert again.piece("two", "key", lambda: "new") == "new"
    noted = output / ".partial/piece-one.json"
    for content in ("{", "[]", "[" * 100_000, '{"key": "key"}'):
        noted.write_text(content)  # somebody else's
        assert again.piece("one", "key", lambda: "made anew") == "made anew"
    assert again.piece("one", "another", lambda: "of another") == "of another"
    with refused("output.conflict"):
        Partial(output, {"a": 2})
    (output / "corpus.csv").touch()
    again.finish()
    with refused("output.exists"):
        Partial(output, {"a": 1})


def test_the_report_counts_what_is_there_and_what_is_not(tmp_path, make_utterance):
    utterances = [make_utterance(name) for name in ("a.flac", "c.flac")]
    utterances.insert(1, make_utterance("b.flac", split="val"))
    report = Report(
        title="Trial",
        settings={"seed": 7},
        utterances=utterances,
        snr_db=[30.0, 40.0, 50.0],
        dropped=[Dropped("x.wav", "anna", 1.0, 90.0, NOISY)],
        left_out_s={"anna": {SILENCE: 30.0, OTHERS: 0.0}},
        failed={"y.wav": "is damaged"},
    )
    report.write(tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    anna = content["speakers"]["anna"]
    assert anna["train"] == {"utterances": 2, "minutes": 0.03}
    assert anna["snr_db"] == [35.0, 40.0, 45.0]
    assert content["left_out"] == {
        "anna": {
            NOISY: {"utterances": 1, "minutes": 1.5},
            SILENCE: {"utterances": 0, "minutes": 0.5},
        }
    }
    text = (tmp_path / "report.md").read_text()
    (row,) = (
        line
        for line in text.splitlines()
        if line.startswith("| anna") and "noisy" not in line and "silence" not in line
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["anna", "2, 0.0", "1, 0.0", "0, 0.0"]
    assert "* y.wav: is damaged" in text
    assert (tmp_path / "levels.png").read_bytes().startswith(b"\x89PNG")


def test_hours_without_a_pause_are_cut():
    """An audiobook with music under it, say: nothing but speech to the ear of the machine."""
    length_s = 6 * 3600.0
    level_db = np.full(round(length_s * 100), -20.0)
    steady = Activity(0.01, level_db, level_db - 40, [Span(0, length_s)])
    found, _ = cut(steady, length_s, Cut())
    assert total_s(found) == pytest.approx(length_s)
    assert all(1 <= span.length_s <= 12 for span in found)
