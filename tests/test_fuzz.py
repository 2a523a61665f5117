"""Two thousand mutated files of every kind that is read: a value, `BadInput`, and nothing else."""

import copy
import json
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image

from tests.corpora import make_corpus
from tests.model import foreign
from tests.model.test_checkpoint import small_checkpoint
from tests.model.test_original_hifigan import V1, original_weights
from vocoder import load
from vocoder.audio import read_audio
from vocoder.cli.jobs import REPORT_NAME, begin, rows_before, write_results_page
from vocoder.compare.answers import PreferenceAnswer
from vocoder.compare.page import read_words
from vocoder.compare.store import ANSWERS_NAME, AnswerStore
from vocoder.compare.study import STUDY_NAME, Audio, Study, Trial, read_study
from vocoder.compare.webmushra import read_webmushra
from vocoder.corpus.captions import read_captions
from vocoder.corpus.labels import read_labels
from vocoder.corpus.manifest import read_corpus
from vocoder.corpus.partial import PARTIAL_NAME, Partial
from vocoder.corpus.store import open_store
from vocoder.errors import BadInput
from vocoder.image.array import read_array, write_array
from vocoder.image.dataset.recordings import read_lines
from vocoder.image.doctor.options import examine_options
from vocoder.image.file import ImageInfo, decode_image, read_image, write_image
from vocoder.image.manifest import Sidecar, read_manifest, read_sidecar, write_sidecar
from vocoder.model.checkpoint import read_checkpoint as read_model
from vocoder.model.interchange.foreign import import_generator
from vocoder.spectrogram import Spectrogram
from vocoder.train.record import continued, new_record, require_same_settings
from vocoder.train.state import FORMAT, read_checkpoint, save_tensors

N_FILES = 2000
MAX_CPU_S = 5.0  # of any single file; the longest takes a tenth
MAX_GROWTH_MB = 1000  # of the process: nothing is allocated before it is checked
SPEC = load("spec", "mel256")
# Values of the wrong type, size or form, put in the place of any other.
ODD: list[Any] = [
    *(None, True, -1, 0, 2**31, 2**64, 10**30, 1e308, -1e308, float("nan"), float("inf"), 0.5),
    *("", "x", "\0", "../../etc", "é" * 300, "9" * 400, "2020-13-45", [], {}, [[]], {"a": {}}),
]


def mutated(tree: Any, draw: random.Random) -> Any:
    """A copy of plain values with one of them, at any depth, replaced, doubled or gone."""
    tree = copy.deepcopy(tree)
    places = [
        (holder, key)
        for holder in holders(tree)
        for key in (holder if isinstance(holder, dict) else range(len(holder)))
    ]
    if not places or draw.random() < 0.03:
        return draw.choice(ODD)
    holder, key = draw.choice(places)
    match draw.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[draw.choice(["x", "", "_target_", "é"])] = holder[key]
        case 2:
            holder[key] = [holder[key]]
        case _:
            holder[key] = draw.choice(ODD)
    return tree


def holders(tree: Any) -> list[Any]:
    if not isinstance(tree, dict | list):
        return []
    inner = tree.values() if isinstance(tree, dict) else tree
    return [tree, *(found for value in inner for found in holders(value))]


def damaged(good: bytes, draw: random.Random) -> bytes:
    """Bytes flipped, cut, doubled or put in; for text, lines and words too."""
    content = bytearray(good)
    for _ in range(draw.choice([1, 1, 3])):
        at = draw.randrange(len(content) + 1)
        match draw.randrange(8):
            case 0:
                del content[at:]
            case 1:
                del content[at : at + draw.randrange(1, 40)]
            case 2:
                content[at:at] = draw.randbytes(draw.randrange(1, 9))
            case 3:
                content[at:at] = content[at : at + 200] * draw.randrange(1, 4)
            case 4:
                content[at : at + 4] = draw.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
            case 5:
                word = draw.choice([b"nan", b"1e999", b"-1", b"9" * 30, b"", b"\n", b'"', b"{["])
                content[at : at + 3] = word
            case 6:
                content[at:at] = draw.choice([b"[", b'{"a":', b"(", b"- "]) * 3000
            case _:
                if content:
                    content[at % len(content)] ^= 1 << draw.randrange(8)
    return bytes(content)


@dataclass
class Kind:
    """A kind of file: a good one, how it is read, and its plain values, where it has such."""

    path: Path
    read: Callable[[Path], object]
    dump: Callable[[Any], bytes] | None = None
    tree: Any = None

    def __post_init__(self) -> None:
        self.good = self.path.read_bytes()

    def spoil(self, draw: random.Random) -> None:
        if self.dump is not None and draw.random() < 0.7:
            self.path.write_bytes(self.dump(mutated(self.tree, draw)))
        else:
            self.path.write_bytes(damaged(self.good, draw))


def as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, sort_keys=False).encode()


def of_json(path: Path, read: Callable[[Path], object]) -> Kind:
    return Kind(path, read, as_json, json.loads(path.read_text()))


@pytest.fixture
def kinds(tmp_path: Path, speech: np.ndarray, generated: Path) -> dict[str, Kind]:
    """One good file of each kind, read as the commands read it."""
    found: dict[str, Kind] = {}

    def put(
        name: str,
        file: str,
        read: Callable[[Path], object],
        dump: Callable[[Any], bytes],
        tree: Any,
    ) -> None:
        path = place(file)
        path.write_bytes(dump(tree))
        found[name] = Kind(path, read, dump, tree)

    def place(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def text(name: str, content: str, read: Callable[[Path], object]) -> None:
        path = place(name)
        path.write_text(content)
        found[name] = Kind(path, read)

    codec = load("codec", "gray8")
    pixels = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 16))
    for suffix in (".png", ".jpg"):
        path = place(f"image{suffix}")
        write_image(path, pixels, codec, ImageInfo(SPEC, codec, 4000), overwrite=False)
        found[path.name] = Kind(path, lambda p: decode(p, codec))
    about = place("metadata.txt")
    about.write_text(ImageInfo(SPEC, codec, 4000).to_json())
    found["metadata"] = of_json(
        about, lambda p: ImageInfo.from_json(p.read_text(errors="replace"), "it")
    )
    path = place("image.tif")
    Image.fromarray(pixels.astype(np.float32) - 100).save(path)
    found["image.tif"] = Kind(path, lambda p: decode(p, load("codec", "float32")))
    text("manifest.csv", (generated / "manifest.csv").read_text(), read_manifest)
    path = place("spec.yaml")
    write_sidecar(path, Sidecar(SPEC, codec, 256, 64), overwrite=False)
    found["spec.yaml"] = Kind(path, read_sidecar, as_yaml, yaml.safe_load(path.read_text()))
    array = path = place("arrays/a.npy")
    write_array(path, Spectrogram(torch.zeros(1, 256, 9), SPEC, 2050), overwrite=False)
    found["array"] = Kind(path, lambda p: read_array(p, SPEC))
    (about_path,) = path.parent.glob("*.json")
    found["array's spec"] = of_json(about_path, lambda _: read_array(array, None))
    for name, options in {"a.wav": {}, "f.wav": {"subtype": "FLOAT"}, "a.flac": {}}.items():
        soundfile.write(place(name), speech[:3000], 22_050, **options)
        found[name] = Kind(tmp_path / name, lambda p: read_audio(p, 16_000))
    soundfile.write(place("a.mp3"), speech[:9000], 22_050)
    found["a.mp3"] = Kind(tmp_path / "a.mp3", lambda p: read_audio(p, 16_000))
    # Weights, trainings and what they were made from.
    path = place("model.safetensors")
    small_checkpoint().write(path, overwrite=False)
    found["weights"] = Kind(path, lambda p: read_model(p).build())
    other = place("other.safetensors")

    def as_weights(model: Any) -> bytes:
        small_checkpoint(model=model).write(other, overwrite=True)
        return other.read_bytes()

    found["model"] = Kind(path, found["weights"].read, as_weights, read_model(path).model)
    config = {"model": {"a": 1}, "data": {"b": [1, 2]}, "seed": 0}
    record = new_record(config=config, data={"sha256": "0"}, seed=0, processes=1)
    state: dict[str, Any] = {"format": FORMAT, "record": record}
    state |= {"networks": {}, "optimisers": {}, "average": {}, "began": {}}
    state |= {"random": torch.zeros(3), "step": 1, "validated": 1, "first": None, "best": None}
    state |= {"best_step": 0, "since_best": 0}
    step = place("step.pt")

    def as_checkpoint(state: Any) -> bytes:
        save_tensors(state if isinstance(state, dict) else {"x": state}, step)
        return step.read_bytes()

    def go_on(path: Path) -> None:
        before = read_checkpoint(path)["record"]
        require_same_settings(before, config, tmp_path)
        continued(before, record, 1)

    as_checkpoint(state)
    found["checkpoint"] = Kind(step, go_on, as_checkpoint, state)

    def import_beside(path: Path) -> object:
        return import_generator(path, path.with_name("g"))

    torch.save({"generator": original_weights(V1)}, place("hifigan/g"))
    put("hifigan", "hifigan/config.json", import_beside, as_json, V1)
    for name in ("bigvgan", "parallel_wavegan", "vocos"):
        made: foreign.Foreign = getattr(foreign, name)()
        torch.save(made.state, place(f"{name}/g"))
        put(name, f"{name}/config.yml", import_beside, as_yaml, made.config)
    # Corpora.
    corpus = tmp_path / "corpus"
    clips = make_corpus(corpus, {f"{k}.wav": (speech[k:5000], "train") for k in (0, 1)})
    found["corpus"] = Kind(corpus / "corpus.csv", lambda path: read_corpus(path.parent))
    data, _, _ = open_store(corpus, clips, tmp_path / "cache")
    found["store"] = of_json(
        data.with_suffix(".json"), lambda _: open_store(corpus, clips, tmp_path / "cache")
    )
    partial = Partial(tmp_path / "half", {"a": 1})
    partial.piece("x", "key", lambda: {"kept": [1, 2]})
    path = tmp_path / "half" / PARTIAL_NAME / "piece-x.json"
    found["piece"] = of_json(
        path, lambda _: Partial(tmp_path / "half", {"a": 1}).piece("x", "key", lambda: 0)
    )
    text("a.srt", "1\n00:00:00,000 --> 00:00:01,000\nANNA: hello\n\n" * 3, read_captions)
    text("a.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\n<v Anna>hi\n\n" * 3, read_captions)
    text(
        "a.rttm",
        "SPEAKER a 1 0.0 1.5 <NA> <NA> anna <NA> <NA>\n" * 3,
        lambda p: read_labels(p, tmp_path / "a.wav"),
    )
    text("split.txt", "a.wav\nb/c.wav\n", read_lines)
    trained = Path(__file__).parent / "data/options/default_train_opt.txt"
    text("train_opt.txt", trained.read_text(), examine_options)
    # Listening tests.
    trial = Trial(trial=0, item="i", systems=("a", "b"))
    study = Study(
        test="ab", seed=0, secret="s" * 20, title="t", question="q", systems=("a", "b"),
        items=("i",), training="i", has_reference=False, sample_rate=22_050, samples={"i": 100},
        trials=(trial,), settings={}, stimuli=(Audio(system="a", item="i", file="i-a.wav"),),
    )  # fmt: skip
    study.write(place("study/x").parent)
    found["study"] = of_json(tmp_path / "study" / STUDY_NAME, lambda p: read_study(p.parent))
    answer = PreferenceAnswer(
        listener="l", trial=0, item="i", left="a", right="b", choice="left",
        time="2026-01-31T12:00:00+00:00", seconds=1.0,
    )  # fmt: skip
    path = place(f"answers/{ANSWERS_NAME}")
    with AnswerStore(path.parent) as store:
        store.add([answer])
    found["answers"] = Kind(path, answers)
    page = {"type": "mushra", "id": "p", "reference": "r.wav", "stimuli": {"C1": "a.wav"}}
    test = {"testname": "t", "testId": "i", "pages": [page, ["random", {**page, "id": "q"}]]}
    for name in ("r.wav", "a.wav"):
        soundfile.write(place(f"webmushra/{name}"), speech[:3000], 22_050)
    put("webmushra", "webmushra/test.yaml", read_webmushra, as_yaml, test)
    put("words", "words.yaml", lambda p: read_words(str(p)), as_yaml, {"Next": "Weiter"})
    # What commands note down.
    row = {"utterance": "a", "file": "a.wav", "seconds": 1.0, "measures": {"estoi": 0.5}}
    report = {"repair": {"a": 1}, "utterances": [row]}
    put("report", f"out/{REPORT_NAME}", report_again, as_json, report)
    return found


def decode(path: Path, codec: Any) -> object:
    image = read_image(path)
    return decode_image(image, codec, SPEC)


def answers(path: Path) -> object:
    for other in path.parent.iterdir():
        if other != path:
            other.unlink()
    with AnswerStore(path.parent) as store:
        return store.answers()


def report_again(path: Path) -> object:
    begin(path.parent, {"repair": {"a": 1}}, resume=True)
    rows = rows_before(path.parent, ["a"])
    write_results_page(path.parent, "invert", rows)
    return rows


def test_whatever_is_in_a_file_it_is_read_or_refused(
    kinds: dict[str, Kind], capfd: pytest.CaptureFixture
) -> None:
    draw = random.Random(20261128)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faults, refused = [], 0
    for kind in kinds.values():
        kind.read(kind.path)
    for number in range(N_FILES):
        name = list(kinds)[number % len(kinds)]
        kind = kinds[name]
        kind.spoil(draw)
        spoilt = kind.path.read_bytes()
        started = time.process_time()
        try:
            kind.read(kind.path)
        except BadInput:
            refused += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
            faults.append(f"{name} {number}: {error!r}: {spoilt[:300]!r}")
        if (cpu_s := time.process_time() - started) > MAX_CPU_S:
            faults.append(f"{name} {number}: {cpu_s:.1f} s: {spoilt[:300]!r}")
        kind.path.write_bytes(kind.good)
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:20])
    assert refused > N_FILES / 3
    assert capfd.readouterr().err == ""
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1000
    assert growth_mb < MAX_GROWTH_MB
