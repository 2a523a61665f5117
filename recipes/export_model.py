"""A trained model as one file for other programs: ONNX, or a program of torch.export.

python -m recipes.export_model v1.safetensors v1.onnx
python -m recipes.export_model runs/me me.pt2
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.generator import Generator
from vocoder.model.interchange.export import export, metadata
from vocoder.model.weights import find_weights
from vocoder.repair.network import RepairNet


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "checkpoint",
        help="trained weights: a .safetensors file, a training's folder, or the name of weights "
        "that come with the package",
    )
    parser.add_argument("output", type=Path, help="file to write, .onnx or .pt2")
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args(arguments)
    try:
        model = read_checkpoint(find_weights(given.checkpoint)).build()
        if not isinstance(model, Generator | RepairNet):
            raise BadInput(
                f"{given.checkpoint} holds a {type(model).__name__}; only generators and repairs "
                "can be exported"
            )
        export(model, given.output, overwrite=given.overwrite)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.output}: {json.dumps(metadata(model), indent=2)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
