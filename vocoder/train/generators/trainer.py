"""Kinds of generators, and how they learn: from pairs (pix2pix) or without (CycleGAN)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.train.generators.networks import discriminator, initialise, resnet, unet
from vocoder.train.generators.tasks import TASKS
from vocoder.train.state import load_tensors, save_tensors

CYCLE_WEIGHT, IDENTITY_WEIGHT = 10.0, 5.0  # Zhu et al. 2017, sections 4 and 5.2


@dataclass(frozen=True)
class Kind:
    """What distinguishes generators.

    Parameters
    ----------
    task : str
        One of `vocoder.train.generators.tasks.TASKS`.
    network : {"unet", "resnet"}
    width : int
        Channels of the first level.
    adversarial, paired : bool
        With a discriminator; from pairs, or by cycle consistency (then always with one).
    l1_weight : float
        Of the distance, beside an adversarial loss of weight 1.
    dropout : bool
    stages : tuple of float
        When utterances are generated, as shares of the training; each takes its part of them.
    channels : int
        Of the images.
    levels : int
        Halvings of a U-Net.
    frames : int
        Of a tile.
    """

    task: str
    network: str
    width: int
    adversarial: bool
    paired: bool
    l1_weight: float
    dropout: bool
    stages: tuple[float, ...]
    channels: int = 1
    levels: int = 7
    frames: int = 128

    @classmethod
    def drawn(cls, seed: int, task: str | None, *, paired: bool) -> Kind:
        """The kind that belongs to a seed; its task may be given."""
        rng = np.random.default_rng(seed)
        drawn = str(rng.choice(list(TASKS)))
        return cls(
            task=task or drawn,
            network=str(rng.choice(["unet", "unet", "resnet"])),
            width=int(rng.choice([16, 24, 32])),
            adversarial=bool(rng.random() < 0.75) or not paired,
            paired=paired,
            l1_weight=float(10 ** rng.uniform(1, 2)),
            dropout=bool(rng.random() < 0.5),
            stages=((0.5, 0.75, 1.0), (0.8, 1.0), (0.25, 0.6, 1.0))[rng.integers(3)],
        )

    @classmethod
    def real(cls, seed: int, task: str | None) -> Kind:
        """pix2pix as its program has it, ``unet_256`` but for its width (64) and mostly L1 100."""
        rng = np.random.default_rng(seed)
        drawn = str(rng.choice(list(TASKS)))
        return cls(
            task=task or drawn,
            network="unet",
            width=int(rng.choice([32, 32, 48])),
            adversarial=True,
            paired=True,
            l1_weight=float(rng.choice([100, 100, 30])),
            dropout=True,
            stages=(0.6, 1.0),
            levels=8,
            frames=256,
        )

    def generator(self) -> nn.Module:
        """A new one."""
        if self.network == "unet":
            return unet(self.width, self.levels, dropout=self.dropout, channels=self.channels)
        return resnet(self.width // 2, blocks=4, dropout=self.dropout, channels=self.channels)


class Trainer(nn.Module):
    """The networks of a kind, one of each for pairs and one for each direction without."""

    def __init__(self, kind: Kind, device: torch.device | None = None) -> None:
        super().__init__()
        self.kind, self.device = kind, device or torch.device("cpu")
        n, seen = (1, 2 * kind.channels) if kind.paired else (2, kind.channels)
        self.generators = nn.ModuleList(kind.generator() for _ in range(n))
        self.discriminators = nn.ModuleList(discriminator(kind.width, seen) for _ in range(n))
        initialise(self)
        self.to(self.device)
        self.optimisers = [
            torch.optim.Adam(networks.parameters(), 2e-4, (0.5, 0.999))
            for networks in (self.generators, self.discriminators)
        ]

    def step(self, given: Tensor, true: Tensor) -> float:
        """Learn from images ``(batch, channels, bins, frames)``; returns their distance."""
        learn = self._from_pair if self.kind.paired else self._from_cycle
        return learn(given.to(self.device), true.to(self.device))

    def save(self, path: Path, done: int) -> None:
        """Write all that `restore` needs to go on after ``done`` steps."""
        rates = [optimiser.state_dict() for optimiser in self.optimisers]
        state = {"done": done, "networks": self.state_dict(), "optimisers": rates}
        save_tensors(state, path)

    def restore(self, path: Path) -> int:
        """Steps done when ``path`` was written; none without it."""
        if not path.exists():
            return 0
        state = load_tensors(path)
        self.load_state_dict(state["networks"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return int(state["done"])

    def _from_pair(self, given: Tensor, true: Tensor) -> float:
        generated = self.generators[0](given)
        distance = (generated - true).abs().mean()
        loss = self.kind.l1_weight * distance
        if self.kind.adversarial:
            fake = torch.cat([given, generated], dim=1)
            loss = loss + _adversarial(self.discriminators[0](fake), real=True)
        self._update(0, loss)
        if self.kind.adversarial:
            self._discriminate([(torch.cat([given, true], dim=1), fake)])
        return float(distance.detach())

    def _from_cycle(self, given: Tensor, true: Tensor) -> float:
        there, back = self.generators
        loss, distance = torch.zeros(()), torch.zeros(())
        sides = ((there, back, given, true), (back, there, true, given))
        compared = []
        for (forth, home, image, other), net in zip(sides, self.discriminators, strict=True):
            fake = forth(image)
            distance = (home(fake) - image).abs().mean()
            loss = loss + _adversarial(net(fake), real=True) + CYCLE_WEIGHT * distance
            loss = loss + IDENTITY_WEIGHT * (forth(other) - other).abs().mean()
            compared.append((other, fake))
        self._update(0, loss)
        self._discriminate(compared)
        return float(distance.detach())

    def _discriminate(self, compared: list[tuple[Tensor, Tensor]]) -> None:
        loss = torch.zeros(())
        for net, (real, fake) in zip(self.discriminators, compared, strict=True):
            loss = loss + _adversarial(net(real), real=True)
            loss = loss + _adversarial(net(fake.detach()), real=False)
        self._update(1, loss / 2)

    def _update(self, which: int, loss: Tensor) -> None:
        self.optimisers[which].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers[which].step()


def _adversarial(logits: Tensor, *, real: bool) -> Tensor:
    return functional.softplus(-logits if real else logits).mean()
