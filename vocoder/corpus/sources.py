"""Recordings to make a corpus of, with who speaks in them when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from vocoder.audio import MIX
from vocoder.corpus.labels import Labels, choose_speaker, find_labels, read_labels
from vocoder.errors import BadInput
from vocoder.image.dataset.recordings import (
    Recording,
    choose_channels,
    find_recordings,
    unique_names,
)


@dataclass(frozen=True)
class Source:
    """A recording with a plain and unique name, and who speaks in it when."""

    recording: Recording
    name: str
    labels: Labels | None

    @property
    def key(self) -> str:
        """Changes when the recording or its labels change."""
        paths = [self.recording.path, *([self.labels.path] if self.labels else [])]
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        return hashlib.sha256(repr(stats).encode()).hexdigest()


def find_sources(
    folder: Path,
    output: Path,
    speaker: str | None,
    captions: Path | None,
    channel: str | int,
) -> tuple[list[Source], str | None, dict[str, str]]:
    """Find the recordings with their labels.

    Where labels name speakers, recordings without such labels are left out: nobody can tell who
    speaks there. What lies in the output folder is what was made of recordings, and none.

    ``folder`` may be a single recording; ``captions`` is a file or folder of the labels, where they
    do not lie beside the recordings.

    Returns
    -------
    sources : list of Source
    label : str or None
        The wanted speaker's name in the labels.
    failed : dict
        Recordings that cannot be used, each with the reason.
    """
    if captions is not None and not captions.exists():
        raise BadInput(
            f"{captions} does not exist; give a file of labels, or a folder of them",
            key="captions.missing",
        )
    if folder.is_file():
        found = [Recording(folder, folder.name)]
    else:
        found, _ = find_recordings(folder)
        made = output.resolve()
        found = [one for one in found if made not in one.path.resolve().parents]
    if not found:
        raise BadInput(
            f"{folder} holds no recordings but those in the output, {output}", key="input.missing"
        )
    if channel == "split":
        raise BadInput(
            f"audio_channel is split; a corpus is of one speaker: give {MIX} or a number from 1",
            key="audio_channel.range",
        )
    found, _ = choose_channels(found, channel)
    sources: list[Source] = []
    failed = {}
    for recording, name in zip(found, unique_names([one.name for one in found]), strict=True):
        try:
            path = find_labels(recording.path, captions)
            labels = None if path is None else read_labels(path, recording.path)
        except BadInput as error:
            failed[recording.source] = str(error)
            continue
        sources.append(Source(recording, name, labels))
    label = choose_speaker([one.labels for one in sources if one.labels], speaker)
    if label is None:
        return sources, None, failed
    named = [one for one in sources if one.labels and one.labels.speakers]
    for one in sources:
        if one not in named:
            failed[one.recording.source] = (
                "nothing says who speaks, while other recordings have labels that do"
            )
    return named, label, failed
