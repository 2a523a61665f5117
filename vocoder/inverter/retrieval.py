"""What all phase-retrieval inverters share: first phases, blocks and when to move the target."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter, torch_device
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase import INITS, initial_phase
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Admit, Spectrogram, istft_to_padded, stft_of_padded

# Below this, overlaps are most of the work for any spec with four frames on a sample.
LEAST_BLOCK_FRAMES = 64


class Block(NamedTuple):
    """Frames to invert at once, and the iterations that they are worth."""

    spectrogram: Spectrogram
    n_iter: int


@dataclass(frozen=True, kw_only=True)
class PhaseRetrieval(Inverter):
    """Finds a signal whose STFT has the magnitudes that the spectrogram asks for.

    Parameters
    ----------
    n_iter : int
        Iterations of a pair of inverse and forward STFT.
    init : {"phase_gradient", "random", "zero"}
        First phases; see `vocoder.inverter.phase`.
    refine_from, refine_every : int
        From this iteration on, every so often, the target magnitudes move to those that explain
        the picture just as well and are nearest to what the signal has
        (`vocoder.inverter.magnitude.Target`). ``refine_every`` 0 keeps the first guess.
    block_frames : int
        Frames inverted at once; longer spectrograms are cut into blocks, each of which continues
        the finished frames of the one before. Bounds the memory.
    seed : int
        Of the random phases; the same seed gives the same sound on the same device, but for
        rounding also in a batch.
    device : str
        A torch device, or ``auto``.

    Raises
    ------
    BadInput
        A parameter is out of range.
    """

    n_iter: int
    init: str
    refine_from: int
    refine_every: int
    block_frames: int
    seed: int
    device: str

    def __post_init__(self) -> None:
        for name, least in (("n_iter", 0), ("refine_from", 0), ("refine_every", 0), ("seed", 0)):
            self._require(getattr(self, name) >= least, name, f"at least {least}")
        self._require(self.init in INITS, "init", f"one of {INITS}")
        least = LEAST_BLOCK_FRAMES
        self._require(self.block_frames >= least, "block_frames", f"at least {least}")

    def _require(self, ok: bool, name: str, expected: str) -> None:
        if not ok:
            raise BadInput(f"inverter.{name} is {getattr(self, name)!r}; expected {expected}")

    @abstractmethod
    def iterations(
        self, transform: Tensor, target: Target, spec: SpectrogramSpec, pin: Pin
    ) -> Iterator[Tensor]:
        """Improve a complex STFT ``(batch, n_freqs, frames)`` whose magnitudes are the target's.

        Yields what every further iteration makes of it, without end; may write over the first.
        """

    def moves_target(self, iteration: int, target: Target) -> bool:
        """Whether the target moves in this iteration."""
        return (
            self.refine_every > 0
            and target.is_loose
            and iteration >= self.refine_from
            and (iteration - self.refine_from) % self.refine_every == 0
        )

    def blocks(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the sound piece by piece; see `Inverter.blocks`.

        Raises
        ------
        BadInput
            ``block_frames`` is too small for the spec's overlap, or the device is not there.
        """
        members = [replace(spectrogram, values=values[None]) for values in spectrogram.values]
        pieces: list[Tensor] = []
        for _, piece in self.together(members):  # of equal length, they come in turns
            pieces.append(piece)
            if len(pieces) == len(members):
                yield torch.stack(pieces)
                pieces.clear()

    def together(self, spectrograms: Sequence[Spectrogram]) -> Iterator[tuple[int, Tensor]]:
        """Invert several at once; see `Inverter.together`.

        Shorter ones are filled up with frames that don't count, and every one has its own random
        phases, so that each becomes what it becomes alone, but for rounding.

        Raises
        ------
        BadInput
            As for `blocks`.
        ValueError
            Specs differ.
        """
        spec = spectrograms[0].spec
        if any(one.spec != spec for one in spectrograms):
            raise ValueError("spectrograms of different specs cannot be inverted together")
        context, lookahead = overlap_frames(spec)
        least = least_block_frames(spec)
        self._require(self.block_frames >= least, "block_frames", f"at least {least} for this spec")
        device = torch_device(self.device)
        hop = spec.hop_length
        padding = spec.n_fft // 2 if spec.center else 0
        generators = [torch.Generator().manual_seed(self.seed) for _ in spectrograms]
        going_on = list(range(len(spectrograms)))
        known: Tensor | None = None
        settled, written = 0, 0  # frames, samples
        while going_on:
            begin = settled - (0 if known is None else known.shape[2])
            totals = [spectrograms[which].values.shape[2] for which in going_on]
            # A rest no longer than the lookahead joins the last block.
            cut = begin + self.block_frames
            ends = [total if total - cut <= lookahead else cut for total in totals]
            blocks = [
                self._block(spectrograms[which], begin, end, device)
                for which, end in zip(going_on, ends, strict=True)
            ]
            drawn = [generators[which] for which in going_on]
            transform, counts = self.transform_of(blocks, drawn, known)
            signal = istft_to_padded(transform, spec, counts)
            # Frames at a cut lack their right neighbours: the next block does them again.
            settled = cut - lookahead
            origin = begin * hop - padding  # where the block's signal begins in the sound
            rows = []
            for row, (which, end, total) in enumerate(zip(going_on, ends, totals, strict=True)):
                done = end == total
                stop = spectrograms[which].length if done else settled * hop - padding
                piece = signal[row, written - origin : stop - origin].cpu()
                yield which, functional.pad(piece, (0, stop - written - piece.shape[0]))
                if not done:
                    rows.append(row)
            written = settled * hop - padding
            first = max(settled - context, begin) - begin
            last_sample = (settled - begin - 1) * hop + spec.n_fft
            going_on = [going_on[row] for row in rows]
            if going_on:
                known = stft_of_padded(signal[rows, first * hop : last_sample], spec)

    def _block(self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device) -> Block:
        """Some frames of a spectrogram, as they are to be inverted."""
        return Block(spectrogram.frames(begin, end).to(device), self.n_iter)

    def transform_of(
        self,
        blocks: Sequence[Block],
        generators: Sequence[torch.Generator],
        known: Tensor | None,
    ) -> tuple[Tensor, tuple[int, ...] | None]:
        """The complex STFT of blocks side by side, and their lengths unless all are equal."""
        batch, counts = _side_by_side([block.spectrogram for block in blocks])
        target = Target(batch)
        starts = []
        for row, (block, generator) in enumerate(zip(blocks, generators, strict=True)):
            spec, n_frames = block.spectrogram.spec, block.spectrogram.values.shape[2]
            before = None if known is None else known[row : row + 1]
            magnitude = target.start[row : row + 1, :, :n_frames]
            start = initial_phase(magnitude, spec, self.init, generator, before)
            starts.append(_filled(start, batch.values.shape[2]))
        transform = starts[0] if len(starts) == 1 else torch.cat([one.mT for one in starts]).mT
        improved = self.iterations(transform, target, batch.spec, Pin(known, counts))
        most = max(block.n_iter for block in blocks)
        finished: dict[int, Tensor] = {}  # before the others
        for done in range(most + 1):
            if done:
                transform = next(improved)
            for row, block in enumerate(blocks):
                if done == block.n_iter < most:
                    finished[row] = transform[row].clone()
        for row, one in finished.items():
            transform[row] = one
        return transform, counts


def _filled(values: Tensor, n_frames: int) -> Tensor:
    """Zeros behind ``(batch, bins, frames)``, frame by frame in memory as before."""
    missing = n_frames - values.shape[2]
    return functional.pad(values.mT, (0, 0, 0, missing)).mT if missing else values


def _side_by_side(blocks: Sequence[Spectrogram]) -> tuple[Spectrogram, tuple[int, ...] | None]:
    """One batch of several, filled up with silence; and their lengths unless all are equal."""
    if len(blocks) == 1:
        return blocks[0], None
    counts = tuple(block.values.shape[2] for block in blocks)
    longest = max(counts)
    values = torch.cat([_filled(block.values, longest) for block in blocks])
    admits = [block.admit for block in blocks]
    admit: Admit | None = None
    if any(admits):

        def admit(candidate: Tensor, first: int) -> Tensor:
            found = values[:, :, first : first + candidate.shape[2]].clone()
            for row, (one, count) in enumerate(zip(admits, counts, strict=True)):
                if one is not None:
                    here = (slice(row, row + 1), slice(None), slice(max(count - first, 0)))
                    found[here] = one(candidate[here], first)
            return found

    batch = Spectrogram(values, blocks[0].spec, admit=admit)
    return batch, None if min(counts) == longest else counts


def overlap_frames(spec: SpectrogramSpec) -> tuple[int, int]:
    """Frames that a block takes over from the one before, and frames that it leaves to the next.

    Twice the frames that share a sample fix the phases of what follows; three times as many to
    the right let the error of the cut die away (on speech, fewer did as well).
    """
    sharing = math.ceil(spec.n_fft / spec.hop_length)
    return 2 * sharing, 6 * sharing


def least_block_frames(spec: SpectrogramSpec) -> int:
    """The fewest frames at a time that leave something between the overlaps."""
    return max(LEAST_BLOCK_FRAMES, 2 * sum(overlap_frames(spec)))


@dataclass(frozen=True)
class Pin:
    """What an iteration must leave alone.

    Parameters
    ----------
    known : Tensor or None
        Complex ``(batch, n_freqs, k)``: the first frames, which the block before has settled.
    counts : tuple of int or None
        How many frames each member of the batch has, for `istft_to_padded`.
    """

    known: Tensor | None
    counts: tuple[int, ...] | None = None

    def __call__(self, transform: Tensor) -> Tensor:
        """Put the settled frames back in place."""
        if self.known is not None:
            transform[:, :, : self.known.shape[2]] = self.known
        return transform
