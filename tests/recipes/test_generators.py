"""Generators of many kinds: what they are asked, what they learn, what they leave behind."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from recipes.generators import main
from tests.corpora import make_corpus
from tests.refusals import refused
from vocoder import load, read_spectrogram
from vocoder.audio import read_audio
from vocoder.corpus.corpus import Corpus
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import analyse, to_bins
from vocoder.train.generators.networks import discriminator, resnet, unet
from vocoder.train.generators.studio import Studio
from vocoder.train.generators.tasks import TASKS, WAVEFORMS, envelope, magnitudes, voicing
from vocoder.train.generators.trainer import Kind, Trainer

SPEC = load("spec", "mel256")
RATE = SPEC.sample_rate


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, speech):
    folder = tmp_path_factory.mktemp("corpus")
    parts = zip(np.split(speech, 3), ("train", "train", "val"), strict=True)
    make_corpus(folder, {f"anna/{k}.flac": part for k, part in enumerate(parts)})
    return folder


def studio(corpus, folder, seed):
    """One that learns from all utterances, for one step, and generates the first."""
    return Studio(
        Corpus(corpus, "train"),
        folder,
        Kind.drawn(seed, "codec", paired=True),
        spec=SPEC,
        codec=load("codec", "gray8", db_min=-92.0, db_max=-12.0),
        learns=[0, 1],
        generates=[0],
        seed=seed,
        steps=1,
    )


def make(corpus, folder, *words):
    assert main([str(corpus), str(folder), *words]) == 0


def vowel(pitch_hz, seconds=1.0):
    """Harmonics under one formant at 700 Hz."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(5000 / pitch_hz)) * pitch_hz
    levels = 0.05 / (1 + ((harmonics - 700) / 300) ** 2)
    return (levels[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time_s)).sum(0)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_spoils_the_image_and_keeps_its_shape_and_timing(task, speech):
    true = magnitudes(speech, SPEC)
    made = TASKS[task](speech, SPEC, np.random.default_rng(0))
    assert made.shape == true.shape
    assert np.isfinite(made).all() and (made >= 0).all()
    assert np.abs(made - true).mean() > 0.1 * true.mean()
    loudness = [np.log(x.sum(0) + 1) for x in (true, made)]
    assert np.corrcoef(*loudness)[0, 1] > 0.6
    again = TASKS[task](speech, SPEC, np.random.default_rng(0))
    np.testing.assert_array_equal(made, again)


@pytest.mark.parametrize("task", ["telephone", "noise", "room", "codec", "hum"])
def test_some_tasks_keep_the_pitch(task):
    assert _pitch_hz(TASKS[task](vowel(210.0), SPEC, np.random.default_rng(1))) == pytest.approx(
        210, rel=0.03
    )


@pytest.mark.parametrize("task", ["buzz", "monotone", "shifted", "voice"])
def test_some_tasks_have_another_pitch(task):
    assert abs(_pitch_hz(TASKS[task](vowel(210.0), SPEC, np.random.default_rng(1))) - 210) > 8


def test_whisper_has_the_envelope_and_no_voice():
    made = TASKS["whisper"](vowel(210.0), SPEC, np.random.default_rng(1))
    true = magnitudes(vowel(210.0), SPEC)
    assert voicing(true, SPEC).mean() > 0.9 and voicing(made, SPEC).mean() < 0.2
    levels_db = [20 * np.log10(envelope(x, SPEC)[:200, 5:-5]).mean(1) for x in (true, made)]
    assert np.abs(levels_db[0] - levels_db[1]).mean() < 1.5


def _pitch_hz(magnitude):
    """From the mean cepstrum."""
    cepstrum = np.fft.irfft(np.log(magnitude[:, 5:-5] + 1e-2), axis=0).mean(1)
    first, last = round(RATE / 450), round(RATE / 80)
    return RATE / (first + cepstrum[first:last].argmax())


@pytest.mark.parametrize("network", [unet(4, 7, dropout=True), resnet(4, 1, dropout=False)])
def test_networks_give_images_of_the_same_size(network):
    image = torch.rand(1, 1, 256, 128) * 2 - 1
    with torch.no_grad():
        made = network(image)
    assert made.shape == image.shape and float(made.abs().max()) <= 1
    assert discriminator(4, 2)(torch.cat([image, made], 1)).shape[1] == 1


def test_seeds_draw_kinds_of_every_sort():
    kinds = [Kind.drawn(seed, None, paired=True) for seed in range(60)]
    assert {kind.task for kind in kinds} == set(TASKS)
    assert {kind.network for kind in kinds} == {"unet", "resnet"}
    assert {kind.adversarial for kind in kinds} == {kind.dropout for kind in kinds} == {True, False}
    assert min(kind.l1_weight for kind in kinds) < 15 < 70 < max(kind.l1_weight for kind in kinds)
    assert Kind.drawn(3, None, paired=True) == kinds[3]
    assert Kind.drawn(3, "buzz", paired=False).adversarial


def test_real_ones_are_as_pix2pix_has_them():
    kinds = [Kind.real(seed, None) for seed in range(40)]
    assert {kind.task for kind in kinds} == set(TASKS)
    assert {(kind.width, kind.l1_weight) for kind in kinds} == {
        (width, weight) for width in (32, 48) for weight in (30.0, 100.0)
    }
    assert Kind.real(3, None) == kinds[3] and Kind.real(3, "buzz").width == kinds[3].width
    halvings = []
    network = replace(kinds[0], width=2).generator()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _, given, made: halvings.append(made.shape[2:]))
    with torch.no_grad():
        network(torch.zeros(1, 1, 256, 256))
    assert halvings == [(2**k, 2**k) for k in reversed(range(8))]


@pytest.mark.parametrize("paired, adversarial", [(True, False), (True, True), (False, True)])
def test_it_learns(paired, adversarial):
    torch.manual_seed(0)
    kind = Kind("noise", "resnet", 8, adversarial, paired, 50.0, False, (1.0,))
    trainer = Trainer(kind)
    true = torch.linspace(-1, 1, 64)[:, None].expand(64, 32)[None, None]
    given = true * 0.5 + 0.1
    losses = [trainer.step(given, true) for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])


def test_what_it_leaves_is_read_as_pairs_and_an_interruption_changes_nothing(
    corpus, tmp_path, monkeypatch
):
    arguments = ["--task", "whisper", "--steps", "3", "--utterances", "2", "--seed", "6"]
    make(corpus, tmp_path / "whole", *arguments)
    monkeypatch.setattr("vocoder.train.generators.studio.SAVE_EVERY", 1)
    with monkeypatch.context() as stopped:
        learn, steps = Trainer.step, iter(range(3))

        def stop(self, given, true):
            if next(steps) == 2:
                raise KeyboardInterrupt
            return learn(self, given, true)

        stopped.setattr(Trainer, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            make(corpus, tmp_path / "halves", *arguments)
    make(corpus, tmp_path / "halves", *arguments)
    images = sorted((tmp_path / "whole/results").rglob("*.png"))
    assert images
    for image in images:
        other = tmp_path / "halves" / image.relative_to(tmp_path / "whole")
        assert other.read_bytes() == image.read_bytes()
    assert json.loads((tmp_path / "whole/kind.json").read_text())["task"] == "whisper"
    found = ImageSource(input=str(tmp_path / "whole/results")).find()
    loaded = [load_utterance(utterance, found).spectrogram for utterance in found.utterances]
    recordings = [
        read_audio(tmp_path / f"whole/reference/{utterance.name}.flac", RATE)
        for utterance in found.utterances
    ]
    assert not found.problems and len(loaded) == 2
    for spectrogram, recording in zip(loaded, recordings, strict=True):
        assert spectrogram.n_samples == recording.size
        assert spectrogram.decibels.shape[2] == SPEC.n_frames(recording.size)


def test_a_real_one_draws_tiles_of_256_frames_and_only_what_it_has_not_learnt(
    corpus, tmp_path, monkeypatch
):
    learnt = set()
    read, generate = Studio.samples, Studio.generate

    def noted(self, utterance):
        learnt.add(self.corpus.names[utterance].replace("/", "__"))
        return read(self, utterance)

    def unnoted(self, utterances):
        with monkeypatch.context() as unwatched:
            unwatched.setattr(Studio, "samples", read)
            generate(self, utterances)

    real = Kind.real
    monkeypatch.setattr(Kind, "real", lambda *given: replace(real(*given), width=2))
    monkeypatch.setattr(Studio, "samples", noted)
    monkeypatch.setattr(Studio, "generate", unnoted)
    make(corpus, tmp_path, "--task", "noise", "--real", "--unseen", "--steps", "4")
    generated = {path.stem.rsplit("_", 1)[0] for path in (tmp_path / "reference").iterdir()}
    assert len(learnt) == len(generated) == 1 and not learnt & generated
    assert read_spectrogram(tmp_path / "results").decibels.shape[1] == 256
    sizes = set()
    for image in (tmp_path / "results").rglob("*.png"):
        with Image.open(image) as opened:
            sizes.add(opened.size)
    assert sizes == {(256, 256)}


def test_workers_prepare_the_same_examples(corpus, tmp_path):
    arguments = ["--task", "buzz", "--steps", "3", "--utterances", "1", "--seed", "6"]
    for workers in (0, 2):
        make(corpus, tmp_path / str(workers), "--workers", str(workers), *arguments)
    alone, helped = (
        [image.read_bytes() for image in sorted((tmp_path / name).rglob("*.png"))]
        for name in ("0", "2")
    )
    assert alone == helped != []


def test_a_folder_from_before_there_were_sizes_goes_on_and_no_other(corpus, tmp_path):
    folder = tmp_path / "made"
    arguments = ["--task", "codec", "--steps", "1", "--utterances", "1", "--seed", "6"]
    make(corpus, folder, *arguments)
    written = json.loads((folder / "kind.json").read_text())
    before = {name: value for name, value in written.items() if name not in ("levels", "frames")}
    (folder / "kind.json").write_text(json.dumps(before))
    make(corpus, folder, *arguments)
    assert json.loads((folder / "kind.json").read_text()) == written
    for text in (json.dumps({**written, "frames": 256}), "{"):
        (folder / "kind.json").write_text(text)
        with refused("generators.conflict"):
            studio(corpus, folder, seed=6).work()


def test_a_true_image_is_what_the_spec_gives(corpus, tmp_path, speech):
    true = analyse(torch.from_numpy(speech)[None], SPEC).linear
    linear = torch.from_numpy(magnitudes(speech, SPEC))[None]
    torch.testing.assert_close(to_bins(linear, SPEC), true, rtol=1e-3, atol=1e-4)
    _, image = studio(corpus, tmp_path, seed=1).images(speech, np.random.default_rng(0))
    assert image.shape[3] == true.shape[2] and -1 <= float(image.min()) < float(image.max()) <= 1


def test_images_of_three_windows_hold_the_recording_in_each(corpus, tmp_path, monkeypatch, capsys):
    """With a generator that gives back what it is given: the task's waveform, in three analyses."""

    class Same(torch.nn.Module):
        def forward(self, image):
            return image

    monkeypatch.setitem(WAVEFORMS, "telephone", lambda samples, spec, rng: samples)
    monkeypatch.setattr(
        Trainer, "step", lambda self, given, true: float((given - true).abs().max())
    )
    monkeypatch.setattr(Trainer, "restore", lambda self, path: 0)
    monkeypatch.setattr(Trainer, "save", lambda self, path, done: None)
    made = Trainer.__init__

    def begin(self, kind, device=None):
        made(self, kind, device)
        self.generators[0] = Same()

    monkeypatch.setattr(Trainer, "__init__", begin)
    arguments = ["--task", "telephone", "--steps", "2", "--utterances", "1", "--codec", "windows"]
    make(corpus, tmp_path / "made", *arguments)
    shown = read_spectrogram(tmp_path / "made/results")
    (recording,) = (tmp_path / "made/reference").glob("*.flac")
    waveform = torch.from_numpy(read_audio(recording, RATE))[None]
    assert len(shown.specs) == 3
    for plane, spec in zip(shown.analyses, shown.specs, strict=True):
        true = analyse(waveform, spec).decibels
        heard = (plane.decibels > -85) & (true > -85)
        assert heard.any() and (plane.decibels - true)[heard].abs().mean() < 0.5
    with pytest.raises(SystemExit, match="2"):
        make(corpus, tmp_path / "no", "--task", "hum", "--codec", "windows")
    assert "waveform" in capsys.readouterr().err
