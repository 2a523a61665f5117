"""Steps a second of HiFi-GAN's training, beside those of a straight implementation.

    python -m recipes.training_speed

Both train HiFi-GAN V2 with both discriminators in full width (Kong, Kim, Bae 2020) on the same
batch, from the same weights, in turns, so that whatever else the machine does slows both. The
straight one is the paper's procedure as one would write it down: convolutions as published,
recordings and synthesis judged one after the other, gradients for all that is asked. Also tells
where our time goes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from tqdm import tqdm

from vocoder import load
from vocoder.model.discriminator.base import SLOPE, Output, View
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.discriminator.msd import MultiScale
from vocoder.spectrogram import analyse
from vocoder.train.examples import Batch
from vocoder.train.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    mel_loss,
)
from vocoder.train.tasks.base import MODEL
from vocoder.train.tasks.vocoding import Vocoding

SPEC = load("spec", "mel256")


class Clock:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - began


class Ours:
    """The steps of our trainer."""

    def __init__(self) -> None:
        self.task = vocoding()
        self.optimisers = {
            name: AdamW(network.parameters(), 2e-4)
            for name, network in self.task.networks().items()
        }
        self.clock = Clock()

    def step(self, batch: Batch) -> None:
        """One step of all networks."""
        networks = self.task.networks()
        for name in self.task.order(0):
            with self.clock.on(f"{name}, forward"):
                losses = self.task.losses(name, batch, 0)
            with self.clock.on(f"{name}, backward"):
                networks[name].zero_grad(set_to_none=True)
                losses["total"].backward()
            with self.clock.on("optimisers"):
                self.optimisers[name].step()


class Straight:
    """The paper's procedure."""

    def __init__(self) -> None:
        made = vocoding()
        networks = made.networks()
        self.model = made.model
        self.judges = {name: net for name, net in networks.items() if name != MODEL}
        judging = chain.from_iterable(net.parameters() for net in self.judges.values())
        self.judging = AdamW(judging, 2e-4)
        self.generating = AdamW(self.model.parameters(), 2e-4)
        self.mel_spec = made._mel_spec

    def step(self, batch: Batch) -> None:
        """One step of all networks."""
        fake, true = self.model(batch.degraded), batch.waveform
        self.judging.zero_grad()
        loss = torch.zeros(())
        for judge in self.judges.values():
            good, bad = straight_verdict(judge, true), straight_verdict(judge, fake.detach())
            loss = loss + discriminator_loss([one for one, _ in bad], [one for one, _ in good])
        loss.backward()
        self.judging.step()

        self.generating.zero_grad()
        loss = 45 * mel_loss(fake, true, self.mel_spec)
        for judge in self.judges.values():
            good, bad = straight_verdict(judge, true), straight_verdict(judge, fake)
            loss = loss + generator_loss([one for one, _ in bad])
            loss = loss + 2 * feature_matching_loss([f for _, f in bad], [f for _, f in good])
        loss.backward()
        self.generating.step()


def vocoding() -> Vocoding:
    """What ``train=hifigan model=hifigan_v2`` trains, the same weights every time."""
    torch.manual_seed(0)
    made: Vocoding = load("train", "hifigan").task
    made.setup(load("model", "hifigan_v2", spec=SPEC), SPEC)
    return made


def straight_verdict(judge: nn.Module, samples: Tensor) -> list[Output]:
    """What a discriminator says, by convolutions as they were published."""
    if isinstance(judge, MultiPeriod):
        pairs = zip(judge.parts, judge.periods, strict=True)
        return [_view(part, _folded(samples, period)) for part, period in pairs]
    if not isinstance(judge, MultiScale):
        raise TypeError(f"{type(judge).__name__} is not among those of HiFi-GAN")
    found, slower = [], samples[:, None]
    for scale, part in enumerate(judge.parts):
        if scale:
            slower = functional.avg_pool1d(slower, 4, 2, padding=2)
        found.append(_view(part, slower))
    return found


def _folded(samples: Tensor, period: int) -> Tensor:
    padded = functional.pad(samples[:, None], (0, -samples.shape[1] % period), mode="reflect")
    return padded.view(len(samples), 1, -1, period)


def _view(part: nn.Module, x: Tensor) -> Output:
    if not isinstance(part, View):
        raise TypeError(f"{type(part).__name__} is no View")
    maps = []
    for layer in part.layers.convs:
        x = functional.leaky_relu(_convolved(layer, x), SLOPE)
        maps.append(x)
    x = _convolved(part.last, x)
    return x.flatten(1), [*maps, x]


def _convolved(layer: nn.Module, x: Tensor) -> Tensor:
    if isinstance(layer, nn.Conv2d):  # ours has time last
        stride, padding = layer.stride[::-1], (layer.kernel_size[1] // 2, 0)
        return functional.conv2d(x, layer.weight.mT, layer.bias, stride, padding)
    if not isinstance(layer, nn.Conv1d):
        raise TypeError(f"{type(layer).__name__} is no convolution")
    return functional.conv1d(
        x, layer.weight, layer.bias, layer.stride, layer.padding, groups=layer.groups
    )


def noise_batch(size: int, frames: int) -> Batch:
    """Noise and its picture: what it is of makes no difference in time."""
    drawn = np.random.default_rng(0).normal(0, 0.1, (size, frames * SPEC.hop_length))
    sound = torch.from_numpy(drawn).float()
    values = analyse(sound, SPEC).decibels[:, :, :frames]
    return Batch(values, values, sound)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--steps", type=int, default=5, help="of each, after one that isn't counted"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--frames", type=int, default=32, help="of an example")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    batch = noise_batch(given.batch_size, given.frames)
    ours = Ours()
    trainers: dict[str, Ours | Straight] = {"ours": ours, "straight": Straight()}
    took: dict[str, list[float]] = {name: [] for name in trainers}
    for step in tqdm(range(given.steps + 1), unit="step"):
        for name, trainer in trainers.items():
            began = time.perf_counter()
            trainer.step(batch)
            took[name].append(time.perf_counter() - began)
        if step == 0:  # memory is found, kernels are chosen
            ours.clock.seconds.clear()
            took = {name: [] for name in trainers}
    print("| | seconds a step, median | least | greatest |\n| --- | --- | --- | --- |")
    for name, each in took.items():
        print(f"| {name} | {np.median(each):.2f} | {min(each):.2f} | {max(each):.2f} |")
    print("\n| ours | share |\n| --- | --- |")
    whole = sum(ours.clock.seconds.values())
    for what, seconds in sorted(ours.clock.seconds.items(), key=lambda item: -item[1]):
        print(f"| {what} | {seconds / whole:.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
