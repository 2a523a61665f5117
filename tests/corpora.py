"""Small corpora to train on."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile

from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import Utterance


def write_clip(
    folder: Path, name: str, sound: np.ndarray, sample_rate: int, split: str, speaker: str = "anna"
) -> Utterance:
    """Write a sound as ``name`` below a folder; a whole file, as a row of a manifest."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, sample_rate)
    return Utterance(
        path=name,
        speaker=speaker,
        split=split,
        start_sample=0,
        samples=sound.size,
        sample_rate=sample_rate,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        **levels(sound)._asdict(),
    )
