"""Real pairs: what a pix2pix painted for lines whose true sound is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from tqdm import tqdm

from vocoder.audio import read_audio
from vocoder.errors import BadInput, some_of
from vocoder.evaluate.reference import References
from vocoder.image.codec.base import Codec
from vocoder.image.utterances import Found, Utterance, find_utterances, load_utterance
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.examples import Example, Source, silenced, sound_and_picture

HELD_OUT_SPLIT = "test"  # in a manifest
# Pictures are compared where the truth is within this of its loudest pixel.
LOUD_RANGE_DB = 40.0
# Shifts that are looked for, in frames. pix2pix cannot shift a picture; a wrong start can.
MAX_SHIFT_FRAMES = 12
# Levels differ by less than this: networks paint a little too quiet or loud, by 1 to 2 dB.
MAX_LEVEL_DB = 4.0


@dataclass(frozen=True)
class Pair:
    """A painted utterance and its true sound.

    Parameters
    ----------
    name : str
    line : str
        The recording, as `vocoder.train.examples.Source.lines`: what the manifest says it was made
        of, or the name.
    decibels : ndarray
        ``(bins, frames)``, float16: the generated image, not below `FLOOR_DB`.
    sound : ndarray
        ``(samples,)``, float32.
    sha256 : str
        Of the files of both: what is computed from them depends on the machine in its last bits.
    """

    name: str
    line: str
    decibels: np.ndarray
    sound: np.ndarray
    sha256: str


def read_pairs(
    folder: Path,
    reference: Path,
    *,
    manifest: Path | None,
    spec: SpectrogramSpec,
    codec: Codec | None,
    reference_gain_db: float,
) -> tuple[list[Pair], dict[str, str]]:
    """Read what a pix2pix program wrote, with the recordings of the same names.

    Parameters
    ----------
    folder : Path
        As for ``vocoder invert``; the gain of the manifest is undone.
    reference : Path
        Folder of recordings, by name; ``sub/x.flac`` is called ``sub__x``.
    manifest : Path or None
        Of the data set, where it isn't beside the pictures.
    spec : SpectrogramSpec
    codec : Codec or None
        How the pictures were made; a codec of ``None`` is what the data set or the pictures say.
    reference_gain_db : float
        What brings the recordings to the level that the pictures were made from.

    Returns
    -------
    list of Pair
    dict of str to str
        Utterances that can't be used, and why.

    Raises
    ------
    BadInput
        Nothing usable, or recordings of another level throughout.
    """
    references = References(reference)
    found = find_utterances(folder, manifest=manifest, spec=spec, codec=codec)
    problems = dict(found.problems)
    pairs: list[Pair] = []
    levels_db: list[float] = []
    progress = tqdm(found.utterances, desc="pairs", unit="line")
    for utterance in progress:
        if any(tile.split == HELD_OUT_SPLIT for tile, _ in utterance.tiles):
            problems[utterance.name] = "held out for testing; not used"
            continue
        try:
            pair, level_db = _pair(utterance, found, references, spec, reference_gain_db)
        except BadInput as error:
            problems[utterance.name] = str(error)
            continue
        pairs.append(pair)
        levels_db.append(level_db)
    if not pairs:
        reasons = [f"{name}: {reason}" for name, reason in problems.items()]
        raise BadInput(f"{folder} holds no pair that can be used ({some_of(reasons)})")
    level_db = float(np.median(levels_db))
    if abs(level_db) > MAX_LEVEL_DB:
        raise BadInput(
            f"the pictures in {folder} are {level_db:+.1f} dB from the recordings in {reference}; "
            f"add that to the gain of {reference_gain_db:g} dB (data.reference_gain_db=), if they "
            "were made from the same recordings at another level"
        )
    return pairs, problems


def _pair(
    utterance: Utterance,
    found: Found,
    references: References,
    spec: SpectrogramSpec,
    reference_gain_db: float,
) -> tuple[Pair, float]:
    loaded = load_utterance(utterance, found)
    name = utterance.name
    if loaded.problems:
        raise BadInput("; ".join(f"{tile}: {why}" for tile, why in loaded.problems.items()))
    path = references.path(name)
    if path is None:
        raise BadInput("no recording of this name")
    sound = read_audio(path, spec.sample_rate) * np.float32(10 ** (reference_gain_db / 20))
    painted = loaded.spectrogram.decibels[0].clamp(min=FLOOR_DB).numpy()
    true = analyse(torch.from_numpy(sound)[None], spec).decibels[0].clamp(min=FLOOR_DB).numpy()
    if abs(painted.shape[1] - true.shape[1]) > 1:
        raise BadInput(
            f"the picture has {painted.shape[1]} frames and the recording {true.shape[1]}"
        )
    for what, decibels in (("picture", painted), ("recording", true)):
        if decibels.max() == decibels.min():
            raise BadInput(f"the {what} is blank")
    frames = min(painted.shape[1], true.shape[1])
    painted, true = painted[:, :frames], true[:, :frames]
    if shift := best_shift(painted, true):
        raise BadInput(f"the picture lies {shift:+d} frames from the recording")
    loud = true > true.max() - LOUD_RANGE_DB
    level_db = float((painted[loud] - true[loud]).mean())
    source = utterance.tiles[0][0].source
    line = source.removesuffix(PurePosixPath(source).suffix) or name.replace("__", "/")
    digest = hashlib.sha256()
    for file in (*utterance.paths, path):
        digest.update(file.read_bytes())
    return Pair(name, line, painted.astype(np.float16), sound, digest.hexdigest()), level_db


def best_shift(painted: np.ndarray, true: np.ndarray) -> int:
    """By how many frames ``painted`` is later than ``true``, both ``(bins, frames)`` in dB: the
    shift of the greatest correlation."""
    reach = min(MAX_SHIFT_FRAMES, true.shape[1] // 4)

    def correlation(shift: int) -> float:
        a = painted[:, max(shift, 0) : painted.shape[1] + min(shift, 0)].ravel()
        b = true[:, max(-shift, 0) : true.shape[1] + min(-shift, 0)].ravel()
        return float(np.corrcoef(a, b)[0, 1])

    return max(range(-reach, reach + 1), key=correlation)


class PairSounds:
    """The recordings of pairs, for channels to be simulated on.

    Parameters
    ----------
    pairs : sequence of Pair
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs

    @property
    def lengths(self) -> Sequence[int]:
        """Samples of each."""
        return [pair.sound.size for pair in self._pairs]

    @property
    def lines(self) -> Sequence[str]:
        """Which recordings they are."""
        return [pair.line for pair in self._pairs]

    def read(self, index: int, start: int, samples: int) -> np.ndarray:
        """A stretch of one, float32."""
        return self._pairs[index].sound[start : start + samples]


class PaintedPairs(Source):
    """Examples from pairs.

    Parameters
    ----------
    pairs : sequence of Pair
    spec : SpectrogramSpec
    """

    def __init__(self, pairs: Sequence[Pair], spec: SpectrogramSpec) -> None:
        self.spec, self.lines = spec, [pair.line for pair in pairs]
        self._pairs = pairs
        self._frames = [pair.decibels.shape[1] for pair in pairs]

    @property
    def total_frames(self) -> Sequence[int]:
        return self._frames

    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        pair, spec = self._pairs[utterance], self.spec

        def read(start: int, samples: int) -> np.ndarray:
            return pair.sound[start : start + samples]

        true, sound = sound_and_picture(read, pair.sound.size, begin, frames, spec)
        filled = np.full((spec.bins, frames), FLOOR_DB, np.float32)
        decibels = pair.decibels[:, begin : begin + frames].astype(np.float32)
        filled[:, : decibels.shape[1]] = decibels
        return Example(silenced(filled), true, sound)
