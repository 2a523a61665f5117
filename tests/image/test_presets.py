"""Presets by name, against the formulas of the programs that wrote such images."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from matplotlib.image import imsave
from PIL import Image

from tests.image.laws import analysed, assert_same, opened, save
from tests.refusals import refused
from vocoder import load, read_spectrogram
from vocoder.image.codec.maps import map_colours
from vocoder.image.file import decode_image, read_image
from vocoder.spectrogram import analyse_linear


def spectrum(samples, spec):
    return analyse_linear(torch.from_numpy(samples)[None], spec)[0].double().numpy()


class TestPresets:
    """Each against the program's own formula, with librosa as the analysis."""

    def mel(self, speech, n_fft, hop, n_mels, sr=22050, **options):
        return librosa.feature.melspectrogram(
            y=speech, sr=sr, n_fft=n_fft, hop_length=hop, n_mels=n_mels, **options
        )

    def test_audio_diffusion(self, speech, tmp_path):
        """diffusers' Mel.audio_slice_to_image"""
        log = librosa.power_to_db(self.mel(speech, 2048, 512, 256), ref=np.max, top_db=80)
        pixels = (((log + 80) * 255 / 80).clip(0, 255) + 0.5).astype(np.uint8)
        spec = load("spec", "audio_diffusion")
        found = opened(
            save(tmp_path / "a.png", pixels), load("codec", "audio_diffusion", max_db=0.0), spec
        )
        truth = analysed(speech, spec)
        # Two mel bands hold no bin, and what the range ends below is silence.
        assert_same(found, truth - truth.max(), 0.2, floor_db=-79.5, ceiling_db=1)

    def test_librosa_drawn_by_imsave(self, speech, tmp_path):
        log = librosa.power_to_db(self.mel(speech, 2048, 512, 128), ref=np.max)
        path = tmp_path / "a.png"
        imsave(path, log, cmap="magma", origin="lower", vmin=-80, vmax=0)
        spec = load("spec", "librosa_mel")
        found = opened(path, load("codec", "librosa", cmap="magma", max_db=0.0), spec)
        truth = analysed(speech, spec)
        assert_same(found, truth - truth.max(), 0.8, floor_db=-78, ceiling_db=1)

    def riffusion(self, speech, stereo):
        """What riffusion draws of samples of 16 bits, and SpectrogramParams.to_exif."""
        sound = np.tile(librosa.resample(speech, orig_sr=22050, target_sr=44100), 2)
        spec = load("spec", "riffusion")
        mel = spectrum(sound.astype(np.float32) * 32768, spec)
        pixels = (255 - (mel / mel.max()) ** 0.25 * 255).astype(np.uint8)[::-1]
        colours = np.repeat(pixels[..., None], 3, 2)
        if stereo:
            colours[..., 0] = 0
        exif = Image.Exif()
        exif.update({11000: 44100, 11005: stereo, 11010: 10, 11020: 100, 11030: 400, 11040: 512})
        exif.update({11050: 0, 11060: 10000, 11070: 0.25, 11080: float(mel.max())})
        truth = analysed(sound.astype(np.float32), spec)
        return Image.fromarray(colours), exif, spec, truth

    @pytest.mark.parametrize("stereo", [False, True])
    def test_riffusion_says_itself_what_it_is(self, stereo, speech, tmp_path):
        image, exif, spec, truth = self.riffusion(speech, stereo)
        image.save(tmp_path / "a.png", exif=exif)
        found = read_image(tmp_path / "a.png")
        assert found.info is not None and found.info.spec == spec
        decoded = read_spectrogram(tmp_path / "a.png").decibels[0].numpy()
        assert_same(decoded, truth, 0.6, floor_db=truth.max() - 50, ceiling_db=0)
        image.save(tmp_path / "b.png")
        named = decode_image(
            read_image(tmp_path / "b.png"),
            load("codec", "riffusion", channel="green", max_db=float(truth.max())),
            spec,
        )
        np.testing.assert_allclose(named.decibels, decoded, atol=0.02)

    def test_damaged_exif_of_riffusion(self, speech, tmp_path):
        image, exif, _, _ = self.riffusion(speech, False)
        exif[11000] = "fast"
        image.save(tmp_path / "a.png", exif=exif)
        with refused("image.exif"):
            read_image(tmp_path / "a.png")

    @pytest.mark.parametrize(
        ("name", "log"),
        [
            ("specvqgan", lambda m: np.clip((20 * np.log10(np.maximum(1e-5, m)) + 80) / 100, 0, 1)),
            ("parallel_wavegan", lambda m: np.log10(np.maximum(1e-10, m)).T),
            (
                "autovc",
                lambda m: np.clip((20 * np.log10(np.maximum(1e-5, m)) - 16 + 100) / 100, 0, 1).T,
            ),
            (
                "melgan_vc",
                lambda m: np.clip((librosa.power_to_db(m / 432) - 20 + 100) / 100 * 2 - 1, -1, 1),
            ),
            (
                "voice_cloning",
                lambda m: np.clip(0.08 * (20 * np.log10(np.maximum(1e-5, m)) + 80) - 4, -4, 4).T,
            ),
            (
                "whisper",
                lambda m: (np.maximum(x := np.log10(np.maximum(m, 1e-10)), x.max() - 8) + 4) / 4,
            ),
        ],
    )
    def test_arrays(self, name, log, speech, tmp_path):
        spec = load("spec", name)
        sound = librosa.resample(speech, orig_sr=22050, target_sr=spec.sample_rate)
        mel = self.mel(
            sound,
            spec.n_fft,
            spec.hop_length,
            spec.n_mels,
            sr=spec.sample_rate,
            win_length=spec.win_length,
            power=spec.power,
            fmin=spec.fmin,
            fmax=spec.fmax,
            pad_mode=spec.pad_mode,
            htk=spec.mel_scale == "htk",
            norm="slaney" if spec.mel_norm == "slaney" else None,
        )
        np.save(tmp_path / "a.npy", log(mel).astype(np.float32))
        found = read_spectrogram(tmp_path / "a.npy", spec, name).decibels[0].numpy()
        truth = analysed(sound, spec)
        assert_same(found, truth, 0.03, floor_db=truth.max() - 70, ceiling_db=20)

    def test_auffusion(self, speech, tmp_path):
        """Its converter.py: mel_spectrogram, then normalize_spectrogram."""
        sound = librosa.resample(speech, orig_sr=22050, target_sr=16000)
        padded = np.pad(sound, (2048 - 160) // 2, mode="reflect")
        options = {"win_length": 1024, "center": False, "power": 1.0, "fmax": 8000}
        mel = np.maximum(self.mel(padded, 2048, 160, 256, sr=16000, **options), 1e-5)
        share = (np.log(mel) - np.log(1e-5)) / (np.log(200) - np.log(1e-5))
        pixels = np.repeat((255 * share).astype(np.uint8)[::-1, :, None], 3, axis=2)
        spec = load("spec", "auffusion")
        found = opened(save(tmp_path / "a.png", pixels), load("codec", "auffusion"), spec)
        truth = analysed(sound, spec)
        assert_same(found, truth, 0.6, floor_db=truth.max() - 70, ceiling_db=20)

    def test_natural_logarithms(self, speech, tmp_path):
        """By the codec as by the spec's ``compression``."""
        spec = load("spec", "tacotron2")
        mel = spectrum(speech, spec)
        np.save(tmp_path / "a.npy", np.log(np.maximum(mel, 1e-5)).astype(np.float32))
        by_spec = read_spectrogram(tmp_path / "a.npy", spec).decibels
        by_law = read_spectrogram(tmp_path / "a.npy", spec, "log_mel").decibels
        np.testing.assert_allclose(by_law, by_spec, atol=1e-3)

    def test_padding_of_hifigan(self, speech, tmp_path):
        """Its meldataset pads by (n_fft - hop) / 2: no time is moved, no end is lost."""
        padded = np.pad(speech, (1024 - 256) // 2, mode="reflect")
        mel = self.mel(padded, 1024, 256, 80, center=False, power=1.0, fmax=8000)
        np.save(tmp_path / "a.npy", np.log(np.maximum(mel, 1e-5)).astype(np.float32))
        spec = load("spec", "hifigan")
        found = read_spectrogram(tmp_path / "a.npy", spec)
        assert found.n_frames == len(speech) // 256 and found.length == 256 * found.n_frames
        heard = found.decibels[0] > -100
        truth = analysed(speech, spec)[heard]
        np.testing.assert_allclose(found.decibels[0][heard], truth, atol=0.01)

    def test_mels_of_diffsinger(self, speech, tmp_path):
        sound = librosa.resample(speech, orig_sr=22050, target_sr=44100)
        options = {"sr": 44100, "power": 1.0, "fmin": 40, "fmax": 16000, "pad_mode": "reflect"}
        mel = self.mel(sound, 2048, 512, 128, **options)
        np.save(tmp_path / "a.npy", np.log(np.maximum(mel, 1e-5)).astype(np.float32))
        spec = load("spec", "diffsinger")
        found = read_spectrogram(tmp_path / "a.npy", spec, "log_mel").decibels[0].numpy()
        truth = analysed(sound, spec)
        assert_same(found, truth, 0.03, floor_db=truth.max() - 70, ceiling_db=20)

    @pytest.mark.parametrize(("bins_per_octave", "hz"), [(12, 440.0), (12, 1760.0), (24, 3520.0)])
    def test_constant_q(self, bins_per_octave, hz):
        """A sine of amplitude .5 is at its frequency and -6 dB, whatever librosa scales it by."""
        sine = 0.5 * np.sin(2 * np.pi * hz / 22050 * np.arange(60_000)).astype(np.float32)
        options = {"n_bins": 7 * bins_per_octave, "bins_per_octave": bins_per_octave}
        shown = np.abs(librosa.cqt(sine, sr=22050, **options))
        place = {"rows": "constant_q", "bins_per_octave": bins_per_octave}
        spec = load("spec", "seed")
        codec = load("codec", "foreign", unit="linear", reference="one", **place)
        middle = codec.decode_array(shown, spec)[:, 60]
        assert middle.argmax() == round(hz / 22050 * 2048)
        assert middle.max() == pytest.approx(-6, abs=0.5)
        log = librosa.amplitude_to_db(shown, ref=np.max)
        pixels = np.rint(255 * (log + 80) / 80).astype(np.uint8)[::-1]
        drawn = load("codec", "librosa_cqt", bins_per_octave=bins_per_octave, max_db=-6.0)
        assert drawn.decode(pixels, spec).decibels[:, 60].max() == pytest.approx(-6, abs=0.5)

    @pytest.mark.filterwarnings("ignore:Empty filters")
    @pytest.mark.parametrize("name", ["torchaudio_mel", "vocos"])
    def test_filters_as_torchaudio_has_them(self, name, speech):
        """HTK's scale without normalisation, which librosa has too."""
        spec = load("spec", name)
        filters = librosa.filters.mel(
            sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, htk=True, norm=None
        )
        nothing: dict[str, Any] = dict.fromkeys(("n_mels", "fmin", "fmax", "mel_scale", "mel_norm"))
        linear = replace(spec, kind="linear", **nothing)
        np.testing.assert_allclose(
            spectrum(speech, spec), filters @ spectrum(speech, linear), rtol=1e-3, atol=1e-4
        )

    def test_sox(self, truth, tmp_path):
        """A scalar reading of sox's own arithmetic: 120 dB in 251 colours, behind two for text."""

        def colour(db):
            c = 0 if db < -120 else 250 if db >= 0 else int(1 + (1 + db / 120) * 249)
            x = c / 250
            red = 0 if x < 0.13 else np.sin((x - 0.13) / 0.60 * np.pi / 2) if x < 0.73 else 1
            green = 0 if x < 0.60 else np.sin((x - 0.60) / 0.31 * np.pi / 2) if x < 0.91 else 1
            blue = (
                0.5 * np.sin(x / 0.6 * np.pi) if x < 0.6 else 0 if x < 0.78 else (x - 0.78) / 0.22
            )
            return [int(0.5 + 255 * value) for value in (red, green, blue)]

        drawn = truth[:, 40:100]
        pixels = np.array([[colour(db) for db in row] for row in drawn[::-1]], np.uint8)
        framed = np.pad(pixels, ((30, 48), (58, 86), (0, 0)))
        path = save(tmp_path / "a.png", framed)
        found = opened(path, load("codec", "sox"), load("spec", "sox"))
        assert_same(found, drawn, 1.0, floor_db=-119, ceiling_db=-1)

    def test_showspectrumpic(self, speech, tmp_path):
        """A scalar reading of avf_showspectrum.c: no padding, a window's sum of squares as 0 dB,
        120 dB, a map in YUV, no Nyquist bin."""
        window, hop = np.hanning(512), 26  # as many samples as columns allow, rounded down
        starts = range(0, len(speech) - 512, hop)
        frames = np.array([speech[start : start + 512] * window for start in starts])
        magnitude = np.abs(np.fft.rfft(frames))[:, :256].T / (window**2).sum()
        share = 1 + np.log10(magnitude.clip(1e-6, 1)) / 6
        corners = np.array(
            [
                *(
                    [0, 0, 0, 0],
                    [0.13, 0.03587, 0.15733, -0.02549],
                    [0.3, 0.18572, 0.17724, 0.17476],
                ),
                *([0.6, 0.28185, -0.15931, 0.47132], [0.73, 0.65831, -0.37161, 0.24353]),
                *(
                    [0.78, 0.76319, -0.43075, 0.16866],
                    [0.91, 0.95336, -0.20455, 0.03314],
                    [1, 1, 0, 0],
                ),
            ]
        )
        yuv = np.stack([np.interp(share, corners[:, 0], one) for one in corners.T[1:]], axis=-1)
        planes = np.rint(np.clip(256 * yuv + [0, 127.5, 127.5], 0, 255)).astype(np.uint8)[::-1]
        drawn = np.asarray(Image.fromarray(planes, "YCbCr").convert("RGB"))
        path = save(tmp_path / "a.png", np.pad(drawn, ((64, 64), (133, 133), (0, 0))))
        sizes = {"sample_rate": 22050, "n_fft": 512, "win_length": 512, "hop_length": 5 * hop}
        spec = load("spec", "showspectrumpic", **sizes)
        crop = [133, 64, -133, -64]
        codec = load("codec", "showspectrumpic", crop=crop, hop_length=float(hop))
        found = opened(path, codec, spec)
        truth = analysed(speech, spec)
        truth = truth[:, : found.shape[1]]
        # ffmpeg's window is symmetric, which weak bins beside strong ones show.
        assert np.quantile(np.abs(found - truth)[truth > -100], 0.998) < 1.5
        assert np.quantile(found[truth < -122], 0.998) < -110

    def test_audacity(self, speech, tmp_path):
        """A row is the loudest of its bins; a window of 2048 with as many zeros; mel as HTK's."""
        spec = load("spec", "audacity")
        long = np.tile(speech, 2)
        window = np.hanning(2049)[:-1]
        frames = np.array([long[at : at + 2048] * window for at in range(0, 40_000, 512)])
        db = 20 * np.log10(np.abs(np.fft.rfft(frames, 4096)).T * 2 / window.sum() + 1e-9)
        mel = np.linspace(0, 1127 * np.log(1 + 20_000 / 700), 401)
        edges = np.rint(700 * (np.exp(mel / 1127) - 1) / 44_100 * 4096).astype(int)
        share = np.array([db[a : max(b, a + 1)].max(axis=0) for a, b in pairwise(edges)])
        colours = map_colours("roseus")[
            np.rint(255 * np.clip((share + 100) / 80, 0, 1)).astype(int)
        ]
        codec = load("codec", "audacity", hop_length=512.0)
        found = opened(save(tmp_path / "a.png", colours[::-1]), codec, spec)
        truth = analysed(long, replace(spec, center=False))[:, : found.shape[1]]
        inside = (truth > -90) & (truth < -21)
        assert abs(np.median((found - truth)[inside])) < 2.5  # the loudest bin of some
        assert np.corrcoef(found[inside], truth[inside])[0, 1] > 0.9

    @pytest.mark.parametrize("hz", [220.0, 1760.0])
    def test_arss(self, hz, tmp_path):
        """Envelopes of bands that overlap by half on a logarithmic axis, the loudest 1."""
        n, bands = 88_200, 96
        spectrum_of = np.fft.rfft(np.sin(2 * np.pi * hz / 44_100 * np.arange(n)))
        place = 12 * np.log2(np.maximum(np.fft.rfftfreq(n, 1 / 44_100), 1) / 27.5)
        rows = []
        for band in range(bands):
            weight = 0.5 + 0.5 * np.cos(np.pi * np.clip(place - band, -1, 1))
            analytic = np.concatenate([2 * spectrum_of * weight, np.zeros(n // 2 - 1)])
            rows.append(np.abs(np.fft.ifft(analytic))[::294])
        image = np.rint(255 * np.array(rows) / np.max(rows)).astype(np.uint8)[::-1]
        spec = load("spec", "arss")
        found = opened(save(tmp_path / "a.bmp", image), load("codec", "arss"), spec)
        middle = found[:, found.shape[1] // 2]
        assert middle.argmax() == pytest.approx(hz / 44_100 * 2048, rel=2 ** (1 / 24) - 1)
        assert middle.max() == pytest.approx(0, abs=1.0)
