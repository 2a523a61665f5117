"""``vocoder invert``: images or arrays to audio."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.errors import BadInput, expect, some_of
from vocoder.files import refuse_existing

if TYPE_CHECKING:
    from threading import Event

    from vocoder.image.source import ImageSource, Utterance
    from vocoder.image.utterances import Loaded
    from vocoder.inverter.base import Inverter
    from vocoder.repair.base import Repair
    from vocoder.spec import SpectrogramSpec
    from vocoder.spectrogram import Spectrogram

MANY_CLIPPED = 0.05  # of the samples: more than loud peaks have
INAUDIBLE = 3e-4  # peak, full scale at 1: -70 dBFS
# Utterances that are inverted together where the device is no CPU, and how many frames they may
# have in all (20 minutes at the default hop): a batch is in memory at once.
_DEVICE_BATCH, _BATCH_FRAMES = 16, 100_000


def run(
    *,
    source: ImageSource,
    output: str,
    repair: Repair,
    inverter: Inverter,
    subtype: str,
    gain: float | str,
    peak_db: float | None,
    pictures: bool,
    reference: str | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
    workers: int | None,
    batch: int | None,
    device: str,
    seed: int,
) -> int:
    """Write the audio of every utterance; the keys are those of ``conf/invert.yaml``.

    ``seed`` and ``device`` have reached repair and inverter already. Here the latter decides what
    ``batch`` is where it is not given.

    Returns
    -------
    int
        0, or 2 if a file was missing, foreign or could not be used (the rest is there).
    """
    from vocoder.audio import NOISE_PEAK_DB, PEAK, AudioWriter, require_level, require_subtype
    from vocoder.cli.channels import JOINED, join, recordings_of_channels
    from vocoder.cli.jobs import (
        AUDIO_SUFFIX,
        DRAWING_SUFFIX,
        Result,
        begin,
        refuse_problems,
        report,
        rows_before,
        select,
        work_through,
    )
    from vocoder.device import torch_device
    from vocoder.image.utterances import FAR_TOO_LOUD_DB, OTHER_REFERENCE, load_utterance
    from vocoder.repair.consistency import CONSISTENT_DB, far_off

    require_subtype(subtype)
    require_level(gain, peak_db)
    if batch is None:
        batch = 1 if torch_device(device).type == "cpu" else _DEVICE_BATCH
    expect(batch >= 1, "batch", batch, "1 or more")
    root = Path(output)
    references, legend = None, ""
    if reference is not None:
        from vocoder.evaluate.reference import LEGEND, References  # nothing else needs the metrics

        references, legend = References(Path(reference)), LEGEND
    found = source.find()
    if strict:
        refuse_problems(found)
    to_do, before = select(
        found.utterances,
        root,
        AUDIO_SUFFIX,
        *([DRAWING_SUFFIX] if pictures else []),
        resume=resume,
        overwrite=overwrite,
    )

    recordings = recordings_of_channels(found.utterances)
    for name in recordings:
        refuse_existing(root / JOINED / f"{name}{AUDIO_SUFFIX}", overwrite=overwrite or resume)

    def work(group: Sequence[Utterance], stop: Event) -> list[Result]:
        loaded, results = {}, []
        for utterance in group:
            try:
                loaded[utterance.name] = load_utterance(utterance, found)
            except BadInput as error:
                results.append(Result(utterance.name, problems={utterance.name: str(error)}))
        for names in _of_one_spec(loaded):
            try:
                results += render({name: loaded[name] for name in names}, stop)
            except BadInput as error:
                results += [Result(name, problems={name: str(error)}) for name in names]
        return results

    def render(loaded: dict[str, Loaded], stop: Event) -> list[Result]:
        """Invert utterances of one spec together."""
        paths = [root / f"{name}{AUDIO_SUFFIX}" for name in loaded]
        spectrograms = [repair(one.spectrogram) for one in loaded.values()]
        sample_rate = spectrograms[0].spec.sample_rate
        with ExitStack() as stack:
            # Whatever is there of an utterance that a resumed run does again was not finished.
            writers = [
                stack.enter_context(
                    AudioWriter(
                        path,
                        sample_rate,
                        subtype,
                        overwrite=overwrite or resume,
                        gain=gain,
                        peak_db=peak_db,
                        noise=bool(one.doubts),
                    )
                )
                for path, one in zip(paths, loaded.values(), strict=True)
            ]
            for which, piece in inverter.invert_batch(spectrograms):
                if stop.is_set():
                    raise BadInput("interrupted", key="run.interrupted")
                writers[which].write(piece.numpy())
        return [
            finish(name, one, repaired, writer)
            for (name, one), repaired, writer in zip(
                loaded.items(), spectrograms, writers, strict=True
            )
        ]

    def finish(name: str, loaded: Loaded, repaired: Spectrogram, written: AudioWriter) -> Result:
        """Measure and draw what was written."""
        path = root / f"{name}{AUDIO_SUFFIX}"
        problems = dict(loaded.problems)
        remarks: list[str] = []
        measures = {} if references is None else references.measure(path, problems, remarks)
        true = references.path(name) if references is not None and measures else None
        if pictures:
            from vocoder.evaluate.view import draw_pictures  # nothing else draws

            drawing = root / f"{name}{DRAWING_SUFFIX}"
            draw_pictures(drawing, loaded.spectrogram, repaired, path, true)
        if loaded.doubts:
            loudest = f"a peak of {NOISE_PEAK_DB:g} dBFS at most, since it is probably noise"
            remarks += [some_of(loaded.doubts), f"kept down to {loudest}"]
        remarks += loaded.notes
        if written.peak < INAUDIBLE and not loaded.notes:
            remarks.append("nothing is heard: the image is nearly black; gain=peak makes it loud")
        off_db = repaired.inconsistency_db
        if off_db is not None and off_db > CONSISTENT_DB and not found.has_manifest:
            remarks.append(far_off(off_db))
        n_many = MANY_CLIPPED * written.n_samples
        too_loud = written.gain_db < -FAR_TOO_LOUD_DB and not loaded.doubts
        if written.n_clipped > n_many or too_loud:
            remarks.append(OTHER_REFERENCE)
        if written.n_clipped:
            remarks.append(
                f"{written.n_clipped} samples beyond full scale cut off; subtype=FLOAT keeps them"
            )
        if written.gain_db and gain != PEAK and not loaded.doubts:
            remarks.append(
                f"brought down by {-written.gain_db:.1f} dB to a peak of {peak_db:g} dB; gain= "
                "lowers all files alike, subtype=FLOAT keeps the level"
            )
        return Result(
            utterance=name,
            file=path.name,
            seconds=written.n_samples / loaded.spectrogram.spec.sample_rate,
            problems=problems,
            note="; ".join(remarks),
            measures=measures,
            repaired=repaired.repaired,
            inconsistency_db=None if off_db is None else round(off_db, 2),
            doubts=loaded.doubts,
            reference="" if true is None else str(true.resolve()),
            gain_db=written.gain_db,
        )

    settings = {
        "repair": repair.to_dict(),
        "inverter": inverter.to_dict(),
        "subtype": subtype,
        "gain": gain,
        "peak_db": peak_db,
        "seed": seed,
    }
    begin(root, settings, resume=resume)
    started = time.perf_counter()
    results = work_through(_groups(to_do, batch), work, workers, "try workers=1 batch=1")
    rows = rows_before(root, before) + [asdict(result) for result in results]
    gains_db = {row["utterance"]: row["gain_db"] for row in rows if row["file"]}
    noise = {row["utterance"] for row in rows if row["doubts"]}
    for name, channels in recordings.items():
        if all(channel in gains_db for channel in channels):
            file = f"{JOINED}/{name}{AUDIO_SUFFIX}"
            seconds = join(
                root / file,
                [root / f"{channel}{AUDIO_SUFFIX}" for channel in channels],
                [gains_db[channel] for channel in channels],
                overwrite=overwrite or resume,
                subtype=subtype,
                gain=PEAK if gain == PEAK else 0.0,
                peak_db=peak_db,
                noise=not noise.isdisjoint(channels),
            )
            results.append(Result(name, file, seconds))
    elapsed_s = time.perf_counter() - started
    return report(
        root,
        "invert",
        found,
        results,
        before,
        legend,
        **settings,
        device=device,
        elapsed_s=round(elapsed_s, 3),
    )


def _groups(utterances: Sequence[Utterance], batch: int) -> list[list[Utterance]]:
    """Up to ``batch`` of similar length at a time."""
    if batch == 1:
        return [[one] for one in utterances]
    groups: list[list[Utterance]] = []
    n_frames = 0
    for frames, _, one in sorted(
        ((*_size(one), one) for one in utterances), key=lambda sized: sized[:2]
    ):
        if not groups or len(groups[-1]) == batch or n_frames + frames > _BATCH_FRAMES:
            groups.append([])
            n_frames = 0
        groups[-1].append(one)
        n_frames += frames
    return groups


def _size(utterance: Utterance) -> tuple[int, int]:
    """Frames as far as the manifest says it, and bytes, by which the others are ordered."""
    frames = utterance.tiles[0][0].total_frames if utterance.tiles else 1
    return frames, sum(path.stat().st_size for path in utterance.paths if path.exists())


def _of_one_spec(loaded: dict[str, Loaded]) -> list[list[str]]:
    """Names of those that can be inverted together."""
    by_specs: dict[tuple[SpectrogramSpec, ...], list[str]] = {}
    for name, one in loaded.items():
        by_specs.setdefault(one.spectrogram.specs, []).append(name)
    return list(by_specs.values())
