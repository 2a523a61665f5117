"""The one interface of all repairs: spectrogram in, spectrogram out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from vocoder.spectrogram import Spectrogram


class Repair(ABC):
    """Turns the spectrogram that an image shows into the one that it should have shown."""

    @abstractmethod
    def __call__(self, spectrogram: Spectrogram) -> Spectrogram:
        """Repair a spectrogram; ``estimated`` says how much of the result is an estimate."""

    def to_dict(self) -> dict[str, Any]:
        """Class and parameters as plain values, for reports."""
        plain = {name: _plain(value) for name, value in vars(self).items()}
        return {"class": type(self).__name__, **plain}


@dataclass(frozen=True, kw_only=True)
class NoRepair(Repair):
    """Takes every image as it is."""

    def __call__(self, spectrogram: Spectrogram) -> Spectrogram:
        return spectrogram


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
