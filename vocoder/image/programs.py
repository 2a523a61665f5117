"""Finding what a pix2pix program wrote: which program, which images are its output.

A program is a record in `vocoder.image.pix2pix`; everything here is common to all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.files import reading
from vocoder.image.codec.base import IMAGE_SUFFIXES
from vocoder.image.dataset.contact_sheet import CONTACT_SHEET_NAME
from vocoder.image.file import read_image
from vocoder.image.manifest import one_spelling
from vocoder.image.pix2pix import PROGRAMS, UNMARKED, Program

# results/<name>/<phase>_<epoch>/images/<label> lies four folders below results/.
MAX_DEPTH = 5
FOLDER = "folder"  # in place of a program's name


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was found in a folder.

    Parameters
    ----------
    program : str
        Name of the program, or ``folder`` for bare images.
    label : str
        Label of ``tiles``; empty for bare images.
    floor_scale : float or None
        How the program cut off fractions of a level (`Program.floor_scale`); ``None`` where
        nothing was cut off, as from its copies of what it was given: those were whole before.
    folder : Path
        Where the images lie.
    tiles : dict of str to Path
        Images by the data set's name for them, which is their file name without label and suffix.
    inputs, targets : dict of str to Path
        What the program says it was given and should have generated; empty where it kept neither.
    duplicates : list of Path
        Images left out since a better file has the same stem.
    foreign : list of Path
        Images beside them that carry none of the program's labels.
    """

    program: str
    label: str
    floor_scale: float | None
    folder: Path
    tiles: dict[str, Path]
    inputs: dict[str, Path] = field(default_factory=dict)
    targets: dict[str, Path] = field(default_factory=dict)
    duplicates: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    """The labelled images of one program in one folder, as ``label -> stem -> paths``."""

    program: Program
    folder: Path
    images: dict[str, dict[str, list[Path]]]
    foreign: list[Path]

    def is_preview(self) -> bool:
        stems = [stem for by_stem in self.images.values() for stem in by_stem]
        return all(re.fullmatch(self.program.preview, stem) for stem in stems)

    def generated(self, label: str) -> Generated:
        tiles, duplicates = _best(self.images[label])
        return Generated(
            program=self.program.name,
            label=label,
            floor_scale=self.program.floor_scale if label == self.program.output else None,
            folder=self.folder,
            tiles=tiles,
            inputs=_best(self.images.get(self.program.input, {}))[0],
            targets=_best(self.images.get(self.program.target, {}))[0],
            duplicates=duplicates,
            foreign=self.foreign,
        )


def find_generated(
    folder: Path,
    label: str | None = None,
    program: str | None = None,
    known: Collection[str] = (),
) -> Generated:
    """Find the output of a pix2pix program.

    Some names can be read in several ways: ``real_B/a_real_B.png`` shows tile ``a`` of one program,
    or ``a_real_B`` of another that makes a folder for each label.

    Parameters
    ----------
    folder : Path
        The program's ``results``, a run in it, its ``images``, one label's folder in that, a
        folder of bare images, or one image.
    label : str, optional
        Another label than that of the program's output, e.g. ``real_B``.
    program : str, optional
        One of `UNMARKED`, whose images are bare; the others are known by their labels.
    known : collection of str
        Stems of a data set: a reading under which one of these is there comes first.
    """
    if program is not None:
        if program not in UNMARKED:
            raise BadInput(
                f"program is {program!r}; expected {' or '.join(UNMARKED)}, or nothing: the other "
                "programs are found out by their file names",
                key="program.unknown",
            )
        if label is not None:
            raise BadInput(
                f"label={label} was given, but {program} writes images without labels",
                key="label.conflict",
            )
    if not folder.exists():
        raise BadInput(
            f"{folder} does not exist; give an image, an array, or a folder of them such as a "
            "pix2pix program writes",
            key="input.missing",
        )
    if program is not None:
        return replace(_bare(folder), program=program, floor_scale=UNMARKED[program])
    for found in _readings(folder, label) if known else ():
        if not found.tiles.keys().isdisjoint(known):
            return found
    return _likeliest(folder, label)


def _readings(folder: Path, label: str | None) -> Iterator[Generated]:
    """Every way to read the names of the images, the likeliest first."""
    with suppress(BadInput):
        yield _likeliest(folder, label)
    for program in PROGRAMS:
        run = _match(replace(program, needs_input=False), folder)
        for wanted in (program.output, _name(folder)) if label is None else (label,):
            if run and wanted in run.images:
                yield run.generated(wanted)
    if label in (None, _name(folder)) and (inside := _run_of_label_folder(folder)):
        yield inside.generated(_name(folder))
    if label is None:
        with suppress(BadInput):
            yield _bare(folder)


def _likeliest(folder: Path, label: str | None) -> Generated:
    """What is found by names alone."""
    labelled = [_match(program, folder) for program in PROGRAMS if program.separator is not None]
    only_named = any(run and not run.foreign for run in labelled)  # like a label, by chance
    if not only_named and (inside := _run_of_label_folder(folder)):
        wanted = _name(folder) if label is None else label
        if wanted not in inside.images:
            raise _no_label(wanted, [inside])
        return inside.generated(wanted)
    found = list(_runs(folder))
    runs = [run for run in found if folder.is_file() or not run.is_preview()]
    if label is None and folder.is_file() and runs:
        (label,) = runs[0].images  # whoever gives one image means that one
    chosen = [run for run in runs if (label or run.program.output) in run.images]
    if not chosen and label is None:
        label = _name(folder)
        chosen = [run for run in runs if run.folder == folder and label in run.images]
        label = label if chosen else None
    if len(chosen) > 1:
        raise BadInput(
            f"{folder} holds several runs; give one of them: {_listing(chosen)}",
            key="input.ambiguous",
        )
    if chosen:
        return chosen[0].generated(label or chosen[0].program.output)
    if runs and (label is not None or not any(run.foreign for run in runs)):
        raise _no_label(label or runs[0].program.output, runs)
    if found and not runs:
        raise BadInput(
            f"{found[0].folder} holds previews of a training, one nameless tile an epoch; run the "
            "program's test and give its results (or give one preview as a single image)",
            key="input.previews",
        )
    if label is not None:
        raise BadInput(
            f"label={label} was given, but the images in {folder} carry no labels",
            key="label.conflict",
        )
    return _bare(folder)


def _no_label(label: str, runs: list[_Run]) -> BadInput:
    there = ", ".join(sorted({name for run in runs for name in run.images}))
    return BadInput(
        f"{runs[0].folder} has no images labelled {label}, only {there}; choose one of these "
        "with label=",
        key="label.unknown",
    )


def _run_of_label_folder(folder: Path) -> _Run | None:
    """The run that ``folder`` holds one label of, for programs with a folder a label."""
    for program in PROGRAMS:
        if program.separator is None and _name(folder) in program.labels:
            run = _match(program, folder.resolve().parent)
            if run and _name(folder) in run.images:
                return run
    return None


def _name(folder: Path) -> str:
    return folder.resolve().name


def _runs(root: Path) -> Iterator[_Run]:
    for folder in _folders(root):
        for program in PROGRAMS:
            if run := _match(program, folder):
                yield run


def _match(program: Program, folder: Path) -> _Run | None:
    """The program's images in a folder (or in one file); ``None`` if there are none."""
    images: dict[str, dict[str, list[Path]]] = {}
    foreign = []
    by_length = sorted(program.labels, key=len, reverse=True)
    for path in images_in(folder):
        for label in by_length:
            ending = None if program.separator is None else program.separator + label
            if ending and path.stem.endswith(ending) and path.stem != ending:
                stem = one_spelling(path.stem.removesuffix(ending))
                images.setdefault(label, {}).setdefault(stem, []).append(path)
                break
        else:
            foreign.append(path)
    if program.separator is None:
        for label in program.labels:
            for path in images_in(folder / label):
                stem = one_spelling(path.stem)
                images.setdefault(label, {}).setdefault(stem, []).append(path)
    if not images or (program.needs_input and not {program.output, program.input} <= images.keys()):
        return None
    return _Run(program, folder, images, foreign)


def _bare(root: Path) -> Generated:
    """Images without labels: those of the folder itself, or of the only folder that has any."""
    with_images = [root] if images_in(root) else [f for f in _folders(root) if images_in(f)]
    if not with_images and root.is_file():
        raise BadInput(
            f"{root} is not an image of a spectrogram: of another format than "
            f"{', '.join(IMAGE_SUFFIXES)}, or drawn by vocoder for people; recordings become "
            "images with vocoder encode",
            key="input.format",
        )
    if not with_images:
        raise BadInput(
            f"{root} holds no images ({', '.join(IMAGE_SUFFIXES)}); give the folder that the "
            "pix2pix program wrote, or a folder of images",
            key="input.missing",
        )
    if len(with_images) > 1:
        names = ", ".join(str(folder) for folder in with_images)
        raise BadInput(
            f"{root} holds images in several folders; give one of them: {names}",
            key="input.ambiguous",
        )
    folder = with_images[0]
    by_stem: dict[str, list[Path]] = {}
    for path in images_in(folder):
        by_stem.setdefault(one_spelling(path.stem), []).append(path)
    tiles, duplicates = _best(by_stem)
    if all(map(str.isdigit, tiles)) and _is_grid(next(iter(tiles.values()))):
        raise BadInput(
            f"{folder} holds sample sheets of PyTorch-GAN: several images in a grid, each "
            "stretched to its own minimum and maximum, so their level is lost; make the program "
            "save each output alone, without normalize=True",
            key="input.grid",
        )
    return Generated(
        program=FOLDER,
        label="",
        floor_scale=None,
        folder=folder,
        tiles=tiles,
        duplicates=duplicates,
    )


def _is_grid(path: Path) -> bool:
    """Whether black lines two pixels wide part an image into equal columns.

    That is what torchvision.utils.make_grid draws, with which PyTorch-GAN saves its samples
    (implementations/pix2pix/pix2pix.py, sample_images).
    """
    try:
        pixels = read_image(path).pixels
    except BadInput:
        return False
    black = pixels.reshape(*pixels.shape[:2], -1).max(axis=(0, 2)) == 0
    if black.all():
        return False
    for columns in range(2, 11):
        pitch, rest = divmod(len(black) - 2, columns)
        if rest == 0 and pitch > 2 and black[::pitch].all() and black[1::pitch].all():
            return True
    return False


def _folders(root: Path) -> Iterator[Path]:
    """``root`` and the folders below it, hidden ones left out; a file stands for itself."""
    if root.is_file():
        yield root
        return
    seen = set()
    for name, below, _ in os.walk(root, followlinks=True):
        folder = Path(name)
        resolved = folder.resolve()
        if resolved in seen or len(folder.relative_to(root).parts) >= MAX_DEPTH:
            below.clear()
        below[:] = sorted(entry for entry in below if not entry.startswith("."))
        if resolved not in seen:
            seen.add(resolved)
            yield folder


def images_in(folder: Path) -> list[Path]:
    """Image files in a folder, sorted; a file stands for itself."""
    if not folder.exists():
        return []
    with reading(folder, "input.damaged"):
        return sorted(
            path
            for path in (folder.iterdir() if folder.is_dir() else [folder])
            if path.suffix.lower() in IMAGE_SUFFIXES
            and not path.name.startswith(".")
            and path.name != CONTACT_SHEET_NAME
            and path.is_file()
        )


def _best(by_stem: dict[str, list[Path]]) -> tuple[dict[str, Path], list[Path]]:
    """One image for every stem, in their order, and the images left out."""
    tiles, duplicates = {}, []
    for stem, paths in sorted(by_stem.items()):
        tiles[stem], *others = sorted(
            paths, key=lambda path: IMAGE_SUFFIXES.index(path.suffix.lower())
        )
        duplicates += others
    return tiles, duplicates


def _listing(runs: Iterable[_Run]) -> str:
    return ", ".join(
        f"{run.folder} ({run.program.name}, {len(run.images.get(run.program.output, {}))} tiles)"
        for run in runs
    )
