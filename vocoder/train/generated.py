"""Pairs of what a program generated and the true recording, checked one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from vocoder.audio import read_audio
from vocoder.errors import BadInput, some_of
from vocoder.evaluate.reference import References
from vocoder.image.source import Found, ImageSource, Utterance
from vocoder.image.utterances import load_utterance
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.train.examples import Example, Source, cut_piece, silenced, stacked_analyses

HELD_OUT_SPLIT = "test"  # in a manifest
# Shifts that are looked for, in frames. pix2pix cannot shift an image; a wrong start can.
MAX_SHIFT_FRAMES = 12
# Arrays that are looked at to find where their frames lie.
N_PROBED = 8
# Levels differ by less than this: nine generators of other tasks and networks were within 2.5 dB.
MAX_LEVEL_DB = 4.0
# One utterance from the others: twenty generators' were within 4.2 dB.
MAX_LEVEL_APART_DB = 10.0
# Of utterances that lie elsewhere than their recordings: of twenty generators' up to 15 % did,
# of wrong pairs 68 % and more.
MAX_SHIFTED = 1 / 3
HEARD_DB = 25.0  # above the floor


@dataclass(frozen=True)
class Pair:
    """A generated utterance and its recording."""

    name: str
    recording: str  # as `vocoder.train.examples.Source.recordings`: by the manifest, or the name
    # (bins, frames), float16: what was generated, not below `FLOOR_DB`, of several analyses one
    # below the other.
    decibels: np.ndarray
    waveform: np.ndarray  # (samples,), float32
    level_db: float  # how much louder it was generated than it was recorded
    # Of both files and what is said of them: what is computed depends on the machine in its last
    # bits.
    sha256: str


def read_pairs(
    source: ImageSource,
    reference: Path,
    *,
    specs: tuple[SpectrogramSpec, ...],
    reference_gain_db: float,
    checked: bool = True,
) -> tuple[list[Pair], dict[str, str]]:
    """Read what a program generated, with the recordings of the same names.

    Parameters
    ----------
    source : ImageSource
        Images, the gain of the manifest undone, or ``.npy`` arrays.
    reference : Path
        Folder of recordings, by name; ``sub/x.flac`` is called ``sub__x``.
    specs : tuple of SpectrogramSpec
        Of the analyses that the images must hold.
    reference_gain_db : float
        What brings the recordings to the level that the images were made from.
    checked : bool
        Whether images must lie where their recordings do, and be about as loud. What was generated
        here does, whatever it looks like.

    Returns
    -------
    list of Pair
    dict of str to str
        Utterances that can't be used, and why.
    """
    folder = source.path
    references = References(reference)
    found = source.find()
    problems = dict(found.problems)
    pairs: list[Pair] = []
    shifted: list[str] = []
    offset = _frame_offset(found, references, specs)
    for utterance in tqdm(found.utterances, desc="pairs", unit="utterance"):
        if any(tile.split == HELD_OUT_SPLIT for tile, _ in utterance.tiles):
            problems[utterance.name] = "held out for testing; not used"
            continue
        try:
            pairs.append(
                _pair(utterance, found, references, specs, reference_gain_db, offset, checked)
            )
        except BadInput as error:
            problems[utterance.name] = str(error)
            if error.key == "pair.shifted":
                shifted.append(utterance.name)
    if not pairs:
        reasons = [f"{name}: {reason}" for name, reason in problems.items()]
        raise BadInput(
            f"{folder} holds no pair that can be used ({some_of(reasons)}); expected what the "
            "program generated for the training set (--phase train), with true recordings of the "
            "same names",
            key="data.input.empty",
        )
    if len(shifted) > MAX_SHIFTED * (len(shifted) + len(pairs)):
        raise BadInput(
            f"{len(shifted)} of {len(shifted) + len(pairs)} utterances in {folder} lie elsewhere "
            f"than their recordings in {reference} "
            f"({some_of([f'{name}: {problems[name]}' for name in shifted])}); expected recordings "
            "of the same names to be of the same speech",
            key="data.reference.conflict",
        )
    louder_db = float(np.median([pair.level_db for pair in pairs]))
    if checked and abs(louder_db) > MAX_LEVEL_DB:
        raise BadInput(
            f"what was generated in {folder} is {louder_db:+.1f} dB from the recordings in "
            f"{reference}; if it was made from the same recordings at another level, say "
            f"data.reference_gain_db={reference_gain_db + louder_db:.1f}",
            key="data.reference_gain_db.conflict",
        )
    fitting = []
    for pair in pairs:
        apart_db = pair.level_db - louder_db
        if checked and abs(apart_db) > MAX_LEVEL_APART_DB:
            problems[pair.name] = f"it is {apart_db:+.1f} dB from its recording, unlike the others"
        else:
            fitting.append(pair)
    return fitting, problems


def _frame_offset(found: Found, references: References, specs: tuple[SpectrogramSpec, ...]) -> int:
    """Samples by which the frames of arrays lie later than this package's own.

    HiFi-GAN's analysis, and whatever learnt from its mels, centres frame ``t`` half a hop after
    sample ``t * hop_length``. Images and most arrays have 0.
    """
    likeness = {0: 0.0, specs[0].hop_length // 2: 0.0}
    arrays = [one for one in found.utterances if not one.tiles]
    for utterance in arrays[:N_PROBED]:
        try:
            generated, waveform, _ = _read(utterance, found, references, specs)
            for offset in likeness:
                true = _shown(waveform[offset:], specs)
                frames = min(generated.shape[1], true.shape[1])
                both = [one[:, :frames].ravel() for one in (generated, true)]
                with np.errstate(invalid="ignore"):  # of a blank one
                    likeness[offset] += float(np.nan_to_num(np.corrcoef(both)[0, 1]))
        except BadInput:  # which is told where the pair is read
            continue
    return max(likeness, key=lambda offset: likeness[offset])


def _read(
    utterance: Utterance,
    found: Found,
    references: References,
    specs: tuple[SpectrogramSpec, ...],
) -> tuple[np.ndarray, np.ndarray, Path]:
    """What was generated, in decibels ``(bins, frames)``; the recording, and its file."""
    loaded = load_utterance(utterance, found)
    if loaded.problems:
        raise BadInput(
            "; ".join(f"{tile}: {why}" for tile, why in loaded.problems.items()), key="pair.damaged"
        )
    path = references.path(utterance.name)
    if path is None:
        raise BadInput("no recording of this name", key="pair.missing")
    shown = loaded.spectrogram
    if len(specs) == 1:
        shown = replace(shown, others=())
    if shown.specs != specs:
        raise BadInput(
            f"it holds analyses with windows of {[spec.win_length for spec in shown.specs]} "
            f"samples; model.windows expects {[spec.win_length for spec in specs]}",
            key="data.windows.conflict",
        )
    generated = shown.stacked[0].clamp(min=FLOOR_DB).numpy()
    return generated, read_audio(path, specs[0].sample_rate), path


def _shown(waveform: np.ndarray, specs: tuple[SpectrogramSpec, ...]) -> np.ndarray:
    return stacked_analyses(waveform, specs).clip(min=FLOOR_DB)


def _pair(
    utterance: Utterance,
    found: Found,
    references: References,
    specs: tuple[SpectrogramSpec, ...],
    reference_gain_db: float,
    offset: int,
    checked: bool,
) -> Pair:
    generated, waveform, path = _read(utterance, found, references, specs)
    waveform = waveform[offset:] * np.float32(10 ** (reference_gain_db / 20))
    true = _shown(waveform, specs)
    if abs(generated.shape[1] - true.shape[1]) > 1:
        raise BadInput(
            f"{generated.shape[1]} frames, but the recording has {true.shape[1]}", key="pair.length"
        )
    for what, decibels in (("it", generated), ("the recording", true)):
        if decibels.max() == decibels.min():
            raise BadInput(f"{what} is blank", key="pair.blank")
    frames = min(generated.shape[1], true.shape[1])
    generated, true = generated[:, :frames], true[:, :frames]
    if checked and (shift := best_shift(generated, true)):
        raise BadInput(f"it lies {shift:+d} frames from the recording", key="pair.shifted")
    source = utterance.tiles[0][0].source if utterance.tiles else ""
    codec = found.codec and found.codec.to_dict()
    tiles = [tile for tile, _ in utterance.tiles]
    digest = hashlib.sha256(repr((tiles, found.spec, codec, found.floor_scale)).encode())
    for file in (*utterance.paths, path):
        digest.update(file.read_bytes())
    return Pair(
        name=utterance.name,
        recording=source.removesuffix(PurePosixPath(source).suffix)
        or utterance.name.replace("__", "/"),
        decibels=generated.astype(np.float16),
        waveform=waveform,
        level_db=level_db(generated, true),
        sha256=digest.hexdigest(),
    )


def level_db(generated: np.ndarray, true: np.ndarray) -> float:
    """How much louder a spectrogram is than another, both ``(bins, frames)`` in dB.

    The median difference of pixels that are heard in both. Energies are no guide: a network that
    learns a mean error draws harmonics that it is not sure of 7 dB too low, and one that invents
    the pitch puts them elsewhere.
    """
    heard = np.minimum(generated, true) > FLOOR_DB + HEARD_DB
    return float(np.median((generated - true)[heard])) if heard.any() else 0.0


def best_shift(generated: np.ndarray, true: np.ndarray) -> int:
    """By how many frames ``generated`` is later than ``true``, both ``(bins, frames)`` in dB.

    The shift of the greatest correlation.
    """
    reach = min(MAX_SHIFT_FRAMES, true.shape[1] // 4)

    def correlation(shift: int) -> float:
        a = generated[:, max(shift, 0) : generated.shape[1] + min(shift, 0)].ravel()
        b = true[:, max(-shift, 0) : true.shape[1] + min(-shift, 0)].ravel()
        return float(np.corrcoef(a, b)[0, 1])

    return max(range(-reach, reach + 1), key=correlation)


class PairRecordings:
    """The recordings of pairs, for degradations to be simulated on."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self.lengths = [pair.waveform.size for pair in pairs]
        self.names = [pair.recording for pair in pairs]

    def read(self, index: int, start: int, samples: int) -> np.ndarray:
        """A stretch of one, float32."""
        return self._pairs[index].waveform[start : start + samples]


class GeneratedPairs(Source):
    """Examples from pairs."""

    def __init__(self, pairs: Sequence[Pair], specs: tuple[SpectrogramSpec, ...]) -> None:
        self.specs, self._pairs = specs, pairs
        self.recordings = [pair.recording for pair in pairs]
        self.total_frames = [pair.decibels.shape[1] for pair in pairs]

    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        pair = self._pairs[utterance]

        def read(start: int, samples: int) -> np.ndarray:
            return pair.waveform[start : start + samples]

        true, waveform = cut_piece(read, pair.waveform.size, begin, frames, self.specs)
        filled = np.full((len(pair.decibels), frames), FLOOR_DB, np.float32)
        decibels = pair.decibels[:, begin : begin + frames].astype(np.float32)
        filled[:, : decibels.shape[1]] = decibels
        return Example(silenced(filled), true, waveform)
