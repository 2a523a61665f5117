"""What a speaker's own lines are worth: a repair that never heard one of four, fine-tuned on some.

    python -m recipes.adaptation outputs/corpus_fillets outputs/fillets GENERATED \
        outputs/adaptation --test TEST --speaker nl_v

GENERATED holds what a pix2pix generated of training lines, with ``manifest.csv``, and TEST what it
generated of held-out ones (``results/``, ``manifest.csv``, ``reference/``). What
``recipes.generators`` generated is given with its own ``reference/`` as the recordings, ``--gain-
db 0`` and ``--range-db -92 -12``; there is more of it for each speaker. Trains a base on the other
speakers, goes on from it with some minutes of that one (``experiment=generated``) and, as a
control, with the others once more. All are compared on the speaker's lines that none of them
learnt from: those of TEST, and what is left of GENERATED (``--unseen`` so many of them). Runs that
are there are gone on with. Leaves runs, sounds, ``evaluation/`` and ``curve.png``. Needs the
extras ``evaluate``, ``train`` and ``pesq``.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from recipes.generated import RANGE_DB
from recipes.inverters import MEASURES
from recipes.results import recipe
from vocoder import load
from vocoder.audio import read_audio, write_audio
from vocoder.cli.main import run as vocoder
from vocoder.errors import BadInput
from vocoder.evaluate.inference import Interval, mean_interval
from vocoder.evaluate.metrics import METRICS
from vocoder.evaluate.reference import References
from vocoder.files import atomic_path, read_record
from vocoder.image.manifest import MANIFEST_NAME, Tile, read_manifest, write_manifest
from vocoder.image.source import Found, ImageSource, Utterance
from vocoder.image.utterances import load_utterance
from vocoder.train.loop import LAST_NAME
from vocoder.train.record import RECORD_NAME

# What was generated is twice as loud as the recordings of recipes/fillets.
GAIN_DB = 6.02
MINUTES = (1.0, 5.0)
BASE, CONTROL = "base", "control"
Tiles = list[Tile]


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/corpus.py wrote")
    parser.add_argument("recordings", type=Path, help="folder that recipes/fillets/fetch.py wrote")
    parser.add_argument("generated", type=Path, help="what was generated of training lines")
    parser.add_argument("output", type=Path, help="folder for runs, sounds, evaluation, curve")
    parser.add_argument("--test", type=Path, help="what was generated of held-out lines")
    parser.add_argument("--speaker", required=True, help="who is held out of the base")
    parser.add_argument("--unseen", type=int, help="lines of what is left (default: all)")
    parser.add_argument("--gain-db", type=float, default=GAIN_DB, help="recordings to images")
    parser.add_argument("--range-db", type=float, nargs=2, default=tuple(RANGE_DB.values()))
    parser.add_argument("--minutes", type=float, nargs="+", default=MINUTES)
    parser.add_argument("--base-steps", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=1500, help="of every fine-tuning")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given.output.mkdir(parents=True, exist_ok=True)
    runs = train_all(given)
    weights = dict(runs)  # the best of every run, and the last of those of the speaker
    weights |= {f"{k}_last": x / LAST_NAME for k, x in runs.items() if k not in (BASE, CONTROL)}
    invert_all(given, weights)
    # By name: sounds of other runs, of more minutes say, may lie there too.
    systems = ",".join(str(given.output / "sounds" / name) for name in weights)
    where = [f"reference={given.output / 'reference'}", f"systems=[{systems}]"]
    result = [f"output={given.output / 'evaluation'}", "overwrite=true"]
    result.append(f"measures=[{','.join(MEASURES)}]")
    code = vocoder(["evaluate", *where, f"baseline={BASE}", *result])
    result_path = given.output / "evaluation/evaluation.json"
    minutes = {number: _name(number) for number in sorted(given.minutes)}
    draw(given.output / "curve.png", result_path, runs, minutes)
    return code


def train_all(given: argparse.Namespace) -> dict[str, Path]:
    """Train the base and what goes on from it; folders of the runs by name."""
    if given.unseen is not None and given.unseen < 1:
        raise BadInput(f"--unseen is {given.unseen}; expected at least 1", key="unseen.range")
    others, cuts, rest = shortened(
        read_manifest(given.generated / MANIFEST_NAME), given.speaker, given.minutes
    )
    unseen = sorted({tile.utterance for tile in rest})[: given.unseen]
    rest = [tile for tile in rest if tile.utterance in unseen]
    write_manifest(given.output / "others.csv", others, overwrite=True)
    write_manifest(given.output / "rest.csv", rest, overwrite=True)
    names = sorted({tile.utterance.partition("__")[0] for tile in others})
    base = given.output / BASE
    recordings = {"root": given.corpus, "speakers": f"[{','.join(names)}]"}
    source = pairs(given, given.output / "others.csv")
    words = ["data=both", "model=repair", "train=repairing", "degradation=generated"]
    words += [f"data.parts.recordings.{key}={value}" for key, value in recordings.items()]
    words += [f"data.parts.generated.{key}={value}" for key, value in source.items()]
    plan = ["data.shares.generated=2.0", "train.plan.validate_every=500"]
    train(base, [*words, *plan, f"train.plan.steps={given.base_steps}"])
    runs = {BASE: base, CONTROL: given.output / CONTROL}
    manifests = {CONTROL: given.output / "others.csv"}
    for minutes, tiles in cuts.items():
        name = _name(minutes)
        runs[name], manifests[name] = given.output / name, given.output / f"{name}.csv"
        write_manifest(manifests[name], tiles, overwrite=True)
    for name, manifest in manifests.items():
        words = [f"data.{key}={value}" for key, value in pairs(given, manifest).items()]
        plan = [f"train.plan.steps={given.steps}", "train.plan.validate_every=250"]
        train(runs[name], ["experiment=generated", *words, *plan, f"train.init={base}"])
    return runs


def _name(minutes: float) -> str:
    return f"{minutes:g}min"


def shortened(
    tiles: Tiles, speaker: str, minutes: Sequence[float]
) -> tuple[Tiles, dict[float, Tiles], Tiles]:
    """Tiles of other speakers, so many minutes of this one, and the rest of this one.

    Each cut lies within the next.
    """
    spec = load("spec", "mel256")
    own = [tile for tile in tiles if tile.utterance.startswith(f"{speaker}__")]
    others = [tile for tile in tiles if tile not in own]
    lines = sorted({tile.utterance for tile in own})
    random.Random(0).shuffle(lines)
    samples = {tile.utterance: tile.samples or spec.n_samples(tile.total_frames) for tile in own}
    cuts: dict[float, Tiles] = {}
    taken: set[str] = set()
    seconds = 0.0
    for wanted in sorted(minutes):
        while seconds < wanted * 60 and len(taken) < len(lines):
            seconds += samples[lines[len(taken)]] / spec.sample_rate
            taken = set(lines[: len(taken) + 1])
        cuts[wanted] = [tile for tile in own if tile.utterance in taken]
    rest = [tile for tile in own if tile.utterance not in taken]
    if not rest or not others:
        raise BadInput(
            f"{len(lines)} generated lines are {speaker}'s and {len(others)} tiles are others'; "
            f"expected {max(minutes):g} minutes and a line more, and others",
            key="generated.few",
        )
    return others, cuts, rest


def pairs(given: argparse.Namespace, manifest: Path) -> dict[str, Any]:
    """The keys of ``data=generated`` for some of the generated lines."""
    return {
        "input": given.generated,
        "manifest": manifest,
        "reference": given.recordings,
        "codec": "gray8",
        **range_db(given),
        "reference_gain_db": given.gain_db,
    }


def range_db(given: argparse.Namespace) -> dict[str, float]:
    """The range of the images, as the codec takes it."""
    return dict(zip(RANGE_DB, given.range_db, strict=True))


def train(folder: Path, words: Sequence[str]) -> None:
    """Run ``vocoder train``, or go on with it."""
    begun = (folder / RECORD_NAME).exists()
    words = [*words, "train.plan.workers=0", f"output={folder}", f"resume={str(begun).lower()}"]
    if vocoder(["train", *words]) != 0:
        raise BadInput(f"the training in {folder} failed, as said above", key="training.failed")


def invert_all(given: argparse.Namespace, weights: Mapping[str, Path]) -> None:
    """Write the unseen lines' sounds by all weights, and their recordings."""
    repairs = {name: load("repair", "auto", weights=str(w)) for name, w in weights.items()}
    inverter = load("inverter", "griffin_lim")
    sources = [(given.generated, given.output / "rest.csv", given.recordings, given.gain_db)]
    if test := given.test:
        sources.append((test / "results", test / "manifest.csv", test / "reference", 0.0))
    spec, codec = load("spec", "mel256"), load("codec", "gray8", **range_db(given))
    lines: dict[str, tuple[Utterance, Found, Path, float]] = {}
    for folder, manifest, recordings, gain_db in sources:
        found = ImageSource(input=folder, manifest=manifest, spec=spec, codec=codec).find()
        references = References(recordings)
        for utterance in found.utterances:
            if utterance.name.startswith(f"{given.speaker}__"):
                if (path := references.path(utterance.name)) is None:
                    raise BadInput(
                        f"{recordings} holds no recording of {utterance.name}",
                        key="recordings.missing",
                    )
                lines[utterance.name] = utterance, found, path, gain_db
    there = {path.stem for path in (given.output / "reference").glob("*.wav")}
    if others := sorted(there - lines.keys()):
        raise BadInput(
            f"{given.output / 'reference'} holds {len(others)} lines of another comparison, such "
            f"as {others[0]}; remove them",
            key="output.conflict",
        )
    for name, (utterance, found, path, gain_db) in tqdm(lines.items(), unit="line"):
        true = read_audio(path, spec.sample_rate) * np.float32(10 ** (gain_db / 20))
        spectrogram = load_utterance(utterance, found).spectrogram
        sounds = {
            f"sounds/{k}": inverter(repair(spectrogram))[0].numpy() for k, repair in repairs.items()
        }
        for system, sound in {"reference": true, **sounds}.items():
            target = given.output / system / f"{name}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_audio(target, sound, spec.sample_rate, subtype="FLOAT", overwrite=True)


def draw(
    path: Path, evaluation: Path, runs: Mapping[str, Path], minutes: Mapping[float, str]
) -> None:
    """Draw ESTOI over the steps of training, and what every measure gains by minutes of speech."""
    found: dict[str, dict[str, dict[str, float]]] = {}  # measure, system, line
    for file in read_record(evaluation, "evaluation.damaged")["files"]:
        for measure, value in file["values"].items():
            of_systems = found.setdefault(measure, {})
            of_systems.setdefault(file["system"], {})[file["utterance"]] = value
    measures = [name for name in METRICS if BASE in found.get(name, {})]
    figure = Figure(figsize=(14, 7), layout="constrained")
    n_columns = -(-(len(measures) + 1) // 2)
    training, *panels = figure.subplots(2, n_columns, squeeze=False).flat
    for name in minutes.values():
        training.plot(*validations(runs[name]), marker="o", label=name)
    training.set(xlabel="steps of fine-tuning", title="ESTOI of its own validation lines")
    training.legend()
    for panel, measure in zip(panels[: len(measures)], measures, strict=True):
        gains = {name: _gain(of, found[measure][BASE]) for name, of in found[measure].items()}
        for ending, label in (("", "best by validation"), ("_last", "after all steps")):
            curve = [gains[f"{name}{ending}"] for name in minutes.values()]
            reach = np.array([[one.mean - one.low, one.high - one.mean] for one in curve]).T
            means = [one.mean for one in curve]
            panel.errorbar(list(minutes), means, reach, marker="o", capsize=3, label=label)
        panel.axhline(0, color="black", linewidth=0.5)
        panel.axhline(gains[CONTROL].mean, color="grey", linestyle="--", label="control")
        panel.set(xlabel="minutes of the speaker", title=f"{METRICS[measure].heading}, minus base")
    panels[0].legend()
    for panel in panels[len(measures) :]:
        panel.set_axis_off()
    with atomic_path(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", dpi=80)


def _gain(values: Mapping[str, float], base: Mapping[str, float]) -> Interval:
    return mean_interval([value - base[line] for line, value in values.items() if line in base])


def validations(run: Path) -> tuple[list[int], list[float]]:
    """Steps of a run's validations, and their ESTOI."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(run / "curves")).Reload()
    found = {event.step: event.value for event in curves.Scalars("validation/estoi")}
    return sorted(found), [found[step] for step in sorted(found)]


if __name__ == "__main__":
    sys.exit(main())
