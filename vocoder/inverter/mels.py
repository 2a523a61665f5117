"""Between mel bands: what least squares leave flat, found by a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.decibels import SILENCE_DB, to_decibels, to_linear
from vocoder.errors import BadInput
from vocoder.inverter.magnitude import Target, mel_to_linear
from vocoder.model.features import FLOOR_DB
from vocoder.model.weights import fits, load_network
from vocoder.repair.network import RepairNet
from vocoder.repair.neural import chunks
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Constraint, Spectrogram, mel_filters

# Bins that least squares leave empty are filled up to this share of their bands' level: the network
# adds decibels to what is there.
MIN_SHARE = 0.1
# A bin may be louder than least squares say by this, which is more than a whole band holds: of what
# is like no speech, such as noise from pixel to pixel, networks make hundreds of decibels.
MOST_DB = 30.0
CHUNK_FRAMES = 4096
TINY = 1e-9
# Of the loudest bin, which the median recording of the shipped network's training has (-20 to -11).
PEAK_DB = -15.0


class MelNet(nn.Module):
    """Mel bands in, the bins of the STFT out.

    Eighty bands are wider than a voice's harmonics lie apart, from 1 kHz on. Least squares spread
    them evenly; a `RepairNet` sees in the lower bands where the harmonics must be. Range-null-space
    networks do the same (Li et al., "Learning neural vocoder from range-null space decomposition",
    IJCAI 2025): what the bands say is kept (`between_bands`), and only the rest is learnt.

    Parameters
    ----------
    spec : SpectrogramSpec
        Of the bands.
    channels, context, context_blocks : int
        See `RepairNet`.
    """

    inputs: Sequence[str] = ("decibels",)
    outputs: Sequence[str] = ("linear",)

    def __init__(
        self, spec: SpectrogramSpec, channels: int, context: int, context_blocks: int
    ) -> None:
        super().__init__()
        if spec.kind != "mel" or spec.power != 1:
            raise BadInput(
                f"model=mels is for magnitudes in mel bands, and the spec is {spec.describe()}; "
                "use one such as tacotron2",
                key="model.spec",
            )
        self.spec, self.linear_spec = spec, spec.without_bands()
        self.net = RepairNet(self.linear_spec, channels, context, context_blocks)
        sizes = {"channels": channels, "context": context, "context_blocks": context_blocks}
        self.settings = sizes
        self.context_frames, self.stride_frames = self.net.context_frames, self.net.stride_frames

    def forward(self, decibels: Tensor) -> Tensor:
        """Decibels ``(batch, n_mels, frames)`` to those of ``linear_spec``."""
        given = widen(decibels, self.spec).clamp(min=FLOOR_DB)
        return torch.minimum(self.net(given), given + MOST_DB)


def widen(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Mel bands to bins by least squares, no bin far below its bands; decibels."""
    bank = mel_filters(spec, decibels.device)
    smooth = (_levels(decibels, spec).mT @ (bank / bank.sum(0).clamp(min=TINY))).mT
    linear = mel_to_linear(to_linear(decibels, spec), spec).maximum(MIN_SHARE * smooth)
    own = spec.without_bands()
    return to_decibels(linear[:, : own.bins], own)


def _levels(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Magnitudes of the bins in each band, were they all alike, ``(batch, n_mels, frames)``."""
    weights = mel_filters(spec, decibels.device).sum(1)
    return to_linear(decibels, spec) / weights[:, None].clamp(min=TINY)


@torch.inference_mode()
def between_bands(spectrogram: Spectrogram, weights: str, device: torch.device) -> Spectrogram:
    """The linear spectrogram that a `MelNet` finds in mel bands, which stay as they are.

    Weights that come with the package are used where they fit the spec, and others have to fit. The
    convention of padding plays no part.
    """
    spec = spectrogram.spec
    bands = replace(spec, pad_mode="reflect") if spec.pad_mode == "reflect_same" else spec
    if spec.kind != "mel" or spectrogram.others or not fits(weights, bands):
        return spectrogram
    network = load_network(weights, MelNet, bands, device)
    given, linear_spec = spectrogram.decibels, spec.without_bands()
    # The network knows recordings at their usual level; phase retrieval knows none.
    peak = to_decibels(_levels(given, spec).amax((1, 2), keepdim=True), linear_spec)
    gain_db = torch.where(peak > SILENCE_DB, PEAK_DB - peak, 0)
    usual = torch.where(given > SILENCE_DB, given + gain_db, SILENCE_DB)
    total = spectrogram.n_frames
    linear = given.new_empty(given.shape[0], linear_spec.bins, total)
    for piece in chunks(total, CHUNK_FRAMES, network.context_frames, network.stride_frames):
        around = network(usual[:, :, piece.first : piece.last].to(device))
        linear[:, :, piece.begin : piece.end] = around[:, :, piece.inner].to(given.device)
    audible = torch.where(linear > FLOOR_DB, linear - gain_db, SILENCE_DB)
    constraint = MelConstraint(spectrogram, linear_spec)
    return replace(
        spectrogram,
        decibels=constraint.project(audible, 0),
        spec=linear_spec,
        constraint=constraint,
    )


@dataclass(frozen=True)
class MelConstraint(Constraint):
    """The linear spectrograms that a spectrogram in mel bands may be of."""

    bands: Spectrogram
    linear_spec: SpectrogramSpec

    def project(self, decibels: Tensor, first_frame: int) -> Tensor:
        linear = to_linear(decibels, self.linear_spec)
        missing = self.bands.spec.n_freqs - linear.shape[1]
        linear = functional.pad(linear.mT, (0, missing)).mT
        bands = self.bands.frames(first_frame, first_frame + linear.shape[2]).to(linear.device)
        nearest = Target(bands).nearest(linear)
        return to_decibels(nearest[:, : self.linear_spec.bins], self.linear_spec)
