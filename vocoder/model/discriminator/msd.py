"""Multi-scale discriminator: the sound and slower copies of it (Kumar et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from vocoder.errors import BadInput
from vocoder.model.discriminator.base import Discriminator, Output, View, normed, scaled

CHANNELS = (128, 128, 256, 512, 1024, 1024, 1024)
KERNELS = (15, 41, 41, 41, 41, 41, 5)
STRIDES = (1, 2, 2, 4, 4, 1, 1)
GROUPS = (1, 4, 16, 16, 16, 16, 1)
LAST_KERNEL = 3
# Samples that the strided layers take at a time on a CPU (see `GroupedConv`); of 2, 4, 8 and 16
# the fastest for all of them, by a third to a half faster than one at a time.
CHUNK = 4


class MultiScale(Discriminator):
    """One network for each scale; 29.6 M parameters for three at full width.

    Parameters
    ----------
    width : float
        Of the layers, relative to the published ones.
    scales : int
        Each is half as fast as the one before; published: 3.
    """

    def __init__(self, *, width: float, scales: int) -> None:
        super().__init__()
        if scales < 1:
            raise BadInput(
                f"scales={scales}; expected 1 or more, as published 3",
                key="discriminators.scales.range",
            )
        # As published, spectral norm (Miyato et al. 2018) where the sound is whole.
        self.parts = nn.ModuleList(_view(width, spectral=scale == 0) for scale in range(scales))

    def forward(self, samples: Tensor) -> list[Output]:
        """Waveforms ``(batch, samples)`` to an `Output` for each scale."""
        found, slower = [], samples[:, None]
        for scale, part in enumerate(self.parts):
            if scale:
                slower = functional.avg_pool1d(slower, 4, 2, padding=2)
            found.append(part(slower))
        return found


def _view(width: float, *, spectral: bool) -> View:
    norm = parametrizations.spectral_norm if spectral else normed
    sizes = [1, *scaled(CHANNELS, width, max(GROUPS))]
    convs = [
        norm(GroupedConv(inputs, outputs, kernel, stride, kernel // 2, groups=groups))
        for inputs, outputs, kernel, stride, groups in zip(
            sizes[:-1], sizes[1:], KERNELS, STRIDES, GROUPS, strict=True
        )
    ]
    last = nn.Conv1d(sizes[-1], 1, LAST_KERNEL, padding=LAST_KERNEL // 2)
    return View(convs, norm(last))


class GroupedConv(nn.Conv1d):
    """A convolution that is faster on a CPU where it has a stride and few channels a group.

    There a chunk of ``CHUNK`` samples is taken for one position with as many more channels, and
    the ``CHUNK / stride`` outputs that belong to it likewise. What remains is a shorter
    convolution without stride, whose matrices are large enough to be multiplied fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(batch, channels, samples)``."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], self.kernel_size[0] // 2
        if x.is_cuda or stride == 1:
            return super().forward(x)
        outputs, outputs_each = (x.shape[2] + 2 * padding - kernel) // stride + 1, CHUNK // stride
        # The last output of a chunk begins `CHUNK - stride` samples after its first.
        chunks = -(-(kernel + CHUNK - stride) // CHUNK)
        length = (-(-outputs // outputs_each) + chunks - 1) * CHUNK
        x = functional.pad(x, (padding, length - padding - x.shape[2]))
        shifted = [
            functional.pad(self.weight, (shift, chunks * CHUNK - kernel - shift))
            for shift in range(0, CHUNK, stride)
        ]
        weight = _in_chunks(torch.stack(shifted, dim=1).flatten(0, 1))
        y = functional.conv1d(_in_chunks(x), weight, groups=self.groups)
        batch, _, positions = y.shape
        y = y.view(batch, self.out_channels, outputs_each, positions).mT.flatten(2)[:, :, :outputs]
        return y if self.bias is None else y + self.bias[:, None]


def _in_chunks(x: Tensor) -> Tensor:
    """``(n, channels, samples)`` to ``(n, channels * CHUNK, samples / CHUNK)``."""
    return x.view(x.shape[0], x.shape[1], -1, CHUNK).mT.flatten(1, 2)
