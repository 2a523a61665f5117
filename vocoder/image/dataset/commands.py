"""The exact options for pix2pix programs: none of their defaults leave a spectrogram alone.

Read from the programs' own option parsers; `vocoder.image.doctor.options` looks at what was used.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vocoder.errors import BadInput

# Sides must be multiples of this, or the program resamples the images (data/base_dataset.py
# __make_power_2 of pytorch-CycleGAN-and-pix2pix and CUT; of pix2pixHD 2 ** n_downsample_global).
SIDE_MULTIPLES = {"aligned": 4, "unaligned": 4, "pix2pixhd": 16}
# Of pairs, the endings of the folders of a phase.
SIDES = {"aligned": ("",), "unaligned": ("A", "B"), "pix2pixhd": ("_A", "_B")}
# CROP_SIZE in pix2pix.py of pix2pix-tensorflow and fineSize of the Lua program: square tiles.
SQUARE = 256
ONLY_SQUARE = ("pix2pix-tensorflow", "pix2pix (Lua)")

_DATA = "--dataroot {root} --name {name}"
_PAIRS = (
    _DATA
    + " --model pix2pix --netG {generator} --direction AtoB {channels}--preprocess none --no_flip"
)
_CYCLE = _DATA + " --model cycle_gan {channels}--preprocess none --no_flip"
_CUT = _DATA + " --CUT_mode CUT {channels}--preprocess none --no_flip"
_HD = _DATA + " --label_nc 0 --no_instance --resize_or_crop none --no_flip"
_TENSORFLOW = "--which_direction AtoB --no_flip --scale_size 256"
_LUA = "DATA_ROOT={root} name={name} which_direction=AtoB flip=0 loadSize=256 fineSize=256"
_TEST = " --phase {phase} --num_test {n}"
# Program, and what trains and tests it.
TEMPLATES = {
    "aligned": (
        (
            "pytorch-CycleGAN-and-pix2pix",
            f"python train.py {_PAIRS}",
            f"python test.py {_PAIRS}{_TEST}",
        ),
        (
            "pix2pix-tensorflow",
            "python pix2pix.py --mode train --input_dir {root}/train --output_dir {name}_train "
            f"--max_epochs 200 {_TENSORFLOW}",
            "python pix2pix.py --mode test --input_dir {root}/{phase} --output_dir {name}_test "
            "--checkpoint {name}_train " + _TENSORFLOW,
        ),
        (
            "pix2pix (Lua)",
            f"{_LUA} th train.lua",
            _LUA + " phase={phase} how_many={n} th test.lua",
        ),
    ),
    "unaligned": (
        (
            "pytorch-CycleGAN-and-pix2pix",
            f"python train.py {_CYCLE}",
            f"python test.py {_CYCLE}{_TEST}",
        ),
        ("CUT", f"python train.py {_CUT}", f"python test.py {_CUT}{_TEST}"),
    ),
    "pix2pixhd": (
        (
            "pix2pixHD",
            f"python train.py {_HD}",
            f"python test.py {_HD} --phase {{phase}} --how_many {{n}}",
        ),
    ),
}
SINGLE = (
    "python test.py --dataroot {root}/{folder} --name NAME --model test --dataset_mode single "
    "--netG {generator} --norm batch --preprocess none --no_flip --num_test {n}"
)


@dataclass(frozen=True)
class Commands:
    """What to type for one program.

    Parameters
    ----------
    train, test : str or None
        Command lines; ``None`` where the data set has no tiles for it.
    """

    program: str
    train: str | None
    test: str | None


def require_sides(style: str, rows: int, columns: int) -> None:
    """Refuse tiles that the programs for this style would resample."""
    multiple = SIDE_MULTIPLES.get(style, 1)
    if rows % multiple or columns % multiple:
        raise BadInput(
            f"tiles are {columns} wide and {rows} high, but programs for style={style} resample "
            f"images whose sides are no multiples of {multiple}; choose another spec or "
            "tile.frames (or style=single)",
            key="tile.size",
        )


def commands(
    style: str,
    root: Path,
    rows: int,
    columns: int,
    n_tiles: Mapping[str, int],
    *,
    grey: bool = False,
) -> list[Commands]:
    """Command lines for the programs that read a data set of this style.

    Parameters
    ----------
    root : Path
        The data set.
    rows, columns : int
        Size of a tile.
    n_tiles : mapping
        Number of images in each folder of the data set.
    grey : bool
        Whether a level is a grey: a network of one channel cannot make three that disagree.
    """
    place = root.resolve()  # the programs are run in folders of their own
    # A U-Net halves both sides until one pixel is left (models/networks.py).
    fitting = (n for n in (256, 128) if rows % n == columns % n == 0)
    values: dict[str, object] = {
        "root": shlex.quote(str(place)),
        "name": shlex.quote(place.name),
        "generator": next((f"unet_{n}" for n in fitting), "resnet_9blocks"),
        "channels": "--input_nc 1 --output_nc 1 " if grey else "",
    }
    if style == "single":
        program = "pytorch-CycleGAN-and-pix2pix, trained before, "
        return [
            Commands(program + folder, None, SINGLE.format(folder=folder, n=n, **values))
            for folder, n in n_tiles.items()
        ]
    counts = {
        phase: max(n_tiles.get(phase + side, 0) for side in SIDES[style])
        for phase in ("train", "test", "val")
    }
    tested = next((phase for phase in ("test", "val") if counts[phase]), None)
    if tested is not None:
        values |= {"phase": tested, "n": counts[tested]}
    return [
        Commands(
            program,
            train.format(**values) if counts["train"] else None,
            test.format(**values) if tested else None,
        )
        for program, train, test in TEMPLATES[style]
        if rows == columns == SQUARE or program not in ONLY_SQUARE
    ]
