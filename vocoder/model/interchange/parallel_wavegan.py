"""Checkpoints of ParallelWaveGAN's HiFiGANGenerator (kan-bayashi/ParallelWaveGAN) as ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.image.array import read_numbers
from vocoder.model.checkpoint import Checkpoint
from vocoder.model.interchange.reading import (
    finished,
    mel_spec,
    require_keys,
    require_numbers,
    require_sizes,
    require_values,
    with_norm,
)
from vocoder.spec import SpectrogramSpec

KEYS = (
    *("sampling_rate", "fft_size", "hop_size", "win_length", "window", "num_mels", "fmin", "fmax"),
    *("generator_type", "generator_params"),
)
SIZES = ("channels", "upsample_scales", "upsample_kernel_sizes", "resblock_kernel_sizes")
# What HiFi-GAN leaves no choice in.
FIXED = {
    "out_channels": 1,
    "kernel_size": 7,
    "bias": True,
    "nonlinear_activation": "LeakyReLU",
    "nonlinear_activation_params": {"negative_slope": 0.1},
    "use_causal_conv": False,
}
FLOOR = 1e-10  # bin/preprocess.py logmelfilterbank
STATISTICS = "stats.npy"  # rows of means and of deviations; beside the checkpoint


def parallel_wavegan(
    state: dict[str, Tensor], values: dict[str, Any], config: Path, weights: Path
) -> Checkpoint:
    """The checkpoint, with the statistics of the mels beside it."""
    require_keys(values, KEYS, config)
    require_values(
        values,
        {"generator_type": "HiFiGANGenerator", "window": "hann", "sampling_rate_for_feats": None},
        config,
    )
    sizes = values["generator_params"]
    if not isinstance(sizes, dict):
        raise BadInput(f"{config} has no generator_params", key="config.generator_params.type")
    require_keys(sizes, (*SIZES, "resblock_dilations"), config)
    require_values(sizes, FIXED, config)
    require_numbers(sizes, SIZES[1:], config)
    where = f"{weights} cannot be used with {config}"
    n_kernels = len(sizes["resblock_kernel_sizes"])
    tensors = {_our_name(name, n_kernels): tensor for name, tensor in state.items()}
    kernels = sizes["upsample_kernel_sizes"]
    used = {"channels": sizes["channels"], "upsample_kernel_sizes": kernels}
    require_sizes(used | {"num_mels": values["num_mels"]}, tensors, where)
    if not tensors.keys() >= {"mean", "scale"}:
        tensors |= _statistics(weights)
    model = {
        TARGET: "vocoder.model.parallel_hifigan.ParallelHifiGan",
        "floor": FLOOR,
        "channels": sizes["channels"],
        "upsample_rates": sizes["upsample_scales"],
        "upsample_kernels": kernels,
        "block": 1 if sizes.get("use_additional_convs", True) else 2,
        "kernels": sizes["resblock_kernel_sizes"],
        "dilations": sizes["resblock_dilations"],
    }
    origin = f"{weights.name} in the layout of kan-bayashi/ParallelWaveGAN"
    return finished(model, _spec(values, config), with_norm(tensors), origin, where)


def _statistics(weights: Path) -> dict[str, Tensor]:
    path = weights.with_name(STATISTICS)
    if not path.is_file():
        hint = ""
        if path.with_suffix(".h5").is_file():
            hint = (
                "; of stats.h5 Python makes it: import h5py, numpy; s = h5py.File('stats.h5'); "
                "numpy.save('stats.npy', [s['mean'][:], s['scale'][:]])"
            )
        raise BadInput(
            f"{path} does not exist, and without the statistics of the mels {weights} gives "
            f"noise{hint}",
            key="statistics.missing",
        )
    values = read_numbers(path)
    if (
        values.ndim != 2
        or len(values) != 2
        or values.dtype.kind != "f"
        or not (values[1] > 0).all()
    ):
        raise BadInput(
            f"{path} has shape {values.shape}; expected a row of means and one of deviations",
            key="statistics.format",
        )
    mean, scale = torch.from_numpy(values).float()
    return {"mean": mean, "scale": scale}


def _spec(values: dict[str, Any], config: Path) -> SpectrogramSpec:
    """What ``bin/preprocess.py`` computes; its logarithms are the network's own affair, so that
    ``spec=parallel_wavegan`` is the same where the numbers are."""
    n_fft = values["fft_size"]
    return mel_spec(
        config,
        sample_rate=values["sampling_rate"],
        n_fft=n_fft,
        hop_length=values["hop_size"],
        win_length=n_fft if values["win_length"] is None else values["win_length"],
        n_mels=values["num_mels"],
        fmin=0.0 if values["fmin"] is None else values["fmin"],
        fmax=values["fmax"],
        compression="none",
        floor=0.0,
    )


def _our_name(name: str, n_kernels: int) -> str:
    """``blocks.4.convs1.0.1.weight_g`` to ``stages.1.blocks.1.steps.0.0…`` (three kernels)."""
    name = re.sub(r"^input_conv\.", "enter.", name)
    name = re.sub(r"^output_conv\.1\.", "leave.", name)
    name = re.sub(r"^upsamples\.(\d+)\.1\.", r"stages.\1.up.", name)
    if found := re.match(r"blocks\.(\d+)\.convs([12])\.(\d+)\.1\.(.*)", name):
        stage, place = divmod(int(found[1]), n_kernels)
        name = f"stages.{stage}.blocks.{place}.steps.{found[3]}.{int(found[2]) - 1}.{found[4]}"
    return name
