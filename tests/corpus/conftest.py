"""Small corpora of real speech."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corpora import write_clip
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
        if sound is None:  # another piece for every name, as no two files may be the same
            first = sum(map(ord, name)) * 7
            sound = speech[first : first + RATE]
        whole = write_clip(tmp_path, name, sound, RATE, "train")
        measured = levels(sound[start:])._asdict()
        return replace(whole, start_sample=start, samples=len(sound) - start, **measured, **changes)

    return make
