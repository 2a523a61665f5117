"""What riffusion writes about an image into its EXIF: all of it, under numbers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vocoder.errors import BadInput
from vocoder.image.codec.foreign import Foreign
from vocoder.spec import SpectrogramSpec

# SpectrogramParams.ExifTags in riffusion/spectrogram_params.py
TAGS = {
    11000: "sample_rate",
    11005: "stereo",
    11010: "step_ms",
    11020: "window_ms",
    11030: "padded_ms",
    11040: "n_mels",
    11050: "fmin",
    11060: "fmax",
    11070: "exponent",
}
MAX_VALUE = 11080  # the loudest magnitude, of samples that are whole numbers of 16 bits
FULL_SCALE = 32768


def settings_from_exif(
    exif: Mapping[int, Any], source: str
) -> tuple[SpectrogramSpec, Foreign] | None:
    """The spec and the codec of an image that riffusion wrote; ``None`` of others.

    Of stereo the left channel is read.
    """
    if not TAGS.keys() <= exif.keys():
        return None
    try:
        values = {name: float(exif[tag]) for tag, name in TAGS.items()}
        loudest = float(exif[MAX_VALUE]) if MAX_VALUE in exif else None
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise BadInput(
            f"{source}: what riffusion wrote into its EXIF is damaged ({error}); strip it and give "
            "spec=riffusion codec=riffusion",
            key="image.exif",
        ) from error

    def samples(name: str) -> int:
        return int(values[name] / 1000 * values["sample_rate"])

    spec = {
        "kind": "mel",
        "sample_rate": int(values["sample_rate"]),
        "n_fft": samples("padded_ms"),
        "hop_length": samples("step_ms"),
        "win_length": samples("window_ms"),
        "window": "hann",
        "center": True,
        "pad_mode": "reflect",
        "power": 1.0,
        "nyquist": True,
        "n_mels": int(values["n_mels"]),
        "fmin": values["fmin"],
        "fmax": values["fmax"],
        "mel_scale": "htk",
        "mel_norm": "none",
        "compression": "none",
        "floor": 0.0,
    }
    exponent = values["exponent"]
    level: dict[str, Any] = {"reference": "max"}
    if loudest:
        level = {"reference": "one", "max": (loudest / FULL_SCALE) ** exponent}
    codec = Foreign(
        unit="linear",
        exponent=exponent,
        dark_is_loud=True,
        channel="green" if values["stereo"] else "red",
        **level,
    )
    return SpectrogramSpec.from_dict(spec, f"{source}, its EXIF"), codec
