"""A checkpoint of the original HiFi-GAN (jik876/hifi-gan) as one of ours.

python -m recipes.import_hifigan UNIVERSAL_V1/config.json UNIVERSAL_V1/g_02500000 v1.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.model.interchange.original_hifigan import import_hifigan


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("config", type=Path, help="its config.json")
    parser.add_argument("weights", type=Path, help="its generator, a file named g_…")
    parser.add_argument("output", type=Path, help="file to write, .safetensors")
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args(arguments)
    try:
        checkpoint = import_hifigan(given.config, given.weights)
        checkpoint.write(given.output, overwrite=given.overwrite)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.output}: reads {checkpoint.spec.describe()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
