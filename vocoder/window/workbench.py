"""The images of an input: what they probably are, and how a stretch of each looks and sounds."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib import colormaps
from PIL import Image

from vocoder.audio import NOISE_PEAK_DB
from vocoder.cpu import torch_threads
from vocoder.errors import BadInput
from vocoder.identify.identify import Reading, equals, identify
from vocoder.identify.words import in_words
from vocoder.image.array import read_numbers
from vocoder.image.doctor.examine import examine
from vocoder.image.file import read_image
from vocoder.image.source import Found, ImageSource, Utterance
from vocoder.image.utterances import FAR_TOO_LOUD_DB, OTHER_REFERENCE, Loaded, load_utterance
from vocoder.window.settings import Built, Values, as_yaml, build, command, parse, shown, words

TILE_S = 3.0  # heard at a time
LOUDNESS_DB, PEAK = -23.0, 0.99  # of what is played, so that A is as loud as B
SHOWN_DB = 80.0
MAX_COLUMNS, MAX_ROWS = 1200, 320  # of what is drawn
KEPT = 3  # spectrograms in memory


@dataclass(frozen=True)
class Item:
    """One spectrogram to be heard.

    Parameters
    ----------
    source : ImageSource
        The file itself, or what it is a part of.
    found : Found or None
        What it is a part of: a data set, or a program's output; ``None`` for a file alone.
    """

    source: ImageSource
    utterance: Utterance
    found: Found | None

    @property
    def path(self) -> Path:
        """Its file, or the first of them."""
        return self.utterance.paths[0]

    @property
    def is_array(self) -> bool:
        """Whether it holds numbers instead of pixels."""
        return self.utterance.array is not None


class Workbench:
    """What the page shows.

    Parameters
    ----------
    source : ImageSource or None
        ``None`` begins with nothing; files are added.
    """

    def __init__(self, source: ImageSource | None) -> None:
        self.source = source
        self.items: dict[str, Item] = {}
        self.left_out: list[str] = []  # files that are none of them, and why
        self._loaded: dict[tuple[str, str], Loaded] = {}
        self._readings: dict[str, list[Reading]] = {}
        self._examined: dict[str, list[dict[str, str]]] = {}
        self._lock = threading.Lock()  # one at a time is soonest ready
        if source is not None:
            self.add(source)

    def add(self, source: ImageSource) -> list[str]:
        """Take more files; the names of what they hold."""
        found = source.find()
        self.left_out += [*found.hints, *(f"{one}: {why}" for one, why in found.problems.items())]
        names = []
        for utterance in found.utterances:
            name = utterance.name if utterance.name not in self.items else str(utterance.paths[0])
            if found.has_manifest:
                self.items[name] = Item(source, utterance, found)
            else:
                self.items[name] = Item(ImageSource(input=utterance.paths[0]), utterance, None)
            names.append(name)
        return names

    def item(self, name: str) -> Item:
        """The item of that name."""
        if name not in self.items:
            raise BadInput(f"{name!r} is unknown here", key="name.unknown")
        return self.items[name]

    def begin(self, name: str) -> dict[str, Any]:
        """What an item is: by its own word, or by how well audio explains it."""
        item = self.item(name)
        if item.found is not None and item.found.spec is not None:
            said = "the data set's spec.yaml says how it was made"
            return {"readings": [], "reasons": [said], "says_itself": True}
        with self._lock, torch_threads():
            if name not in self._readings:
                self._readings[name] = identify(item.path)
        readings = self._readings[name]
        n_equal = len(equals(readings))
        return {
            "readings": [
                {
                    "text": in_words(one, is_array=item.is_array),
                    "words": " ".join(one.words),
                    "values": parse(" ".join(one.words)),
                    "unexplained": round(100 * one.score, 1),  # of the image, in per cent
                    "equal": n_equal > 1 and place < n_equal,
                }
                for place, one in enumerate(readings)  # the best first
            ],
            "reasons": list(readings[0].reasons),
            "says_itself": not readings[0].words,
        }

    def findings(self, name: str, values: Mapping[str, Any]) -> list[dict[str, str]]:
        """What the doctor sees in it."""
        item, built = self.item(name), build(values)
        if item.is_array:
            return []
        source = item.source
        if item.found is None:
            source = replace(source, spec=built.spec, codec=built.codec)
        key = repr(source)
        if key not in self._examined:
            self._examined[key] = [asdict(finding) for finding in examine(source)]
        return self._examined[key]

    def original(self, name: str) -> bytes:
        """The file itself as a PNG that is not too large for a page; arrays from the bottom up."""
        item = self.item(name)
        if item.is_array:
            pixels = np.nan_to_num(np.atleast_2d(read_numbers(item.path)))[::-1]
        else:
            pixels = read_image(item.path).pixels
        if pixels.dtype != np.uint8:
            low, high = float(pixels.min()), float(pixels.max())
            pixels = ((pixels - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
        step = max(1, -(-max(pixels.shape[:2]) // MAX_COLUMNS))
        return _png(np.ascontiguousarray(pixels[::step, ::step]))

    def hear(self, name: str, values: Values, start_s: float) -> dict[str, Any]:
        """Read, repair and invert a stretch of an item.

        Returns
        -------
        dict
            What `page/window.js` takes: WAV and PNGs in base64, figures, remarks, and the settings
            as words and YAML.
        """
        started = time.perf_counter()
        item, built = self.item(name), build(values)
        with self._lock, torch_threads():
            loaded = self._load(name, item, built)
            whole = loaded.spectrogram
            rate = whole.spec.frame_rate_hz
            count = min(whole.n_frames, max(2, round(TILE_S * rate)))
            begin = min(max(0, round(start_s * rate)), whole.n_frames - count)
            tile = whole.frames(begin, begin + count)
            repaired = built.repair(tile)
            samples = built.inverter(repaired)[0].numpy()
        notes = [
            *loaded.doubts,
            *loaded.notes,
            *(f"{one}: {why}" for one, why in loaded.problems.items()),
        ]
        peak = float(np.abs(samples).max())
        if peak > 10 ** (FAR_TOO_LOUD_DB / 20):
            notes.append(OTHER_REFERENCE)
        law = built.codec if item.found is None else item.found.codec
        top = float(whole.decibels.max())
        loudest = 10 ** (NOISE_PEAK_DB / 20) if loaded.doubts else PEAK
        return {
            "audio": _base64(_wav(samples, whole.spec.sample_rate, loudest)),
            "overview": _base64(_png(_colours(whole.decibels[0].numpy(), top))),
            "tile": _base64(_png(_colours(repaired.decibels[0].numpy(), top))),
            "start": begin / rate,
            "length": count / rate,
            "total": whole.n_frames / rate,
            "notes": notes,
            "caveat": "" if law is None else law.caveat,
            "spec": whole.spec.describe(),
            "repaired": repaired.repaired.get("strength", 0.0),
            "values": values,
            "shown": shown(values, is_array=item.is_array),
            "words": " ".join(words(values)),
            "command": command(str(item.source.path), values, "heard"),
            "yaml": as_yaml(values),
            "took": round(time.perf_counter() - started, 3),
        }

    def _load(self, name: str, item: Item, built: Built) -> Loaded:
        """Decode all of an item; the last few are kept."""
        key = name, repr((built.spec, built.codec, built.force))
        if key not in self._loaded:
            if item.found is None:
                found = replace(
                    item.source, spec=built.spec, codec=built.codec, force=built.force
                ).find()
                loaded = load_utterance(found.utterances[0], found)
            else:
                loaded = load_utterance(item.utterance, replace(item.found, force=built.force))
            self._loaded[key] = loaded
        self._loaded[key] = self._loaded.pop(key)  # the latest is last
        if len(self._loaded) > KEPT:
            del self._loaded[next(iter(self._loaded))]
        return self._loaded[key]


def jobs(
    bench: Workbench,
    given: Mapping[str, Values],
    *,
    alike: Values | None,
    peak: bool,
    output: Path,
) -> Iterator[list[str]]:
    """The command lines that render everything: words after ``vocoder invert``.

    Parameters
    ----------
    given : mapping
        Settings of the items that were looked at, by name; the others are identified.
    alike : dict or None
        Settings for all of them.
    peak : bool
        Whether each is brought to full scale.
    """
    inputs: dict[Path, str] = {}
    for name, item in bench.items.items():
        inputs.setdefault(item.source.path, name)
    if alike is not None and bench.source is not None and len(inputs) > 1:
        whole = bench.source.path
        kinds = {item.is_array for item in bench.items.values()}
        if all(path.parent == whole for path in inputs) and len(kinds) == 1:
            inputs = {whole: ""}
    for path, name in inputs.items():
        values = alike if alike is not None else given.get(name)
        if values is None:
            readings = bench.begin(name)["readings"]
            values = readings[0]["values"] if readings else {}
        place = output if len(inputs) == 1 else output / path.stem
        yield [f"input={path}", *words(values), *(["gain=peak"] * peak), f"output={place}"]


def _wav(samples: np.ndarray, sample_rate: int, loudest: float) -> bytes:
    """16 bits, as loud as all others unless the peak would be above ``loudest``."""
    rms, peak = float(np.sqrt(np.mean(samples**2))), float(np.abs(samples).max())
    if peak > 0:
        samples = samples * min(10 ** (LOUDNESS_DB / 20) / rms, loudest / peak)
    with io.BytesIO() as file:
        soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
        return file.getvalue()


def _colours(decibels: np.ndarray, top: float) -> np.ndarray:
    """Decibels as an image to look at, low frequencies at the bottom."""
    rows, columns = decibels.shape
    every = decibels[:: -(-rows // MAX_ROWS), :: -(-columns // MAX_COLUMNS)]
    share = np.clip(1 + (every[::-1] - top) / SHOWN_DB, 0, 1)
    return np.asarray(colormaps["magma"](share, bytes=True)[..., :3])


def _png(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
        return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
