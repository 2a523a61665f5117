"""Generators of other programs, with random weights, as those programs save them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vocoder.config import load
from vocoder.model.bigvgan import BigVgan
from vocoder.model.generator import Generator
from vocoder.model.parallel_hifigan import ParallelHifiGan
from vocoder.model.vocos import Vocos

BANDS, FLOOR = 20, 1e-10
SIZES: dict[str, Any] = {
    "channels": 32,
    "kernels": [3, 5],
    "dilations": [[1, 3], [1, 2]],
}


@dataclass
class Foreign:
    """A generator of ours, and what another program would have saved of the same."""

    ours: Generator
    state: dict[str, torch.Tensor]
    config: dict[str, Any]


def drawn(model: Any) -> Any:
    """With random weights at which every layer is heard."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("original0"):
                parameter.fill_(0.02 if name.startswith("leave") else 0.5)
            elif name.endswith(("alpha", "beta")):
                parameter.add_(0.2 * torch.randn_like(parameter))
            elif name.endswith(("bias", "gamma")):
                parameter.normal_(0, 0.1)
    return model.eval()


def theirs(model: torch.nn.Module, rules: list[tuple[str, Any]]) -> dict[str, torch.Tensor]:
    """A state dict under other names, by regular expressions on whole names."""
    found = {}
    for name, tensor in model.state_dict().items():
        new = name.replace("parametrizations.weight.original0", "weight_g")
        new = new.replace("parametrizations.weight.original1", "weight_v")
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        found[new] = tensor.clone()
    return found


def _block(pattern: str, name: Callable[[int, int, int, int], str]) -> tuple[str, Any]:
    """A rule for what lies in residual blocks: names of block (of all), step and which of two."""
    full = r"^stages\.(\d+)\.blocks\.(\d+)\." + pattern + r"\.(\d+)\.(\d+)\."

    def replacement(found: re.Match[str]) -> str:
        stage, block, step, second = map(int, found.groups())
        return name(stage * len(SIZES["kernels"]) + block, step, second, 0)

    return full, replacement


def bigvgan(
    block: int = 1, activation: str = "snakebeta", *, second_version: bool = True
) -> Foreign:
    spec = replace(load("spec", "tacotron2"), n_mels=BANDS, hop_length=64)
    ours = drawn(
        BigVgan(
            spec, **SIZES, upsample_rates=[8, 4, 2], upsample_kernels=[16, 8, 4], block=block,
            activation=activation, log_scale=second_version, last_bias=not second_version,
            tanh=not second_version,
        )
    )  # fmt: skip
    numbers = (lambda k, j: 2 * k + j) if block == 1 else (lambda k, _: k)
    group = "convs{}" if block == 1 else "convs"
    state = theirs(
        ours,
        [
            (r"^enter\.", "conv_pre."),
            (r"^leave\.", "conv_post."),
            (r"^last\.", "activation_post.act."),
            (r"^stages\.(\d+)\.up\.", r"ups.\1.0."),
            _block("steps", lambda n, k, j, _: f"resblocks.{n}.{group.format(j + 1)}.{k}."),
            _block(
                "activations", lambda n, k, j, _: f"resblocks.{n}.activations.{numbers(k, j)}.act."
            ),
        ],
    )
    # A low-pass at half the band, its sinc in a window of Kaiser's; see test_interchange.
    time = np.arange(12) - 5.5
    taps = np.sinc(time / 2) * np.kaiser(12, 0.1102 * (2.285 * 5 * np.pi * 1.2 + 7.95 - 8.7))
    for name in [name for name in state if name.endswith(".alpha")]:
        place = name.removesuffix("act.alpha")
        for kind in ("upsample.filter", "downsample.lowpass.filter"):
            state[place + kind] = torch.from_numpy(taps / taps.sum()).float()[None, None]
    config = {
        "resblock": str(block),
        "upsample_rates": [8, 4, 2],
        "num_mels": BANDS,
        "upsample_kernel_sizes": [16, 8, 4],
        "upsample_initial_channel": 32,
        "resblock_kernel_sizes": SIZES["kernels"],
        "resblock_dilation_sizes": SIZES["dilations"],
        "activation": activation,
        "snake_logscale": second_version,
        "n_fft": 1024,
        "hop_size": 64,
        "win_size": 1024,
        "sampling_rate": 22050,
        "fmin": 0,
        "fmax": 8000,
    }
    if second_version:
        config |= {"use_tanh_at_final": False, "use_bias_at_final": False}
    return Foreign(ours, state, config)


def parallel_wavegan(block: int = 1) -> Foreign:
    spec = replace(load("spec", "parallel_wavegan"), n_mels=BANDS, hop_length=30)
    ours = drawn(
        ParallelHifiGan(
            spec, **SIZES, upsample_rates=[5, 3, 2], upsample_kernels=[10, 6, 4], block=block,
            floor=FLOOR,
        )
    )  # fmt: skip
    ours.mean.copy_(torch.linspace(-3, -5, BANDS))
    ours.scale.copy_(torch.linspace(0.5, 1, BANDS))
    state = theirs(
        ours,
        [
            (r"^enter\.", "input_conv."),
            (r"^leave\.", "output_conv.1."),
            (r"^stages\.(\d+)\.up\.", r"upsamples.\1.1."),
            _block("steps", lambda n, k, j, _: f"blocks.{n}.convs{j + 1}.{k}.1."),
        ],
    )
    config = {
        "sampling_rate": 24000,
        "fft_size": 2048,
        "hop_size": 30,
        "win_length": 1200,
        "window": "hann",
        "num_mels": BANDS,
        "fmin": 80,
        "fmax": 7600,
        "format": "npy",
        "generator_type": "HiFiGANGenerator",
        "generator_params": {
            "in_channels": BANDS,
            "out_channels": 1,
            "channels": 32,
            "kernel_size": 7,
            "upsample_scales": [5, 3, 2],
            "upsample_kernel_sizes": [10, 6, 4],
            "resblock_kernel_sizes": SIZES["kernels"],
            "resblock_dilations": SIZES["dilations"],
            "use_additional_convs": block == 1,
            "bias": True,
            "use_weight_norm": True,
            "nonlinear_activation": "LeakyReLU",
            "nonlinear_activation_params": {"negative_slope": 0.1},
        },
    }
    return Foreign(ours, state, config)


def vocos(*, centred: bool = True) -> Foreign:
    spec = replace(load("spec", "vocos"), n_mels=BANDS)
    sizes = {"width": 24, "inner_width": 40, "n_blocks": 2, "n_fft": 1024}
    ours = drawn(Vocos(spec, **sizes, centred=centred))
    ours.leave.bias.data[:513] = -3.0
    state = theirs(
        ours,
        [
            (r"^enter\.", "backbone.embed."),
            (r"^enter_norm\.", "backbone.norm."),
            (r"^blocks\.", "backbone.convnext."),
            (r"^last_norm\.", "backbone.final_layer_norm."),
            (r"^leave\.", "head.out."),
            (r"\.depthwise\.", ".dwconv."),
            (r"\.widen\.", ".pwconv1."),
            (r"\.narrow\.", ".pwconv2."),
        ],
    )
    state["head.istft.window"] = torch.hann_window(1024)
    padding = "center" if centred else "same"
    same = {"n_fft": 1024, "hop_length": 256, "padding": padding}
    parts = {
        "feature_extractor": ("feature_extractors.MelSpectrogramFeatures",
            {"sample_rate": 24000, "n_mels": BANDS, **same}),
        "backbone": ("models.VocosBackbone",
            {"input_channels": BANDS, "dim": 24, "intermediate_dim": 40, "num_layers": 2}),
        "head": ("heads.ISTFTHead", {"dim": 24, **same}),
    }  # fmt: skip
    config = {
        name: {"class_path": f"vocos.{kind}", "init_args": arguments}
        for name, (kind, arguments) in parts.items()
    }
    return Foreign(ours, state, config)
