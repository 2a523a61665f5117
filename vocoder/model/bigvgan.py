"""BigVGAN: HiFi-GAN with periodic activations that do not alias."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from scipy.signal import firwin, kaiser_atten, kaiser_beta
from torch import Tensor, nn
from torch.nn import functional

from vocoder.errors import expect
from vocoder.model.hifigan import Activations, HifiGan
from vocoder.spec import SpectrogramSpec

SNAKE, SNAKEBETA = "snake", "snakebeta"
# Of the low-pass filters, at twice the rate: taps, and how wide their transition is, of half the
# rate (the paper's appendix D leaves it to StyleGAN3's: Kaiser windows of 6 taps a rate).
TAPS, TRANSITION = 12, 1.2


class BigVgan(HifiGan):
    """The generator of BigVGAN (Lee, Ping, Ginsburg, Catanzaro, Yoon 2023, "BigVGAN: A Universal
    Neural Vocoder with Large-Scale Training"), and of its second version.

    Parameters
    ----------
    log_scale : bool
        Whether `Snake` holds logarithms.
    last_bias : bool
        Whether the last layer adds a constant.
    tanh : bool
        What keeps samples within -1 to 1; otherwise they are cut off there.
    **sizes
        Of `HifiGan`.
    """

    def __init__(
        self,
        spec: SpectrogramSpec,
        *,
        activation: str,
        log_scale: bool,
        last_bias: bool,
        tanh: bool,
        **sizes: Any,
    ) -> None:
        known = activation in (SNAKE, SNAKEBETA)
        expect(known, "model.activation", activation, f"{SNAKE} or {SNAKEBETA}", "unknown")
        self.activation, self.log_scale = activation, log_scale
        self.last_bias, self.tanh = last_bias, tanh
        super().__init__(spec, **sizes)
        self.settings |= {
            "activation": activation,
            "log_scale": log_scale,
            "last_bias": last_bias,
            "tanh": tanh,
        }

    def activations(self) -> Activations:
        own_size = self.activation == SNAKEBETA
        snake = partial(Snake, own_size=own_size, log_scale=self.log_scale)
        return Activations(lambda _: nn.Identity(), snake, snake, reach=TAPS // 2 - 1)

    def limited(self, samples: Tensor) -> Tensor:
        return torch.tanh(samples) if self.tanh else samples.clamp(-1, 1)


class Snake(nn.Module):
    """``x + sin(alpha x)^2 / beta`` (Liu, Hartwig, Ueda 2020), at twice the sample rate.

    Parameters
    ----------
    channels : int
        Each has its own frequency.
    own_size : bool
        Whether each has its own ``beta``; otherwise it is ``alpha``.
    log_scale : bool
        Whether the parameters are logarithms of these.
    """

    taps: Tensor

    def __init__(self, channels: int, *, own_size: bool, log_scale: bool) -> None:
        super().__init__()
        self.log_scale = log_scale
        start = torch.zeros(channels) if log_scale else torch.ones(channels)
        self.alpha = nn.Parameter(start)
        self.beta = nn.Parameter(start.clone()) if own_size else None
        self.register_buffer("taps", half_band(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, positions)``, as they come in."""
        channels, margin = x.shape[1], TAPS // 2 - 1
        taps = self.taps.to(x.dtype).expand(channels, 1, TAPS)
        x = functional.pad(x, (margin, margin), mode="replicate")
        x = 2 * functional.conv_transpose1d(x, taps, stride=2, groups=channels)
        beyond = 3 * margin  # what the padding and the filter have added
        x = x[..., beyond:-beyond]
        alpha = self.alpha.exp() if self.log_scale else self.alpha
        beta = alpha
        if self.beta is not None:
            beta = self.beta.exp() if self.log_scale else self.beta
        x = x + torch.sin(alpha[:, None] * x).square() / (beta[:, None] + 1e-9)
        x = functional.pad(x, (margin, margin + 1), mode="replicate")
        return functional.conv1d(x, taps, stride=2, groups=channels)


def half_band() -> Tensor:
    """A low-pass filter at half the band, ``(TAPS,)``: a sinc in a Kaiser window, of sum one."""
    beta = kaiser_beta(kaiser_atten(TAPS // 2, TRANSITION))
    return torch.from_numpy(firwin(TAPS, 0.5, window=("kaiser", beta))).float()
