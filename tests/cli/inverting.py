"""Inverting in tests, as cheaply as can be."""

from pathlib import Path

import soundfile
import torch

from vocoder import load
from vocoder.cli import main
from vocoder.image.file import ImageInfo, write_image
from vocoder.spectrogram import analyse

IMAGES = Path("results/tel/test_latest/images")
LINES = ("nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma")
RATE, HOP = 22_050, 256
CHEAP = ("inverter.n_iter=1", "inverter.n_iter_estimated=1", "inverter.init=zero")
RANGE = ("codec=gray8", "codec.db_min=-92.04", "codec.db_max=-12.04")


def invert(source, output, *words):
    return main.run(["invert", f"input={source}", f"output={output}", *CHEAP, *words])


def sound(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return samples


def sounds(output):
    """What stands under a final name; pathlib's patterns match hidden files too."""
    return sorted(path.name for path in output.glob("*.wav") if path.name[0] != ".")


def write_one(path, samples, spec):
    """A bare picture that says itself how it was made."""
    codec = load("codec", "gray8")
    decibels = analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()
    info = ImageInfo(spec, codec, len(samples))
    write_image(path, codec.encode(decibels, spec), codec, info)
