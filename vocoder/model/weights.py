"""Where weights lie: in a file, in a training's folder, or in the package."""

from __future__ import annotations

from pathlib import Path

from vocoder.errors import BadInput
from vocoder.model.checkpoint import SUFFIX

FOLDER = Path(__file__).parent / "shipped"
BEST_NAME = "best.safetensors"  # in the folder of a training


def find_weights(source: str) -> Path:
    """The file that ``source`` stands for.

    Parameters
    ----------
    source : str
        A file, a training's folder (its best weights), or the name of weights that come with the
        package, such as ``repair``.

    Raises
    ------
    BadInput
        None of these.
    """
    path = Path(source)
    if path.is_dir():
        return path / BEST_NAME
    if path.exists():
        return path
    shipped = FOLDER / f"{source}{SUFFIX}"
    if shipped.is_file():
        return shipped
    there = sorted(file.stem for file in FOLDER.glob(f"*{SUFFIX}"))
    raise BadInput(
        f"{source} is no file, no folder of a training, and no name of weights that come with "
        f"the package ({', '.join(there) or 'none do'})"
    )
