"""Reading and writing sound files."""

import os
import sys
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from tests.refusals import refused
from vocoder.audio import AudioInfo, AudioWriter, read_audio, read_info, write_audio
from vocoder.errors import BadInput

RATE = 22_050


def tone(freq_hz, sample_rate, seconds=1.0, amplitude=0.5):
    time_s = np.arange(int(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * freq_hz * time_s)).astype(np.float32)


def level(samples, freq_hz, sample_rate):
    """Amplitude of one frequency, by projection on a complex sine."""
    time_s = np.arange(len(samples)) / sample_rate
    window = np.hanning(len(samples))
    return 2 * abs(np.sum(samples * window * np.exp(-2j * np.pi * freq_hz * time_s))) / window.sum()


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [
        ("wav", "WAV", "PCM_16"),
        ("wav", "WAV", "FLOAT"),
        ("flac", "FLAC", "PCM_24"),
        ("aiff", "AIFF", "PCM_16"),
        ("ogg", "OGG", "VORBIS"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
def test_a_tone_stays_a_tone_in_any_format(tmp_path, suffix, container, subtype):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(1000, 48_000), 48_000, format=container, subtype=subtype)
    samples = read_audio(path, RATE)
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    assert level(samples, 1000, RATE) == pytest.approx(0.5, rel=0.02)


def test_resampling_kills_what_the_new_rate_cannot_hold(tmp_path):
    path = tmp_path / "high.wav"
    soundfile.write(path, tone(1000, 48_000) + tone(14_000, 48_000), 48_000, subtype="FLOAT")
    samples = read_audio(path, RATE)
    assert level(samples, 1000, RATE) == pytest.approx(0.5, rel=1e-3)
    assert level(samples, RATE - 14_000, RATE) < 1e-4


def test_blocks_of_a_long_file_leave_no_seam(tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(440, 44_100, 2.0), 44_100, subtype="FLOAT")
    whole = read_audio(path, RATE)
    monkeypatch.setattr("vocoder.audio_file.BLOCK_FRAMES", 1_001)
    np.testing.assert_allclose(read_audio(path, RATE), whole, atol=1e-6)


def test_channels_are_mixed_or_chosen(tmp_path):
    path = tmp_path / "stereo.wav"
    left, right = tone(500, RATE), tone(2000, RATE)
    soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    assert read_info(path) == AudioInfo(2, RATE, samples=RATE)
    assert read_info(path).samples_at(2 * RATE) == 2 * RATE
    np.testing.assert_array_equal(read_audio(path, RATE, 1), left)
    np.testing.assert_array_equal(read_audio(path, RATE, 2), right)
    np.testing.assert_allclose(read_audio(path, RATE), (left + right) / 2, atol=1e-7)
    for wrong in (0, 3, "left"):
        with refused("audio.channel"):
            read_audio(path, RATE, wrong)


def test_channels_that_cancel_or_are_empty_are_told(tmp_path, speech):
    path = tmp_path / "stereo.wav"
    hiss = np.random.default_rng(0).normal(0, 0.01, (2, len(speech))).astype(np.float32)

    def mixed(left, right):
        changes: list[str] = []
        soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="FLOAT")
        read_audio(path, RATE, changes=changes)
        return changes[0]

    for other in (-speech, -0.9 * speech, hiss[0] - speech):
        with refused("audio.antiphase"):
            mixed(speech, other)
        assert read_audio(path, RATE, 2).any()
    silence = np.zeros_like(speech)
    usual = mixed(speech, speech)
    for left, right in (
        hiss,
        (speech, 0.1 * speech),
        (silence, silence),
        (speech, tone(440, RATE, len(speech) / RATE)),
    ):
        assert mixed(left, right) == usual
    assert "6 dB" in mixed(speech, silence)


def test_what_is_no_sound_is_refused(tmp_path):
    def made(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(0, np.float32), RATE)
    broken = tmp_path / "nan.wav"
    soundfile.write(broken, np.array([0, np.nan, 0], np.float32), RATE, subtype="FLOAT")
    slow = tmp_path / "slow.wav"
    soundfile.write(slow, np.zeros(99, np.float32), 1)
    mp3 = made("words.mp3", b"abc" * 100)  # of which libsndfile says that there is no such file
    with pytest.raises(BadInput, match="damaged"):
        read_audio(mp3, RATE)
    for path, fault in (
        (slow, "sample_rate"),
        (made("text.wav", b"these are words"), "format"),
        (made("bytes.raw", b"0123456789"), "format"),
        (made("nothing.wav", b""), "empty"),
        (silent, "empty"),
        (broken, "nan"),
        (tmp_path / "absent.wav", "missing"),
        (tmp_path, "missing"),
    ):
        with refused(f"audio.{fault}"):
            read_audio(path, RATE)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_16_bit_numbers_in_a_floating_point_file_are_recognised(tmp_path, speech, n_channels):
    numbers = np.rint(speech * 32768).astype(np.float32)
    path = tmp_path / "numbers.wav"
    soundfile.write(path, np.stack(n_channels * [numbers], 1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path, RATE), speech, atol=2**-15)
    np.testing.assert_allclose(read_audio(path, 16_000).std(), speech.std(), rtol=0.05)
    soundfile.write(path, 3.03 * speech / np.abs(speech).max(), RATE, subtype="FLOAT")
    assert np.abs(read_audio(path, RATE)).max() == pytest.approx(3.03)  # loud, and kept
    soundfile.write(path, 1e6 * speech, RATE, subtype="DOUBLE")
    with refused("audio.range"):
        read_audio(path, RATE)


FFMPEG = """#!{python}
import shutil, sys
assert sys.argv[1:-1] == [*{options}, "-i", "file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le"]
{action}
"""


def ffmpeg_that(action, path, folder, monkeypatch):
    """Put a program on the PATH that does what ffmpeg would."""
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir(exist_ok=True)
    options = ["-nostdin", "-v", "error", "-protocol_whitelist", "file"]
    program.write_text(
        FFMPEG.format(python=sys.executable, options=options, path=path, action=action)
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def test_what_libsndfile_cannot_read_ffmpeg_does(tmp_path, speech, monkeypatch):
    decoded, path = tmp_path / "decoded.w64", tmp_path / "talk.m4a"
    soundfile.write(decoded, speech, RATE, subtype="FLOAT")
    path.write_bytes(b"whatever an iPhone writes")
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("audio.format") as caught:
        read_audio(path, RATE)
    assert "ffmpeg" in str(caught.value)  # what to install

    ffmpeg_that(f"shutil.copyfile({str(decoded)!r}, sys.argv[-1])", path, tmp_path, monkeypatch)
    np.testing.assert_array_equal(read_audio(path, RATE), speech)
    assert read_info(path) == AudioInfo(1, RATE, len(speech))
    ffmpeg_that("sys.exit('moov atom not found')", path, tmp_path, monkeypatch)
    with refused("audio.format") as caught:
        read_audio(path, RATE)
    assert "moov atom not found" in str(caught.value)


def test_a_damaged_mp3_writes_nothing_on_standard_error(tmp_path, speech, capfd):
    path = tmp_path / "talk.mp3"
    soundfile.write(path, np.tile(speech, 4), RATE)
    whole = bytearray(path.read_bytes())
    whole[3_000:12_000] = np.random.default_rng(0).bytes(9_000)
    tag = b"ID3\x03\x00\x00\x00\x00\x00\x14COMM\x00\x00\x00\x0a\x00\x00\x07engabcdef"
    for content in (whole, tag + whole, whole[:700] + b"\0" * 9_000):
        path.write_bytes(content)
        with suppress(BadInput):
            read_audio(path, RATE)
    assert capfd.readouterr().err == ""
    sys.stderr.write("seen\n")
    assert capfd.readouterr().err == "seen\n"


def test_names_that_libsndfile_cannot_take_are_refused(tmp_path, speech):
    path = tmp_path / os.fsdecode(b"gr\xfc\xdfe.wav")
    with refused("audio.name"):
        write_audio(path, speech, RATE, overwrite=False)
    path.write_bytes(b"whatever is in it")
    for read in (read_info, lambda path: read_audio(path, RATE)):
        with refused("audio.name"):
            read(path)


def test_a_file_that_ends_early_is_refused(tmp_path):
    whole = tmp_path / "whole.flac"
    soundfile.write(whole, tone(300, RATE, 3.0), RATE)
    part = tmp_path / "part.flac"
    part.write_bytes(whole.read_bytes()[:20_000])
    with refused("audio.damaged"):
        read_audio(part, RATE)


@pytest.mark.parametrize(("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_integers_are_rounded_to_the_nearest_level(tmp_path, speech, subtype, step):
    path = tmp_path / "out.wav"
    samples = speech * np.float32(0.7)
    with AudioWriter(path, RATE, subtype, overwrite=False) as writer:
        writer.write(samples)
    assert writer.n_clipped == 0
    error = soundfile.read(path, dtype="float64")[0] - samples
    assert np.abs(error).max() <= 0.5001 * step  # truncation reaches one step
    assert abs(error.mean()) < 0.02 * step


def test_float_is_kept_exactly(tmp_path, speech):
    path = tmp_path / "out.wav"
    write_audio(path, 3 * speech, RATE, "FLOAT", overwrite=False)
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0], 3 * speech)
    assert soundfile.info(path).samplerate == RATE


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize(
    ("gain", "peak_db", "changed_db"),
    [
        (0.0, 0.0, -12.04),  # what would clip is brought down
        (-20.0, 0.0, 0.0),  # and nothing else is
        (6.0, -3.0, -21.04),
        ("peak", -6.0, -18.04),
    ],
)
def test_a_peak_is_kept_to_without_a_clipped_sample(tmp_path, subtype, gain, peak_db, changed_db):
    path = tmp_path / "loud.wav"
    samples = 4 * tone(100, RATE, amplitude=1)
    if subtype == "FLOAT" and gain != "peak":
        changed_db = 0.0  # which full scale does not limit
    with AudioWriter(path, RATE, subtype, overwrite=False, gain=gain, peak_db=peak_db) as writer:
        for start in range(0, len(samples), 1_000):
            writer.write(samples[start : start + 1_000])
    assert writer.gain_db == pytest.approx(changed_db, abs=0.01)
    whole_db = changed_db + (0 if gain == "peak" else gain)
    expected = samples * 10 ** (whole_db / 20)
    np.testing.assert_allclose(soundfile.read(path)[0], expected, atol=2e-3)
    assert writer.n_clipped == 0 and writer.n_samples == len(samples)
    assert [one.name for one in tmp_path.iterdir()] == ["loud.wav"]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"gain": "loud"}, "gain.range"),
        ({"gain": np.nan}, "gain.range"),
        ({"gain": "peak"}, "peak_db.missing"),
        ({"peak_db": 1.0}, "peak_db.range"),
    ],
)
def test_levels_that_cannot_be(tmp_path, settings, key):
    with refused(key):
        AudioWriter(tmp_path / "a.wav", RATE, overwrite=False, **settings)


@pytest.mark.parametrize("offset", [0.003, -0.01, 0.2])
def test_a_constant_offset_is_taken_away_however_speech_is_stored(tmp_path, speech, offset):
    """Level and floor of pauses are those of the recording without it."""
    path = tmp_path / "a.wav"
    changes: list[str] = []
    pause = np.random.default_rng(0).normal(0, 1e-4, RATE // 2)
    clean = np.concatenate([pause, 0.7 * speech, pause])
    soundfile.write(path, np.stack([clean + offset] * 2, axis=1), 2 * RATE, "FLOAT")
    found = read_audio(path, RATE, changes=changes)
    assert abs(found[1_000:4_000].mean()) < 1e-4
    mixed, *others = changes
    assert mixed.startswith("2 channels mixed into one; audio_channel=split")
    assert others == [f"converted from {2 * RATE} Hz", "a constant offset taken away"]
    kept = read_audio(path, RATE, keep_offset=True)
    np.testing.assert_allclose(kept - found, offset, atol=1e-4)
    soundfile.write(path, clean, RATE, "FLOAT")
    np.testing.assert_array_equal(read_audio(path, RATE), clean.astype(np.float32))


def test_clipping_is_counted_and_cut_off_not_wrapped(tmp_path):
    path = tmp_path / "loud.wav"
    samples = np.array([0.5, 1.5, -2.0, 1.0, -1.0], np.float32)
    with AudioWriter(path, RATE, "PCM_16", overwrite=False) as writer:
        writer.write(samples)
    assert writer.n_clipped == 2
    written = soundfile.read(path, dtype="int16")[0]
    np.testing.assert_array_equal(written, [16_384, 32_767, -32_768, 32_767, -32_768])


def test_blocks_are_one_file(tmp_path, speech):
    path = tmp_path / "deep" / "folder" / "out.wav"
    with AudioWriter(path, RATE, overwrite=False) as writer:
        for start in range(0, len(speech), 10_000):
            writer.write(speech[start : start + 10_000])
    assert writer.n_samples == len(speech)
    np.testing.assert_allclose(read_audio(path, RATE), speech, atol=2**-16)
    assert [file.name for file in path.parent.iterdir()] == ["out.wav"]


def test_existing_output_is_kept_unless_told_otherwise(tmp_path, speech):
    path = tmp_path / "out.wav"
    write_audio(path, speech, RATE, overwrite=False)
    before = path.read_bytes()
    with refused("output.exists"):
        write_audio(path, speech[:100], RATE, overwrite=False)
    assert path.read_bytes() == before
    write_audio(path, speech[:100], RATE, overwrite=True)
    assert soundfile.info(path).frames == 100


def test_an_error_half_way_leaves_nothing(tmp_path, speech):
    path = tmp_path / "out.wav"
    bad = speech.copy()
    bad[5] = np.nan
    with (
        refused("output.nan"),
        AudioWriter(path, RATE, overwrite=False) as writer,
    ):
        writer.write(speech)
        writer.write(bad)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path, speech):
    with refused("subtype.unknown"):
        write_audio(tmp_path / "a.wav", speech, RATE, "PCM_8", overwrite=False)
    with refused("output.format"):
        write_audio(tmp_path / "a.flac", speech, RATE, "FLOAT", overwrite=False)
    with refused("output.format"):
        write_audio(tmp_path / "a.xyz", speech, RATE, overwrite=False)
    (tmp_path / "file").write_text("in the way")
    with refused("output.unwritable"):
        write_audio(tmp_path / "file" / "a.wav", speech, RATE, overwrite=False)
