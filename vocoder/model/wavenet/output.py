"""What a network says of the next value: a density that can be drawn from by its inverse.

Both kinds have a continuous distribution function, so that one uniform number gives one value, and
values hardly change when parameters hardly do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.errors import BadInput

# Greatest value, in units of the scale that the picture gives. In 20 s of speech one of 1e5 is
# beyond 16.
LIMIT = 32.0
LEAST_LOG_SCALE, GREATEST_LOG_SCALE = -7.0, 4.0
# Halvings of the bracket around a quantile: LIMIT * 2 ** -26 is below what float32 tells apart.
HALVINGS = 26
# Below this temperature the most likely value is taken.
COLD = 1e-3


class Output(ABC):
    """A family of densities.

    Attributes
    ----------
    size : int
        Parameters of one density.
    kind : int
        Number of the family in `vocoder.model.wavenet.loop`.
    """

    size: int
    kind: ClassVar[int]

    @abstractmethod
    def log_density(self, parameters: Tensor, values: Tensor) -> Tensor:
        """Natural logarithm of the density of ``(...)`` values, parameters ``(..., size)``."""

    @abstractmethod
    def quantile(self, parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """The value that ``uniform`` (0 to 1) of the distribution lie below.

        Parameters
        ----------
        parameters : Tensor
            ``(..., size)``.
        uniform : Tensor
            ``(...)``.
        temperature : float
            1 draws from the density itself; less sharpens it, 0 gives its most likely value.
        """


class Logistics(Output):
    """A mixture of logistic densities (Salimans et al., "PixelCNN++", ICLR 2017).

    Parameters
    ----------
    components : int
        Of the mixture, each with weight, mean and scale.
    """

    kind = 0

    def __init__(self, components: int) -> None:
        self.components = components
        self.size = 3 * components

    def _unpack(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, means, log_scales = torch.split(parameters, self.components, dim=-1)
        return logits, means, log_scales.clamp(LEAST_LOG_SCALE, GREATEST_LOG_SCALE)

    def log_density(self, parameters: Tensor, values: Tensor) -> Tensor:
        """See `Output.log_density`."""
        logits, means, log_scales = self._unpack(parameters)
        away = (values[..., None] - means).abs() * torch.exp(-log_scales)
        each = -away - log_scales - 2 * functional.softplus(-away)
        return torch.logsumexp(each + logits, -1) - torch.logsumexp(logits, -1)

    def quantile(self, parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """See `Output.quantile`; by bisection, since a mixture's has no closed form."""
        logits, means, log_scales = self._unpack(parameters)
        if temperature < COLD:
            return means.gather(-1, logits.argmax(-1, keepdim=True))[..., 0].clamp(-LIMIT, LIMIT)
        weights = torch.softmax(logits / temperature, -1)
        scales = torch.exp(log_scales) * temperature
        low, high = torch.full_like(uniform, -LIMIT), torch.full_like(uniform, LIMIT)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = (weights * torch.sigmoid((middle[..., None] - means) / scales)).sum(-1)
            low = torch.where(below < uniform, middle, low)
            high = torch.where(below < uniform, high, middle)
        return (low + high) / 2


class MuLaw(Output):
    """Classes of the logarithm-like scale of telephony (ITU-T G.711), flat within each.

    Parameters
    ----------
    components : int
        Classes; they reach from -`LIMIT` to `LIMIT`.
    """

    kind = 1

    def __init__(self, components: int) -> None:
        self.components = self.size = components
        edges = torch.linspace(-1, 1, components + 1, dtype=torch.float64)
        self.edges = LIMIT * edges.sign() * (components ** edges.abs() - 1) / (components - 1)
        self.edges = self.edges.float()

    def log_density(self, parameters: Tensor, values: Tensor) -> Tensor:
        """See `Output.log_density`."""
        edges = self.edges.to(values.device)
        inner = edges[1:-1].contiguous()
        index = torch.bucketize(values.contiguous(), inner)
        chosen = torch.log_softmax(parameters, -1).gather(-1, index[..., None])[..., 0]
        return chosen - edges.diff().log()[index]

    def quantile(self, parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """See `Output.quantile`."""
        edges = self.edges.to(uniform.device)
        width = edges.diff()
        if temperature < COLD:
            index = (parameters - width.log()).argmax(-1)
            return edges[index] + width[index] / 2
        # Sharpened as a density: what a class holds, over its width.
        sharp = (parameters - width.log()) / temperature + width.log()
        weights = torch.softmax(sharp, -1)
        upto = weights.cumsum(-1)
        index = (upto < uniform[..., None]).sum(-1).clamp(max=self.components - 1)
        at = index[..., None]
        weight = weights.gather(-1, at)[..., 0]
        inside = (uniform - (upto.gather(-1, at)[..., 0] - weight)) / weight
        return edges[index] + width[index] * inside.clamp(0, 1)


OUTPUTS = {"logistics": Logistics, "mulaw": MuLaw}


def output_of(name: str, components: int) -> Output:
    """The family called ``name``.

    Raises
    ------
    BadInput
        No such family, or too few components.
    """
    if name not in OUTPUTS:
        raise BadInput(f"model.output is {name!r}; expected one of {tuple(OUTPUTS)}")
    least = 1 if name == "logistics" else 16
    if components < least:
        raise BadInput(f"model.components is {components}; expected at least {least} for {name}")
    return OUTPUTS[name](components)
