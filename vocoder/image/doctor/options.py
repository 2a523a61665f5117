"""Reading a pix2pix program's own options file: what it does to spectrograms, and what to set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.files import reading
from vocoder.image.codec.base import Codec
from vocoder.image.dataset.commands import SIDE_MULTIPLES

PROBLEM, NOTE = "problem", "note"

# Names that pix2pixHD and older versions use for the same options.
_SAME = {
    "resize_or_crop": "preprocess",
    "loadSize": "load_size",
    "fineSize": "crop_size",
    "how_many": "num_test",
}
# --num_test of test.py where nobody sets it (options/test_options.py).
DEFAULT_NUM_TEST = 50


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that will go wrong or did.

    Parameters
    ----------
    code : str
        One word for the kind of trouble.
    where : str
        Which file, option or images.
    found : str
        What is there, and what it does to the audio.
    fix : str
        What to set instead.
    severity : {"problem", "note"}
        Notes are worth knowing and need no action.
    """

    code: str
    where: str
    found: str
    fix: str
    severity: str = PROBLEM


def find_options(path: Path) -> list[Path]:
    """Options files that ``path`` is or holds: ``train_opt.txt``, ``test_opt.txt``, ``opt.txt``."""
    if path.is_file():
        return [path] if path.suffix == ".txt" else []
    return sorted(file for file in path.glob("*opt.txt") if file.is_file())


def read_options(path: Path) -> dict[str, str]:
    """Read an options file: ``key: value`` a line, ``[default: ...]`` behind changed values."""
    with reading(path, "options.file"):
        text = path.read_text(encoding="utf-8", errors="replace")
    options = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"\s*(\w+):[ \t]*(.*?)\s*(\[default: .*\])?\s*", line):
            options[_SAME.get(match[1], match[1])] = match[2]
    if not {"preprocess", "no_flip"} <= options.keys():
        raise BadInput(
            f"{path} is not an options file of a pix2pix program: it has no lines for preprocess "
            "and no_flip; give train_opt.txt or test_opt.txt from checkpoints/<name>",
            key="options.format",
        )
    return options


def examine_options(
    path: Path,
    *,
    n_tiles: dict[str, int] | None = None,
    tile_size: tuple[int, int] | None = None,
    codec: Codec | None = None,
) -> list[Finding]:
    """What an options file of pytorch-CycleGAN-and-pix2pix does to spectrograms.

    CUT and pix2pixHD write the same kind of file.

    Parameters
    ----------
    n_tiles : dict, optional
        How many tiles the data set has for each phase (``train``, ``val``, ``test``).
    tile_size : tuple of int, optional
        Rows and columns of a tile.
    codec : Codec, optional
        How the tiles were encoded.
    """
    return _Reader(path, n_tiles or {}, tile_size, codec).findings()


class _Reader:
    def __init__(
        self,
        path: Path,
        n_tiles: dict[str, int],
        tile_size: tuple[int, int] | None,
        codec: Codec | None,
    ) -> None:
        self.path, self.tile_size, self.codec = path, tile_size, codec
        self.options = read_options(path)
        self.training = self.options.get("isTrain", str("train" in path.name)) == "True"
        self.script = "train.py" if self.training else "test.py"
        self.n_tiles = n_tiles.get(self.options.get("phase", ""))
        self.found: list[Finding] = []

    def findings(self) -> list[Finding]:
        self._flip()
        self._geometry()
        self._channels()
        if self.training:
            self._limit("max_dataset_size", "truncated", "trains on", unknown=NOTE)
        else:
            few = self._number("num_test", DEFAULT_NUM_TEST) <= DEFAULT_NUM_TEST
            self._limit("num_test", "cap", "stops after", unknown=PROBLEM if few else None)
            if self._number("aspect_ratio", 1) != 1:
                self._add("resize", "aspect_ratio", "every output is stretched", "--aspect_ratio 1")
        if self.options.get("direction") == "BtoA":
            fix = "nothing, if that is meant; the output is still labelled fake_B"
            self._add("direction", "direction", "side B is the input, A is generated", fix, NOTE)
        return self.found

    def _add(self, code: str, key: str, found: str, fix: str, severity: str = PROBLEM) -> None:
        where = f"{self.path}: {key}: {self.options.get(key, 'not set')}"
        self.found.append(Finding(code=code, where=where, found=found, fix=fix, severity=severity))

    def _number(self, key: str, default: float) -> float:
        text = self.options.get(key, str(default))
        try:
            return float(text)
        except ValueError as error:
            raise BadInput(
                f"{self.path}: {key} is {text!r}; expected a number", key="options.type"
            ) from error

    def _flip(self) -> None:
        if self.options["no_flip"] == "True":
            return
        if self.training:
            found = "half of the images are mirrored, so time runs backwards in them"
            self._add("flip", "no_flip", found, "--no_flip for train.py")
        else:
            found = "test.py switches flipping off by itself, whatever is set here"
            self._add("flip", "no_flip", found, "--no_flip for test.py too, to be safe", NOTE)

    def _geometry(self) -> None:
        mode = self.options["preprocess"]
        load, crop = self._number("load_size", 286), self._number("crop_size", 256)
        fix = f"--preprocess none for {self.script}"
        resizes = "resize" in mode or "scale_width" in mode
        if "crop" in mode and resizes and load > crop:
            found = (
                f"every image is resampled to {load:g} and a random part of {crop:g} cut out: "
                "pitch and time are shifted by chance and detail is blurred (256 to 286 and back "
                "alone costs 1.5 dB RMS)"
            )
            self._add("jitter", "preprocess", found, fix)
        elif resizes and self.tile_size != (load, load):
            found = f"every image is resampled to {load:g} (512 to 256 and back costs 3.7 dB RMS)"
            if self.tile_size is None:
                found += f"; harmless only if all tiles are {load:g} x {load:g}"
            self._add("resize", "preprocess", found, fix)
        elif "crop" in mode and not resizes and self.tile_size != (crop, crop):
            found = f"only a random part of {crop:g} x {crop:g} of a larger image is used"
            if self.tile_size is None:
                found += f"; harmless only if all tiles are {crop:g} x {crop:g}"
            self._add("jitter", "preprocess", found, fix)
        network = self.options.get("netG", "")
        # A U-Net halves both sides until one pixel is left (models/networks.py).
        unet = re.fullmatch(r"unet_(\d+)", network)
        multiple = int(unet[1]) if unet else SIDE_MULTIPLES["aligned"]
        if mode == "none" and self.tile_size and any(size % multiple for size in self.tile_size):
            rows, columns = self.tile_size
            found = (
                f"tiles of {columns} x {rows} do not fit {network}, which halves them repeatedly"
            )
            self._add("size", "netG", found, f"tiles whose sides are multiples of {multiple}")

    def _channels(self) -> None:
        for key in ("input_nc", "output_nc"):
            if self._number(key, 3) != 1:
                continue
            if self.codec is not None and self.codec.mode == "RGB":
                found = f"colours are mixed to grey, which destroys images of {self.codec.name}"
                self._add("colour", key, found, f"--{key} 3, and train again")
            elif self.codec is None:
                found = "colours are mixed to grey; right for grey images, and only for them"
                self._add("colour", key, found, f"--{key} 3 for codecs that use colour", NOTE)

    def _limit(self, key: str, code: str, verb: str, *, unknown: str | None) -> None:
        limit = self._number(key, DEFAULT_NUM_TEST if key == "num_test" else float("inf"))
        if limit == float("inf") or (self.n_tiles is not None and limit >= self.n_tiles):
            return
        severity = unknown if self.n_tiles is None else PROBLEM
        if severity is not None:
            there = "" if self.n_tiles is None else f" of {self.n_tiles}"
            found = f"{self.script} {verb} {limit:g}{there} image(s)"
            wanted = "<number of tiles>" if self.n_tiles is None else self.n_tiles
            self._add(code, key, found, f"--{key} {wanted}", severity)
