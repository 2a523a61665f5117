"""A network that corrects the picture, phases integrated from it, and an inverse STFT."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.phase import initial_phase
from vocoder.model.generator import Generator
from vocoder.model.interchange.real_istft import RealIstft
from vocoder.model.repair import RepairNet
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, istft_to_padded


class IstftNet(Generator):
    """Says what the magnitudes should have been, and lets the phases follow from them.

    A network that has to find phases needs days of training and more arithmetic than it saves: for
    the price of one small net over all bins, sixteen Griffin-Lim iterations can be had, which need
    none. What no iteration can give back is what the picture lost. So the net is a `RepairNet` and
    the phases are integrated from what it makes of the picture (`vocoder.inverter.phase`); they
    are constants to the gradient. ``inverter=istft`` refines them by a few iterations.

    Parameters
    ----------
    spec : SpectrogramSpec
        Centred, with hops of at most half of n_fft.
    channels, context, context_blocks : int
        See `vocoder.model.repair.RepairNet`.

    Raises
    ------
    BadInput
        The spec isn't centred, frames overlap too little, or what `RepairNet` raises.
    """

    stride_frames = RepairNet.stride_frames

    def __init__(
        self, spec: SpectrogramSpec, channels: int, context: int, context_blocks: int
    ) -> None:
        super().__init__(spec)
        if not spec.center or spec.n_fft < 2 * spec.hop_length:
            raise BadInput(
                "the istft model needs a centred spec whose hop is at most half of n_fft; this "
                f"one is: {spec.describe()}"
            )
        self.repair = RepairNet(spec, channels, context, context_blocks)
        self.settings = self.repair.settings
        # Of the magnitudes: phases are integrated over all frames.
        self.reach_frames = self.repair.reach_frames + -(-spec.n_fft // spec.hop_length)

    def forward(self, values: Tensor) -> Tensor:
        """Values ``(batch, bins, frames)`` to sound ``(batch, frames * hop_length)``."""
        magnitude = mel_to_linear(Spectrogram(self.repair.repair(values), self.spec))
        return self.sound(magnitude, self.phases(magnitude))

    @torch.no_grad()
    def phases(self, magnitude: Tensor) -> Tensor:
        """Complex numbers of size one, 0 where it is silent, ``(batch, n_freqs, frames)``."""
        # What is too quiet to have a phase is given the same at every call, wherever in a batch.
        rows = [
            initial_phase(
                one[None], self.spec, "phase_gradient", torch.Generator().manual_seed(0), None
            ).mT
            for one in magnitude.detach()
        ]
        return torch.cat(rows).mT.sgn()

    def sound(self, magnitude: Tensor, phases: Tensor) -> Tensor:
        """Samples from the centre of the first frame on, ``frames * hop_length`` of them."""
        half = self.spec.n_fft // 2
        samples = istft_to_padded(magnitude * phases, self.spec)
        return samples[:, half : half + magnitude.shape[2] * self.spec.hop_length]

    def portable(self) -> PhasesGiven:
        """For export: phases are integrated bin by bin, which no exchange format can say."""
        return PhasesGiven(self)


class PhasesGiven(nn.Module):
    """An `IstftNet` whose phases somebody else finds, from the magnitudes that it gives as well.

    Parameters
    ----------
    net : IstftNet
    """

    inputs = ("spectrogram", "phase")
    outputs = ("samples", "magnitude")

    def __init__(self, net: IstftNet) -> None:
        super().__init__()
        self.spec, self.repair, self.istft = net.spec, net.repair, RealIstft(net.spec)

    def forward(self, values: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Sound and magnitudes of a picture and of phases.

        Parameters
        ----------
        values : Tensor
            ``(batch, bins, frames)`` in the spec's units.
        phase : Tensor
            Radians, ``(batch, n_freqs, frames)``; counted from a frame's first sample.

        Returns
        -------
        tuple of Tensor
            ``(batch, frames * hop_length)`` and ``(batch, n_freqs, frames)``.
        """
        magnitude = mel_to_linear(Spectrogram(self.repair.repair(values), self.spec))
        padded = self.istft(magnitude * phase.cos(), magnitude * phase.sin())
        half, n_samples = self.spec.n_fft // 2, values.shape[2] * self.spec.hop_length
        return padded[:, half : half + n_samples], magnitude
