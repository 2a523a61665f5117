"""Densities: they integrate to one, and their quantiles undo their distributions."""

import math

import pytest
import torch

from vocoder.errors import BadInput
from vocoder.model.wavenet.output import LIMIT, output_of

KINDS = [("logistics", 1), ("logistics", 4), ("mulaw", 64), ("mulaw", 256)]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}{kind[1]}")
def output(request):
    return output_of(*request.param)


@pytest.fixture
def parameters(output):
    """Of five densities, not too wide for the limits."""
    drawn = torch.randn(5, output.size, generator=torch.Generator().manual_seed(0))
    if output.kind == 0:
        return drawn
    centres = (output.edges[1:] + output.edges[:-1]) / 2
    return drawn - 0.5 * (centres - torch.arange(-2.0, 3.0)[:, None]) ** 2


def grid():
    """Closest where classes are narrowest."""
    return LIMIT * torch.sinh(torch.linspace(-8, 8, 16_001)) / math.sinh(8)


def log_densities(output, parameters, points):
    repeated = parameters[:, None].expand(-1, len(points), -1)
    return output.log_density(repeated, points.expand(len(parameters), -1)).double()


def test_densities_integrate_to_one(output, parameters):
    points = grid()
    total = torch.trapezoid(log_densities(output, parameters, points).exp(), points.double())
    assert total.numpy() == pytest.approx(1, abs=2e-3)


def test_quantiles_rise_as_the_density_says(output, parameters):
    """The slope of the inverse of a distribution is one over the density."""
    uniform = torch.linspace(0.002, 0.998, 2_001).expand(5, -1)
    repeated = parameters[:, None].expand(-1, 2_001, -1)
    values = output.quantile(repeated, uniform, 1.0).double()
    slopes = values.diff(dim=1) / uniform.double().diff(dim=1)
    assert (slopes > 0).all()
    between = ((values[:, 1:] + values[:, :-1]) / 2).float()
    wanted = -output.log_density(repeated[:, 1:], between).double()
    off = (slopes.log() - wanted).abs()
    assert off.median() < 0.01, "but for the steps between classes"
    assert off.mean() < 0.05
    # And one point, so that nothing is shifted: half of what is drawn lies below the median.
    grid_points = grid()
    below = log_densities(output, parameters, grid_points).exp()
    below = torch.cumulative_trapezoid(below, grid_points.double())
    at = torch.searchsorted(grid_points, values[:, 1_000:1_001].float())
    assert below.gather(1, at - 1).numpy() == pytest.approx(0.5, abs=0.03)


def test_draws_have_the_likelihood_that_they_should(output, parameters):
    """The mean of the logarithm of the density over draws is the entropy by integration."""
    n = 4_000
    uniform = torch.rand(5, n, generator=torch.Generator().manual_seed(1))
    repeated = parameters[:, None].expand(-1, n, -1)
    drawn = output.log_density(repeated, output.quantile(repeated, uniform, 1.0)).mean(1)
    points = grid()
    log_density = log_densities(output, parameters, points)
    entropy = torch.trapezoid(log_density.exp() * log_density, points.double())
    assert drawn.numpy() == pytest.approx(entropy.numpy(), abs=0.07)


def test_less_temperature_gathers_around_the_most_likely(output, parameters):
    uniform = torch.linspace(0.01, 0.99, 99).expand(5, -1)
    repeated = parameters[:, None].expand(-1, 99, -1)
    mode = output.quantile(repeated, uniform, 0.0)
    assert torch.equal(mode, mode[:, :1].expand(-1, 99)), "cold, but not the same each time"
    wide, narrow = (output.quantile(repeated, uniform, heat) for heat in (1.0, 0.05))
    assert ((narrow - mode).abs().mean(1) < 0.5 * (wide - mode).abs().mean(1)).all()
    assert (narrow.std(1) < 0.5 * wide.std(1)).all()


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_extreme_parameters_give_numbers(output, extreme):
    parameters = torch.full((3, output.size), extreme)
    uniform = torch.tensor([1e-7, 0.5, 1 - 6e-8])
    for temperature in (0.0, 0.3, 1.0):
        values = output.quantile(parameters, uniform, temperature)
        assert torch.isfinite(values).all() and values.abs().max() <= LIMIT
    assert torch.isfinite(output.log_density(parameters, torch.tensor([-40.0, 0.0, 40.0]))).all()


def test_unknown_outputs_are_refused():
    with pytest.raises(BadInput, match=r"model.output is 'softmax'; expected one of"):
        output_of("softmax", 4)
    with pytest.raises(BadInput, match=r"model.components is 2; expected at least 16 for mulaw"):
        output_of("mulaw", 2)
    with pytest.raises(BadInput, match=r"model.components is 0; expected at least 1 for logistics"):
        output_of("logistics", 0)
