"""Spectrogram pictures to speech.

``load(group, name, **changes)`` gives the objects that the command line composes, and
``read_spectrogram(path, ...)`` a picture as a spectrogram, ready for an inverter.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocoder.config import load
from vocoder.errors import BadInput

if TYPE_CHECKING:
    from vocoder.spectrogram import Spectrogram

__all__ = ["BadInput", "load", "read_spectrogram"]


def read_spectrogram(path: str | Path, spec: Any = None, codec: Any = None) -> Spectrogram:
    """Read one picture, or one ``.npy`` array, as a spectrogram.

    Parameters
    ----------
    path : str or Path
    spec : SpectrogramSpec or str, optional
        How it was made, or the name of an option such as ``mel256``, where the file doesn't say.
    codec : Codec or str, optional
        How decibels became pixels, likewise.

    Returns
    -------
    Spectrogram
        Batch of one.

    Raises
    ------
    BadInput
        Not such a file, or settings are missing or contradict what the file says.
    """
    from vocoder.image.source import ImageSource
    from vocoder.image.utterances import load_utterance

    found = ImageSource(
        input=path,
        spec=load("spec", spec) if isinstance(spec, str) else spec,
        codec=load("codec", codec) if isinstance(codec, str) else codec,
    ).find()
    if len(found.utterances) != 1:
        raise BadInput(f"{path} holds {len(found.utterances)} pictures; give one file")
    return load_utterance(found.utterances[0], found).spectrogram
