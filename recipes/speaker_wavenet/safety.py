"""Ten minutes of a WaveNet without a break: does it diverge, click, or speak where it should not?

    python -m recipes.speaker_wavenet.safety outputs/corpus_fillets

The held-out lines one after another as a single utterance, again and again, at three temperatures.
Counts what is no number, level errors, and clicks, beside those of the recordings themselves; then
a second of a silent picture. Tells the speed on one core, compile time left out and stated, and
how many times as long the network in torch takes that sees its receptive field anew for every step.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from tqdm import tqdm

from recipes.speaker_wavenet.likelihood import LINES, held_out
from vocoder import load
from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.wavenet.draft import draft_of
from vocoder.model.wavenet.generation import Speaker
from vocoder.model.wavenet.network import WaveNet
from vocoder.model.weights import find_weights
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

TEMPERATURES = (0.0, 0.5, 1.0)
N_ITER = load("inverter", "wavenet").n_iter
# A click: a second difference so many times the root mean square of those around it, within 10 ms
# but for the nearest half millisecond.
CLICK_RATIO, AROUND_S, NEAREST_S = 12.0, 0.01, 0.0005
# Levels are compared in blocks of this length, where recordings are above the floor.
BLOCK_S, FLOOR_DBFS = 0.1, -60.0
PUSHED_FRAMES = 256


@dataclass(frozen=True)
class Spoken:
    """What is known of a sound.

    Parameters
    ----------
    not_finite, clicks : int
    loudest_db : float
        Greatest level of a block, relative to the recording's.
    silence_dbfs : float
        Level of a second of silence after it.
    speed : float
        Times real time.
    """

    not_finite: int
    clicks: int
    loudest_db: float
    silence_dbfs: float
    speed: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/corpus.py wrote")
    parser.add_argument("--weights", default="wavenet", help="a run, a file, or shipped ones")
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        checkpoint = read_checkpoint(find_weights(given.weights))
        network = checkpoint.build()
        if not isinstance(network, WaveNet):
            raise BadInput(f"{given.weights} is a {type(network).__name__}; expected a WaveNet")
        spec, rate = checkpoint.spec, checkpoint.spec.sample_rate
        lines = held_out(given.corpus, spec, LINES, None)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    n_samples = round(60 * given.minutes * rate)
    once = np.concatenate(lines)
    whole_hops = n_samples // spec.hop_length * spec.hop_length
    recording = np.tile(once, -(-n_samples // once.size))[:whole_hops]
    speaker = Speaker(network)
    began = time.perf_counter()
    say(speaker, recording[: 64 * spec.hop_length], 1.0)
    print(f"first words, compile time included: {time.perf_counter() - began:.1f} s")
    rows = [
        "| | not finite | clicks | loudest block, dB | silence, dBFS | x real time |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| the recordings | 0 | {clicks(recording, rate)} | 0.0 | | |",
    ]
    for temperature in TEMPERATURES:
        found = say(speaker, recording, temperature)
        rows.append(
            f"| temperature {temperature} | {found.not_finite} | {found.clicks} | "
            f"{found.loudest_db:.1f} | {found.silence_dbfs:.0f} | {found.speed:.2f} |"
        )
    print("\n".join(rows))
    print(f"naive generation takes {slower(speaker, lines[0], spec):.0f} times as long")
    return 0


def say(speaker: Speaker, recording: np.ndarray, temperature: float) -> Spoken:
    """Speak a recording's picture, and a second of silence, as one stream."""
    spec = speaker.model.spec
    values = analyse(torch.from_numpy(recording)[None], spec).decibels
    silent = torch.full((1, spec.bins, round(spec.frame_rate_hz)), SILENCE_DB)
    values = torch.cat([values, silent], dim=2)
    stream = speaker.stream(1, seed=0, temperature=temperature, n_iter=N_ITER)
    began = time.perf_counter()
    with tqdm(total=values.shape[2], unit="frame", desc=f"temperature {temperature}") as bar:

        def progress(frames: int) -> None:
            bar.update(frames)

        pieces = [stream.push(v, progress) for v in values.split(PUSHED_FRAMES, dim=2)]
        pieces.append(stream.finish(progress))
    seconds = time.perf_counter() - began
    sound = torch.cat(pieces, dim=1)[0].numpy()
    rest = sound[-spec.sample_rate // 2 :]
    return Spoken(
        not_finite=int((~np.isfinite(sound)).sum()),
        clicks=clicks(sound[: recording.size], spec.sample_rate),
        loudest_db=loudest_db(sound, recording, spec.sample_rate),
        silence_dbfs=_dbfs(rest),
        speed=sound.size / spec.sample_rate / seconds,
    )


def clicks(sound: np.ndarray, sample_rate: int) -> int:
    """Jumps that stand alone; see `CLICK_RATIO`."""
    power = np.square(np.diff(sound.astype(np.float64), 2))
    wide, near = (2 * round(s * sample_rate) + 1 for s in (AROUND_S, NEAREST_S))
    total = uniform_filter1d(power, wide) * wide - uniform_filter1d(power, near) * near
    around = np.maximum(total, 0) / (wide - near)
    # Nothing is heard of jumps below a step of 16 bits.
    jumps = np.flatnonzero((power > CLICK_RATIO**2 * around) & (power > (4 / 2**15) ** 2))
    return int((np.diff(jumps, prepend=-wide) > near).sum())


def loudest_db(sound: np.ndarray, recording: np.ndarray, sample_rate: int) -> float:
    """Greatest level of a block relative to the same block of the recording."""
    length = round(BLOCK_S * sample_rate)
    count = min(sound.size, recording.size) // length
    levels = [
        np.sqrt(np.square(x[: count * length].reshape(count, length)).mean(1)) + 1e-9
        for x in (sound.astype(np.float64), recording.astype(np.float64))
    ]
    heard = 20 * np.log10(levels[1]) > FLOOR_DBFS
    return float((20 * np.log10(levels[0] / levels[1]))[heard].max(initial=-np.inf))


def _dbfs(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound.astype(np.float64)).mean() + 1e-20))


@torch.inference_mode()
def slower(speaker: Speaker, line: np.ndarray, spec: SpectrogramSpec, steps: int = 3) -> float:
    """How many times as long a step takes that computes its receptive field anew, in torch."""
    model = speaker.model
    frames = -(-model.receptive_steps // model.steps_per_frame) + 1
    values = analyse(torch.from_numpy(line)[None], spec).decibels[:, :, :frames]
    draft = model.split(draft_of(values, spec, model.draft_iterations))
    began = time.perf_counter()
    for _ in range(steps):
        model.teacher_forced(values, torch.zeros_like(draft), draft)
    naive_s = (time.perf_counter() - began) / steps
    spoken = say(speaker, line, 1.0)
    step_s = model.bank.bands / spec.sample_rate / spoken.speed
    return naive_s / step_s


if __name__ == "__main__":
    sys.exit(main())
