"""Trainings that take a second: small networks, a few steps, real speech."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file
from torch import nn

from vocoder.config import load
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.features import FLOOR_DB
from vocoder.model.generator import Generator
from vocoder.model.hifigan import HifiGan
from vocoder.model.weights import BEST_NAME
from vocoder.repair.network import RepairNet
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.data import Generated
from vocoder.train.degradation import Degradation, Noise
from vocoder.train.examples import Batch, Mixture, Simulated, cut_piece
from vocoder.train.loop import DISCRIMINATORS_NAME, LAST_NAME, Outcome, fit
from vocoder.train.plan import Plan
from vocoder.train.spectrogram_losses import LOSSES
from vocoder.train.state import checkpoints, load_tensors, newest_checkpoint, read_checkpoint
from vocoder.train.tasks.base import MODEL, Task
from vocoder.train.tasks.repairing import Repairing
from vocoder.train.tasks.vocoding import Vocoding
from vocoder.train.validation import Scores, Validation

RATE = 22_050
SPEC: SpectrogramSpec = load("spec", "mel256")
NOISE = Noise(max_db=6.0, max_grain=1.0)
Network = TypeVar("Network", bound=nn.Module)
T = TypeVar("T", bound=Task)
REFERENCE = Path(__file__).parents[1] / "data/pix2pix/reference"


def decibels(sound: torch.Tensor, spec: SpectrogramSpec = SPEC) -> torch.Tensor:
    """The picture of ``(batch, samples)``, as networks see it."""
    return analyse(sound, spec).decibels.clamp(min=FLOOR_DB)


def noisy(sound: torch.Tensor, level: float, seed: int = 0) -> torch.Tensor:
    """With white noise of so much of its own deviation."""
    noise = torch.randn(sound.shape, generator=torch.Generator().manual_seed(seed))
    return sound + level * sound.std() * noise


def piece_of(speech: np.ndarray, spec: SpectrogramSpec, begin: int, frames: int) -> Batch:
    """Frames of a recording as the only example of a batch, not degraded."""
    true, waveform = cut_piece(
        lambda start, size: speech[start : start + size], speech.size, begin, frames, (spec,)
    )
    return Batch(*(torch.from_numpy(np.array(one))[None] for one in (true, true, waveform)))


def learnt_from(task: Task, batch: Batch, steps: int, rate: float = 3e-3) -> list[float]:
    """Train a task's model on one batch; the total loss before every step."""
    optimiser = torch.optim.Adam(task.model.parameters(), rate)
    totals = []
    for step in range(steps):
        total = task.losses(MODEL, batch, step)["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    return totals


class Clips:
    """Recordings in memory."""

    def __init__(self, sounds: Sequence[np.ndarray]) -> None:
        self._sounds = sounds

    @property
    def lengths(self) -> Sequence[int]:
        return [sound.size for sound in self._sounds]

    @property
    def names(self) -> Sequence[str]:
        return [str(number) for number in range(len(self._sounds))]

    def read(self, index: int, start: int, samples: int) -> np.ndarray:
        assert start >= 0 and start + samples <= self._sounds[index].size, "beyond the recording"
        return self._sounds[index][start : start + samples]


def real_clips() -> Clips:
    """Three pieces of a line, of 1.1, 0.9 and 0.7 s, at no multiple of a hop."""
    samples, _ = soundfile.read(REFERENCE / "nl_m__m-obdivovat.flac", dtype="float32")
    return Clips([samples[8_000:32_011], samples[33_000:53_500], samples[54_000:69_777]])


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "steps": 4,
        "batch_size": 2,
        "frames": 40,
        "learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "betas": [0.8, 0.95],
        "weight_decay": 0.01,
        "warmup_steps": 2,
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "init_share": 0.0,
        "precision": "float32",
        "validate_every": 2,
        "checkpoint_every": 1,
        "keep_checkpoints": 2,
        "patience": 100,
        "workers": 0,
        "threads": 1,
    }
    return Plan(**{**values, **changes})


def repair_net(spec: SpectrogramSpec = SPEC, seed: int = 0, channels: int = 4) -> RepairNet:
    torch.manual_seed(seed)
    return RepairNet(spec, channels=channels, context=8, context_blocks=1)


def shaken(network: Network, size: float = 0.05) -> Network:
    """As after a training: no weight is zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return network


def written(network: nn.Module, path: Path) -> str:
    """Write a network's weights as a training does; the file's name."""
    spec = cast(SpectrogramSpec, network.spec)
    Checkpoint(settings_of(network), spec, network.state_dict(), {}).write(path, overwrite=True)
    return str(path)


def griffin_lim(**changes: Any) -> GriffinLim:
    inverter = load("inverter", "griffin_lim", **{"n_iter": 2, "init": "zero", **changes})
    assert isinstance(inverter, GriffinLim)
    return inverter


def repairing(net: RepairNet | None = None) -> Repairing:
    weights = dict.fromkeys(LOSSES, 1.0)
    task = Repairing(weights=weights, tau=0.5, inverter=griffin_lim())
    task.setup(net or repair_net(), SPEC)
    return task


def generated_data(folder: Path, **changes: Any) -> Generated:
    """``data=generated`` of ``results`` in a folder, with the recordings in its ``reference``."""
    places = {"input": str(folder / "results"), "reference": str(folder / "reference")}
    data = load("data", "generated", **{**places, "simulated_share": 0.25, **changes})
    assert isinstance(data, Generated)
    return data


def hifigan_net(spec: SpectrogramSpec = SPEC, seed: int = 0, channels: int = 16) -> HifiGan:
    torch.manual_seed(seed)
    shape: dict[str, Any] = {"block": 1, "kernels": [3], "dilations": [[1]]}
    return HifiGan(spec, channels=channels, upsample_rates=4, upsample_kernels=None, **shape)


def vocoding(adversarial_from: int = 1, net: Generator | None = None, **weights: Any) -> Vocoding:
    net = net or hifigan_net()  # which seeds what is drawn next
    names = ("convergence", "log", "loudness", "mel", "adversarial", "features")
    task = Vocoding(
        weights={**dict.fromkeys(names, 1.0), **weights},
        discriminators={"mpd": MultiPeriod(width=0.03, periods=[2, 3])},
        adversarial_from=adversarial_from,
    )
    task.setup(net, net.spec)
    return task


def mixture(seed: int = 0, frames: int = 40, degradation: Degradation = NOISE) -> Mixture:
    source = Simulated(real_clips(), (SPEC,), degradation)
    return Mixture([source], [1.0], frames=frames, gain_db=8.0, seed=seed)


def real_validation() -> Validation:
    """Of two of the clips."""
    return Validation([Simulated(real_clips(), (SPEC,), NOISE)], SPEC, 2, seed=0)


def scored(*estoi: float, mel_distance_db: float = 1.0) -> Callable[..., Scores]:
    """A validation that finds one ESTOI after the other, the last for ever."""
    left = list(estoi)

    def validation(*_: Any) -> Scores:
        return Scores([left.pop(0) if len(left) > 1 else left[0]], [mel_distance_db])

    return validation


def train(
    task: Task,
    run: Path,
    numbers: Plan,
    *,
    resume: bool = False,
    validation: Any = None,
    examples: Any = None,
) -> Outcome:
    return fit(
        task,
        examples or mixture(frames=numbers.frames),
        cast(Validation, validation or scored(0.5)),
        numbers,
        run,
        device=torch.device("cpu"),
        seed=0,
        record={"config": {}, "earlier": []},
        checkpoint=newest_checkpoint(run) if resume else None,
        card={"data": "speech"},
    )


def last(run: Path) -> dict[str, Any]:
    """What the newest checkpoint of a run holds."""
    return read_checkpoint(checkpoints(run)[-1])


def equal(a: Any, b: Any) -> bool:
    """Bit for bit, through nested values."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def same_results(one: Path, other: Path) -> None:
    """Expect the same checkpoint, weights and discriminators of two runs."""
    assert equal(last(one), last(other))
    for name in (BEST_NAME, LAST_NAME):
        assert equal(load_file(one / name), load_file(other / name))
    assert (one / DISCRIMINATORS_NAME).exists() == (other / DISCRIMINATORS_NAME).exists()
    if (one / DISCRIMINATORS_NAME).exists():
        ours, theirs = (load_tensors(run / DISCRIMINATORS_NAME) for run in (one, other))
        assert equal(ours, theirs)


def interrupts(task: T, at: int, number: int = signal.SIGINT) -> T:
    """The task, whose losses of one step are interrupted as Ctrl+C does."""
    losses = task.losses

    def interrupted(name: str, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        if step == at:
            os.kill(os.getpid(), number)
        return losses(name, batch, step)

    task.losses = interrupted  # type: ignore[method-assign]
    return task
