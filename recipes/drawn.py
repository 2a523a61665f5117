"""Pictures and arrays of a recording by the laws of many programs, each by its own formula."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from PIL import Image

from vocoder.config import load
from vocoder.image.codec.maps import map_colours
from vocoder.spectrogram import analyse

RATE = 22050
Draw = Callable[[np.ndarray, Path], Path]
A = "spec=linear512 spec.nyquist=true spec.pad_mode=constant"
R = "codec.db_min=-90 codec.db_max=-10"


def _save(path: Path, pixels: np.ndarray) -> Path:
    path = path.with_suffix(".png")
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return path


def _array(path: Path, values: np.ndarray) -> Path:
    path = path.with_suffix(".npy")
    np.save(path, values.astype(np.float32))
    return path


def _grey(share: np.ndarray) -> np.ndarray:
    """Fractions of 0 to 1, lowest row first, as 8 bits, highest row first."""
    return np.asarray(np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)[::-1])


def _magnitude(y: np.ndarray, n_fft: int = 1024, hop: int = 256) -> np.ndarray:
    return np.asarray(np.abs(librosa.stft(y, n_fft=n_fft, hop_length=hop)))


def _share(y: np.ndarray) -> np.ndarray:
    """-90 to -10 dB of a full-scale sine as 0 to 1."""
    return np.asarray((librosa.amplitude_to_db(_magnitude(y) / 256, top_db=None) + 90) / 80)


def _mel(y: np.ndarray, rate: int = RATE, **options: Any) -> np.ndarray:
    if rate != RATE:
        y = librosa.resample(y, orig_sr=RATE, target_sr=rate)
    return np.asarray(librosa.feature.melspectrogram(y=y, sr=rate, **options))


def _own(y: np.ndarray, path: Path, *, spec: str, codec: str) -> Path:
    made = load("spec", spec)
    shown = analyse(torch.from_numpy(y)[None], made).decibels[0].numpy()
    return _save(path, load("codec", codec).encode(shown, made))


def _riffusion(y: np.ndarray, path: Path, *, stereo: bool) -> Path:
    window = {"n_fft": 17640, "win_length": 4410}
    mel = _80(y * 32768, 44100, hop=441, n_mels=512, fmax=10000, htk=True, norm=None, **window)
    pixels = (255 - (mel / mel.max()) ** 0.25 * 255).astype(np.uint8)[::-1]
    channels = np.repeat(pixels[..., None], 3, axis=2)
    if stereo:
        channels[..., 0] = 0
    return _save(path, channels)


def _audio_diffusion(y: np.ndarray, path: Path) -> Path:
    mel = _mel(y, n_fft=2048, hop_length=512, n_mels=256)
    log = librosa.power_to_db(mel, ref=np.max, top_db=80)
    return _save(path, (((log + 80) * 255 / 80).clip(0, 255) + 0.5).astype(np.uint8))


def _imsave(y: np.ndarray, path: Path) -> Path:
    from matplotlib.image import imsave

    log = librosa.power_to_db(_mel(y, n_fft=2048, hop_length=512), ref=np.max)
    path = path.with_suffix(".png")
    imsave(path, log, cmap="magma", origin="lower", vmin=-80, vmax=0)
    return path


def _specshow(y: np.ndarray, path: Path, *, y_axis: str) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if y_axis == "mel":
        log = librosa.power_to_db(_mel(y, n_fft=2048, hop_length=512), ref=np.max)
    else:
        log = librosa.amplitude_to_db(_magnitude(y, 2048, 512), ref=np.max)
    figure = Figure(figsize=(10, 4))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    mesh = librosa.display.specshow(log, sr=RATE, x_axis="time", y_axis=y_axis, ax=axes)
    figure.colorbar(mesh, ax=axes, format="%+2.0f dB")
    path = path.with_suffix(".png")
    figure.savefig(path)
    return path


def _sox(y: np.ndarray, path: Path) -> Path:
    """100 columns a second of sox's 1024-point Hann windows, inside of its frame."""
    padded = np.pad(y, 512)
    starts = np.rint(np.arange(int(len(y) / RATE * 100)) * RATE / 100).astype(int)
    window = np.hanning(1025)[:-1]
    frames = np.stack([padded[start : start + 1024] * window for start in starts], axis=1)
    db = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames, axis=0)) / 256, 1e-9))
    places = np.where(db < -120, 0, np.clip(1 + (1 + db / 120) * 249, 1, 250)).astype(int)
    drawn = map_colours("sox")[places[::-1]]
    page = np.zeros((513 + 78, drawn.shape[1] + 144, 3), np.uint8)
    page[30:-48, 58:-86] = drawn
    for row in (29, 543):
        page[row, 57:-85] = 191  # the frame
    for column in (57, page.shape[1] - 86):
        page[29:544, column] = 191
    page[30:-48, -62:-48] = map_colours("sox")[np.linspace(250, 0, 513).astype(int)][:, None]
    for row in range(30, 543, 50):
        page[row, 50:57] = 191
        page[row - 3 : row + 4, 40:46:2] = 191
    return _save(path, page)


def _log_rows(y: np.ndarray, path: Path) -> Path:
    places = np.geomspace(50, RATE / 2, 480) / (RATE / 2) * 512
    below = np.minimum(places.astype(int), 511)
    share = (places - below)[:, None]
    rows = np.clip(_share(y), 0, 1)
    return _save(path, _grey((1 - share) * rows[below] + share * rows[below + 1]))


def _torchaudio(y: np.ndarray, path: Path) -> Path:
    """``save_image(AmplitudeToDB(top_db=80)(MelSpectrogram(16000)(…)), normalize=True)``."""
    options = {"n_fft": 400, "hop_length": 200, "n_mels": 128, "htk": True, "norm": None}
    db = librosa.power_to_db(_mel(y, 16000, pad_mode="reflect", **options), top_db=80)
    share = (db - db.min()) / (db.max() - db.min())
    return _save(path, np.repeat(np.rint(255 * share).astype(np.uint8)[..., None], 3, axis=2))


def _80(y: np.ndarray, rate: int = RATE, hop: int = 256, **options: Any) -> np.ndarray:
    given = {"n_fft": 1024, "n_mels": 80, "power": 1.0, "pad_mode": "reflect", "fmax": 8000}
    return _mel(y, rate, hop_length=hop, **(given | options))


def _tacotron2(y: np.ndarray, path: Path) -> Path:
    return _array(path, np.log(np.maximum(_80(y), 1e-5)))


def _hifigan(y: np.ndarray, path: Path) -> Path:
    padded = np.pad(y, 384, mode="reflect")
    return _array(path, np.log(np.maximum(_80(padded, center=False), 1e-5)))


def _vocos(y: np.ndarray, path: Path) -> Path:
    mel = _80(y, 24000, n_mels=100, fmax=12000, htk=True, norm=None)
    return _array(path, np.log(np.maximum(mel, 1e-7)))


def _parallel_wavegan(y: np.ndarray, path: Path) -> Path:
    mel = _80(y, 24000, hop=300, n_fft=2048, win_length=1200, fmin=80, fmax=7600)
    return _array(path, np.log10(np.maximum(mel, 1e-10)).T)


def _whisper(y: np.ndarray, path: Path, *, n_mels: int = 80) -> Path:
    mel = _80(y, 16000, hop=160, n_fft=400, power=2.0, n_mels=n_mels)
    log = np.log10(np.maximum(mel, 1e-10))
    return _array(path, (np.maximum(log, log.max() - 8) + 4) / 4)


def _diffsinger(y: np.ndarray, path: Path) -> Path:
    """The mels of NSF-HiFiGAN, which DiffSinger's singers share."""
    options: Any = {"hop": 512, "n_fft": 2048, "n_mels": 128, "fmin": 40, "fmax": 16000}
    mel = _80(np.pad(y, 384, mode="reflect"), 44100, center=False, **options)
    return _array(path, np.log(np.maximum(mel, 1e-5)))


def _voice_cloning(y: np.ndarray, path: Path) -> Path:
    """Real-Time-Voice-Cloning: -100 to 0 dB below 20 dB as -4 to 4."""
    emphasised = np.append(y[0], y[1:] - 0.97 * y[:-1])
    mel = _80(emphasised, 16000, hop=200, n_fft=800, fmin=55, fmax=7600)
    db = 20 * np.log10(np.maximum(1e-5, mel)) - 20
    return _array(path, np.clip(8 * (db + 100) / 100 - 4, -4, 4).T)


def _specvqgan(y: np.ndarray, path: Path) -> Path:
    mel = _80(y, fmin=125, fmax=7600, pad_mode="constant")
    return _array(path, np.clip((20 * np.log10(np.maximum(1e-5, mel)) + 80) / 100, 0, 1))


def _autovc(y: np.ndarray, path: Path) -> Path:
    mel = _80(y, 16000, fmin=90, fmax=7600)
    return _array(path, np.clip((20 * np.log10(np.maximum(1e-5, mel)) + 84) / 100, 0, 1).T)


def _melgan_vc(y: np.ndarray, path: Path) -> Path:
    """``normalized=True`` divides powers by the window's energy, 432."""
    options = {"n_fft": 1152, "hop_length": 192, "n_mels": 192, "htk": True, "norm": None}
    mel = _mel(y, 16000, pad_mode="reflect", **options) / 432
    return _array(path, np.clip((librosa.power_to_db(mel) + 80) / 100 * 2 - 1, -1, 1))


def _auffusion(y: np.ndarray, path: Path) -> Path:
    padded = np.pad(librosa.resample(y, orig_sr=RATE, target_sr=16000), 944, mode="reflect")
    options: Any = {
        "n_fft": 2048,
        "hop_length": 160,
        "win_length": 1024,
        "n_mels": 256,
        "power": 1.0,
    }
    mel = librosa.feature.melspectrogram(y=padded, sr=16000, center=False, fmax=8000, **options)
    share = (np.log(np.maximum(mel, 1e-5)) - np.log(1e-5)) / (np.log(200) - np.log(1e-5))
    pixels = (255 * np.clip(share, 0, 1)).astype(np.uint8)[::-1]
    return _save(path, np.repeat(pixels[..., None], 3, axis=2))


def _showspectrumpic(y: np.ndarray, path: Path) -> Path:
    """4096 windows that begin as far apart as they may, 120 dB below the window's energy."""
    window, hop = np.hanning(4096), len(y) // 4096
    padded = np.pad(y, (0, 4096))
    page = np.zeros((2048 + 128, 4096 + 2 * 133, 3), np.uint8)
    page[63:-63, 132:-132] = 200  # the frame
    for column in range(4096):
        frame = np.fft.rfft(padded[column * hop :][:4096] * window)[:2048]
        share = 1 + np.log10(np.maximum(np.abs(frame) / (window**2).sum(), 1e-6)) / 6
        levels = np.rint(255 * np.clip(share, 0, 1)).astype(int)
        page[64:-64, 133 + column] = map_colours("ffmpeg")[levels[::-1]]
    page[64:-64, -112:-102] = map_colours("ffmpeg")[np.linspace(255, 0, 2048).astype(int)][:, None]
    return _save(path, page)


def _audacity(y: np.ndarray, path: Path) -> Path:
    """A track of 400 rows at Audacity's usual zoom; a row is the loudest of its bins."""
    y = np.pad(librosa.resample(y, orig_sr=RATE, target_sr=44100), 1024)
    window = np.hanning(2049)[:-1]
    frames = np.stack([y[at : at + 2048] * window for at in range(0, len(y) - 2048, 512)])
    db = 20 * np.log10(np.abs(np.fft.rfft(frames, 4096)).T * 2 / window.sum() + 1e-9)
    hz = librosa.mel_to_hz(np.linspace(0, librosa.hz_to_mel(20000, htk=True), 401), htk=True)
    edges = np.rint(hz / 44100 * 4096).astype(int)
    rows = [db[a : max(b, a + 1)].max(axis=0) for a, b in pairwise(edges)]
    levels = np.rint(255 * np.clip((np.array(rows) + 100) / 80, 0, 1)).astype(int)
    return _save(path, map_colours("roseus")[levels[::-1]])


def _arss(y: np.ndarray, path: Path) -> Path:
    """Envelopes of bands that overlap by half on a logarithmic axis, the loudest 1."""
    y = librosa.resample(y, orig_sr=RATE, target_sr=44100)
    spectrum_of = np.fft.rfft(y)
    place = 12 * np.log2(np.maximum(np.fft.rfftfreq(len(y), 1 / 44100), 1) / 27.5)
    rows = []
    for band in range(115):  # up to 20 kHz
        weight = 0.5 + 0.5 * np.cos(np.pi * np.clip(place - band, -1, 1))
        analytic = np.zeros(len(y), complex)
        analytic[: len(spectrum_of)] = 2 * spectrum_of * weight
        rows.append(np.abs(np.fft.ifft(analytic))[::294])
    return _save(path, _grey(np.array(rows) / np.max(rows)))


def _constant_q(y: np.ndarray, path: Path, *, octave: int) -> Path:
    """Seven octaves of so many bins each."""
    shown = np.abs(librosa.cqt(y, sr=RATE, n_bins=7 * octave, bins_per_octave=octave))
    return _save(path, _grey(librosa.amplitude_to_db(shown, ref=np.max) / 80 + 1))


# What the law is called, how it is drawn, and the settings that are right.
LAWS: dict[str, tuple[Draw, str]] = {
    "gray8": (partial(_own, spec="mel256", codec="gray8"), "spec=mel256 codec=gray8"),
    "linear512": (
        partial(_own, spec="linear512", codec="gray8:db_min=-80.0"),
        "spec=linear512 codec=gray8 codec.db_min=-80",
    ),
    "hue": (partial(_own, spec="mel256", codec="hue"), "spec=mel256 codec=hue"),
    "viridis": (
        partial(_own, spec="mel256", codec="colormap:cmap=viridis"),
        "spec=mel256 codec=colormap codec.cmap=viridis",
    ),
    "row_0=low": (
        lambda y, path: _save(path, _grey(_share(y))[::-1]),
        f"{A} codec=foreign codec.row_0=low {R}",
    ),
    "dark_is_loud": (
        lambda y, path: _save(path, 255 - _grey(_share(y))),
        f"{A} codec=foreign codec.dark_is_loud=true {R}",
    ),
    "first_bin=1": (
        lambda y, path: _save(path, _grey(_share(y)[1:])),
        f"{A} codec=foreign codec.first_bin=1 {R}",
    ),
    "fourth root": (
        lambda y, path: _save(path, _grey((_magnitude(y) / _magnitude(y).max()) ** 0.25)),
        f"{A} codec=foreign codec.unit=linear codec.exponent=0.25 codec.reference=max",
    ),
    "log rows": (_log_rows, f"{A} codec=foreign codec.rows=log codec.hz_min=50 {R}"),
    "riffusion": (partial(_riffusion, stereo=False), "spec=riffusion codec=riffusion"),
    "riffusion stereo": (
        partial(_riffusion, stereo=True),
        "spec=riffusion codec=riffusion codec.channel=green",
    ),
    "audio_diffusion": (_audio_diffusion, "spec=audio_diffusion codec=audio_diffusion"),
    "librosa imsave": (_imsave, "spec=librosa_mel codec=librosa codec.cmap=magma"),
    "specshow of bins": (
        partial(_specshow, y_axis="log"),
        "spec=seed codec=librosa codec.cmap=magma codec.rows=specshow "
        "codec.crop=[126,49,744,355] codec.hop_length={hop}",
    ),
    "librosa specshow": (
        partial(_specshow, y_axis="mel"),
        "spec=librosa_mel codec=librosa codec.cmap=magma codec.rows=specshow "
        "codec.crop=[126,49,744,355] codec.hop_length={hop}",
    ),
    "sox": (_sox, "spec=sox codec=sox codec.seconds={sox}"),
    "torchaudio": (_torchaudio, "spec=torchaudio_mel codec=librosa codec.row_0=low"),
    "tacotron2": (_tacotron2, "spec=tacotron2"),
    "hifigan": (_hifigan, "spec=hifigan"),
    "vocos": (_vocos, "spec=vocos"),
    "parallel_wavegan": (_parallel_wavegan, "spec=parallel_wavegan codec=parallel_wavegan"),
    "whisper": (_whisper, "spec=whisper codec=whisper"),
    "whisper large-v3": (
        partial(_whisper, n_mels=128),
        "spec=whisper spec.n_mels=128 codec=whisper",
    ),
    "specvqgan": (_specvqgan, "spec=specvqgan codec=specvqgan"),
    "diffsinger": (_diffsinger, "spec=diffsinger codec=log_mel"),
    "voice_cloning": (_voice_cloning, "spec=voice_cloning codec=voice_cloning"),
    "autovc": (_autovc, "spec=autovc codec=autovc"),
    "melgan_vc": (_melgan_vc, "spec=melgan_vc codec=melgan_vc"),
    "auffusion": (_auffusion, "spec=auffusion codec=auffusion"),
    "showspectrumpic": (
        _showspectrumpic,
        "spec=showspectrumpic spec.sample_rate=22050 codec=showspectrumpic "
        "codec.crop=[133,64,-133,-64] codec.hop_length={ffmpeg}",
    ),
    "audacity": (_audacity, "spec=audacity codec=audacity codec.hop_length=512"),
    "constant_q 12": (partial(_constant_q, octave=12), "spec=seed codec=librosa_cqt"),
    "constant_q 24": (
        partial(_constant_q, octave=24),
        "spec=seed codec=librosa_cqt codec.bins_per_octave=24",
    ),
    "arss": (_arss, "spec=arss codec=arss"),
    "amplitudes": (
        lambda y, path: _save(path, _grey(_magnitude(y) / _magnitude(y).max())),
        f"{A} codec=foreign codec.unit=linear codec.reference=max",
    ),
    "0 to 1": (
        lambda y, path: _array(path, np.clip(_share(y), 0, 1)),
        f"{A} codec=foreign codec.at_min=0 codec.at_max=1 {R}",
    ),
}
