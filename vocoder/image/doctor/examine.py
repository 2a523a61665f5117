"""What goes wrong between a data set and its audio: images, options and manifest looked over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from vocoder.errors import BadInput
from vocoder.image.doctor.options import (
    DEFAULT_NUM_TEST,
    NOTE,
    Finding,
    examine_options,
    find_options,
)
from vocoder.image.doctor.symptoms import Symptoms, some
from vocoder.image.file import read_image
from vocoder.image.manifest import Tile, one_spelling
from vocoder.image.programs import Generated, images_in
from vocoder.image.settings import Settings
from vocoder.image.source import ImageSource

# Folders of a data set: test, testA, test_A, ...; or images, where there is no split.
_DATA_FOLDER = re.compile(r"pictures|(train|val|test)_?[AB]?")
# Mean difference, in levels, between a tile and the program's copy of it. Truncation costs up to
# one; resampling speech from 256 to 286 and back costs 3 and more.
SAME_LEVELS = 2.0

Progress = Callable[[Sequence[Path]], Iterable[Path]]


def examine(
    source: ImageSource,
    progress: Progress = iter,
) -> list[Finding]:
    """Look over a data set, a pix2pix program's output, or its options.

    Parameters
    ----------
    source : ImageSource
        Its ``input`` may also be a data set made by ``encode``, or an options file
        (``train_opt.txt``, ``test_opt.txt``) or the folder that holds it.
    progress : callable
        Wraps the list of images that are looked at, to show how far it is.

    Returns
    -------
    list of Finding
        Empty if all is well.
    """
    path = source.path
    if not path.exists():
        raise BadInput(
            f"{path} does not exist; give a data set, a program's output or its options",
            key="input.missing",
        )
    known = source.settings()
    if options := find_options(path):
        size = (known.spec.bins, known.tile_frames) if known.spec and known.tile_frames else None
        counts = _n_tiles(known)
        return [
            finding
            for file in options
            for finding in examine_options(file, n_tiles=counts, tile_size=size, codec=known.codec)
        ]
    given = {} if known.root is None else _data_set(known.root)
    if known.root is not None and path.resolve() == known.root.resolve() and given:
        return _examine_data_set(given, known, set(known.tiles), progress)
    if part := {one: stem for one, stem in given.items() if one.parent.resolve() == path.resolve()}:
        return _examine_data_set(part, known, _due(part.values(), known), progress)
    arrays, left_out = source.arrays()
    if arrays and not images_in(path):
        raise BadInput(
            f"{path} holds arrays; the doctor looks at images, vocoder identify at arrays too",
            key="input.arrays",
        )
    generated, known = source.images()
    if known.root is None:
        given = {}
    if arrays:
        left_out.append(f"{len(arrays)} arrays among the images, such as {min(arrays)}")
    notes = [
        Finding(code="others", where=str(path), found=what, fix="nothing", severity=NOTE)
        for what in left_out
    ]
    return [*_examine_generated(generated, given, known, progress, alone=path.is_file()), *notes]


def _examine_data_set(
    images: dict[Path, str], known: Settings, due: set[str], progress: Progress
) -> list[Finding]:
    return [
        *_against_manifest(set(images.values()), known.tiles, due, generated=False),
        *_symptoms(images, known, progress, given=True),
    ]


def _examine_generated(
    generated: Generated,
    given: dict[Path, str],
    known: Settings,
    progress: Progress,
    *,
    alone: bool,
) -> list[Finding]:
    stems = set(generated.tiles)
    findings = []
    if known.tiles and not alone:
        due = _due(stems, known)
        findings += _against_manifest(stems, known.tiles, due, generated=True)
    findings += some(
        "duplicate",
        [path.name for path in generated.duplicates],
        len(stems) + len(generated.duplicates),
        "another image has the same name with another suffix",
        "one image a tile; remove the ones that are not meant",
    )
    findings += some(
        "unlabelled",
        [path.name for path in generated.foreign],
        len(stems) + len(generated.foreign),
        f"they carry no label of {generated.program} and are ignored",
        "a folder of its own for other images",
    )
    images = {path: stem for stem, path in generated.tiles.items()}
    findings += _symptoms(images, known, progress, given=False)
    return findings + _against_originals(generated, given, progress)


def _symptoms(
    images: dict[Path, str], known: Settings, progress: Progress, *, given: bool
) -> list[Finding]:
    """What images, with their stems, show by themselves."""

    def in_order(path: Path) -> tuple[str, int]:
        tile = known.tiles.get(images[path])
        return (images[path], 0) if tile is None else (tile.utterance, tile.start_frame)

    symptoms = Symptoms(known.codec, known.spec, known.tile_frames, given=given)
    for path in progress(sorted(images, key=in_order)):
        symptoms.add(path, known.tiles.get(images[path]))
    return symptoms.findings()


def _due(stems: Iterable[str], known: Settings) -> set[str]:
    """Stems of all tiles of the splits that some belong to."""
    here = [known.tiles[stem] for stem in stems if stem in known.tiles]
    splits = {tile.split for tile in here or known.tiles.values()}
    return {stem for stem, tile in known.tiles.items() if tile.split in splits}


def _n_tiles(known: Settings) -> dict[str, int]:
    """How many images a program finds for each phase."""
    folders = Counter(path.parent.name for path in (_data_set(known.root) if known.root else []))
    counts: dict[str, int] = {}
    for name, count in folders.items():
        match = _DATA_FOLDER.fullmatch(name)
        phase = (match and match[1]) or "test"
        counts[phase] = max(count, counts.get(phase, 0))
    return counts or dict(Counter(tile.split or "test" for tile in known.tiles.values()))


def _against_manifest(
    stems: set[str], tiles: dict[str, Tile], due: set[str], *, generated: bool
) -> list[Finding]:
    """Which images are missing or foreign; ``due`` are the stems that should be there."""
    missing = sorted(due - stems)
    capped = generated and bool(missing) and len(stems) == DEFAULT_NUM_TEST
    rerun = f"--num_test {len(due)} for test.py, and run it again"
    return [
        *some(
            "cap" if capped else "missing",
            missing,
            len(due),
            f"test.py stops after {DEFAULT_NUM_TEST} images where nothing else is said, so these "
            "were left out"
            if capped
            else "the manifest has these tiles, but there are no images of them, so they are "
            "silent",
            rerun if generated else "the images back in their places; or encode again",
        ),
        *some(
            "foreign",
            sorted(stems - tiles.keys()),
            len(stems),
            "the manifest does not know these images, so they are not heard",
            "manifest= of the data set that they were made from, or unchanged file names",
        ),
    ]


def _against_originals(
    generated: Generated, originals: dict[Path, str], progress: Progress
) -> list[Finding]:
    """Compare what the program says that it was given with the data set's own tiles."""
    by_stem: dict[str, list[Path]] = {}
    for original, stem in originals.items():
        by_stem.setdefault(stem, []).append(original)
    both_sides = [*generated.inputs.items(), *generated.targets.items()]
    copies = {path: stem for stem, path in both_sides}
    compared = [path for path, stem in copies.items() if stem in by_stem]
    seen: dict[str, list[str]] = {"mirrored": [], "upside_down": [], "resampled": [], "deep": []}
    for path in progress(compared):
        for code in _changes(path, by_stem[copies[path]]):
            seen[code].append(path.name)
    words = {
        "mirrored": ("the program's copies of the tiles run backwards in time", "--no_flip"),
        "upside_down": (
            "the program's copies of the tiles stand on their heads",
            "no vertical flips in the program's loader",
        ),
        "resampled": (
            "the program's copies of the tiles are not the data set's: they were resized or cut",
            "--preprocess none for train.py and test.py",
        ),
        "deep": (
            "the data set's tiles have more than 8 bits, which the program destroyed on reading",
            "codec=gray8, or a codec of 8 bits a channel; encode and train again",
        ),
    }
    return [
        finding
        for code, names in seen.items()
        for finding in some(code, names, len(compared), *words[code])
    ]


def _changes(path: Path, originals: list[Path]) -> list[str]:
    """What happened to a tile on its way into the program, as codes of findings."""
    try:
        copy = read_image(path)
        images = [read_image(original) for original in originals]
    except BadInput:
        return []  # told elsewhere, file by file
    if any(image.mode not in ("L", "RGB") for image in images):
        return ["deep"]
    mine = _colour(copy.pixels)
    candidates = []
    for image in images:
        pixels = _colour(image.pixels)
        paired = pixels.shape[1] == 2 * mine.shape[1]
        candidates += np.split(pixels, 2, axis=1) if paired else [pixels]
    turned: dict[tuple[str, ...], tuple[int, ...]] = {
        (): (),
        ("mirrored",): (1,),
        ("upside_down",): (0,),
        ("mirrored", "upside_down"): (0, 1),
    }
    differences = [
        (float(np.abs(np.flip(candidate, axes) - mine).mean()), codes)
        for codes, axes in turned.items()
        for candidate in candidates
        if candidate.shape == mine.shape
    ]
    if not differences:
        return []  # another size, told elsewhere
    difference, codes = min(differences, key=lambda pair: pair[0])
    if difference > SAME_LEVELS:
        return [] if copy.lossy else ["resampled"]
    return list(codes)


def _colour(pixels: np.ndarray) -> np.ndarray:
    """Pixels as three channels of int16, so that differences keep their sign."""
    pixels = pixels.astype(np.int16)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def _data_set(root: Path) -> dict[Path, str]:
    """The images of a data set, those in the folders that encode makes, else in the root; with
    their stems."""
    folders = [
        folder
        for folder in sorted(root.iterdir())
        if folder.is_dir() and _DATA_FOLDER.fullmatch(folder.name)
    ]
    images = [path for folder in folders or [root] for path in images_in(folder)]
    return {path: one_spelling(path.stem) for path in images}
