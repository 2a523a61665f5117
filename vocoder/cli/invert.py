"""``vocoder invert``: pictures or arrays to sound."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.errors import BadInput

if TYPE_CHECKING:
    from threading import Event

    from vocoder.image.codec.base import Codec
    from vocoder.image.utterances import Utterance
    from vocoder.inverter.base import Inverter
    from vocoder.spec import SpectrogramSpec

SOUND_SUFFIX = ".wav"
DRAWING_SUFFIX = ".png"


def run(
    *,
    input: str,
    output: str,
    manifest: str | None,
    label: str | None,
    spec: SpectrogramSpec | None,
    codec: Codec | None,
    inverter: Inverter,
    subtype: str,
    pictures: bool,
    reference: str | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
    workers: int | None,
    device: str,
    seed: int,
) -> int:
    """Write a sound for every utterance; the keys are those of ``conf/invert.yaml``.

    ``device`` and ``seed`` have reached the inverter already and are only reported.

    Returns
    -------
    int
        0, or 2 if a file was missing, foreign or could not be used (the rest is there).

    Raises
    ------
    BadInput
        Nothing was done: nothing usable in ``input``, settings missing or contradicting, results
        that exist; or, with ``strict``, anything missing or foreign.
    """
    from vocoder.audio import SUBTYPE_BITS, AudioWriter
    from vocoder.cli.jobs import Result, begin, refuse_problems, report, select, work_through
    from vocoder.compare.reference import References
    from vocoder.compare.view import draw_pictures
    from vocoder.image.utterances import find_utterances, load_utterance

    if subtype not in SUBTYPE_BITS:
        raise BadInput(f"subtype is {subtype!r}; expected one of {', '.join(SUBTYPE_BITS)}")
    root = Path(output)
    references = None if reference is None else References(Path(reference))
    found = find_utterances(
        Path(input),
        manifest=None if manifest is None else Path(manifest),
        label=label,
        spec=spec,
        codec=codec,
    )
    if strict:
        refuse_problems(found)
    to_do, before = select(
        found.utterances,
        root,
        SOUND_SUFFIX,
        *([DRAWING_SUFFIX] if pictures else []),
        resume=resume,
        overwrite=overwrite,
    )

    def work(utterance: Utterance, stop: Event) -> Result:
        loaded = load_utterance(utterance, found)
        spectrogram = loaded.spectrogram
        sample_rate = spectrogram.spec.sample_rate
        path = root / f"{utterance.name}{SOUND_SUFFIX}"
        # Whatever is there of an utterance that a resumed run does again was not finished.
        with AudioWriter(path, sample_rate, subtype, overwrite=overwrite or resume) as writer:
            for block in inverter.blocks(spectrogram):
                if stop.is_set():
                    raise BadInput(f"{utterance.name}: interrupted")
                writer.write(block[0].numpy())
        problems = dict(loaded.problems)
        measures = {} if references is None else references.measure(path, problems)
        if pictures:
            true = references.path(utterance.name) if references is not None and measures else None
            draw_pictures(root / f"{utterance.name}{DRAWING_SUFFIX}", spectrogram, path, true)
        note = f"{writer.n_clipped} samples beyond full scale cut off; subtype=FLOAT keeps them"
        return Result(
            utterance=utterance.name,
            file=path.name,
            seconds=writer.n_samples / sample_rate,
            problems=problems,
            note=note if writer.n_clipped else "",
            measures=measures,
        )

    settings = {"inverter": inverter.to_dict(), "subtype": subtype, "seed": seed}
    begin(root, settings, resume=resume)
    started = time.perf_counter()
    results = work_through(to_do, work, workers)
    elapsed_s = time.perf_counter() - started
    return report(
        root,
        "invert",
        found,
        results,
        before,
        **settings,
        device=device,
        elapsed_s=round(elapsed_s, 3),
    )
