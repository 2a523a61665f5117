"""What all phase-retrieval inverters share: first phases, blocks and when to move the target."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.cpu import stepwise_threads
from vocoder.decibels import SILENCE_DB
from vocoder.device import torch_device
from vocoder.errors import expect, expect_ranges
from vocoder.inverter.base import Inverter
from vocoder.inverter.joint import JointStft
from vocoder.inverter.magnitude import Target
from vocoder.inverter.mels import MelNet, between_bands
from vocoder.inverter.phase import INITS, initial_phase
from vocoder.inverter.phase_network import PhaseNet, phase_network
from vocoder.model.weights import require_kind
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Constraint, Spectrogram

# Below this, overlaps are most of the work for any spec with four frames on a sample.
MIN_BLOCK_FRAMES = 64


@dataclass(frozen=True, kw_only=True)
class PhaseRetrieval(Inverter):
    """Finds a signal whose STFT has the magnitudes that the spectrogram asks for.

    Parameters
    ----------
    n_iter : int
        Iterations of a pair of inverse and forward STFT.
    n_iter_estimated : int
        As many where all of the spectrogram is an estimate (`Spectrogram.estimated`), and between
        the two where it is so partly: iterations that show an estimate more exactly show its
        errors more exactly.
    init : {"phase_gradient", "random", "zero"}
        First phases; see `vocoder.inverter.phase`.
    refine_from, refine_every : int
        From this iteration on, every so often, the target magnitudes move to those that explain
        the image just as well and are nearest to what the signal has
        (`vocoder.inverter.magnitude.Target`). ``refine_every`` 0 keeps the first guess.
    mels : str or None
        Weights that find what lies between mel bands (`vocoder.inverter.mels.between_bands`);
        ``None`` for least squares alone.
    phases : str or None
        Weights that correct the first phases (`vocoder.inverter.phase_network.PhaseNet`); ``None``
        for the magnitudes' gradient alone.
    block_frames : int
        Frames inverted at once; longer spectrograms are cut into blocks, each of which continues
        the finished frames of the one before. Bounds the memory.
    seed : int
        Of the random phases; the same seed gives the same sound on the same device, but for
        rounding also in a batch.
    device : str
        A torch device, or ``auto``.
    """

    n_iter: int
    n_iter_estimated: int
    init: str
    refine_from: int
    refine_every: int
    mels: str | None
    phases: str | None
    block_frames: int
    seed: int
    device: str

    def __post_init__(self) -> None:
        counts = ("n_iter", "n_iter_estimated", "refine_from", "refine_every")
        expect_ranges(self, "inverter", **dict.fromkeys(counts, (0, math.inf)))
        expect_ranges(self, "inverter", block_frames=(MIN_BLOCK_FRAMES, math.inf))
        expect(self.init in INITS, "inverter.init", self.init, f"one of {INITS}")
        if self.mels is not None:
            require_kind(self.mels, MelNet)
        if self.phases is not None:
            require_kind(self.phases, PhaseNet)

    @abstractmethod
    def iterations(
        self, transform: Tensor, target: Target, stft: JointStft, pin: Pin
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

    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the waveform piece by piece; see `Inverter.stream`."""
        members = spectrogram.members
        pieces: list[Tensor] = []
        for _, piece in self.invert_batch(members):  # of equal length, they alternate
            pieces.append(piece)
            if len(pieces) == len(members):
                yield torch.stack(pieces)
                pieces.clear()

    @stepwise_threads
    def invert_batch(self, spectrograms: Sequence[Spectrogram]) -> Iterator[tuple[int, Tensor]]:
        """Invert several at once; see `Inverter.invert_batch`.

        Shorter ones are filled up with frames that don't count, and every one has its own random
        phases, so that each becomes what it becomes alone, but for rounding.
        """
        device = torch_device(self.device)
        if self.mels is not None:
            spectrograms = [between_bands(one, self.mels, device) for one in spectrograms]
        stft = JointStft.of(spectrograms[0])
        if any(one.specs != stft.specs for one in spectrograms):
            raise ValueError("spectrograms of different specs cannot be inverted together")
        spec = stft.longest
        context, lookahead = overlap_frames(spec)
        context += -context % stft.stride_frames
        expect_ranges(self, "inverter", block_frames=(min_block_frames(spec), math.inf))
        hop = spec.hop_length
        padding = spec.padding
        generators = [torch.Generator().manual_seed(self.seed) for _ in spectrograms]
        going_on = list(range(len(spectrograms)))
        known: Tensor | None = None
        settled, written = 0, 0  # frames, samples
        while going_on:
            begin = settled - (0 if known is None else known.shape[2])
            totals = [spectrograms[which].n_frames for which in going_on]
            # A rest no longer than the lookahead joins the last block.
            cut = begin + self.block_frames
            ends = [total if total - cut <= lookahead else cut for total in totals]
            blocks = [
                spectrograms[which].frames(begin, end).to(device)
                for which, end in zip(going_on, ends, strict=True)
            ]
            drawn = [generators[which] for which in going_on]
            transform, counts = self.transform_of(blocks, drawn, known)
            signal = stft.inverse(transform, counts)
            # Frames at a cut lack their right neighbours: the next block does them again.
            settled = cut - lookahead
            origin = begin * hop - padding  # where the block's signal begins in the waveform
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
                known = stft.forward(signal[rows, first * hop : last_sample])

    def transform_of(
        self,
        blocks: Sequence[Spectrogram],
        generators: Sequence[torch.Generator],
        known: Tensor | None,
    ) -> tuple[Tensor, tuple[int, ...] | None]:
        """The complex STFT of blocks side by side, and their lengths unless all are equal."""
        batch, counts = _side_by_side(blocks)
        target, stft, spec = Target(batch), JointStft.of(batch), batch.spec
        device = batch.decibels.device
        phases = None if self.phases is None else phase_network(self.phases, spec, device)
        starts = []
        for row, (block, generator) in enumerate(zip(blocks, generators, strict=True)):
            before = None if known is None else known[row : row + 1, : spec.n_freqs]
            magnitude = target.start[row : row + 1, : spec.n_freqs, : block.n_frames]
            start = initial_phase(magnitude, spec, self.init, generator, before, phases)
            starts.append(_filled(start, batch.n_frames))
        transform = starts[0] if len(starts) == 1 else torch.cat([one.mT for one in starts]).mT
        pin = Pin(known, counts)
        transform = pin(stft.extended(transform, target.start, counts))
        improved = self.iterations(transform, target, stft, pin)
        steps = [self.iterations_for(block) for block in blocks]
        most = max(steps)
        finished: dict[int, Tensor] = {}  # before the others
        for done in range(most + 1):
            if done:
                transform = next(improved)
            for row, n_iter in enumerate(steps):
                if done == n_iter < most:
                    finished[row] = transform[row].clone()
        for row, one in finished.items():
            transform[row] = one
        return transform, counts

    def iterations_for(self, spectrogram: Spectrogram) -> int:
        """How many iterations a spectrogram is worth."""
        more = self.n_iter_estimated - self.n_iter
        return round(self.n_iter + more * spectrogram.estimated)


def _filled(frames: Tensor, n_frames: int, value: float = 0.0) -> Tensor:
    """``(batch, bins, frames)`` filled up at the end, frame by frame in memory as before."""
    missing = n_frames - frames.shape[2]
    return functional.pad(frames.mT, (0, 0, 0, missing), value=value).mT if missing else frames


def _side_by_side(blocks: Sequence[Spectrogram]) -> tuple[Spectrogram, tuple[int, ...] | None]:
    """One batch of several, filled up with silence; and their lengths unless all are equal."""
    if len(blocks) == 1:
        return blocks[0], None
    counts = tuple(block.n_frames for block in blocks)
    batch = _batch(blocks, counts)
    return batch, None if min(counts) == max(counts) else counts


def _batch(blocks: Sequence[Spectrogram], counts: tuple[int, ...]) -> Spectrogram:
    longest = max(counts)
    decibels = torch.cat([_filled(block.decibels, longest, SILENCE_DB) for block in blocks])
    constraints = [block.constraint for block in blocks]
    return Spectrogram(
        decibels,
        blocks[0].spec,
        constraint=_Members(constraints, counts, decibels) if any(constraints) else None,
        others=tuple(
            _batch(same, counts) for same in zip(*(block.others for block in blocks), strict=True)
        ),
        weight=blocks[0].weight,
    )


@dataclass(frozen=True)
class _Members(Constraint):
    """The constraints of a batch's members; where there is none, the decibels as they are."""

    constraints: Sequence[Constraint | None]
    counts: Sequence[int]
    decibels: Tensor

    def project(self, decibels: Tensor, first_frame: int) -> Tensor:
        projected = self.decibels[:, :, first_frame : first_frame + decibels.shape[2]].clone()
        for row, (one, count) in enumerate(zip(self.constraints, self.counts, strict=True)):
            if one is not None:
                here = (slice(row, row + 1), slice(None), slice(max(count - first_frame, 0)))
                projected[here] = one.project(decibels[here], first_frame)
        return projected


def overlap_frames(spec: SpectrogramSpec) -> tuple[int, int]:
    """Frames that a block takes over from the one before, and frames that it leaves to the next.

    Twice the frames that share a sample fix the phases of what follows; three times as many to
    the right let the error of the cut die away (on speech, fewer did as well).
    """
    sharing = math.ceil(spec.n_fft / spec.hop_length)
    return 2 * sharing, 6 * sharing


def min_block_frames(spec: SpectrogramSpec) -> int:
    """The fewest frames at a time that leave something between the overlaps."""
    return max(MIN_BLOCK_FRAMES, 2 * sum(overlap_frames(spec)))


@dataclass(frozen=True)
class Pin:
    """What an iteration must leave alone.

    Parameters
    ----------
    known : Tensor or None
        Complex ``(batch, n_freqs, k)``: the first frames, which the block before has settled.
    counts : tuple of int or None
        How many frames each member of the batch has, for `JointStft.inverse`.
    """

    known: Tensor | None
    counts: tuple[int, ...] | None = None

    def __call__(self, transform: Tensor) -> Tensor:
        """Put the settled frames back in place."""
        if self.known is not None:
            transform[:, :, : self.known.shape[2]] = self.known
        return transform
