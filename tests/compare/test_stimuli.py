"""Stimuli: equal in all but what is to be judged, and a record of how they became so."""

import numpy as np
import pytest
import soundfile
from scipy.signal import freqz

from tests.compare.conftest import ITEMS, RATE, noisy, write_lines
from tests.refusals import refused
from vocoder.compare.stimuli import (
    ANCHOR_EDGES_HZ,
    BLOCKS,
    FADE_S,
    ONE_BLOCK,
    PEAK_DBFS,
    attenuate,
    common_rate,
    fade_edges,
    low_pass,
    prepare_item,
)
from vocoder.errors import BadInput
from vocoder.evaluate.metrics.loudness import loudness_lufs


@pytest.fixture
def write(tmp_path):
    """Write versions of a line as files: system to path."""

    def write(versions, rates=None):
        paths = {}
        for system, samples in versions.items():
            rate = (rates or {}).get(system, RATE)
            write_lines(tmp_path / system, {"line": samples}, rate=rate)
            paths[system] = tmp_path / system / "line.wav"
        return paths

    return write


def prepare(paths, sample_rate=RATE, **changes):
    values = {"longest_s": 10.0, "anchors_of": None, "allow_clipped": False, **changes}
    made = prepare_item("line", paths, sample_rate, **values)
    return {one.about.system: one for one in made}


def test_delay_polarity_level_and_length_are_made_equal(speech, write):
    x = speech.astype(np.float64)
    paths = write({"a": x, "b": np.pad(-0.1 * x, (31, 40)), "c": x[12:]})
    made = prepare(paths)
    a, b, c = (made[name] for name in "abc")
    assert (b.about.delay_samples, b.about.polarity) == (31, -1)
    assert (c.about.delay_samples, c.about.polarity) == (-12, 1)
    assert len(a.samples) == len(b.samples) == len(c.samples) == len(x) - 12
    for one in (b, c):
        error = np.sqrt(np.mean((one.samples - a.samples) ** 2) / np.mean(a.samples**2))
        assert error < 0.01  # what 16 bits at a tenth of the level leave
    for one in made.values():
        assert loudness_lufs(one.samples, RATE) == pytest.approx(-23, abs=0.01)
    assert b.about.gain_db - a.about.gain_db == pytest.approx(20, abs=0.02)
    assert {one.about.loudness_method for one in made.values()} == {BLOCKS}
    assert len(prepare(paths, longest_s=1.0)["b"].samples) == RATE  # the end is lost


def test_the_gain_that_is_recorded_is_the_one_that_was_given(speech, write):
    paths = write({"a": speech, "b": noisy(speech, 0.3)})
    for system, one in prepare(paths).items():
        source, _ = soundfile.read(paths[system])
        inside = slice(1000, -1000)
        ratio = one.samples[inside] @ source[inside] / (source[inside] @ source[inside])
        assert 20 * np.log10(ratio) == pytest.approx(one.about.gain_db, abs=1e-6)


def test_edges_are_faded_and_the_middle_is_untouched():
    ones = np.ones(RATE)
    faded = fade_edges(ones, RATE)
    n = round(FADE_S * RATE)
    assert 0 < faded[0] < 1e-3 and 0 < faded[-1] < 1e-3
    assert np.all(np.diff(faded[:n]) > 0) and np.all(np.diff(faded[-n:]) < 0)
    np.testing.assert_array_equal(faded[n:-n], 1)
    assert ones[0] == 1


def test_rates_become_the_highest_of_all(speech, write):
    low = speech[::2] / 2  # aliased, and still the same line
    paths = write({"a": speech, "b": low}, rates={"b": RATE // 2})
    rate = common_rate({name: {"line": path} for name, path in paths.items()}, ["line"])
    assert rate == RATE
    made = prepare(paths, rate)
    assert made["b"].about.source_rate == RATE // 2
    assert made["b"].sample_rate == RATE
    assert len(made["a"].samples) == len(made["b"].samples)


def test_under_400_ms_loudness_is_of_one_block_and_said_so(speech, write):
    short = speech[5000 : 5000 + int(0.3 * RATE)]
    made = prepare(write({"a": short, "b": 0.2 * short}))
    assert {one.about.loudness_method for one in made.values()} == {ONE_BLOCK}
    level = {name: np.sqrt(np.mean(one.samples**2)) for name, one in made.items()}
    assert level["a"] == pytest.approx(level["b"], rel=1e-3)


def test_one_attenuation_for_all_if_any_would_clip(speech, write):
    clicks = np.where(np.arange(len(speech)) % 4000 == 2000, 0.9, 0.01 * speech)
    loud = prepare(write({"a": clicks, "b": clicks}))["a"]
    calm = prepare(write({"a": speech, "b": speech}))["a"]
    assert np.abs(loud.samples).max() > 1
    (one, other), attenuation_db = attenuate([loud, calm])
    assert 20 * np.log10(np.abs(one.samples).max()) == pytest.approx(PEAK_DBFS)
    for after, before in ((one, loud), (other, calm)):
        np.testing.assert_allclose(after.samples, before.samples * 10 ** (-attenuation_db / 20))
        assert before.about.gain_db - after.about.gain_db == pytest.approx(attenuation_db, abs=1e-3)
    (same,), nothing = attenuate([calm])
    assert nothing == 0
    np.testing.assert_array_equal(same.samples, calm.samples)


@pytest.mark.parametrize("rate", [16_100, 22_050, 48_000])
def test_anchors_have_the_filters_of_the_recommendation(rate):
    """ITU-R BS.1534-3, 5.1: 0.1 dB to 3.5 kHz, 25 dB down at 4 kHz, 50 dB at 4.5 kHz."""
    impulse = np.zeros(8001)
    impulse[4000] = 1
    for pass_hz, stop_hz in ANCHOR_EDGES_HZ.values():
        taps = low_pass(impulse, rate, pass_hz, stop_hz)
        assert np.argmax(taps) == 4000  # no delay
        frequency, response = freqz(taps, worN=16_384, fs=rate)
        db = 20 * np.log10(np.abs(response) + 1e-9)
        assert np.abs(db[frequency <= pass_hz]).max() < 0.1
        assert db[(frequency >= stop_hz) & (frequency < rate / 2 - 1)].max() < -50


def test_anchors_are_made_of_the_reference_and_as_loud(speech, write):
    made = prepare(write({"reference": speech, "a": noisy(speech, 0.1)}), anchors_of="reference")
    assert list(made) == ["reference", "a", "anchor35", "anchor70"]
    for name, edge_hz in (("anchor35", 3500), ("anchor70", 7000)):
        one = made[name]
        assert one.about.low_pass_hz == edge_hz
        assert one.about.source == made["reference"].about.source
        assert loudness_lufs(one.samples, RATE) == pytest.approx(-23, abs=0.01)
        assert len(one.samples) == len(made["a"].samples)
        power = np.abs(np.fft.rfft(one.samples)) ** 2
        frequency = np.fft.rfftfreq(len(one.samples), 1 / RATE)
        assert power[frequency > edge_hz * 1.15].sum() < 1e-5 * power.sum()


def test_audio_that_cannot_be_compared_is_named(speech, write):
    clipped, peak = np.clip(8 * speech, -1, 1), speech.copy()
    peak[20_000] = 1  # one peak at full scale is no clipping
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(speech))
    for other, key, allowed in (
        (speech[: len(speech) // 2], "audio.length", None),
        (clipped, "audio.clipped", {"allow_clipped": True}),
        (speech[::-1], "audio.content", {"check": False}),
        (noise, "audio.content", {"check": False}),
        (np.zeros_like(speech), "audio.silent", None),
    ):
        paths = write({"a": peak, "other": other})
        with refused(key) as caught:
            prepare(paths)
        assert "other/line.wav" in str(caught.value)
        if allowed:
            assert set(prepare(paths, **allowed)) == {"a", "other"}


def test_beyond_full_scale_is_no_clipping(speech, tmp_path):
    """Some inverters' sounds are, and ``subtype=FLOAT`` keeps them."""
    for name, gain in (("a", 1), ("loud", 8)):
        soundfile.write(tmp_path / f"{name}.wav", gain * speech, RATE, subtype="FLOAT")
    made = prepare({name: tmp_path / f"{name}.wav" for name in ("a", "loud")})
    assert np.abs(made["a"].samples - made["loud"].samples).max() < 1e-5


def test_what_degrades_a_line_leaves_it_the_same_line(speech, write):
    """Even noise at 6 dB, and a telephone's band."""
    telephone = low_pass(speech.astype(np.float64), RATE, 1200, 1800)
    made = prepare(write({"a": speech, "noise": noisy(speech, 0.5), "telephone": telephone}))
    assert len(made) == 3


def test_a_low_rate_has_no_7_khz_anchor(speech, write):
    paths = write({"reference": speech[::2], "a": speech[::2]}, dict.fromkeys("a", RATE // 2))
    with refused("audio.rate"):
        prepare(paths, RATE // 2, anchors_of="reference")


def test_empty_and_foreign_files(write, speech):
    paths = write({"a": speech, "b": speech})
    for content in (b"", b"RIFF"):
        paths["b"].write_bytes(content)
        with pytest.raises(BadInput, match=r"b/line\.wav"):
            prepare(paths)


def test_stereo_is_mixed_to_mono_and_said_so(lines, make, tmp_path):
    for system, gain in (("mono", 0.0), ("stereo", 0.5)):
        for item, samples in lines.items():
            path = tmp_path / "systems" / system / f"{item}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            channels = np.stack([samples, (1 - gain) * samples], axis=1)
            soundfile.write(path, channels if gain else samples, RATE)
    study = make(tmp_path / "study", systems=str(tmp_path / "systems"))
    assert study.notes == ("3 of 6 files have several channels, which were mixed to one",)


def test_the_study_on_disk_holds_what_was_prepared(make, tmp_path):
    study = make(tmp_path, "mushra")
    assert set(study.items) == set(ITEMS)
    lengths = set()
    for about in study.stimuli:
        samples, rate = soundfile.read(tmp_path / about.file)
        assert rate == study.sample_rate == RATE
        assert len(samples) == study.samples[about.item]
        assert loudness_lufs(samples, rate) == pytest.approx(-23, abs=0.05)
        assert about.source.split("/")[-1].split(".")[0] == about.item
        lengths.add(len(samples))
    late = [one for one in study.stimuli if one.system == "plainrender"]
    assert {(one.delay_samples, one.polarity) for one in late} == {(17, -1)}
