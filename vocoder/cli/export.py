"""``vocoder export``: trained weights as one file for other programs."""

from __future__ import annotations

import json
from pathlib import Path

from vocoder.cli.codes import DONE
from vocoder.errors import BadInput
from vocoder.files import refuse_existing


def run(*, weights: str, output: str, overwrite: bool) -> int:
    """Export weights; the keys are those of ``conf/export.yaml``, which describes them."""
    from vocoder.model.checkpoint import read_checkpoint
    from vocoder.model.interchange.export import Portable, export, metadata
    from vocoder.model.weights import find_weights

    refuse_existing(Path(output), overwrite=overwrite)
    model = read_checkpoint(find_weights(weights)).build()
    if not isinstance(model, Portable):
        raise BadInput(
            f"{weights} holds a {type(model).__name__}; expected a network that was trained",
            key="weights.type",
        )
    export(model, Path(output), overwrite=overwrite)
    print(f"{output}: {json.dumps(metadata(model), indent=2)}")
    return DONE
