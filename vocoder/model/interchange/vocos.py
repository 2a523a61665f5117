"""Checkpoints of Vocos for mels (gemelo-ai/vocos) as ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint
from vocoder.model.interchange.reading import (
    finished,
    mel_spec,
    require_keys,
    require_sizes,
    require_values,
)
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analysis_window, mel_filters

PARTS = {
    "feature_extractor": ("MelSpectrogramFeatures", ("sample_rate", "n_fft", "hop_length")),
    "backbone": ("VocosBackbone", ("input_channels", "dim", "intermediate_dim", "num_layers")),
    "head": ("ISTFTHead", ("dim", "n_fft", "hop_length")),
}
FLOOR = 1e-7  # modules.py safe_log
# Whose values follow from the settings: what they are called, and what they are here.
_FIXED = ("head.istft.window", "spectrogram.window", "mel_scale.fb")


def vocos(
    state: dict[str, Tensor], values: dict[str, Any], config: Path, weights: Path
) -> Checkpoint:
    """The checkpoint; ``config`` is the model's, or that of a training, which holds it."""
    if isinstance(inner := values.get("model"), dict):
        values = inner.get("init_args", inner)
    require_keys(values, tuple(PARTS), config)
    heard, body, head = (_arguments(values[part], part, config) for part in PARTS)
    padding, other = heard.get("padding", "center"), head.get("padding", "same")
    if padding != other or padding not in ("center", "same"):
        raise BadInput(
            f"{config} has padding {padding} for the features and {other} for the head; expected "
            "center or same, for both alike",
            key="config.padding.range",
        )
    require_values(body, {"adanorm_num_embeddings": None, "dim": head["dim"]}, config)
    require_values(head, {"hop_length": heard["hop_length"]}, config)
    spec = _spec(heard, config)
    where = f"{weights} cannot be used with {config}"
    own = {name: tensor for name, tensor in state.items() if name.startswith(tuple(PARTS))}
    sizes = {"dim": head["dim"], "intermediate_dim": body["intermediate_dim"]}
    require_sizes(sizes | {"n_mels": spec.n_mels}, own, where)
    require_sizes({"n_fft + 2": head["n_fft"] + 2}, own, where)
    _require_fixed(own, spec, head, where)
    tensors = {_our_name(name): own[name] for name in own if not name.endswith(_FIXED)}
    n_blocks = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    if body["num_layers"] != n_blocks:
        raise BadInput(
            f"{where}, whose num_layers is {body['num_layers']!r}: it has {n_blocks}",
            key="weights.config",
        )
    model = {
        TARGET: "vocoder.model.vocos.Vocos",
        "width": head["dim"],
        "inner_width": body["intermediate_dim"],
        "n_blocks": n_blocks,
        "n_fft": head["n_fft"],
        "centred": padding == "center",
    }
    origin = f"{weights.name} in the layout of gemelo-ai/vocos"
    return finished(model, spec, tensors, origin, where)


def _arguments(part: Any, name: str, config: Path) -> dict[str, Any]:
    """The arguments of a class of Vocos; others than those of mels are refused."""
    wanted, keys = PARTS[name]
    found = part if isinstance(part, dict) else {}
    kind = str(found.get("class_path")).rpartition(".")[2]
    if kind != wanted:
        raise BadInput(
            f"{config} has the {name} {kind}; only {wanted} can be taken over exactly",
            key=f"config.{name}.range",
        )
    arguments = found.get("init_args")
    arguments = arguments if isinstance(arguments, dict) else {}
    require_keys(arguments, keys, config)
    for key in keys:
        if type(arguments[key]) is not int or arguments[key] < 1:
            raise BadInput(
                f"{config} has {key} {arguments[key]!r}; expected a whole number above 0",
                key=f"config.{key}.range",
            )
    return arguments


def _spec(heard: dict[str, Any], config: Path) -> SpectrogramSpec:
    """What ``feature_extractors.py`` computes: torchaudio's mels, natural log above 1e-7.

    With padding ``same`` its frames lie as HiFi-GAN's do; see `original_hifigan.hifigan`.
    """
    rate, n_fft = heard["sample_rate"], heard["n_fft"]
    return mel_spec(
        config,
        sample_rate=rate,
        n_fft=n_fft,
        hop_length=heard["hop_length"],
        win_length=n_fft,
        n_mels=heard.get("n_mels", 100),
        fmin=0.0,
        fmax=float(rate // 2),
        mel_scale="htk",
        mel_norm="none",
        compression="log",
        floor=FLOOR,
    )


def _require_fixed(
    state: dict[str, Tensor], spec: SpectrogramSpec, head: dict[str, Any], where: str
) -> None:
    """Refuse windows and filters that are others than the settings say."""
    cpu = torch.device("cpu")
    for name in (name for name in state if name.endswith(_FIXED)):
        if name.endswith("fb"):
            expected = mel_filters(spec, cpu).mT
        else:
            n = head["n_fft"] if name.startswith("head") else spec.n_fft
            expected = torch.hann_window(n) if n != spec.n_fft else analysis_window(spec, cpu)
        tensor = state[name]
        if tensor.shape != expected.shape or not torch.allclose(tensor, expected, atol=1e-4):
            raise BadInput(f"{where}: {name} is not what these say", key="weights.config")


def _our_name(name: str) -> str:
    """``backbone.convnext.0.pwconv1.bias`` to ``blocks.0.widen.bias``."""
    for theirs, ours in (
        (r"^backbone\.embed\.", "enter."),
        (r"^backbone\.norm\.", "enter_norm."),
        (r"^backbone\.convnext\.", "blocks."),
        (r"^backbone\.final_layer_norm\.", "last_norm."),
        (r"^head\.out\.", "leave."),
        (r"\.dwconv\.", ".depthwise."),
        (r"\.pwconv1\.", ".widen."),
        (r"\.pwconv2\.", ".narrow."),
    ):
        name = re.sub(theirs, ours, name)
    return name
