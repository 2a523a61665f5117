"""A frame-rate network with an inverse-STFT head that begins from what is known of the phases."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.phase import initial_phase
from vocoder.model.features import features
from vocoder.model.generator import Generator, require_sizes
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, istft_to_padded, stft_of_padded

KERNEL_FRAMES = 7
# Gains beyond e ** +-3 (26 dB) would be inventing sound rather than correcting it.
MAX_LOG_GAIN = 3.0
TINY = 1e-7


class IstftNet(Generator):
    """Corrects a first guess of the STFT, all bins of a frame at once, and inverts it.

    The guess has the magnitudes that the picture leaves open the least (`mel_to_linear`) and
    phases integrated from their gradient (`vocoder.inverter.phase`), so that an untrained net is
    already a vocoder; a network that has to invent its phases from nothing needs days to get
    there. What the net sees beside the picture is by how much one projection onto consistent STFTs
    (Griffin and Lim 1984) changes the guess: ratios of magnitudes and differences of phases, which
    don't depend on the arbitrary phase that a sound begins with. What it gives is a gain and a
    rotation for every bin of the projection. The blocks are those of Vocos (Siuzdak 2023):
    ConvNeXt (Liu et al. 2022) along time.

    Parameters
    ----------
    spec : SpectrogramSpec
        Centred, with hops of at most half of n_fft.
    channels : int
    blocks : int
    expansion : int
        Of the hidden layer of each block.

    Raises
    ------
    BadInput
        The spec isn't centred, frames overlap too little, or a size is below 1.
    """

    def __init__(self, spec: SpectrogramSpec, channels: int, blocks: int, expansion: int) -> None:
        super().__init__(spec)
        if not spec.center or spec.n_fft < 2 * spec.hop_length:
            raise BadInput(
                "the istft model needs a centred spec whose hop is at most half of n_fft; this "
                f"one is: {spec.describe()}"
            )
        self.settings = {"channels": channels, "blocks": blocks, "expansion": expansion}
        require_sizes(self.settings)
        n_freqs = spec.n_freqs
        self.enter = nn.Conv1d(spec.bins + 3 * n_freqs, channels, 1)
        self.blocks = nn.ModuleList(_Block(channels, expansion, blocks) for _ in range(blocks))
        self.norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, 3 * n_freqs)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        sharing = -(-spec.n_fft // spec.hop_length)
        # A sample is in `sharing` frames, the projection mixes as many, and the convolutions reach.
        self.reach_frames = 2 * sharing + blocks * (KERNEL_FRAMES // 2)

    def forward(self, values: Tensor) -> Tensor:
        """Values ``(batch, bins, frames)`` to sound ``(batch, frames * hop_length)``."""
        return self.sound(self.correct(values, self.guess(values)))

    @torch.no_grad()
    def guess(self, values: Tensor) -> Tensor:
        """The first complex STFT, ``(batch, n_freqs, frames)``."""
        magnitude = mel_to_linear(Spectrogram(values, self.spec))
        # What is too quiet to have a phase is given the same at every call, wherever in a batch.
        guesses = [
            initial_phase(
                one[None], self.spec, "phase_gradient", torch.Generator().manual_seed(0), None
            )
            for one in magnitude
        ]
        return torch.cat([guess.mT for guess in guesses]).mT

    def correct(self, values: Tensor, guess: Tensor) -> Tensor:
        """A better STFT than ``guess``, both complex ``(batch, n_freqs, frames)``."""
        consistent = stft_of_padded(istft_to_padded(guess, self.spec), self.spec)
        return apply_correction(guess, consistent, self.predict(values, guess, consistent))

    def predict(self, values: Tensor, guess: Tensor, consistent: Tensor) -> Tensor:
        """Log-gain and two parts of a rotation, ``(batch, 3, n_freqs, frames)``."""
        size, new_size = magnitude_of(guess), magnitude_of(consistent)
        ratio = (new_size / size).log().clamp(-MAX_LOG_GAIN, MAX_LOG_GAIN)
        turn = consistent * guess.conj() / (size * new_size)
        seen = torch.cat([features(values, self.spec), ratio, turn.real, turn.imag], dim=1)
        x = self.enter(seen)
        for block in self.blocks:
            x = block(x)
        x = self.leave(self.norm(x.mT)).mT
        correction: Tensor = x.reshape(x.shape[0], 3, self.spec.n_freqs, -1)
        return correction

    def sound(self, transform: Tensor) -> Tensor:
        """Samples from the centre of the first frame on, ``frames * hop_length`` of them."""
        half = self.spec.n_fft // 2
        samples = istft_to_padded(transform, self.spec)
        return samples[:, half : half + transform.shape[2] * self.spec.hop_length]


def apply_correction(guess: Tensor, consistent: Tensor, correction: Tensor) -> Tensor:
    """The magnitudes of the guess with a gain, the phases of its projection with a rotation.

    Parameters
    ----------
    guess, consistent : Tensor
        Complex, ``(batch, n_freqs, frames)``.
    correction : Tensor
        ``(batch, 3, n_freqs, frames)``; zeros change nothing but the phases to the projection's.
    """
    log_gain, along, across = correction.float().unbind(1)
    gain = torch.exp(MAX_LOG_GAIN * torch.tanh(log_gain / MAX_LOG_GAIN))
    rotated = consistent * torch.complex(1 + along, across)
    return rotated * (magnitude_of(guess) * gain / magnitude_of(rotated))


def magnitude_of(transform: Tensor) -> Tensor:
    """Magnitudes that are never zero, whose gradient therefore always exists.

    Several times as fast as ``abs`` of a complex tensor on the CPU.
    """
    return (transform.real.square() + transform.imag.square() + TINY**2).sqrt()


class _Block(nn.Module):
    """ConvNeXt along time: a depthwise convolution, then two layers within each frame."""

    def __init__(self, channels: int, expansion: int, blocks: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(
            channels, channels, KERNEL_FRAMES, padding=KERNEL_FRAMES // 2, groups=channels
        )
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion)
        self.narrow = nn.Linear(expansion, channels)
        # Small at first, so that a deep net begins as a shallow one (LayerScale, as in Vocos).
        self.scale = nn.Parameter(torch.full((channels,), 1 / blocks))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.mix(x).mT)
        y = self.narrow(functional.gelu(self.widen(y)))
        changed: Tensor = x + (self.scale * y).mT
        return changed
