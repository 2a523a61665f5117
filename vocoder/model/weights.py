"""Where weights lie: in a file, in a training's folder, or in the package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.model.checkpoint import SUFFIX, read_checkpoint
from vocoder.spec import SpectrogramSpec

AUTO = "auto"  # the shipped weights for the picture's spec
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
        if not (path / BEST_NAME).is_file():
            raise BadInput(f"{path} holds no {BEST_NAME}; give the folder of a training, or a file")
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


@lru_cache(maxsize=32)
def shipped_for(kind: str, spec: SpectrogramSpec) -> str | None:
    """The name of shipped weights of a class of model for a spec; ``None`` if there are none.

    Those of several speakers come before what was made from them for a single one, whose name adds
    the speaker's to theirs.
    """
    for path in sorted(FOLDER.glob(f"*{SUFFIX}"), key=lambda path: path.stem):
        checkpoint = read_checkpoint(path)
        if checkpoint.model[TARGET].rpartition(".")[2] == kind and checkpoint.spec == spec:
            return path.stem
    return None
