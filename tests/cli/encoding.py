"""Encoding in tests, and what it should have made."""

from pathlib import Path

import numpy as np
import soundfile
import torch
import yaml

from vocoder.cli.encode import run
from vocoder.config import conf_dir, load
from vocoder.decibels import SILENCE_DB
from vocoder.image.codec.scalar import Gray8
from vocoder.image.file import decode_image, read_image
from vocoder.image.manifest import read_manifest, read_sidecar
from vocoder.image.tiles import stitch
from vocoder.spectrogram import analyse

RATE = 22_050
GRAY = Gray8(db_min=-100.0, db_max=0.0)


MEL = load("spec", "mel256")


def defaults(command):
    """The keys of a command, as its file has them."""
    keys = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text(encoding="utf-8"))
    keys.pop("defaults", None)
    return keys


def encode(source, output, **changes):
    changes = {"input": source, "output": output, "spec": MEL, "codec": GRAY} | changes
    texts = {key: str(value) for key, value in changes.items() if isinstance(value, Path)}
    return run(**(defaults("encode") | changes | texts))


def tiles_of(output):
    return read_manifest(output / "manifest.csv")


def splits_of(output):
    """Of every utterance."""
    return {tile.utterance: tile.split for tile in tiles_of(output)}


def analysed(samples, spec=MEL):
    return analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()


def save(path, samples, rate=RATE, subtype="FLOAT"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)


def utterance(output, name, folder, half=slice(None)):
    """Decode and stitch the tiles of an utterance."""
    sidecar = read_sidecar(output / "spec.yaml")
    pieces = []
    for tile in tiles_of(output):
        if tile.utterance == name:
            picture = read_image(output / folder / f"{tile.stem}.png")
            decibels = decode_image(picture, sidecar.codec, sidecar.spec).decibels[:, half]
            pieces.append((tile, decibels))
    (first, decibels), *_ = pieces
    return stitch(pieces, len(decibels), first.total_frames, sidecar.codec.db_min)


def assert_close(decibels, expected, codec=GRAY):
    """Within half a level, and silent where the picture's range ends."""
    inside = expected > codec.db_min + codec.resolution_db()
    assert inside.mean() > 0.3
    half_level_db = codec.resolution_db() / 2
    assert np.abs(decibels - expected)[inside].max() <= half_level_db + 1e-3
    assert (decibels[expected < codec.db_min] == SILENCE_DB).all()
