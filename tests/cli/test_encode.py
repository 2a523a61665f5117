"""``vocoder encode``: from recordings to a data set and back."""

import os
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from tests.cli.encoding import (
    GRAY,
    MEL,
    RATE,
    analysed,
    assert_close,
    encode,
    save,
    splits_of,
    tiles_of,
    utterance,
)
from tests.cli.results import report
from tests.processes import program
from tests.refusals import refused
from vocoder import load
from vocoder.cli import main
from vocoder.decibels import SILENCE_DB
from vocoder.image.codec.scalar import Gray8
from vocoder.image.file import read_image
from vocoder.image.manifest import read_sidecar


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_say_what_analysis_says(tmp_path, folder, speech, channels):
    out = tmp_path / "out"
    tile = {"frames": 96, "overlap_frames": 32}
    assert encode(folder, out, channels=channels, tile=tile) == 0
    assert_close(utterance(out, "a", "pictures"), analysed(speech))
    tiles = tiles_of(out)
    assert {tile.utterance for tile in tiles} == {"a", "b", "sub__c"}
    assert {tile.source for tile in tiles} == {"a.wav", "b.wav", "sub/c.wav"}
    first = [tile for tile in tiles if tile.utterance == "a"]
    assert [tile.stem for tile in first] == ["a__00", "a__01", "a__02"]
    assert [tile.start_frame for tile in first] == [0, 64, 128]
    assert first[0].samples == len(speech)
    assert first[0].total_frames == MEL.n_frames(len(speech))
    picture = read_image(out / "pictures/a__00.png")
    assert picture.pixels.shape == ((256, 96) if channels == 1 else (256, 96, 3))
    assert picture.info and picture.info.spec == MEL
    sidecar = read_sidecar(out / "spec.yaml")
    assert (sidecar.spec, sidecar.codec) == (MEL, GRAY)
    assert (sidecar.tile_frames, sidecar.overlap_frames) == (96, 32)


def test_overlaps_are_identical_and_the_end_is_silent(tmp_path, folder):
    out = tmp_path / "out"
    encode(folder, out, tile={"frames": 128, "overlap_frames": 32})
    tiles = [t for t in tiles_of(out) if t.utterance == "a"]
    pixels = [read_image(out / "pictures" / f"{tile.stem}.png").pixels for tile in tiles]
    for left, right in pairwise(pixels):
        np.testing.assert_array_equal(left[:, -32:], right[:, :32])
    assert 0 < tiles[-1].frames < 128
    assert (pixels[-1][:, tiles[-1].frames :] == 0).all()
    assert pixels[-1][:, : tiles[-1].frames].any()


def test_a_tone_keeps_its_pitch_and_level_at_any_rate(tmp_path):
    time_s = np.arange(48_000) / 48_000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time_s)
    stereo = np.stack([tone, np.zeros_like(tone)], axis=1).astype(np.float32)
    save(tmp_path / "in/tone.flac", stereo, 48_000, "PCM_24")
    spec = load("spec", "linear512")
    for channel, level_db in (("mix", -12.04), (1, -6.02)):
        out = tmp_path / f"out-{channel}"
        assert encode(tmp_path / "in", out, spec=spec, audio_channel=channel) == 0
        pixels = read_image(out / "pictures/tone__00.png").pixels[..., 0]
        assert pixels.shape == (512, 256)
        row = int(pixels[:, 40].argmax())
        hz = (511 - row) * RATE / spec.n_fft
        assert hz == pytest.approx(1000, abs=RATE / spec.n_fft / 2)
        decibels = utterance(out, "tone", "pictures")
        # Two bins share a tone between them, 1.42 dB at most for a Hann window (Harris 1978).
        peak_db = decibels[:, 40].max()
        assert level_db - 1.7 < peak_db < level_db + 0.3
        assert tiles_of(out)[0].samples == RATE


def test_the_command_takes_one_channel(tmp_path, speech, capsys):
    save(tmp_path / "in/duo.wav", np.stack([speech, np.zeros_like(speech)], axis=1))
    words = [f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "audio_channel=1"]
    assert main.run(["encode", *words]) == 0
    assert_close(utterance(tmp_path / "out", "duo", "pictures"), analysed(speech))
    assert main.run(["encode", *words[:2], "channel=1"]) == 2  # a group, of another command
    assert "unknown setting channel of encode; did you mean channels" in capsys.readouterr().err


def test_each_channel_can_be_an_utterance(tmp_path, speech):
    save(tmp_path / "in/duo.wav", np.stack([speech, speech[::-1]], axis=1))
    save(tmp_path / "in/solo.wav", speech)
    out = tmp_path / "out"
    assert encode(tmp_path / "in", out, audio_channel="split", split={"val": 0.0, "test": 0.5}) == 0
    tiles = tiles_of(out)
    assert {t.utterance for t in tiles} == {"duo_ch1", "duo_ch2", "solo"}
    assert {t.source for t in tiles} == {"duo.wav, channel 1", "duo.wav, channel 2", "solo.wav"}
    split = {t.utterance: t.split for t in tiles}
    assert split["duo_ch1"] == split["duo_ch2"] != split["solo"]
    assert_close(utterance(out, "duo_ch2", split["duo_ch2"]), analysed(speech[::-1].copy()))


def test_the_peak_gain_is_recorded(tmp_path, speech):
    quiet = (0.1 * speech).astype(np.float32)
    save(tmp_path / "in/quiet.wav", quiet)
    save(tmp_path / "in/silent.wav", np.zeros_like(quiet))
    out = tmp_path / "out"
    assert encode(tmp_path / "in", out, gain="peak", peak_db=-3.0) == 0
    gains = {t.utterance: t.gain_db for t in tiles_of(out)}
    expected_db = -3 - 20 * np.log10(np.abs(quiet).max())
    assert gains["quiet"] == pytest.approx(expected_db, abs=1e-4)
    assert gains["silent"] == 0
    factor = np.float32(10 ** (gains["quiet"] / 20))
    assert_close(utterance(out, "quiet", "pictures"), analysed(quiet * factor))
    assert (utterance(out, "silent", "pictures") == SILENCE_DB).all()


def test_pairs_lie_side_by_side(tmp_path, folder, pairs, speech, capsys):
    out = tmp_path / "out"
    assert encode(folder, out, style="aligned", input_a=pairs) == 0
    tiles, where = tiles_of(out), splits_of(out)
    assert sorted(where.values()) == ["test", "train", "train"]
    for tile in tiles:
        assert read_image(out / tile.split / f"{tile.stem}.png").pixels.shape == (256, 512, 3)
    assert_close(utterance(out, "a", where["a"], slice(256, 512)), analysed(speech))
    assert_close(utterance(out, "a", where["a"], slice(0, 256)), analysed(speech / 2))
    printed = capsys.readouterr().out
    n_test = sum(t.split == "test" for t in tiles)
    assert f"--phase test --num_test {n_test}\n" in printed
    for flag in ("--preprocess none --no_flip", "--netG unet_256", "--scale_size 256", "flip=0"):
        assert flag in printed
    assert [one["program"] for one in report(out)["commands"]] == [
        "pytorch-CycleGAN-and-pix2pix",
        "pix2pix-tensorflow",
        "pix2pix (Lua)",
    ]


def test_pairs_that_are_not_in_time_are_named_and_not_moved(tmp_path, folder, pairs, capsys):
    """A that is the same recording 120 ms later, as a telephone call is."""
    late = pairs / "b.wav"
    samples, _ = soundfile.read(late, dtype="float32")
    samples = np.concatenate([np.zeros(2646, np.float32), samples])[: len(samples)]
    save(late, samples)
    out = tmp_path / "out"
    assert encode(folder, out, style="aligned", input_a=pairs) == 0
    (told,) = report(out)["delayed"]
    assert told == "b.wav: A is 116 ms later than B"  # ten frames
    assert told in capsys.readouterr().out
    shown = utterance(out, "b", splits_of(out)["b"], slice(0, 256))
    assert_close(shown, analysed(samples))


def test_a_recording_alone_is_encoded(tmp_path, folder, speech):
    assert encode(folder / "a.wav", tmp_path / "out") == 0
    assert_close(utterance(tmp_path / "out", "a", "pictures"), analysed(speech))
    with refused("recordings.missing"):
        encode(folder / "absent.wav", tmp_path / "other")


def test_mel_bands_that_would_stay_black_are_refused(tmp_path, folder):
    with refused("spec.n_mels.empty"):
        encode(folder, tmp_path / "out", spec=replace(MEL, n_mels=512))
    assert not (tmp_path / "out").exists()


def test_pix2pixhd_has_a_folder_for_each_side(tmp_path, folder, pairs, speech, capsys):
    out = tmp_path / "out"
    split = {"val": 0.0, "test": 0.4}
    assert encode(folder, out, style="pix2pixhd", input_a=pairs, split=split) == 0
    for phase in ("train", "test"):
        a, b = ({p.name for p in (out / f"{phase}_{side}").iterdir()} for side in "AB")
        assert a == b != set()
    phase = splits_of(out)["a"]
    assert_close(utterance(out, "a", f"{phase}_B"), analysed(speech))
    assert_close(utterance(out, "a", f"{phase}_A"), analysed(speech / 2))
    n_test = len(list((out / "test_A").iterdir()))
    flags = "--label_nc 0 --no_instance --resize_or_crop none --no_flip"
    assert f"{flags} --phase test --how_many {n_test}\n" in capsys.readouterr().out


def test_unaligned_sides_need_not_match(tmp_path, folder, pairs, capsys):
    (pairs / "sub/c.wav").unlink()
    save(pairs / "extra.wav", np.zeros(RATE, np.float32))
    save(pairs / "more.wav", np.zeros(20 * RATE, np.float32))
    out = tmp_path / "out"
    assert encode(folder, out, style="unaligned", input_a=pairs) == 0
    assert {p.name for p in out.iterdir() if p.is_dir()} == {"trainA", "trainB", "testA", "testB"}
    tiles = tiles_of(out)
    names = "A__a A__b A__extra A__more B__a B__b B__sub__c"
    assert sorted({t.utterance for t in tiles}) == names.split()
    for tile in tiles:
        assert (out / f"{tile.split}{tile.stem[0]}" / f"{tile.stem}.png").exists()
    most = max(len(list((out / f"test{side}").iterdir())) for side in "AB")
    printed = capsys.readouterr().out
    grey = "--input_nc 1 --output_nc 1 --preprocess none --no_flip"
    assert f"--model cycle_gan {grey} --phase test --num_test {most}" in printed
    assert f"--CUT_mode CUT {grey}" in printed


def test_pairs_without_partner_are_listed_and_refused(tmp_path, folder, pairs):
    (pairs / "a.wav").unlink()
    save(pairs / "stranger.wav", np.zeros(RATE, np.float32))
    out = tmp_path / "out"
    with refused("pairs.conflict") as caught:
        encode(folder, out, style="aligned", input_a=pairs)
    assert "\n  a.wav: in B (input)" in str(caught.value)
    assert "\n  stranger.wav: in A (input_a)" in str(caught.value)
    assert not out.exists()
    assert encode(folder, out, style="aligned", input_a=pairs, unpaired="skip") == 0
    assert set(splits_of(out)) == {"b", "sub__c"}
    assert len(report(out)["unpaired"]) == 2


def test_pairs_of_different_lengths_are_refused_or_trimmed(tmp_path, folder, pairs, speech):
    save(pairs / "a.wav", speech[:-257] / 2)  # more than a hop
    save(pairs / "b.wav", np.roll(speech, 1000)[: len(speech) - 5000 - 200] / 2)
    out = tmp_path / "out"
    with refused("pairs.conflict") as caught:
        encode(folder, out, style="aligned", input_a=pairs)
    assert "\n  a.wav: A is 2.488 s long, B 2.500 s" in str(caught.value)
    assert "b.wav" not in str(caught.value)
    encode(folder, out, style="aligned", input_a=pairs, lengths="trim")
    samples = {t.utterance: t.samples for t in tiles_of(out)}
    assert samples["a"] == len(speech) - 257
    shutil.copy(folder / "a.wav", pairs / "a.wav")
    encode(folder, out, style="aligned", input_a=pairs, overwrite=True)
    samples = {t.utterance: t.samples for t in tiles_of(out)}
    assert samples["b"] == len(speech) - 5000, "within a frame the wanted sound's length counts"


def test_bad_recordings_do_not_stop_the_others(tmp_path, folder, capsys):
    (folder / "words.wav").write_text("not sound at all")
    (folder / "empty.flac").touch()
    save(folder / "short.wav", np.zeros(100, np.float32))
    save(folder / "nan.wav", np.full(RATE, np.nan, np.float32))
    (folder / "notes.txt").write_text("read me")
    out = tmp_path / "out"
    assert encode(folder, out) == 2
    assert set(splits_of(out)) == {"a", "b", "sub__c"}
    found = report(out)
    assert set(found["failed"]) == {"words.wav", "empty.flac", "short.wav", "nan.wav"}
    assert "too short" in found["failed"]["short.wav"]
    assert found["ignored"] == [str(folder / "notes.txt")]
    assert "Failed (4):" in capsys.readouterr().out


def test_names_that_are_not_utf8_are_told_and_do_not_stop_the_others(tmp_path, folder):
    name = os.fsdecode(b"gr\xfc\xdfe")
    shutil.copy(folder / "a.wav", folder / f"{name}.wav")
    (folder / f"{name}.txt").write_text("words")
    out = tmp_path / "out"
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}  # as most terminals have it
    done = program("encode", f"input={folder}", f"output={out}", env=strict)
    assert done.returncode == 2 and done.stderr.count("Traceback") == 0
    assert set(splits_of(out)) == {"a", "b", "sub__c"}
    found = report(out)
    assert "its name is not UTF-8; rename it" in found["failed"][f"{name}.wav"]
    assert found["ignored"] == [str(folder / f"{name}.txt")]
    assert r"gr\udcfc\udcdfe.txt" in done.stdout and r"gr\udcfc\udcdfe.wav" in done.stdout


def test_a_bad_half_of_a_pair_costs_that_pair_only(tmp_path, folder, pairs):
    (pairs / "a.wav").write_text("not sound")
    for channel in ("mix", "split"):
        out = tmp_path / f"out-{channel}"
        assert encode(folder, out, style="aligned", input_a=pairs, audio_channel=channel) == 2
        assert set(splits_of(out)) == {"b", "sub__c"}
        assert list(report(out)["failed"]) == ["a.wav"]


def test_nothing_usable_leaves_only_a_report(tmp_path):
    save(tmp_path / "in/short.wav", np.zeros(10, np.float32))
    assert encode(tmp_path / "in", tmp_path / "out") == 2
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.json"]


def test_the_sheet_and_the_table_show_what_was_made(tmp_path, folder, capsys):
    out = tmp_path / "out"
    encode(folder, out, codec=Gray8(db_min=-100.0, db_max=-30.0))
    row = report(out)["folders"]["pictures"]
    assert (row["utterances"], row["tiles"]) == (3, 3)
    assert row["clipped"] > 0.001
    assert -30 < row["peak_db"] < 0
    assert "are cut off there" in capsys.readouterr().out
    assert (out / "contact_sheet.png").stat().st_size > 10_000


def test_a_list_decides_the_split(tmp_path, folder, capsys):
    listed = tmp_path / "test.txt"
    listed.write_text("sub/c\nabsent\n")
    out = tmp_path / "out"
    encode(folder, out, split={"val": 0.0, "test": str(listed)})
    splits = splits_of(out)
    assert splits == {"a": "train", "b": "train", "sub__c": "test"}
    assert (out / "test/sub__c__00.png").exists()
    assert report(out)["unknown_in_lists"] == ["absent"]
    assert "name no recording (1):\n  absent" in capsys.readouterr().out
    listed.write_text("nothing\n")
    with refused("split.unknown"):
        encode(folder, tmp_path / "other", split={"val": 0.0, "test": str(listed)})


def test_what_has_no_sound_is_named(tmp_path, speech, pairs, folder, capsys):
    """A recording whose channels cancel is not used; a silent one is, in a pair too."""
    save(folder / "antiphase.wav", np.stack([speech, -speech], axis=1))
    save(folder / "b.wav", np.zeros_like(speech))
    assert encode(folder, tmp_path / "out") == 2
    found = report(tmp_path / "out")
    assert list(found["failed"]) == ["antiphase.wav"] and found["silent"] == ["b.wav"]
    assert "b.wav" in capsys.readouterr().out
    save(pairs / "b.wav", speech)
    save(pairs / "a.wav", np.zeros_like(speech))
    settings = {"style": "aligned", "input_a": pairs, "unpaired": "skip", "lengths": "trim"}
    assert encode(folder, tmp_path / "pairs", **settings) == 0
    assert report(tmp_path / "pairs")["silent"] == ["a.wav", "b.wav"]


def test_what_is_too_quiet_for_the_image_is_told(tmp_path, speech):
    save(tmp_path / "in/loud.wav", speech)
    save(tmp_path / "in/quiet.wav", speech / 300)
    encode(tmp_path / "in", tmp_path / "out")
    ((told, n),) = report(tmp_path / "out")["changes"].items()
    assert n == 1 and "gain=peak" in told
    encode(tmp_path / "in", tmp_path / "raised", gain="peak")
    assert report(tmp_path / "raised")["changes"] == {}


def test_what_reading_changed_is_said_and_an_offset_is_not_seen(tmp_path, speech, capsys):
    """A constant offset would be a hum of 21 Hz over all pauses."""
    pause = np.random.default_rng(0).normal(0, 1e-4, RATE).astype(np.float32)
    sound = np.concatenate([pause, 0.5 * speech])
    save(tmp_path / "plain/a.wav", sound)
    save(tmp_path / "in/a.wav", np.stack([sound + 0.005] * 2, axis=1))
    save(tmp_path / "in/b.wav", sound, 2 * RATE)
    for name in ("plain", "in"):
        assert encode(tmp_path / name, tmp_path / f"of {name}") == 0
    assert report(tmp_path / "of in")["changes"] == {
        "2 channels mixed into one; audio_channel=split keeps them apart": 1,
        "a constant offset taken away": 1,
        f"converted from {2 * RATE} Hz": 1,
    }
    assert report(tmp_path / "of plain")["changes"] == {}
    assert "1 recording: a constant offset taken away" in capsys.readouterr().out
    clean, shown = (utterance(tmp_path / f"of {name}", "a", "pictures") for name in ("plain", "in"))
    assert shown[:2, :80].max() < clean[:2, :80].max() + 3
    page = (tmp_path / "of in/index.html").read_text(encoding="utf-8")
    assert 'src="contact_sheet.png"' in page
