"""Spectrogram images to speech.

The verbs of the command line, in Python: `encode` writes audio as an image, `read_spectrogram`
reads one, `invert` makes audio of it, and `load` gives the objects that the command line composes,
such as the inverters and repairs themselves.

>>> spectrogram = read_spectrogram("image.png")  # doctest: +SKIP
>>> waveform = invert(spectrogram, inverter="admm:n_iter=100")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocoder.config import load
from vocoder.errors import BadInput, expect

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from vocoder.spectrogram import Spectrogram

__all__ = ["BadInput", "encode", "invert", "load", "read_spectrogram"]


def encode(
    samples: ArrayLike,
    path: str | Path,
    *,
    spec: Any = "mel256",
    codec: Any = "gray8",
    overwrite: bool = False,
) -> Spectrogram:
    """Write audio as one image, which says how it was made, and return what it shows.

    Parameters
    ----------
    samples : array_like
        ``(samples,)``, floating point, full scale 1, at the sample rate of the spec.
    path : str or Path
        The suffix names the format: ``.png``, ``.jpg``, ``.tif``, ``.webp``.
    spec : SpectrogramSpec or str
        The numbers of the spectrogram, or the name of an option.
    codec : Codec or str
        How decibels become pixels, likewise.
    """
    import numpy as np
    import torch

    from vocoder.cpu import torch_threads
    from vocoder.image.codec.base import Codec
    from vocoder.image.file import ImageInfo, write_image
    from vocoder.image.utterances import as_spectrogram
    from vocoder.spec import SpectrogramSpec
    from vocoder.spectrogram import analyse

    spec, codec = _loaded("spec", spec, SpectrogramSpec), _loaded("codec", codec, Codec)
    waveform = torch.as_tensor(samples)
    if not waveform.is_floating_point():
        name = str(waveform.dtype).removeprefix("torch.")
        raise BadInput(
            f"samples are of type {name}; expected floating-point numbers of -1 to 1, such as "
            "soundfile.read gives; of 16-bit samples, divide them by 32768.0",
            key="waveform.type",
        )
    waveform = waveform.detach().float()
    with torch_threads():
        analyses = [analyse(waveform[None], one) for one, _ in codec.analyses(spec)]
    decibels = np.concatenate([one.decibels[0].numpy() for one in analyses])
    info = ImageInfo(spec, codec, len(waveform))
    write_image(Path(path), codec.encode(decibels, spec), codec, info, overwrite=overwrite)
    return as_spectrogram(decibels, spec, codec, len(waveform))


def read_spectrogram(path: str | Path, spec: Any = None, codec: Any = None) -> Spectrogram:
    """Read one image, or one ``.npy`` array, as a spectrogram: a batch of one.

    Parameters
    ----------
    spec : SpectrogramSpec or str, optional
        How it was made, or the name of an option such as ``mel256``, where the file doesn't say.
    codec : Codec or str, optional
        How decibels became pixels, likewise.
    """
    from vocoder.image.codec.base import Codec
    from vocoder.image.source import ImageSource
    from vocoder.image.utterances import load_utterance
    from vocoder.spec import SpectrogramSpec

    source = ImageSource(
        input=path,
        spec=None if spec is None else _loaded("spec", spec, SpectrogramSpec),
        codec=None if codec is None else _loaded("codec", codec, Codec),
    )
    found = source.find()
    if len(found.utterances) != 1:
        raise BadInput(
            f"{path} holds {len(found.utterances)} images; give one file", key="input.conflict"
        )
    return load_utterance(found.utterances[0], found).spectrogram


def invert(
    spectrogram: Spectrogram,
    *,
    repair: Any = "auto",
    inverter: Any = "griffin_lim",
    threads: int = 1,
) -> Tensor:
    """Repair a spectrogram where it needs it, and make audio of it: ``(batch, samples)``.

    Parameters
    ----------
    repair : Repair or str
        An object, or a name, perhaps with settings: ``auto``, ``none``, ``generated:strength=0.5``.
    inverter : Inverter or str
        Likewise: ``griffin_lim``, ``admm:n_iter=100``.
    threads : int
        Of torch, while this lasts; more than one pays where as many cores are idle. In two stages,
        ``inverter(repair(spectrogram))``, it is one, or that of `vocoder.cpu.torch_threads` around
        them.
    """
    from vocoder.cpu import torch_threads
    from vocoder.spectrogram import Spectrogram

    expect(threads >= 1, "threads", threads, "1 or more")
    if not isinstance(spectrogram, Spectrogram):
        raise BadInput(
            f"spectrogram is of type {type(spectrogram).__name__}; expected what "
            "vocoder.read_spectrogram gives of a file, or a vocoder.spectrogram.Spectrogram, which "
            "says what its numbers mean",
            key="spectrogram.type",
        )
    levels = [one.decibels for one in spectrogram.analyses]
    if any(one.isnan().any() or one.isposinf().any() for one in levels):
        raise BadInput("spectrogram holds NaN or infinite levels", key="spectrogram.finite")
    with torch_threads(threads):
        repaired = _loaded("repair", repair, Callable)(spectrogram)
        waveform: Tensor = _loaded("inverter", inverter, Callable)(repaired)
    return waveform


def _loaded(group: str, given: Any, kind: Any) -> Any:
    made = load(group, given) if isinstance(given, str) else given
    expected = f"a {kind.__name__}, or the name of an option"
    expect(isinstance(made, kind), group, made, expected, "type")
    return made
