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
# CROP_SIZE in pix2pix.py of pix2pix-tensorflow and fineSize of the Lua program: square tiles.
SQUARE = 256


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
    made = _Maker(root, rows, columns, n_tiles)
    made.channels = "--input_nc 1 --output_nc 1 " if grey else ""
    return {
        "single": made.single,
        "aligned": made.aligned,
        "unaligned": made.unaligned,
        "pix2pixhd": made.pix2pixhd,
    }[style]()


class _Maker:
    channels = ""

    def __init__(self, root: Path, rows: int, columns: int, n_tiles: Mapping[str, int]) -> None:
        self.root = root.resolve()  # the programs are run in folders of their own
        self.name = shlex.quote(root.resolve().name)
        self.square = rows == columns == SQUARE
        # A U-Net halves both sides until one pixel is left (models/networks.py).
        fitting = (n for n in (256, 128) if rows % n == columns % n == 0)
        self.generator = next((f"unet_{n}" for n in fitting), "resnet_9blocks")
        self.n_tiles = n_tiles

    def _at(self, folder: str = "") -> str:
        return shlex.quote(str(self.root / folder))

    def _phases(self, program: str, sides: tuple[str, ...], train: str, test: str) -> Commands:
        """Commands for the folders that have tiles; ``{phase}`` and ``{n}`` are filled in."""
        counts = {
            phase: max(self.n_tiles.get(phase + side, 0) for side in sides)
            for phase in ("train", "test", "val")
        }
        tested = next((phase for phase in ("test", "val") if counts[phase]), None)
        return Commands(
            program,
            train if counts["train"] else None,
            test.replace("{phase}", tested).replace("{n}", str(counts[tested])) if tested else None,
        )

    def single(self) -> list[Commands]:
        options = (
            f"--model test --dataset_mode single --netG {self.generator} --norm batch "
            "--preprocess none --no_flip"
        )
        return [
            Commands(
                f"pytorch-CycleGAN-and-pix2pix, trained before, {folder}",
                None,
                f"python test.py --dataroot {self._at(folder)} --name NAME {options} "
                f"--num_test {n}",
            )
            for folder, n in self.n_tiles.items()
        ]

    def aligned(self) -> list[Commands]:
        base = (
            f"--dataroot {self._at()} --name {self.name} --model pix2pix --netG {self.generator} "
            f"--direction AtoB {self.channels}--preprocess none --no_flip"
        )
        found = [
            self._phases(
                "pytorch-CycleGAN-and-pix2pix",
                ("",),
                f"python train.py {base}",
                f"python test.py {base} --phase {{phase}} --num_test {{n}}",
            )
        ]
        if not self.square:
            return found
        tensorflow = "--which_direction AtoB --no_flip --scale_size 256"
        lua = f"name={self.name} which_direction=AtoB flip=0 loadSize=256 fineSize=256"
        return [
            *found,
            self._phases(
                "pix2pix-tensorflow",
                ("",),
                f"python pix2pix.py --mode train --input_dir {self._at('train')} "
                f"--output_dir {self.name}_train --max_epochs 200 {tensorflow}",
                f"python pix2pix.py --mode test --input_dir {self._at()}/{{phase}} "
                f"--output_dir {self.name}_test --checkpoint {self.name}_train {tensorflow}",
            ),
            self._phases(
                "pix2pix (Lua)",
                ("",),
                f"DATA_ROOT={self._at()} {lua} th train.lua",
                f"DATA_ROOT={self._at()} {lua} phase={{phase}} how_many={{n}} th test.lua",
            ),
        ]

    def unaligned(self) -> list[Commands]:
        base = f"--dataroot {self._at()} --name {self.name}"
        flags = f"{self.channels}--preprocess none --no_flip"
        return [
            self._phases(
                program,
                ("A", "B"),
                f"python train.py {base} {model} {flags}",
                f"python test.py {base} {model} {flags} --phase {{phase}} --num_test {{n}}",
            )
            for program, model in (
                ("pytorch-CycleGAN-and-pix2pix", "--model cycle_gan"),
                ("CUT", "--CUT_mode CUT"),
            )
        ]

    def pix2pixhd(self) -> list[Commands]:
        base = (
            f"--dataroot {self._at()} --name {self.name} --label_nc 0 --no_instance "
            "--resize_or_crop none --no_flip"
        )
        return [
            self._phases(
                "pix2pixHD",
                ("_A", "_B"),
                f"python train.py {base}",
                f"python test.py {base} --phase {{phase}} --how_many {{n}}",
            )
        ]
