"""Where spectrograms come from: one description of images or arrays, for commands and Python."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.image.array import ARRAY_SUFFIX, TENSOR_SUFFIX, find_arrays
from vocoder.image.codec.base import Codec
from vocoder.image.codec.foreign import Foreign
from vocoder.image.manifest import MANIFEST_NAME, TILE_STEM, Tile, require_plain_name
from vocoder.image.programs import Generated, find_generated, images_in
from vocoder.image.settings import Settings, manifest_above, read_settings
from vocoder.spec import SpectrogramSpec

# Stands for all of an image, whose width is not known before it is read.
_WHOLE = Tile("whole", "whole", 0, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording to be, and the files that show it.

    Parameters
    ----------
    tiles : list of (Tile, Path)
        Images that are there; empty for an array.
    array : Path or None
        A spectrogram as ``.npy``.
    missing : list of str
        Stems of tiles that should be there.
    """

    name: str
    tiles: list[tuple[Tile, Path]] = field(default_factory=list)
    array: Path | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """All files that show it."""
        tiles = [path for _, path in self.tiles]
        return tiles if self.array is None else [self.array]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an input holds.

    Parameters
    ----------
    utterances : list of Utterance
        By name; those of which no tile is there are left out.
    program, label : str
        What wrote the images, and which of its labels was taken.
    floor_scale : float or None
        How the program cut off fractions of a level, if it did; see `Generated`.
    spec, codec
        What holds for all of them, or ``None`` where each file says it itself.
    has_manifest : bool
        Whether the images are tiles of a data set; otherwise each is an utterance.
    tile_frames : int or None
        How wide the data set's settings say that tiles are.
    problems : dict of str to str
        What was found wrong before any file was read: name to reason.
    hints : list of str
        What else is worth knowing.
    force : bool
        Whether what can only become noise is read too.
    """

    utterances: list[Utterance]
    program: str
    label: str = ""
    floor_scale: float | None = None
    spec: SpectrogramSpec | None
    codec: Codec | None
    has_manifest: bool = False
    tile_frames: int | None = None
    problems: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Images that a program generated, bare images, or arrays; nothing is read before `find`.

    Parameters
    ----------
    input : str or Path
        What `find_generated` takes, or a ``.npy`` file, or a folder of them alone or among images.
    manifest : str or Path, optional
        The data set's ``manifest.csv``; without it, it is looked for in and above ``input``.
    label : str, optional
        Of a program's images, another than its output.
    program : str, optional
        What generated bare images, where that matters; see `find_generated`.
    force : bool
        Whether to read what can only become noise, too.
    spec, codec : optional
        Where neither ``spec.yaml`` beside the manifest nor the images themselves say them.

    Examples
    --------
    >>> found = ImageSource(input="tests/data/pix2pix").find()
    >>> len(found.utterances)
    3
    """

    input: str | Path | None
    manifest: str | Path | None = None
    label: str | None = None
    program: str | None = None
    spec: SpectrogramSpec | None = None
    codec: Codec | None = None
    force: bool = False

    @property
    def path(self) -> Path:
        """``input`` as a path."""
        if self.input is None:
            raise BadInput("input= must be given", key="input.missing")
        return Path(self.input)

    def settings(self) -> Settings:
        """What the manifest that was given, or the nearest above, says of the data set."""
        manifest = manifest_above(self.path) if self.manifest is None else Path(self.manifest)
        return read_settings(manifest, self.spec, self.codec)

    def find(self) -> Found:
        """Match images with a manifest, and both with settings; nothing is decoded yet."""
        path = self.path
        arrays, hints = self.arrays()
        if arrays and not images_in(path):
            return self._arrays(path, arrays, hints)
        found, settings = self.images()
        problems = {
            path.name: "another image has the same name with another suffix; this one is not used"
            for path in found.duplicates
        }
        problems |= {path.name: f"no label of {found.program}; not used" for path in found.foreign}
        if settings.tiles:
            utterances = _by_manifest(found, settings.tiles, problems, one=path.is_file())
            if settings.spec is None or settings.codec is None:
                raise BadInput(
                    f"{settings.root} holds a manifest but no spec.yaml; say how its images were "
                    "made with spec= and codec=, and their range with codec.db_min= and "
                    "codec.db_max=",
                    key="spec.missing",
                )
            if arrays:
                hints.append(_left_out(arrays, "the images are those of a data set"))
        else:
            utterances = _bare(found)
            for one in utterances:
                if one.name in arrays:
                    problems[one.paths[0].name] = "an array has the same name; not used"
            utterances = [one for one in utterances if one.name not in arrays]
            utterances += [Utterance(name=name, array=array) for name, array in arrays.items()]
            hints += _hints(found)
        return Found(
            utterances=sorted(utterances, key=lambda one: one.name),
            program=found.program,
            label=found.label,
            floor_scale=found.floor_scale,
            spec=settings.spec,
            codec=settings.codec,
            has_manifest=bool(settings.tiles),
            tile_frames=settings.tile_frames,
            problems=problems,
            hints=hints,
            force=self.force,
        )

    def images(self) -> tuple[Generated, Settings]:
        """The images, and what is known of their data set."""
        settings = self.settings()
        found = find_generated(self.path, self.label, self.program, settings.tiles)
        if self.manifest is None and found.tiles.keys().isdisjoint(settings.tiles):
            settings = read_settings(None, self.spec, self.codec)  # a manifest of something else
        return found, settings

    def arrays(self) -> tuple[dict[str, Path], list[str]]:
        """Arrays by their names, and which are left out and why."""
        path = self.path
        arrays, images, left_out = find_arrays(path), images_in(path), []
        tensors = [file.name for file in path.glob(f"*{TENSOR_SUFFIX}") if file.stem not in arrays]
        if tensors and (arrays or images):
            left_out.append(
                f"{len(tensors)} {TENSOR_SUFFIX} files, such as {min(tensors)}, may be checkpoints "
                "and are not read; give one as input=, or a folder of them alone"
            )
        if arrays and images and (key := self._about_images()):
            left_out.append(_left_out(arrays, f"{key}= is about images"))
            arrays = {}
        return arrays, left_out

    def _about_images(self) -> str | None:
        """A key that was given and means nothing for arrays."""
        for key in ("manifest", "label", "program", "codec"):
            value = getattr(self, key)
            if value is not None and not isinstance(value, Foreign):
                return key
        return None

    def _arrays(self, path: Path, arrays: dict[str, Path], hints: list[str]) -> Found:
        if key := self._about_images():
            raise BadInput(
                f"{key}= is about images, but {path} holds arrays"
                + ("; what their numbers mean is codec=foreign" if key == "codec" else ""),
                key=f"{key}.conflict",
            )
        return Found(
            utterances=[Utterance(name=name, array=array) for name, array in arrays.items()],
            program=ARRAY_SUFFIX,
            spec=self.spec,
            codec=self.codec,
            hints=hints,
            force=self.force,
        )


def _left_out(arrays: dict[str, Path], why: str) -> str:
    first = next(iter(arrays.values())).name
    return f"{len(arrays)} arrays among the images, such as {first}, are not read: {why}"


def _by_manifest(
    found: Generated, rows: dict[str, Tile], problems: dict[str, str], *, one: bool
) -> list[Utterance]:
    """Group a program's tiles by the utterances of the manifest.

    Utterances of which nothing was generated are none of this run's: another split, say. They are
    missing only when their split is there otherwise. An image alone is an utterance by itself.
    """
    there: dict[str, list[tuple[Tile, Path]]] = {}
    for stem, path in found.tiles.items():
        row = rows.get(stem)
        if row is None:
            problems[path.name] = "the manifest does not know it; not used"
        else:
            there.setdefault(row.utterance, []).append((row, path))
    if one and there:  # what it shows, without the silence of all the others
        ((row, path),) = next(iter(there.values()))
        alone = replace(row, start_frame=0, total_frames=row.frames, samples=None)
        return [Utterance(name=row.stem, tiles=[(alone, path)])]
    if not there:
        some = min(found.tiles)
        fix = "give manifest= of the data set that they were generated from"
        if known := max((stem for stem in rows if stem in some), key=len, default=""):
            before, after = some.split(known, 1)
            fix = (
                f"it knows {known!r}: take {before or after!r} away from the names, or give label= "
                "of the program that wrote them"
            )
        raise BadInput(
            f"none of the {len(found.tiles)} images in {found.folder} is in the manifest, "
            f"such as {some!r}; {fix}",
            key="manifest.conflict",
        )
    splits = {row.split for tiles in there.values() for row, _ in tiles}
    missing: dict[str, list[str]] = {}
    for row in rows.values():
        if row.stem not in found.tiles and row.split in splits:
            missing.setdefault(row.utterance, []).append(row.stem)
    for name in sorted(missing.keys() - there.keys()):
        problems[name] = f"none of its {len(missing[name])} tiles is there; not rendered"
    return [
        Utterance(name=name, tiles=tiles, missing=missing.get(name, []))
        for name, tiles in sorted(there.items())
    ]


def _bare(found: Generated) -> list[Utterance]:
    """Images without a manifest: an utterance each, as wide as it is."""
    for stem in found.tiles:
        require_plain_name(stem, "image")
    return [Utterance(name=stem, tiles=[(_WHOLE, path)]) for stem, path in found.tiles.items()]


def _hints(found: Generated) -> list[str]:
    """Whether images without a manifest are named as tiles are."""
    tiles = list(filter(TILE_STEM.fullmatch, found.tiles))
    if not tiles:
        return []
    return [
        f"{len(tiles)} images are named like tiles of a data set, such as {tiles[0]}, but there "
        f"is no {MANIFEST_NAME} in or above {found.folder}, so each is an utterance of its own; "
        "manifest= of the data set puts them together"
    ]
