"""Checkpoints of the original HiFi-GAN (jik876) and of BigVGAN (NVIDIA) as ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.model.bigvgan import half_band
from vocoder.model.checkpoint import Checkpoint
from vocoder.model.interchange.reading import (
    are_numbers,
    finished,
    is_state,
    mel_spec,
    read_torch,
    renamed,
    require_keys,
    require_numbers,
    require_sizes,
    with_norm,
)
from vocoder.spec import SpectrogramSpec

KEYS = (
    *("sampling_rate", "n_fft", "hop_size", "win_size", "num_mels", "fmin", "fmax"),
    *("resblock", "upsample_rates", "upsample_kernel_sizes", "upsample_initial_channel"),
    *("resblock_kernel_sizes", "resblock_dilation_sizes"),
)
SIZES = (
    *("num_mels", "upsample_initial_channel", "upsample_kernel_sizes"),
    "resblock_kernel_sizes",
)
LISTS = ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes")
FLOOR = 1e-5  # meldataset.py dynamic_range_compression
# Dilations that the original's two kinds of residual block use; it ignores further ones, BigVGAN
# does not.
USED_DILATIONS = {1: 3, 2: 2}
DISCRIMINATORS = ("mpd", "msd")
_FILTER = re.compile(r"(.*\.)?(upsample|downsample\.lowpass)\.filter")  # of BigVGAN's activations


def hifigan(
    state: dict[str, Tensor], values: dict[str, Any], config: Path, weights: Path
) -> Checkpoint:
    """The checkpoint of a HiFi-GAN or a BigVGAN.

    Their spectrograms are not centred, but padded by ``(n_fft - hop) / 2``, so that frame ``t`` is
    centred on sample ``t * hop + hop / 2``. That is a centred spec whose waveform begins half a hop
    before the centre of its first frame: `HifiGan.first_sample`.
    """
    require_keys(values, KEYS, config)
    where = f"{weights} cannot be used with {config}"
    model, origin = _model(values, config), "jik876/hifi-gan"
    if filters := [name for name in state if _FILTER.fullmatch(name)]:
        for name in filters:
            taps = state[name].flatten()
            if taps.shape != half_band().shape or not torch.allclose(taps, half_band(), atol=1e-5):
                raise BadInput(
                    f"{weights} has another filter than BigVGAN's in {name}; it cannot be taken "
                    "over exactly",
                    key="weights.filter",
                )
        state = {name: tensor for name, tensor in state.items() if name not in filters}
        model |= _big(values, config)
        origin = "NVIDIA/BigVGAN"
    n_kernels, block = len(model["kernels"]), model["block"]
    tensors = {_our_name(name, n_kernels, block): tensor for name, tensor in state.items()}
    require_sizes({key: values[key] for key in SIZES}, tensors, where)
    origin = f"{weights.name} in the layout of {origin}"
    return finished(model, _spec(values, config), with_norm(tensors), origin, where)


def _big(values: dict[str, Any], config: Path) -> dict[str, Any]:
    """What BigVGAN's settings say beside HiFi-GAN's."""
    require_keys(values, ("activation", "snake_logscale"), config)
    return {
        TARGET: "vocoder.model.bigvgan.BigVgan",
        "dilations": values["resblock_dilation_sizes"],
        "activation": values["activation"],
        "log_scale": bool(values["snake_logscale"]),
        "last_bias": bool(values.get("use_bias_at_final", True)),
        "tanh": bool(values.get("use_tanh_at_final", True)),
    }


def import_discriminators(weights: Path) -> dict[str, dict[str, Tensor]]:
    """Read the discriminators of the original, ``do_…``, which a fine-tuning begins with.

    Returns
    -------
    dict
        State dicts of `vocoder.model.discriminator.mpd.MultiPeriod` and ``msd.MultiScale``, as
        ``train=hifigan`` has them, by the names ``mpd`` and ``msd``.
    """
    content = read_torch(weights)
    states: dict[str, Any] = {name: content.get(name) for name in DISCRIMINATORS}
    if not all(is_state(state) for state in states.values()):
        raise BadInput(
            f"{weights} holds no weights under {' and '.join(DISCRIMINATORS)}; expected a do_… "
            "file of the original HiFi-GAN",
            key="discriminators.format",
        )
    found = {name: renamed(states[name], _discriminator_name) for name in DISCRIMINATORS}
    # Their convolutions over periods have time first.
    found["mpd"] = {
        name: tensor.mT.contiguous() if tensor.ndim == 4 else tensor
        for name, tensor in found["mpd"].items()
    }
    return found


def _model(values: dict[str, Any], config: Path) -> dict[str, Any]:
    kernels, dilations = values["resblock_kernel_sizes"], values["resblock_dilation_sizes"]
    if values["resblock"] not in ("1", "2"):
        raise BadInput(
            f"{config} has resblock {values['resblock']!r}; expected '1' or '2'",
            key="config.resblock.range",
        )
    require_numbers(values, LISTS, config)
    rates, ups = values["upsample_rates"], values["upsample_kernel_sizes"]
    if len(ups) != len(rates) or any((k - r) % 2 for k, r in zip(ups, rates, strict=True)):
        raise BadInput(
            f"{config} has upsample_kernel_sizes {ups} for rates {rates}; only one for each, "
            "greater by an even number, can be taken over exactly",
            key="config.upsample_kernel_sizes.range",
        )
    if not isinstance(dilations, list) or not all(are_numbers(steps) for steps in dilations):
        raise BadInput(
            f"{config} has resblock_dilation_sizes {dilations!r}; expected lists of whole numbers",
            key="config.resblock_dilation_sizes.type",
        )
    block = int(values["resblock"])
    return {
        TARGET: "vocoder.model.hifigan.HifiGan",
        "channels": values["upsample_initial_channel"],
        "upsample_rates": rates,
        "upsample_kernels": ups,
        "block": block,
        "kernels": kernels,
        "dilations": [steps[: USED_DILATIONS[block]] for steps in dilations],
    }


def _spec(values: dict[str, Any], config: Path) -> SpectrogramSpec:
    """What its ``meldataset.py`` computes: librosa's mel filters, natural log above 1e-5."""
    return mel_spec(
        config,
        sample_rate=values["sampling_rate"],
        n_fft=values["n_fft"],
        hop_length=values["hop_size"],
        win_length=values["win_size"],
        n_mels=values["num_mels"],
        fmin=values["fmin"],
        fmax=values["fmax"],
        compression="log",
        floor=FLOOR,
    )


def _our_name(name: str, n_kernels: int, block: int) -> str:
    """``resblocks.4.convs1.0.weight_g`` to ``stages.1.blocks.1.steps.0.0…`` (three kernels)."""
    name = re.sub(r"^conv_pre\.", "enter.", name)
    name = re.sub(r"^conv_post\.", "leave.", name)
    name = re.sub(r"^activation_post\.act\.", "last.", name)
    name = re.sub(r"^ups\.(\d+)\.(0\.)?(?=\D)", r"stages.\1.up.", name)  # BigVGAN has lists of one
    if found := re.match(r"resblocks\.(\d+)\.convs([12]?)\.(\d+)\.(.*)", name):
        stage, place = divmod(int(found[1]), n_kernels)
        second = int(found[2] == "2")
        name = f"stages.{stage}.blocks.{place}.steps.{found[3]}.{second}.{found[4]}"
    if found := re.match(r"resblocks\.(\d+)\.activations\.(\d+)\.act\.(.*)", name):
        stage, place = divmod(int(found[1]), n_kernels)
        step, second = divmod(int(found[2]), 2) if block == 1 else (int(found[2]), 0)
        name = f"stages.{stage}.blocks.{place}.activations.{step}.{second}.{found[3]}"
    return name


def _discriminator_name(name: str) -> str:
    name = re.sub(r"^discriminators\.", "parts.", name)
    name = name.replace(".convs.", ".layers.convs.")
    return name.replace(".conv_post.", ".last.")
