"""WaveNets on held-out utterances, beside the initial estimate that they start from.

    python -m recipes.speaker_wavenet.table outputs/corpus_fillets outputs/wavenet_table wavenet

Each before and after one Griffin-Lim iteration, from clean spectrograms: likelihood (of the
recordings with the estimate's phases), speed on one core, what is not finite, clicks and level;
then what ``vocoder evaluate`` says of them, in pairs with the iterated estimate. Weights are runs,
files or names of shipped ones. Needs the extras ``evaluate`` and ``pesq``. Leaves the waveforms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor
from tqdm import tqdm

from recipes.results import recipe, show
from vocoder import load
from vocoder.audio import write_audio
from vocoder.cli.main import run as vocoder
from vocoder.corpus.corpus import Corpus
from vocoder.errors import BadInput
from vocoder.evaluate.inference import mean_interval
from vocoder.evaluate.summary import markdown
from vocoder.inverter.magnitude import Target
from vocoder.inverter.wavenet.inverter import sample
from vocoder.inverter.wavenet.network import WaveNet, iterate
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.weights import find_weights
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse

MEASURES = "estoi,visqol,pesq,dnsmos,mel"
ESTIMATE = "initial_estimate"
# A click: a second difference so many times the root mean square of those around it, within 10 ms
# but for the nearest half millisecond.
CLICK_RATIO, AROUND_S, NEAREST_S = 12.0, 0.01, 0.0005
# Levels are compared in blocks of this length, where recordings are above the floor.
BLOCK_S, FLOOR_DBFS = 0.1, -60.0


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/corpus.py wrote")
    parser.add_argument("output", type=Path, help="folder for waveforms and tables")
    parser.add_argument("weights", nargs="+", help="runs, files, or names of shipped weights")
    parser.add_argument("--speaker", help="whose utterances (default: all speakers')")
    parser.add_argument("--utterances", type=int, default=48, help="evenly spread")
    parser.add_argument("--measures", default=MEASURES, help="of vocoder evaluate")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    spec = load("spec", "mel256")
    temperature = load("inverter", "wavenet").temperature
    networks = {Path(each).stem: read_network(each) for each in given.weights}
    waveforms = held_out(given.corpus, spec, given.utterances, given.speaker)
    rows = [["system", "nats a sample", "x real time", "not finite", "clicks", "loudest block, dB"]]
    estimate = next(iter(networks.values())).estimate
    rows += render_all(ESTIMATE, estimate, waveforms, spec, given.output)
    for name, network in networks.items():
        nats = likelihood(network, waveforms, spec)
        draw = partial(sample, network, seed=0, temperature=temperature, n_iter=0)
        rows += render_all(name, draw, waveforms, spec, given.output, nats)
    count = sum(clicks(one, spec.sample_rate) for one in waveforms)
    rows.append(["the recordings", "", "", "0", f"{count}", "0.0"])
    show(given.output, markdown(rows))
    names = [f"{name}{after}" for after in ("_iterated", "") for name in (ESTIMATE, *networks)]
    folders = ",".join(str(given.output / name) for name in names)
    words = [f"reference={given.output / 'reference'}", f"systems=[{folders}]"]
    words += [f"measures=[{given.measures}]", f"output={given.output / 'evaluation'}"]
    return vocoder(["evaluate", *words, "overwrite=true"])


def read_network(weights: str) -> WaveNet:
    """A trained WaveNet."""
    network = read_checkpoint(find_weights(weights)).build()
    if not isinstance(network, WaveNet):
        found = type(network).__name__
        raise BadInput(f"{weights} holds a {found}; expected a WaveNet", "weights.type")
    return network


def held_out(
    corpus: Path, spec: SpectrogramSpec, count: int, speaker: str | None
) -> list[np.ndarray]:
    """Recordings of the test split, evenly spread, in whole hops."""
    test = Corpus(
        corpus,
        "test",
        speakers=None if speaker is None else [speaker],
        sample_rate=spec.sample_rate,
        min_samples=spec.n_fft,
    )
    chosen = np.unique(np.linspace(0, len(test) - 1, min(count, len(test))).round().astype(int))
    waveforms = [test.read(int(i)) for i in chosen]
    return [one[: len(one) // spec.hop_length * spec.hop_length] for one in waveforms]


def shown(waveform: np.ndarray, spec: SpectrogramSpec) -> tuple[Tensor, Tensor]:
    """Decibels and waveform, as a network takes them."""
    samples = torch.from_numpy(waveform)[None]
    return analyse(samples, spec).decibels[:, :, : len(waveform) // spec.hop_length], samples


@torch.inference_mode()
def likelihood(network: WaveNet, waveforms: list[np.ndarray], spec: SpectrogramSpec) -> str:
    """Mean negative log-likelihood of the recordings, with its interval."""
    losses = [float(network.loss(*shown(one, spec))) for one in waveforms]
    return mean_interval(losses).text(3)


def render_all(
    name: str,
    render: Callable[[Tensor], Tensor],
    waveforms: list[np.ndarray],
    spec: SpectrogramSpec,
    output: Path,
    nats: str = "",
) -> Iterator[list[str]]:
    """Write waveforms of a system, before and after an iteration; yield the rows of the table."""
    found: dict[str, list[tuple[float, int, int, float]]] = {name: [], f"{name}_iterated": []}
    for number, recording in enumerate(tqdm(waveforms, desc=name, unit="utterance")):
        decibels, _ = shown(recording, spec)
        began = time.perf_counter()
        rendered = render(decibels)
        halfway = time.perf_counter()
        iterated = iterate(rendered, spec, Target(Spectrogram(decibels, spec)).nearest)
        ends = halfway, time.perf_counter()
        write(output / "reference", number, recording, spec)
        for system, samples, ended in zip(found, (rendered, iterated), ends, strict=True):
            waveform = samples[0].numpy()
            write(output / system, number, waveform, spec)
            faults = int((~np.isfinite(waveform)).sum())
            count = clicks(waveform, spec.sample_rate)
            loudest = loudest_db(waveform, recording, spec.sample_rate)
            found[system].append((ended - began, faults, count, loudest))
    for system, measured in found.items():
        seconds, bad, jumps, levels = zip(*measured, strict=True)
        speed = sum(map(len, waveforms)) / spec.sample_rate / sum(seconds)
        figures = f"{speed:.2f}", f"{sum(bad)}", f"{sum(jumps)}", f"{max(levels):.1f}"
        yield [system, nats, *figures]


def write(folder: Path, number: int, waveform: np.ndarray, spec: SpectrogramSpec) -> None:
    path = folder / f"{number:03d}.wav"
    write_audio(path, waveform, spec.sample_rate, "FLOAT", overwrite=True)


def clicks(waveform: np.ndarray, sample_rate: int) -> int:
    """Jumps that stand alone; see `CLICK_RATIO`."""
    power = np.square(np.diff(waveform.astype(np.float64), 2))
    wide, near = (2 * round(s * sample_rate) + 1 for s in (AROUND_S, NEAREST_S))
    total = uniform_filter1d(power, wide) * wide - uniform_filter1d(power, near) * near
    around = np.maximum(total, 0) / (wide - near)
    # Nothing is heard of jumps below a step of 16 bits.
    jumps = np.flatnonzero((power > CLICK_RATIO**2 * around) & (power > (4 / 2**15) ** 2))
    return int((np.diff(jumps, prepend=-wide) > near).sum())


def loudest_db(waveform: np.ndarray, recording: np.ndarray, sample_rate: int) -> float:
    """Greatest level of a block relative to the same block of the recording."""
    length = round(BLOCK_S * sample_rate)
    count = min(waveform.size, recording.size) // length
    levels = [
        np.sqrt(np.square(x[: count * length].reshape(count, length)).mean(1)) + 1e-9
        for x in (waveform.astype(np.float64), recording.astype(np.float64))
    ]
    heard = 20 * np.log10(levels[1]) > FLOOR_DBFS
    return float((20 * np.log10(levels[0] / levels[1]))[heard].max(initial=-np.inf))


if __name__ == "__main__":
    sys.exit(main())
