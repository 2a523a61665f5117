"""Recordings of several channels, an utterance each in the data set, become one file again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from vocoder.audio import AudioWriter, read_info
from vocoder.audio_file import BLOCK_FRAMES

if TYPE_CHECKING:
    from vocoder.image.source import Utterance

JOINED = "joined"  # folder below the output
_CHANNEL = re.compile(r"(.+), channel (\d+)")  # see `vocoder.image.dataset.recordings.Recording`


def recordings_of_channels(utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    """Names of the utterances that are the channels of one recording, in order, by its name.

    Recordings of which a channel is missing are left out.
    """
    found: dict[str, dict[int, str]] = {}
    for one in utterances:
        match = _CHANNEL.fullmatch(one.tiles[0][0].source) if one.tiles else None
        if match is not None:
            found.setdefault(match[1], {})[int(match[2])] = one.name
    joined = {}
    for channels in found.values():
        if len(channels) > 1 and sorted(channels) == list(range(1, len(channels) + 1)):
            name = re.sub(r"_ch1(_\d+)?$", "", channels[1])
            joined[name] = [channels[k] for k in sorted(channels)]
    return joined


def join(
    path: Path,
    channels: Sequence[Path],
    gains_db: Sequence[float],
    *,
    overwrite: bool,
    **level: Any,
) -> float:
    """Write the channels into one file, at the levels that they have to each other.

    Parameters
    ----------
    channels : sequence of Path
        A file each, of one rate and length.
    gains_db : sequence of float
        What each file was amplified by when it was written; taken back.
    **level
        ``subtype``, ``gain``, ``peak_db`` and ``noise`` of `AudioWriter`, for all channels
        together.

    Returns
    -------
    float
        Length in seconds.
    """
    factors = np.float32(10 ** (-np.asarray(gains_db) / 20))
    sample_rate = read_info(channels[0]).sample_rate
    with AudioWriter(
        path, sample_rate, channels=len(channels), overwrite=overwrite, **level
    ) as writer:
        files = [soundfile.blocks(one, BLOCK_FRAMES, dtype="float32") for one in channels]
        for blocks in zip(*files, strict=True):
            writer.write(np.stack(blocks, axis=1) * factors)
    return writer.n_samples / sample_rate
