"""Checkpoints of the original HiFi-GAN (jik876/hifi-gan) as ours."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint
from vocoder.spec import SpectrogramSpec

KEYS = (
    *("sampling_rate", "n_fft", "hop_size", "win_size", "num_mels", "fmin", "fmax"),
    *("resblock", "upsample_rates", "upsample_kernel_sizes", "upsample_initial_channel"),
    *("resblock_kernel_sizes", "resblock_dilation_sizes"),
)
# Dilations that the original's two kinds of residual block use; it ignores further ones.
USED_DILATIONS = {1: 3, 2: 2}
DISCRIMINATORS = ("mpd", "msd")
# Other generators by the names of their tensors, and why none can be taken in exactly.
OTHERS = (
    (r"activation_post\.|.*\.activations\.\d", "BigVGAN", "its periodic activations"),
    (r"backbone\.|head\.|feature_extractor\.", "Vocos", "its backbone and inverse STFT"),
    (
        r"(input_conv|upsamples|output_conv|first_conv|conv_layers|upsample_net|melgan)\.",
        "ParallelWaveGAN's",
        "its normalised log10 mels, of which the edges differ",
    ),
)
# Tensors of a normalised layer, as older versions of PyTorch save them and as ours does.
WEIGHT_NORM = {"weight_g": "original0", "weight_v": "original1"}
SPECTRAL_NORM = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
# What reading a file that is no checkpoint, or a damaged one, raises.
_UNREADABLE = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, OSError)


def import_hifigan(config: Path, weights: Path) -> Checkpoint:
    """Read a generator that the original code has trained.

    The spectrograms of the original are not centred, but padded by ``(n_fft - hop) / 2``, so that
    its frame ``t`` is centred on sample ``t * hop + hop / 2``. That is a centred spec whose sound
    begins half a hop before the centre of its first frame: `HifiGan.first_sample`.

    Parameters
    ----------
    config : Path
        Its ``config.json``.
    weights : Path
        Its ``g_…``, such as ``g_02500000``, or its state dict alone; as several GPUs save it
        (``module.``), and without weight norm, too. Only tensors are read; a file that would run
        code is refused before it does.

    Returns
    -------
    Checkpoint
        Sounds the same. Weight norm is kept or put back, so that training can go on.
    """
    state = _generator(_read(weights), weights)
    values = _read_config(config)
    model, spec = _model(values, config), _spec(values, config)
    tensors = _renamed(state, lambda name: _our_name(name, len(model["kernels"])))
    # Before anything of such a size is built.
    sizes = [size for tensor in tensors.values() for size in tensor.shape]
    for key in (
        "num_mels",
        "upsample_initial_channel",
        "upsample_kernel_sizes",
        "resblock_kernel_sizes",
    ):
        for size in values[key] if isinstance(values[key], list) else [values[key]]:
            if size not in sizes:
                raise BadInput(
                    f"{weights} cannot be used with {config}, whose {key} is {values[key]!r}: no "
                    "tensor has that size; give the config.json that lies beside the checkpoint",
                    key="weights.config",
                )
    card = {"origin": f"{weights.name} in the layout of jik876/hifi-gan"}
    checkpoint = Checkpoint(model, spec, _with_norm(tensors), card)
    try:
        checkpoint.build()
    except BadInput as error:
        raise BadInput(
            f"{weights} cannot be used with {config}: {error}", key="weights.config"
        ) from error
    return checkpoint


def import_discriminators(weights: Path) -> dict[str, dict[str, Tensor]]:
    """Read the discriminators of the original, ``do_…``, which a fine-tuning begins with.

    Returns
    -------
    dict
        State dicts of `vocoder.model.discriminator.mpd.MultiPeriod` and ``msd.MultiScale``, as
        ``train=hifigan`` has them, by the names ``mpd`` and ``msd``.
    """
    content = _read(weights)
    states: dict[str, Any] = {name: content.get(name) for name in DISCRIMINATORS}
    if not all(_is_state(state) for state in states.values()):
        raise BadInput(
            f"{weights} holds no weights under {' and '.join(DISCRIMINATORS)}; expected a do_… "
            "file of the original HiFi-GAN",
            key="discriminators.format",
        )
    renamed = {name: _renamed(states[name], _discriminator_name) for name in DISCRIMINATORS}
    # Their convolutions over periods have time first.
    renamed["mpd"] = {
        name: tensor.mT.contiguous() if tensor.ndim == 4 else tensor
        for name, tensor in renamed["mpd"].items()
    }
    return renamed


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"{path} cannot be read as JSON ({error}); give the config.json of the checkpoint",
            key="config.unreadable",
        ) from error
    missing = [key for key in KEYS if key not in values] if isinstance(values, dict) else KEYS
    if missing:
        raise BadInput(
            f"{path} lacks {', '.join(missing)}; give the config.json that lies beside the "
            "checkpoint",
            key="config.missing",
        )
    return dict(values)


def _model(values: dict[str, Any], config: Path) -> dict[str, Any]:
    kernels, dilations = values["resblock_kernel_sizes"], values["resblock_dilation_sizes"]
    if values["resblock"] not in ("1", "2"):
        raise BadInput(
            f"{config} has resblock {values['resblock']!r}; expected '1' or '2'",
            key="config.resblock.range",
        )
    for key in ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes"):
        if not _are_numbers(values[key]):
            raise BadInput(
                f"{config} has {key} {values[key]!r}; expected a list of whole numbers",
                key=f"config.{key}.type",
            )
    if not isinstance(dilations, list) or not all(_are_numbers(steps) for steps in dilations):
        raise BadInput(
            f"{config} has resblock_dilation_sizes {dilations!r}; expected lists of whole numbers",
            key="config.resblock_dilation_sizes.type",
        )
    block = int(values["resblock"])
    return {
        TARGET: "vocoder.model.hifigan.HifiGan",
        "channels": values["upsample_initial_channel"],
        "upsample_rates": values["upsample_rates"],
        "upsample_kernels": values["upsample_kernel_sizes"],
        "block": block,
        "kernels": kernels,
        "dilations": [steps[: USED_DILATIONS[block]] for steps in dilations],
    }


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(type(n) is int for n in values)


def _spec(values: dict[str, Any], config: Path) -> SpectrogramSpec:
    """What its ``meldataset.py`` computes: librosa's mel filters, natural log above 1e-5."""
    rate = values["sampling_rate"]
    if type(rate) is not int:
        raise BadInput(
            f"{config} has sampling_rate {rate!r}; expected Hz", key="config.sampling_rate.type"
        )
    fields = {
        "kind": "mel",
        "sample_rate": rate,
        "n_fft": values["n_fft"],
        "hop_length": values["hop_size"],
        "win_length": values["win_size"],
        "window": "hann",
        "center": True,
        "pad_mode": "reflect",
        "power": 1.0,
        "nyquist": True,
        "n_mels": values["num_mels"],
        "fmin": values["fmin"],
        "fmax": rate / 2 if values["fmax"] is None else values["fmax"],
        "mel_scale": "slaney",
        "mel_norm": "slaney",
        "compression": "log",
        "floor": 1e-5,
    }
    return SpectrogramSpec.from_dict(fields, str(config))


def _read(path: Path) -> dict[str, Any]:
    """The top level of a file of PyTorch."""
    if not path.is_file():
        raise BadInput(
            f"{path} does not exist; give a generator's checkpoint, such as g_02500000",
            key="weights.missing",
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} holds other things than weights, or is damaged; it was not opened, since "
            "such a file can run any code",
            key="weights.unsafe",
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise BadInput(
            f"{path} cannot be read as a checkpoint of PyTorch ({reason})", key="weights.damaged"
        ) from error
    if not isinstance(content, Mapping):
        raise BadInput(
            f"{path} holds a {type(content).__name__}; expected weights by name",
            key="weights.format",
        )
    return dict(content)


def _is_state(state: Any) -> bool:
    return (
        isinstance(state, Mapping)
        and bool(state)
        and all(isinstance(name, str) for name in state)
        and all(isinstance(tensor, Tensor) for tensor in state.values())
    )


def _generator(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The generator's state dict, wherever it lies; other networks are refused by name."""
    nested = [content.get(name) for name in ("generator", "state_dict", "model")]
    nested += [one.get("generator") for one in nested if isinstance(one, Mapping)]
    found = next((state for state in [*nested, content] if _is_state(state)), None)
    if found is None:
        raise BadInput(
            f"{path} holds no weights under 'generator', and is no state dict; expected a g_… file "
            "(do_… holds the discriminators)",
            key="weights.format",
        )
    state = _renamed(found, str)
    for pattern, name, why in OTHERS:
        if any(re.match(pattern, key) for key in state):
            raise BadInput(
                f"{path} is a {name} generator; {why} cannot be taken over exactly, and nothing "
                "else is: expected one of the original HiFi-GAN (jik876/hifi-gan)",
                key="weights.unknown",
            )
    return state


def _renamed(state: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    """Under our names, whichever way PyTorch has normalised weights and joined GPUs."""
    found = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        leaves = SPECTRAL_NORM if f"{layer}.weight_orig" in state else WEIGHT_NORM
        new = f"{layer}.parametrizations.weight.{leaves[leaf]}" if leaf in leaves else name
        found[rename(new.removeprefix("module."))] = tensor.detach()
    return found


def _with_norm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put weight norm back where it was removed."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            layer = name.removesuffix("weight") + "parametrizations.weight."
            found[f"{layer}original0"] = torch.linalg.vector_norm(tensor, dim=(1, 2), keepdim=True)
            found[f"{layer}original1"] = tensor
        else:
            found[name] = tensor
    return found


def _our_name(name: str, n_kernels: int) -> str:
    """``resblocks.4.convs1.0.weight_g`` to ``stages.1.blocks.1.steps.0.0…`` (three kernels)."""
    name = re.sub(r"^conv_pre\.", "enter.", name)
    name = re.sub(r"^conv_post\.", "leave.", name)
    name = re.sub(r"^ups\.(\d+)\.", r"stages.\1.up.", name)
    if found := re.match(r"resblocks\.(\d+)\.convs([12]?)\.(\d+)\.(.*)", name):
        stage, block = divmod(int(found[1]), n_kernels)
        second = int(found[2] == "2")
        name = f"stages.{stage}.blocks.{block}.steps.{found[3]}.{second}.{found[4]}"
    return name


def _discriminator_name(name: str) -> str:
    name = re.sub(r"^discriminators\.", "parts.", name)
    name = name.replace(".convs.", ".layers.convs.")
    return name.replace(".conv_post.", ".last.")
