"""Generated images with their recordings: found by name, checked, never those held out."""

import itertools
import shutil
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.refusals import refused
from tests.train.tiny import NOISE, RATE, SPEC, decibels, generated_data
from vocoder.audio import write_audio
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.image.array import write_array
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.model.features import FLOOR_DB
from vocoder.spectrogram import analyse
from vocoder.train import generated as module
from vocoder.train.data import Mixed, Recordings
from vocoder.train.examples import Mixture
from vocoder.train.generated import GeneratedPairs, best_shift, level_db, read_pairs

LINES = ("nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma")
IMAGES = "results/tel/test_latest/images"


def pairs(folder, **changes):
    gain_db = changes.pop("reference_gain_db", 0.0)
    spec = changes.pop("spec", SPEC)
    source = ImageSource(input=folder / "results", spec=spec, **changes)
    return read_pairs(source, folder / "reference", specs=(spec,), reference_gain_db=gain_db)


def data(folder, **changes):
    return generated_data(folder, **{"validation_share": 0.34, **changes})


def test_pairs_are_read_at_the_recordings_level_and_place(training):
    found, problems = pairs(training)
    assert [pair.name for pair in found] == list(LINES) and problems == {}
    for pair in found:
        sound, _ = soundfile.read(training / f"reference/{pair.name}.flac", dtype="float32")
        assert np.allclose(pair.waveform, sound, rtol=1e-6, atol=0)
        true = decibels(torch.from_numpy(sound)[None])[0].numpy()
        assert pair.decibels.shape == true.shape and pair.decibels.dtype == np.float16
        loud = true > true.max() - 40
        assert abs((pair.decibels[loud] - true[loud]).mean()) < 3
        assert np.corrcoef(pair.decibels.ravel(), true.ravel())[0, 1] > 0.8


def test_lines_held_out_for_testing_are_never_read(generated, training, monkeypatch):
    manifest = training / "manifest.csv"
    rows = manifest.read_text().splitlines()
    held = [row.replace(",train", ",test") if row.startswith(LINES[1]) else row for row in rows]
    manifest.write_text("\n".join(held) + "\n")
    read = []

    def noted(utterance, found):
        read.append(utterance.name)
        return load_utterance(utterance, found)

    monkeypatch.setattr(module, "load_utterance", noted)
    found, problems = pairs(training)
    assert [pair.name for pair in found] == read == [LINES[0], LINES[2]]
    assert problems == {LINES[1]: "held out for testing; not used"}
    read.clear()
    with refused("data.input.empty"):
        pairs(generated)
    assert read == []


def test_unusable_lines_are_named_with_the_reason(training):
    (training / f"reference/{LINES[0]}.flac").unlink()
    (training / IMAGES / f"{LINES[1]}__01_fake_B.png").unlink()
    found, problems = pairs(training)
    assert [pair.name for pair in found] == [LINES[2]]
    assert problems[LINES[0]] == "no recording of this name"
    assert problems[LINES[1]] == f"{LINES[1]}__01: missing; silent"
    shutil.copy(training / f"reference/{LINES[2]}.flac", training / f"reference/{LINES[0]}.flac")
    _, problems = pairs(training)
    assert problems[LINES[0]] == "573 frames, but the recording has 447"


@pytest.mark.parametrize("shift", [-7, -1, 1, 3, 12])
def test_a_planted_shift_is_found(shift, training):
    """Sound and picture of one length, but not of one time."""
    path = training / f"reference/{LINES[0]}.flac"
    sound, _ = soundfile.read(path, dtype="float32")
    soundfile.write(path, np.roll(sound, -shift * 256), RATE)
    found, problems = pairs(training)
    assert len(found) == 2
    assert problems == {LINES[0]: f"it lies {shift:+d} frames from the recording"}


def test_recordings_of_other_speech_are_refused(training):
    """Of wrong pairs few lie where they should, by chance."""
    recordings = {name: training / f"reference/{name}.flac" for name in LINES}
    read = {name: soundfile.read(path, dtype="float32")[0] for name, path in recordings.items()}
    for name, other in itertools.pairwise(LINES):
        soundfile.write(recordings[name], np.resize(read[other], read[name].size), RATE)
    with refused("data.reference.conflict"):
        pairs(training)


def test_one_recording_at_another_level_is_left_out(training):
    path = training / f"reference/{LINES[0]}.flac"
    sound, _ = soundfile.read(path, dtype="float32")
    soundfile.write(path, sound / 10, RATE)
    found, problems = pairs(training)
    assert [pair.name for pair in found] == list(LINES[1:]) and set(problems) == {LINES[0]}


def test_what_is_said_of_an_image_counts_as_its_content(training):
    """Level and place are no part of the files."""
    before = [pair.sha256 for pair in pairs(training)[0]]
    for name, old, new in (
        ("spec.yaml", "-92.04", "-91.0"),
        ("manifest.csv", ",0,256,", ",0,255,"),
    ):
        path = training / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        assert all(a != b.sha256 for a, b in zip(before, pairs(training)[0], strict=True))
        path.write_text(text)
    assert before == [pair.sha256 for pair in pairs(training)[0]]


def test_shifts_of_bare_arrays():
    rng = np.random.default_rng(0)
    true = np.cumsum(rng.standard_normal((8, 200)), axis=1)
    for shift in (-12, -5, 0, 4, 12):
        moved = np.roll(true, shift, axis=1) + rng.standard_normal(true.shape)
        assert best_shift(moved, true) == shift
    assert best_shift(true[:, :2], true[:, :2]) == 0


def test_blank_pictures_and_recordings_are_named(training):
    for number in (0, 1, 2):
        Image.new("RGB", (256, 256)).save(training / IMAGES / f"{LINES[0]}__0{number}_fake_B.png")
    path = training / f"reference/{LINES[1]}.flac"
    soundfile.write(path, np.zeros(soundfile.info(path).frames), RATE)
    _, problems = pairs(training)
    assert problems == {LINES[0]: "it is blank", LINES[1]: "the recording is blank"}


def test_another_level_throughout_is_refused_and_can_be_told(training):
    for name in LINES:
        path = training / f"reference/{name}.flac"
        sound, _ = soundfile.read(path, dtype="float32")
        soundfile.write(path, sound / 4, RATE)
    with refused("data.reference_gain_db.conflict"):
        pairs(training)
    found, _ = pairs(training, reference_gain_db=12.04)
    before, _ = soundfile.read(training / f"reference/{LINES[0]}.flac", dtype="float32")
    assert np.allclose(found[0].waveform, before * 4, rtol=1e-3)


def test_the_level_does_not_depend_on_where_a_network_invents_the_voice(speech):
    true = decibels(torch.from_numpy(speech)[None])[0].numpy()
    generated = true[:, ::-1]
    assert abs(level_db(generated, true)) < 0.3
    loud = true > true.max() - 40
    assert (generated[loud] - true[loud]).mean() < -5
    assert level_db(true + 6, true) == pytest.approx(6, abs=1e-3)
    lower_peaks = np.minimum(true, true.max() - 20)  # as a mean error makes doubtful harmonics
    assert level_db(lower_peaks - 3, true) == pytest.approx(-3, abs=0.1)
    assert level_db(np.full_like(true, FLOOR_DB), true) == 0


@pytest.mark.parametrize("spec", ["mel256", "tacotron2"])
def test_arrays_are_pairs_as_images_are(spec, speech, tmp_path):
    """As ``decode`` writes them, or a text-to-speech model of one's own."""
    spec = load("spec", spec)
    (tmp_path / "mels").mkdir()
    for number in range(3):
        sound = speech[number * 20_000 : number * 20_000 + 19_000]
        write_audio(tmp_path / f"true/a{number}.wav", sound, RATE, overwrite=False)
        shown = analyse(torch.from_numpy(sound)[None], spec)
        write_array(tmp_path / f"mels/a{number}.npy", shown, overwrite=False)
    (tmp_path / "mels/a2.spec.json").unlink()  # then it is what spec= says
    places = {"input": str(tmp_path / "mels"), "reference": str(tmp_path / "true")}
    sources = data(tmp_path, **places).open((spec,), NOISE, 0)
    assert sources.notes == [] and sources.record["generated"]["utterances"] == 2
    assert {*sources.train[0].recordings, *sources.validation[0].recordings} == {"a0", "a1", "a2"}
    example = sources.train[0].piece(0, 10, 40, np.random.default_rng(0))
    heard = example.true > -80
    assert heard.any() and np.abs(example.degraded - example.true)[heard].mean() < 0.1


def test_mels_of_hifigans_own_analysis_are_found_half_a_hop_later(speech, tmp_path):
    """What most text-to-speech models learn from: written out after its ``meldataset.py``."""
    spec = load("spec", "tacotron2")
    (tmp_path / "mels").mkdir()
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=80, fmax=8000))
    for number in range(3):
        sound = speech[number * 17_000 : number * 17_000 + 75 * 256]
        write_audio(tmp_path / f"true/a{number}.wav", sound, RATE, overwrite=False)
        padded = torch.nn.functional.pad(torch.from_numpy(sound)[None], (384, 384), "reflect")
        window = torch.hann_window(1024)
        stft = torch.stft(padded, 1024, 256, window=window, center=False, return_complex=True)
        mel = (filters @ (stft.abs().square() + 1e-9).sqrt()).clamp(min=1e-5).log()
        np.save(tmp_path / f"mels/a{number}.npy", mel[0].numpy())
    source = ImageSource(input=tmp_path / "mels", spec=spec)
    found, problems = read_pairs(source, tmp_path / "true", specs=(spec,), reference_gain_db=0)
    assert problems == {} and [pair.waveform.size for pair in found] == [75 * 256 - 128] * 3
    example = GeneratedPairs(found, (spec,)).piece(1, 10, 40, np.random.default_rng(0))
    begin = 17_000 + 10 * 256 + 128
    assert np.abs(example.waveform - speech[begin : begin + 40 * 256]).max() < 1e-3
    heard = example.true > -70
    assert heard.any() and np.abs(example.degraded - example.true)[heard].mean() < 0.1


def test_the_codec_is_the_data_sets_own_or_agrees_with_it(training):
    with refused("codec.conflict"):
        pairs(training, codec=load("codec", "gray8"))
    assert len(pairs(training, codec=load("codec", "gray8", db_min=-92.04, db_max=-12.04))[0]) == 3
    (training / "spec.yaml").unlink()
    with pytest.raises(BadInput, match=r"spec=.*codec="):
        pairs(training)
    with refused("data.codec.missing"):
        data(training, db_min=-92.04)
    told = data(training, codec="gray8", db_min=-92.04, db_max=-12.04)
    assert len(told.open((SPEC,), NOISE, 0).train[0].total_frames) == 2
    with pytest.raises(BadInput, match=r"n_mels: 80 != 256|different spectrogram settings"):
        shutil.copy(Path(__file__).parents[1] / "data/pix2pix/spec.yaml", training)
        pairs(training, spec=load("spec", "tacotron2"))


def test_examples_of_pairs_show_the_generated_image_beside_the_true_one(training):
    found, _ = pairs(training)
    source = GeneratedPairs(found, (SPEC,))
    rng = np.random.default_rng(0)
    assert list(source.total_frames) == [573, 319, 447]
    for begin, frames in ((0, 40), (100, 40), (300, 40)):
        example = source.piece(1, begin, frames, rng)
        shown = np.maximum(example.degraded, FLOOR_DB)
        there = found[1].decibels[:, begin : begin + frames].astype(np.float32)
        assert np.abs(shown[:, : there.shape[1]] - there).max() < 1e-2
        assert (shown[:, there.shape[1] :] == FLOOR_DB).all()
        assert not example.waveform[(319 - begin) * 256 :].any()
    one = Mixture([source], [1], frames=40, gain_db=0, seed=0)[0]
    damaged, true = (np.maximum(one, FLOOR_DB) for one in (one.degraded, one.true))
    assert 2 < np.abs(damaged - true).mean() < 20


def test_material_is_split_once_and_written_down(training):
    sources = data(training).open((SPEC,), NOISE, 1)
    real, simulated = sources.train
    assert sources.weights == [0.75, 0.25]
    assert list(real.total_frames) == list(simulated.total_frames) and len(real.total_frames) == 2
    (held,) = sources.validation
    assert sorted([*real.total_frames, *held.total_frames]) == [319, 447, 573]
    record = sources.record["generated"]
    assert (
        record["utterances"] == 2 and record["left_out"] == 0 and len(record["files_sha256"]) == 64
    )
    again = data(training).open((SPEC,), NOISE, 1)
    assert again.record == sources.record
    assert sources.notes == []
    others = [data(training).open((SPEC,), NOISE, seed) for seed in (2, 5)]
    assert any(other.record != sources.record for other in others)


def test_many_pictures_that_are_no_use_are_counted_and_the_first_of_them_named(training):
    picture = next(training.rglob("*_fake_B.png"))
    for number in range(9):
        shutil.copy(picture, picture.with_name(f"other{number}__00_fake_B.png"))
    sources = data(training).open((SPEC,), NOISE, 1)
    (note,) = sources.notes
    assert note.startswith("9 left out: other0__00_fake_B.png: ") and note.endswith("; and 4 more")
    assert sources.record["generated"]["left_out"] == 9


def test_several_kinds_of_data_are_mixed_as_asked(training):
    parts = {"all": data(training), "some": data(training, simulated_share=0.5)}
    mixed = Mixed(parts=parts, shares={"all": 3, "some": 1}).open((SPEC,), NOISE, 1)
    assert mixed.weights == pytest.approx([3 * 0.75, 3 * 0.25, 0.5, 0.5])
    assert len(mixed.train) == 4 and len(mixed.validation) == 2
    assert mixed.record["all"]["generated"] == mixed.record["some"]["generated"]


def test_what_one_part_validates_on_no_other_learns_from(training):
    """Though the lines are named otherwise there: by their file instead of the utterance."""
    clips = [f"{name.replace('__', '/', 1)}.flac" for name in LINES]
    kept = ("stem", "utterance", "start_frame", "frames", "total_frames", "gain_db")
    rows = [",".join([*kept, "source", "split"])]
    old = (training / "manifest.csv").read_text().splitlines()
    columns = old[0].split(",")
    for line in old[1:]:
        row = dict(zip(columns, line.split(","), strict=True))
        source = clips[LINES.index(row["utterance"])]
        rows.append(",".join([*(row[name] for name in kept), source, "train"]))
    other = Path(shutil.copytree(training, training.parent / "other"))
    (other / "manifest.csv").write_text("\n".join(rows) + "\n")
    parts = {"one": data(training), "other": data(other, validation_share=0.67)}
    mixed = Mixed(parts=parts, shares={"one": 1, "other": 1}).open((SPEC,), NOISE, 1)
    left_out = Mixed(
        parts={**parts, "missing": data(training / "nowhere")},
        shares={"one": 1, "other": 1, "missing": 0},
    )
    assert left_out.open((SPEC,), NOISE, 1).record == mixed.record
    held = {line for source in mixed.validation for line in source.recordings}
    assert [len(source.recordings) for source in mixed.validation] == [1, 2] and len(held) == 2
    assert [len(s.recordings) for s in parts["one"].open((SPEC,), NOISE, 1).train] == [2, 2]
    for one in mixed.train:
        assert len(one.recordings) == len(one.total_frames) == 1 and not held & set(one.recordings)
        piece = one.piece(0, 0, 40, np.random.default_rng(0))
        assert piece.true.shape == (256, 40) and (piece.true > FLOOR_DB).any()


def test_material_is_refused_where_it_is_too_little(training):
    for name in LINES[1:]:
        (training / f"reference/{name}.flac").unlink()
    with refused("data.input.short"):
        data(training).open((SPEC,), NOISE, 0)
    shutil.rmtree(training / "reference")
    with pytest.raises(BadInput, match=r"reference=.* is not a folder"):
        data(training).open((SPEC,), NOISE, 0)
    with refused("data.simulated_share.range"):
        data(training, simulated_share=1)
    with refused("data.validation_share.range"):
        data(training, validation_share=-0.1)
    nobody = Recordings(root="nowhere", speakers=None, cache=None)
    for shares in ({"nobody": 0}, {"nobody": -1.0}, {}, {"nobody": 1, "me": 1}):
        with refused("data.shares.range"):
            Mixed(parts={"nobody": nobody}, shares=shares)
    with pytest.raises(BadInput, match="nowhere"):
        nobody.open((SPEC,), NOISE, 0)
