"""Weights on disk: safetensors that say what they are, so that nothing has to be guessed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vocoder.config import TARGET, build
from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.spec import SpectrogramSpec

FORMAT = "vocoder-model-1"
SUFFIX = ".safetensors"
MAX_REASON = 300  # letters of what PyTorch says, which names every tensor


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights and how to build what they fit.

    Parameters
    ----------
    model : dict
        ``_target_`` and its plain arguments, without the spec.
    card : dict
        What is known of the training: data, licence, steps, figures.
    """

    model: dict[str, Any]
    spec: SpectrogramSpec
    tensors: dict[str, Tensor]
    card: dict[str, Any]

    def write(self, path: Path, *, overwrite: bool) -> None:
        """Write all as one safetensors file."""
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()
        }
        metadata = {
            "format": FORMAT,
            "model": json.dumps(self.model),
            "spec": json.dumps(self.spec.to_dict()),
            "card": json.dumps(self.card, ensure_ascii=False),
        }
        metadata["sha256"] = _digest(tensors, metadata)
        with atomic_path(path, overwrite=overwrite) as temporary:
            # Not save_file, whose files only their owner may read.
            temporary.write_bytes(save(tensors, metadata))

    def build(self) -> nn.Module:
        """The model with these weights, ready for inference."""
        with torch.random.fork_rng(devices=[]):  # first weights that nobody will see
            model: nn.Module = build({**self.model, "spec": self.spec}, "checkpoint")
        load_weights(model, self.tensors, "checkpoint")
        return model.eval()


def settings_of(model: nn.Module) -> dict[str, Any]:
    """How to build a model: ``_target_`` and its plain arguments, from its ``settings``."""
    kind = type(model)
    settings: dict[str, Any] = model.settings  # type: ignore[assignment]
    return {TARGET: f"{kind.__module__}.{kind.__qualname__}", **settings}


def load_weights(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Give a model exactly these weights."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:MAX_REASON]
        raise BadInput(
            f"{source} does not fit {type(model).__name__}: {reason}; it was made by another model "
            "or version",
            key="weights.shape",
        ) from error


def read_checkpoint(path: Path, *, tensors: bool = True) -> Checkpoint:
    """Read a file that `Checkpoint.write` wrote, and verify it; without ``tensors`` neither they
    are read nor what was written is verified, only that the file says what it holds.
    """
    if not path.is_file():
        raise BadInput(
            f"weights={path} does not exist; give a {SUFFIX} file of trained weights",
            key="weights.missing",
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys() if tensors else ()
            found = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise BadInput(
            f"{path} is not a whole safetensors file ({error}); other formats, such as pickles, "
            "are never opened",
            key="weights.damaged",
        ) from error
    if metadata.get("format") != FORMAT:
        raise BadInput(
            f"{path} has format {metadata.get('format')!r}; expected {FORMAT!r}, as vocoder writes",
            key="weights.format",
        )
    try:
        model, spec, card = (json.loads(metadata[key]) for key in ("model", "spec", "card"))
        digest = metadata["sha256"]
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{path} lacks readable metadata ({error}); it is damaged", key="weights.damaged"
        ) from error
    if not isinstance(model, dict) or TARGET not in model or not isinstance(card, dict):
        raise BadInput(f"{path} does not name its model; it is damaged", key="weights.damaged")
    if tensors and _digest(found, metadata) != digest:
        raise BadInput(
            f"{path} holds other things than were written; it is damaged", key="weights.damaged"
        )
    return Checkpoint(model, SpectrogramSpec.from_dict(spec, str(path)), found, card)


def _digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Of all that the file holds, but for the digest itself."""
    total = hashlib.sha256()
    for key in sorted(metadata.keys() - {"sha256"}):
        total.update(f"{key}={metadata[key]}".encode())
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
