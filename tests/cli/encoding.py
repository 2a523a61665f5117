"""Encoding in tests, and what it should have made."""

import json
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


def spec_named(name):
    """A spec of ``conf/spec``."""
    return load("spec", name)


MEL = spec_named("mel256")


def conf_keys():
    keys = yaml.safe_load((conf_dir() / "encode.yaml").read_text(encoding="utf-8"))
    del keys["defaults"]
    return keys


def encode(source, output, **changes):
    changes = {key: str(v) if isinstance(v, Path) else v for key, v in changes.items()}
    keys = conf_keys() | {"spec": MEL, "codec": GRAY, "input": str(source), "output": str(output)}
    return run(**(keys | changes))


def report_of(output):
    return json.loads((output / "report.json").read_text(encoding="utf-8"))


def analysed(samples, spec=MEL):
    return analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()


def save(path, samples, rate=RATE, subtype="FLOAT"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)


def utterance(output, name, folder, half=slice(None)):
    """Decode and stitch the tiles of an utterance."""
    sidecar = read_sidecar(output / "spec.yaml")
    pieces = []
    for tile in read_manifest(output / "manifest.csv"):
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
