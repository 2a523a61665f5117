"""Small corpora to train on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import Utterance, write_corpus

RATE = 22_050


def make_corpus(folder: Path, clips: Mapping[str, tuple[np.ndarray, str]]) -> list[Utterance]:
    """Write a corpus of these sounds and splits, by name; a folder in a name is the speaker."""
    utterances = [
        write_clip(folder, name, sound, RATE, split, name.rpartition("/")[0] or "anna")
        for name, (sound, split) in clips.items()
    ]
    write_corpus(folder, utterances, overwrite=False)
    return utterances


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
