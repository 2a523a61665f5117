"""What images show by themselves: lost depth, wrong sizes, wasted range, mirrored time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vocoder.errors import BadInput, some_of
from vocoder.image.codec.base import Codec, planes
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.palette import PathCodec
from vocoder.image.doctor.channels import Channels
from vocoder.image.doctor.looks import correlation, looks_drawn, looks_grey, middle_columns
from vocoder.image.doctor.offset import ConstantOffset
from vocoder.image.doctor.options import Finding
from vocoder.image.file import ImageFile, decode_image, read_image
from vocoder.image.manifest import Tile
from vocoder.spec import SpectrogramSpec

# Share of pixels at the top of the range. Clean speech measured 0.00005 at a range that just
# fits its peaks; one loud frame in a thousand is audible as a dull peak.
CLIPPED_SHARE = 0.001
# The loudest 0.1 % should reach the upper half, or a bit of the eight is thrown away.
LOUD_SHARE, LOUD_LEVEL = 0.001, 0.5
# By how much of the range the upper half of the bands may be brighter than the lower. Clean
# speech measured -0.19, telephone speech in noise -0.04; turned over they have the other sign.
UPSIDE_DOWN_LEVEL = 0.02
# Speech is dark: of ranges from 60 to 120 dB no utterance measured above 0.52 on average. Where
# the upper bands are the brighter ones and this is exceeded, it is a negative.
NEGATIVE_LEVEL = 0.55
# Columns of filling or overlap that it takes to tell left from right.
MIN_COLUMNS = 8
# Filling counts as dark when it is four times darker than the other end (generated filling
# measured 0.07 of 255, audio at the other end 23), and silence at both ends says nothing.
DARKER, SILENT_LEVEL = 4, 0.01
# Overlaps of neighbouring tiles correlate by 0.6 to 0.9 when generated, wrong ends by at most 0.4.
CORRELATION_GAP, ALIKE = 0.2, 0.5
# One tile among many may be judged wrongly.
MIRRORED_SHARE = 0.1
DEEP_MODES = ("I;16", "F")
N_LEVELS = 256
# What images can have wrong with them by themselves: what is said of it, and what to set.
FAULTS = {
    "unusable": (
        "they cannot be read as spectrograms",
        "images of 8-bit grey or colour without transparency",
    ),
    "drawn": (
        "they are figures on a page, with axes around a spectrogram or without one",
        "codec=foreign with codec.crop=, as vocoder identify finds them",
    ),
    "black": (
        "they are black, so nothing is heard there",
        "test.py again; of what is silent there, nothing",
    ),
    "lossy": (
        "JPEG or lossy WebP costs 2 dB RMS at Pillow's quality 75",
        "PNG for the data set; a program that writes JPEG itself (pix2pixHD does) must be made to "
        "save .png",
    ),
    "deep": (
        "16-bit and floating-point images are read as white, black or two values by programs that "
        "convert them to RGB",
        "codec=gray8, or a codec of 8 bits a channel",
    ),
    "settings": (
        "the settings in the images differ from those of the data set",
        "one spec and one codec for all of it; encode it again",
    ),
}


class Symptoms:
    """Takes images one by one, and then tells what is wrong with them.

    Parameters
    ----------
    codec : Codec or None
        How they were encoded; without it, grey images are read as 8-bit grey.
    spec : SpectrogramSpec or None
        Needed to read colours.
    tile_frames : int or None
        Width of a tile; images of twice that width are aligned pairs, A left and B right.
    given : bool
        The images are what a program is given, not what it generated.
    """

    def __init__(
        self,
        codec: Codec | None,
        spec: SpectrogramSpec | None,
        tile_frames: int | None,
        *,
        given: bool,
    ) -> None:
        self.codec, self.spec, self.tile_frames, self.given = codec, spec, tile_frames, given
        self.total = 0
        self.faulty: dict[str, list[str]] = {code: [] for code in FAULTS}
        self.other_codec: dict[str, list[str]] = {"coloured": [], "grey": []}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.channels = Channels()
        self.offsets = [ConstantOffset(codec, spec) for _ in range(2)]  # of both sides of pairs
        self.histogram = np.zeros(N_LEVELS, dtype=np.int64)
        self.halves: list[tuple[float, float]] = []
        self.votes: list[tuple[str, bool]] = []
        self._previous: dict[tuple[Path, int], tuple[Tile, np.ndarray]] = {}

    def add(self, path: Path, tile: Tile | None) -> None:
        """Look at an image; ``tile`` is what the manifest says of it.

        Neighbouring tiles are compared if they come one after the other.
        """
        self.total += 1
        try:
            image = read_image(path)
        except BadInput as error:
            self.faulty["unusable"].append(str(error))
            return
        if self.codec is None and image.pixels.dtype == np.uint8 and looks_drawn(image.pixels):
            self.faulty["drawn"].append(_name(path))  # of which nothing below holds
            return
        self._add_file(image)
        image = replace(image, pixels=middle_columns(image.pixels))
        pixels = image.pixels
        columns = pixels.shape[1]
        wanted = self._grey_codec() if pixels.dtype == np.uint8 else None
        if wanted is not None and (seen := looks_grey(pixels)) != wanted:
            self.other_codec["grey" if seen else "coloured"].append(_name(path))
            return
        try:
            if grey := self._is_grey(pixels):
                level: np.ndarray | None = self._grey_levels(pixels)
            else:
                level = self._coded_levels(image)
        except BadInput as error:
            self.faulty["unusable"].append(str(error))
            return
        if level is None:
            return
        if not self.given and not level.any():
            self.faulty["black"].append(_name(path))
            return
        if grey:
            self.channels.add(pixels)
        self.histogram += np.bincount(
            np.rint(level * (N_LEVELS - 1)).astype(np.intp).ravel(), minlength=N_LEVELS
        )
        middle = level.shape[0] // 2
        self.halves.append((float(level[:middle].mean()), float(level[middle:].mean())))
        paired = columns == 2 * (self.tile_frames or len(level)) and self.given
        for k, view in enumerate(np.split(level, 2, axis=1) if paired else [level]):
            self.offsets[k].add(view)
            if tile is not None:
                self._vote(view, tile, (path.parent, k), _name(path))

    def _add_file(self, image: ImageFile) -> None:
        name = _name(image.path)
        rows, columns = image.pixels.shape[:2]
        self.sizes[name] = (columns, rows)
        if image.lossy:
            self.faulty["lossy"].append(name)
        if image.mode in DEEP_MODES:
            self.faulty["deep"].append(name)
        if image.info and (
            (self.spec and image.info.spec != self.spec)
            or (self.codec and image.info.codec.to_dict() != self.codec.to_dict())
        ):
            self.faulty["settings"].append(name)

    def _grey_codec(self) -> bool | None:
        """Whether images of the codec are grey; ``None`` if it can't be told by looking."""
        if isinstance(self.codec, PathCodec):
            return looks_grey(self.codec.path().colours[None])
        return True if self.codec is not None and self.codec.mode == "L" else None

    def _is_grey(self, pixels: np.ndarray) -> bool:
        if pixels.dtype != np.uint8:
            return False
        return looks_grey(pixels) if self.codec is None else self.codec.mode == "L"

    def _grey_levels(self, pixels: np.ndarray) -> np.ndarray:
        """8-bit grey as ``(bins, frames)`` from 0 (floor) to 1 (top)."""
        level = pixels.astype(np.float32)
        if level.ndim == 3:
            level = np.add.reduce(planes(level)) / 3
        upright = level[::-1] if self.codec is None or self.codec.top_down else level
        return upright / 255

    def _coded_levels(self, image: ImageFile) -> np.ndarray | None:
        """The same of other images; ``None`` where nobody says how to read them, or where the
        wrong size or depth, told by itself, keeps them from being read."""
        codec, spec = self.codec, self.spec
        if codec is None or spec is None or image.pixels.shape[0] != spec.bins:
            return None
        if image.mode in DEEP_MODES and image.mode != codec.mode:
            return None
        db = decode_image(image, codec, spec).decibels[: spec.bins] - codec.reference_db(spec)
        return np.asarray(np.clip((db - codec.db_min) / (codec.db_max - codec.db_min), 0, 1))

    def _vote(self, view: np.ndarray, tile: Tile, place: tuple[Path, int], name: str) -> None:
        """Does the tile run backwards in time, by its filling and by its neighbour?"""
        columns = view.shape[1]
        filling = columns - tile.frames
        if filling >= MIN_COLUMNS:
            left, right = float(view[:, :filling].mean()), float(view[:, -filling:].mean())
            if max(left, right) > SILENT_LEVEL and max(left, right) > DARKER * min(left, right):
                self.votes.append((name, left < right))
        before = self._previous.get(place)
        self._previous[place] = (tile, view)
        if before is None or before[0].utterance != tile.utterance or view.shape != before[1].shape:
            return
        overlap = before[0].start_frame + columns - tile.start_frame
        if MIN_COLUMNS <= overlap < columns:
            straight = correlation(before[1][:, -overlap:], view[:, :overlap])
            mirrored = correlation(before[1][:, :overlap], view[:, -overlap:])
            if abs(straight - mirrored) > CORRELATION_GAP and max(straight, mirrored) > ALIKE:
                self.votes.append((name, mirrored > straight))

    def findings(self) -> list[Finding]:
        """What was seen in all images together."""
        found = [
            finding
            for code, names in self.faulty.items()
            for finding in some(code, names, self.total, *FAULTS[code])
        ]
        found += [
            *self._of_codec(),
            *self._of_sizes(),
            *self.channels.findings(self._all(), self.codec),
        ]
        if negative := self._of_negatives():
            return [*found, *negative]  # which range and direction would misread
        return [*found, *self._of_range(), *self._of_direction(), *self._of_offset()]

    def _of_codec(self) -> list[Finding]:
        name = "" if self.codec is None else self.codec.name
        findings = []
        for seen, wanted, such_as in (
            ("coloured", "grey", "codec=hue or codec=colormap"),
            (
                "grey",
                "coloured",
                "codec=gray8; and for the program 3 channels (--input_nc 3 --output_nc 3)",
            ),
        ):
            found = (
                f"the images are {seen}, but those of codec {name} are {wanted}; read as such they "
                "are different audio"
            )
            fix = f"the codec that they were encoded with, such as {such_as}"
            findings += some("codec", self.other_codec[seen], self.total, found, fix)
        return findings

    def _of_negatives(self) -> list[Finding]:
        total = int(self.histogram.sum())
        if not total or not self.halves:
            return []
        level = float(self.histogram @ np.arange(N_LEVELS)) / total / (N_LEVELS - 1)
        if level <= NEGATIVE_LEVEL or not self._is_top_heavy():
            return []
        found = (
            f"the images are bright ({level:.0%} on average) and brightest in the highest bands; "
            "speech is dark, and darkest there, so they seem to be negatives"
        )
        fix = f"{self._layout('dark_is_loud', 'true')}; for programs invert the colours"
        return [self._whole("negative", found, fix)]

    def _layout(self, key: str, value: str) -> str:
        """What to set where images are laid out in another way than their codec says."""
        given = f"codec=foreign codec.{key}={value}"
        words = given if self.codec is None else self.codec.advice(key, value)
        return (
            f"{words}, but where there is a spec.yaml of the data set, name: foreign and {key}: "
            f"{value} in its codec"
        )

    def _is_top_heavy(self) -> bool:
        """Whether the upper half of the bands is brighter than the lower."""
        lower, upper = np.mean(self.halves, axis=0)
        return bool(upper > lower + UPSIDE_DOWN_LEVEL)

    def _of_sizes(self) -> list[Finding]:
        if not self.sizes or (isinstance(self.codec, Foreign) and not self.codec.invertible):
            return []  # which finds its place in images of any size
        columns, rows = Counter(self.sizes.values()).most_common(1)[0][0]
        rows = self.spec.bins if self.spec else rows
        widths = {self.tile_frames or columns}
        if self.tile_frames and self.given:
            widths.add(2 * self.tile_frames)
        wrong = [
            f"{name} ({size[0]} x {size[1]})"
            for name, size in self.sizes.items()
            if size[0] not in widths or size[1] != rows
        ]
        expected = " or ".join(f"{width} x {rows}" for width in sorted(widths))
        return some(
            "size",
            wrong,
            self.total,
            f"the size is not {expected}, so bands and frames have moved",
            "--preprocess none (train and test), and --aspect_ratio 1; images resized by hand "
            "must be made again",
        )

    def _of_range(self) -> list[Finding]:
        total = int(self.histogram.sum())
        if not total:
            return []
        findings = []
        clipped = self.histogram[-1] / total
        if clipped > CLIPPED_SHARE:
            found = f"{clipped:.2%} of the pixels stand at the top of the range"
            then = ", and encode again" if self.given else " for the data set"
            fix = f"a higher codec.db_max (0 never clips){then}"
            findings.append(self._whole("clipped", found, fix))
        from_top = np.cumsum(self.histogram[::-1]) / total
        loud = (N_LEVELS - 1 - int(np.argmax(from_top > LOUD_SHARE))) / (N_LEVELS - 1)
        if loud < LOUD_LEVEL:
            found = (
                f"all but {LOUD_SHARE:.1%} of the pixels stay below {loud:.0%} of the range, so "
                "most of the levels are wasted"
            )
            fix = "gain=peak for encode, or a lower codec.db_max"
            findings.append(self._whole("unused", found, fix))
        return findings

    def _of_direction(self) -> list[Finding]:
        findings = []
        if self.halves and self._is_top_heavy():
            lower, upper = np.mean(self.halves, axis=0)
            found = (
                f"the upper half of the bands is brighter ({upper:.0%}) than the lower "
                f"({lower:.0%}); speech has its energy in low bands, so the images seem to stand "
                "on their heads"
            )
            fix = f"{self._layout('row_0', 'low')}; for programs turn the images over"
            findings.append(self._whole("upside_down", found, fix))
        mirrored = sorted({name for name, backwards in self.votes if backwards})
        if len(mirrored) > MIRRORED_SHARE * len({name for name, _ in self.votes}):
            findings += some(
                "mirrored",
                mirrored,
                self.total,
                "time runs backwards in them: the filling is at the left, or overlaps of "
                "neighbouring tiles match with the wrong ends",
                "--no_flip for train.py and test.py",
            )
        return findings

    def _of_offset(self) -> list[Finding]:
        found = (one.findings(self._all(), given=self.given) for one in self.offsets)
        return next(filter(None, found), [])

    def _whole(self, code: str, found: str, fix: str) -> Finding:
        return Finding(code=code, where=self._all(), found=found, fix=fix)

    def _all(self) -> str:
        return f"all {self.total} images together"


def some(code: str, names: Sequence[str], total: int, found: str, fix: str) -> list[Finding]:
    """A finding about some of the images, the first named; none if there are none."""
    if not names:
        return []
    where = f"{len(names)} of {total} images: {some_of(names, ', ')}"
    return [Finding(code=code, where=where, found=found, fix=fix)]


def _name(path: Path) -> str:
    """With its folder, since both sides of a data set use the same file names."""
    return f"{path.parent.name}/{path.name}"
