"""Multi-scale discriminator: the waveform and slower copies of it (Kumar et al. 2019)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from vocoder.errors import expect
from vocoder.model.discriminator.base import Discriminator, Output, View, normed, scaled

CHANNELS = (128, 128, 256, 512, 1024, 1024, 1024)
KERNELS = (15, 41, 41, 41, 41, 41, 5)
STRIDES = (1, 2, 2, 4, 4, 1, 1)
GROUPS = (1, 4, 16, 16, 16, 16, 1)
LAST_KERNEL = 3


class MultiScale(Discriminator):
    """One network for each scale, half as fast as the one before; 29.6 M parameters as published.

    ``width`` is relative to the published layers'.
    """

    def __init__(self, *, width: float, scales: int) -> None:
        super().__init__()
        expect(scales >= 1, "discriminators.scales", scales, "at least 1, as published 3")
        # As published, spectral norm (Miyato et al. 2018) where the waveform is whole.
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
        norm(nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, groups=groups))
        for inputs, outputs, kernel, stride, groups in zip(
            sizes[:-1], sizes[1:], KERNELS, STRIDES, GROUPS, strict=True
        )
    ]
    last = nn.Conv1d(sizes[-1], 1, LAST_KERNEL, padding=LAST_KERNEL // 2)
    return View(convs, norm(last))
