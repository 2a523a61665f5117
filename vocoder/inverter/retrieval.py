"""What all phase-retrieval inverters share: first phases, blocks and when to move the target."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter, torch_device
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase import INITS, initial_phase
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, istft_to_padded, stft_of_padded


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
        Of the random phases; the same seed gives the same sound on the same device, for the same
        batch (its items draw one after the other).
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
        self._require(self.block_frames >= 64, "block_frames", "at least 64")

    def _require(self, ok: bool, name: str, expected: str) -> None:
        if not ok:
            raise BadInput(f"inverter.{name} is {getattr(self, name)!r}; expected {expected}")

    @abstractmethod
    def iterate(self, transform: Tensor, target: Target, spec: SpectrogramSpec, pin: Pin) -> Tensor:
        """Improve a complex STFT ``(batch, n_freqs, frames)`` whose magnitudes are the target's."""

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
        spec, total = spectrogram.spec, spectrogram.values.shape[2]
        context, lookahead = overlap_frames(spec)
        least = 2 * (context + lookahead)
        self._require(self.block_frames >= least, "block_frames", f"at least {least} for this spec")
        device = torch_device(self.device)
        generator = torch.Generator().manual_seed(self.seed)
        hop = spec.hop_length
        padding = spec.n_fft // 2 if spec.center else 0
        known: Tensor | None = None
        settled, written = 0, 0  # frames, samples
        while settled < total:
            begin = settled - (0 if known is None else known.shape[2])
            end = min(begin + self.block_frames, total)
            if total - end <= lookahead:
                end = total
            block = self._block(spectrogram, begin, end, device)
            transform = self._invert(block, generator, known)
            signal = istft_to_padded(transform, spec)
            # Frames at a cut lack their right neighbours: the next block does them again.
            settled = end if end == total else end - lookahead
            stop = spectrogram.length if end == total else settled * hop - padding
            origin = begin * hop - padding  # where the block's signal begins in the sound
            piece = signal[:, written - origin : stop - origin].cpu()
            yield functional.pad(piece, (0, stop - written - piece.shape[1]))
            written = stop
            first = max(settled - context, begin) - begin
            last_sample = (settled - begin - 1) * hop + spec.n_fft
            known = stft_of_padded(signal[:, first * hop : last_sample], spec)

    def _block(
        self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device
    ) -> Spectrogram:
        """The frames to invert at once."""
        return spectrogram.frames(begin, end).to(device)

    def _invert(
        self, block: Spectrogram, generator: torch.Generator, known: Tensor | None
    ) -> Tensor:
        target = Target(block)
        transform = initial_phase(target.start, block.spec, self.init, generator, known)
        return self.iterate(transform, target, block.spec, Pin(known))


def overlap_frames(spec: SpectrogramSpec) -> tuple[int, int]:
    """Frames that a block takes over from the one before, and frames that it leaves to the next.

    Twice the frames that share a sample fix the phases of what follows; three times as many to
    the right let the error of the cut die away (on speech, fewer did as well).
    """
    sharing = math.ceil(spec.n_fft / spec.hop_length)
    return 2 * sharing, 6 * sharing


@dataclass(frozen=True)
class Pin:
    """The first frames of a block, which the block before has settled."""

    known: Tensor | None

    def __call__(self, transform: Tensor) -> Tensor:
        """Put the settled frames back in place."""
        if self.known is not None:
            transform[:, :, : self.known.shape[2]] = self.known
        return transform
