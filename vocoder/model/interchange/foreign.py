"""Generators that other programs have trained, known by the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint
from vocoder.model.interchange.original_hifigan import hifigan
from vocoder.model.interchange.parallel_wavegan import parallel_wavegan
from vocoder.model.interchange.reading import is_state, read_settings, read_torch, renamed
from vocoder.model.interchange.vocos import vocos

CONFIGS = ("config.json", "config.yml", "config.yaml")  # as the programs call them
_IMPORTERS = (
    (r"(backbone|head|feature_extractor)\.", vocos),
    (r"(input_conv|upsamples|output_conv|blocks)\.", parallel_wavegan),
    (r"(conv_pre|ups|resblocks|conv_post)\.", hifigan),
)
# ParallelWaveGAN's other generators, which have nothing in common with HiFi-GAN.
_OTHERS = r"(first_conv|last_conv_layers|conv_layers|upsample_net|melgan|noise_upsample)\."


def import_generator(config: Path | None, weights: Path) -> Checkpoint:
    """Read a generator of HiFi-GAN, BigVGAN, Vocos or ParallelWaveGAN; it gives the same audio.

    Parameters
    ----------
    config : Path or None
        Its settings, such as ``config.json``; ``None`` takes those beside the weights.
    weights : Path
        Its checkpoint, or its state dict alone; as several GPUs save it (``module.``), and without
        weight norm, too. Only tensors are read; a file that would run code is refused before it
        does.

    Returns
    -------
    Checkpoint
        Weight norm is kept or put back, so that training can go on.
    """
    state = _state(read_torch(weights), weights)
    for pattern, importer in _IMPORTERS:
        if any(re.match(pattern, name) for name in state):
            path = _beside(weights) if config is None else config
            return importer(state, read_settings(path), path, weights)
    others = any(re.match(_OTHERS, name) for name in state)
    what = "another generator of ParallelWaveGAN's" if others else "an unknown network"
    raise BadInput(
        f"{weights} holds {what}; expected one of the original HiFi-GAN, of BigVGAN or Vocos, or a "
        "HiFiGANGenerator of ParallelWaveGAN",
        key="weights.unknown",
    )


def _beside(weights: Path) -> Path:
    for name in CONFIGS:
        if (path := weights.with_name(name)).is_file():
            return path
    raise BadInput(
        f"no {' or '.join(CONFIGS)} lies beside {weights}; give the generator's settings with "
        "config=",
        key="config.missing",
    )


def _state(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The generator's state dict, wherever it lies."""
    nested = [content.get(name) for name in ("generator", "state_dict", "model")]
    nested += [one.get("generator") for one in nested if isinstance(one, Mapping)]
    found = next((state for state in [*nested, content] if is_state(state)), None)
    if found is None:
        raise BadInput(
            f"{path} holds no weights under 'generator', nor a state dict; expected a g_… file "
            "(do_… holds the discriminators)",
            key="weights.format",
        )
    return renamed(found, str)
