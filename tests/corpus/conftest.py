"""Small corpora of real speech."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import Utterance

RATE = 22_050
Make = Callable[..., Utterance]


@pytest.fixture
def make_utterance(tmp_path: Path, speech: np.ndarray) -> Make:
    """Writes a file below ``tmp_path`` and gives its utterance."""

    def make(
        name: str, *, sound: np.ndarray | None = None, start: int = 0, **changes: Any
    ) -> Utterance:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if sound is None:  # another piece for every name, as no two files may be the same
            first = sum(map(ord, name)) * 7
            sound = speech[first : first + RATE]
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        values: dict[str, Any] = {
            "path": name,
            "speaker": "anna",
            "split": "train",
            "start_sample": start,
            "samples": len(sound) - start,
            "sample_rate": RATE,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **levels(sound[start:])._asdict(),
        }
        return Utterance(**{**values, **changes})

    return make
