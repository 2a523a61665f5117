"""``vocoder decode``: images to spectrograms as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threading import Event

    from vocoder.image.source import ImageSource, Utterance
    from vocoder.repair.base import Repair


def run(
    *,
    source: ImageSource,
    repair: Repair,
    output: str,
    strict: bool,
    resume: bool,
    overwrite: bool,
    workers: int | None,
) -> int:
    """Write an array for every utterance; the keys are those of ``conf/decode.yaml``.

    Returns
    -------
    int
        0, or 2 if a file was missing, foreign or could not be used (the rest is there).
    """
    from vocoder.cli.jobs import Result, begin, refuse_problems, report, select, work_through
    from vocoder.image.array import ARRAY_SUFFIX, write_array
    from vocoder.image.utterances import load_utterance

    root = Path(output)
    found = source.find()
    if strict:
        refuse_problems(found)
    to_do, before = select(found.utterances, root, ARRAY_SUFFIX, resume=resume, overwrite=overwrite)

    def work(group: Sequence[Utterance], stop: Event) -> list[Result]:
        (utterance,) = group
        loaded = load_utterance(utterance, found)
        path = root / f"{utterance.name}{ARRAY_SUFFIX}"
        repaired = repair(loaded.spectrogram)
        write_array(path, repaired, overwrite=overwrite)
        seconds = loaded.spectrogram.length / loaded.spectrogram.spec.sample_rate
        notes = [*loaded.doubts, *loaded.notes]
        if more := len(loaded.spectrogram.others):
            notes.append(f"of the spec's own analysis; the image has {more} more analyses")
        return [
            Result(
                utterance.name,
                path.name,
                seconds,
                loaded.problems,
                "; ".join(notes),
                repaired=repaired.repaired,
            )
        ]

    about: dict[str, Any] = {"repair": repair.to_dict()}
    begin(root, {"command": "decode", **about}, resume=resume)
    results = work_through([[one] for one in to_do], work, workers, "try workers=1")
    return report(root, "decode", found, results, before, **about)
