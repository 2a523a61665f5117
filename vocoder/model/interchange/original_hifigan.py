"""Checkpoints of the original HiFi-GAN (jik876/hifi-gan) as ours."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint
from vocoder.spec import SpectrogramSpec

KEYS = (
    "sampling_rate",
    "n_fft",
    "hop_size",
    "win_size",
    "num_mels",
    "fmin",
    "fmax",
    "resblock",
    "upsample_rates",
    "upsample_kernel_sizes",
    "upsample_initial_channel",
    "resblock_kernel_sizes",
    "resblock_dilation_sizes",
)
# Dilations that the original's two kinds of residual block use; it ignores further ones.
USED_DILATIONS = {1: 3, 2: 2}
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
        Its ``g_…``, such as ``g_02500000``. Only tensors are read; a file that would run code is
        refused before it does.

    Returns
    -------
    Checkpoint
        Sounds the same. Weight norm is kept, so that training can go on.

    Raises
    ------
    BadInput
        A file is missing, damaged, or not what it should be, or they do not fit each other.
    """
    values = _read_config(config)
    model, spec = _model(values, config), _spec(values, config)
    n_kernels = len(model["kernels"])
    tensors = {
        _our_name(name, n_kernels): tensor for name, tensor in _read_weights(weights).items()
    }
    card = {"origin": f"{weights.name} in the layout of jik876/hifi-gan"}
    checkpoint = Checkpoint(model, spec, tensors, card)
    try:
        checkpoint.build()
    except BadInput as error:
        raise BadInput(f"{weights} cannot be used with {config}: {error}") from error
    return checkpoint


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} cannot be read as JSON ({error}); give the config.json of the checkpoint"
        ) from error
    missing = [key for key in KEYS if key not in values] if isinstance(values, dict) else KEYS
    if missing:
        raise BadInput(
            f"{path} lacks {', '.join(missing)}; give the config.json that lies beside the "
            "checkpoint"
        )
    return dict(values)


def _model(values: dict[str, Any], config: Path) -> dict[str, Any]:
    kernels, dilations = values["resblock_kernel_sizes"], values["resblock_dilation_sizes"]
    if values["resblock"] not in ("1", "2"):
        raise BadInput(f"{config} has resblock {values['resblock']!r}; expected '1' or '2'")
    for key in ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes"):
        if not _are_numbers(values[key]):
            raise BadInput(f"{config} has {key} {values[key]!r}; expected a list of whole numbers")
    if not isinstance(dilations, list) or not all(_are_numbers(steps) for steps in dilations):
        raise BadInput(
            f"{config} has resblock_dilation_sizes {dilations!r}; expected lists of whole numbers"
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
    fields = {
        "kind": "mel",
        "sample_rate": values["sampling_rate"],
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
        "fmax": values["sampling_rate"] / 2 if values["fmax"] is None else values["fmax"],
        "mel_scale": "slaney",
        "mel_norm": "slaney",
        "compression": "log",
        "floor": 1e-5,
    }
    return SpectrogramSpec.from_dict(fields, str(config))


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise BadInput(f"{path} does not exist; give a generator's checkpoint, such as g_02500000")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} holds other things than weights, or is damaged; it was not opened, since "
            "such a file can run any code"
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise BadInput(f"{path} cannot be read as a checkpoint of PyTorch ({reason})") from error
    tensors = content.get("generator") if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise BadInput(
            f"{path} holds no weights under 'generator'; expected a g_… file (do_… holds the "
            "discriminators)"
        )
    return tensors


def _our_name(name: str, n_kernels: int) -> str:
    """``resblocks.4.convs1.0.weight_g`` to ``stages.1.blocks.1.steps.0.0…`` (three kernels)."""
    name = re.sub(r"^conv_pre\.", "enter.", name)
    name = re.sub(r"^conv_post\.", "leave.", name)
    name = re.sub(r"^ups\.(\d+)\.", r"stages.\1.up.", name)
    if found := re.match(r"resblocks\.(\d+)\.convs([12]?)\.(\d+)\.(.*)", name):
        stage, block = divmod(int(found[1]), n_kernels)
        second = int(found[2] == "2")
        name = f"stages.{stage}.blocks.{block}.steps.{found[3]}.{second}.{found[4]}"
    for number, old in enumerate(("weight_g", "weight_v")):
        name = re.sub(rf"\.{old}$", f".parametrizations.weight.original{number}", name)
    return name
