"""Anyone's recordings to a corpus to train on, of one speaker."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vocoder.audio import MIX, read_audio, write_audio
from vocoder.corpus.activity import find_speech
from vocoder.corpus.cleaning import Clipping, Limits, quality
from vocoder.corpus.cut import OTHERS, Cut, cut
from vocoder.corpus.labels import Labels, choose_speaker, find_labels, read_labels
from vocoder.corpus.manifest import Utterance, write_corpus
from vocoder.corpus.partial import Partial
from vocoder.corpus.report import Dropped, Report
from vocoder.corpus.spans import Span, intersect, total_s
from vocoder.corpus.splitting import assign, stretches
from vocoder.errors import BadInput, some_of
from vocoder.image.dataset.recordings import (
    Recording,
    choose_channels,
    find_recordings,
    unique_names,
)

# Less cannot be split into training, validation and test that mean anything.
MIN_S = 30.0
ADVISED_MINUTES = 10
DOUBLED = "the same as another"
# Labels of another recording fit by chance: as much as there is speech. Good subtitles reach 80 %.
MIN_AGREEMENT = 0.5
_HEADROOM = 0.99  # peak of recordings that would go beyond full scale
_TOLD_OFFSET = 1e-3  # of full scale: heard as a hum once a spectrogram has been painted from it
_ROUNDING_S = 1e-6  # less is what the arithmetic of spans leaves of nothing


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


@dataclass(frozen=True)
class Preparation:
    """What is done with every recording.

    Parameters
    ----------
    output : Path
    sample_rate : int
        Of the utterances, in Hz.
    label : str or None
        The wanted speaker's name in the labels; ``None`` takes all speech.
    cut : Cut
    limits : Limits
    """

    output: Path
    sample_rate: int
    label: str | None
    cut: Cut
    limits: Limits

    def prepare(self, source: Source) -> dict[str, Any]:
        """Write the utterances of a recording as FLAC, 16 bits, ``<name>/<milliseconds>.flac``.

        Returns
        -------
        dict
            JSON values: ``kept`` (one dict an utterance, as `Utterance` but for speaker and split,
            with ``snr_db``, ``start_s`` and ``seconds``), ``dropped``, ``left_out_s``, ``notes``
            and ``sample_rate``, that of the recording.
        """
        path, channel = source.recording.path, source.recording.channel
        samples = read_audio(path, self.sample_rate, channel)
        length_s = len(samples) / self.sample_rate
        if length_s < self.cut.min_s:
            raise BadInput(
                f"{path} lasts {length_s:.2g} s; utterances last {self.cut.min_s:g} s at least",
                key="recording.short",
            )
        clipping = Clipping(path, channel)
        notes = []
        offset = float(np.mean(samples, dtype=np.float64))  # a cheap card's
        samples -= np.float32(offset)
        if abs(offset) > _TOLD_OFFSET:
            notes.append(f"took away a constant offset of {offset:.2%} of full scale")
        if (peak := float(np.abs(samples).max())) > 1:
            samples *= np.float32(_HEADROOM / peak)
            notes.append(f"turned down by {peak / _HEADROOM:.2f}")
        activity = find_speech(samples, self.sample_rate)
        wanted, others = None, []
        if source.labels is not None:
            labels = source.labels.within(path, length_s)
            name = labels.path.name
            if late := source.labels.cues[len(labels.cues) :]:
                notes.append(
                    f"left out {len(late)} of {len(source.labels.cues)} cues of {name}, from line "
                    f"{late[0].line}, after the recording's end at {length_s:.2f} s"
                )
            wanted, others = labels.of(self.label), labels.not_of(self.label)
            agreement = total_s(intersect(wanted, activity.speech)) / max(total_s(wanted), 1e-9)
            if wanted and agreement < MIN_AGREEMENT:
                notes.append(
                    f"there is speech in {agreement:.0%} of the time that {name} labels; are they "
                    "shifted, or of another cut?"
                )
        spans, left_out_s = cut(activity, length_s, self.cut, wanted, others)

        kept, dropped = [], []
        for span in spans:
            first, last = (round(edge * self.sample_rate) for edge in span)
            utterance = samples[first:last]
            measured = quality(utterance, activity.snr_db(span), clipping.share(span))
            where = {"start_s": round(span.start_s, 3), "seconds": round(span.length_s, 3)}
            if (reason := self.limits.fault(measured)) is not None:
                dropped.append({**where, "reason": reason})
                continue
            written = self._write(source.name, span, utterance)
            levels = measured.levels._asdict()
            kept.append({**where, **written, **levels, "snr_db": measured.snr_db})
        return {
            "kept": kept,
            "dropped": dropped,
            "left_out_s": left_out_s,
            "notes": [f"{source.recording.source}: {note}" for note in notes],
            "sample_rate": clipping.sample_rate,
        }

    def _write(self, name: str, span: Span, samples: np.ndarray) -> dict[str, Any]:
        relative = f"{name}/{round(span.start_s * 1000):09d}.flac"
        path = self.output / relative
        write_audio(path, samples, self.sample_rate, overwrite=True)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return {"path": relative, "samples": len(samples), "sha256": sha256}

    def settings(self) -> dict[str, Any]:
        """JSON values of what utterances depend on."""
        own = {"sample_rate": self.sample_rate, "label": self.label}
        return own | asdict(self.cut) | asdict(self.limits)


def find_sources(
    folder: Path,
    output: Path,
    speaker: str | None = None,
    captions: Path | None = None,
    channel: str | int = MIX,
) -> tuple[list[Source], str | None, dict[str, str]]:
    """Find the recordings with their labels.

    Where labels name speakers, recordings without such labels are left out: nobody can tell who
    speaks there. What lies in the output folder is what was made of recordings, and none.

    Parameters
    ----------
    folder : Path
        Or a single recording.
    output : Path
    speaker : str, optional
        Whose speech is wanted.
    captions : Path, optional
        File or folder of the labels, where they do not lie beside the recordings.
    channel : "mix" or int

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


def make_corpus(
    preparation: Preparation,
    sources: Sequence[Source],
    speaker: str,
    *,
    shares: dict[str, float],
    seed: int,
    failed: dict[str, str],
) -> Report:
    """Make recordings into a corpus, or go on where an interrupted call stopped.

    Parameters
    ----------
    preparation : Preparation
    sources : sequence of Source
    speaker : str
        How the speaker is called in the corpus.
    shares : dict
        Of the speech, for ``test`` and ``val``.
    seed : int
        Of the draw of these.
    failed : dict
        Recordings that cannot be used, each with the reason.
    """
    output, failed = preparation.output, dict(failed)
    partial = Partial(output, preparation.settings())
    pieces: list[tuple[Source, dict[str, Any]]] = []
    with tqdm(sources, unit="recording", disable=None) as bar:
        for source in bar:
            bar.set_description(source.name[-30:], refresh=False)
            name = f"piece-{source.name}"
            if (piece := partial.done(name, source.key)) is None:
                try:
                    piece = preparation.prepare(source)
                except BadInput as error:
                    failed[source.recording.source] = str(error)
                    continue
                partial.note(name, source.key, piece)
            pieces.append((source, piece))

    rows: list[tuple[Source, dict[str, Any]]] = []
    dropped: list[Dropped] = []
    left_out_s: dict[str, float] = defaultdict(float)
    notes: list[str] = []
    seen: set[str] = set()
    for source, piece in pieces:
        used = len(rows)
        own = [Dropped(source.recording.source, speaker, **one) for one in piece["dropped"]]
        for row in piece["kept"]:
            if row["sha256"] in seen:  # the same recording given twice
                where = (source.recording.source, speaker, row["start_s"], row["seconds"])
                own.append(Dropped(*where, DOUBLED))
            else:
                rows.append((source, row))
            seen.add(row["sha256"])
        dropped += own
        notes += piece["notes"]
        for reason, seconds in piece["left_out_s"].items():
            left_out_s[reason] += seconds
        if len(rows) == used:
            _name_unused(source.recording.source, own, piece["left_out_s"], notes, failed)
    _require_enough(rows, dropped, left_out_s, notes, failed)
    groups = stretches([(source.name, row["seconds"]) for source, row in rows])
    splits = assign(groups, [row["seconds"] for _, row in rows], shares, seed)
    columns = ("path", "samples", "peak_dbfs", "rms_dbfs", "sha256")
    utterances = [
        Utterance(
            speaker=speaker,
            split=split,
            start_sample=0,
            sample_rate=preparation.sample_rate,
            **{name: row[name] for name in columns},
        )
        for (_, row), split in zip(rows, splits, strict=True)
    ]
    report = Report(
        title=f"Corpus of {speaker}",
        settings={**preparation.settings(), **shares, "seed": seed},
        utterances=utterances,
        snr_db=[row["snr_db"] for _, row in rows],
        dropped=dropped,
        left_out_s={speaker: left_out_s},
        failed=failed,
        notes=[*notes, *_advice(pieces, utterances, preparation.sample_rate)],
    )
    report.write(output)
    write_corpus(output, utterances, overwrite=True)
    partial.finish()
    return report


def _name_unused(
    name: str,
    dropped: Sequence[Dropped],
    left_out_s: dict[str, float],
    notes: list[str],
    failed: dict[str, str],
) -> None:
    """Say where the seconds of a recording went that gave no utterance.

    Where there were utterances, the reasons are those that they were dropped for, since silence
    lies around any speech.
    """
    lost: Counter[str] = Counter()
    for one in dropped:
        lost[one.reason] += one.seconds  # type: ignore[assignment]
    reasons = [
        (reason, seconds)
        for reason, seconds in (lost or Counter(left_out_s)).most_common()
        if seconds > _ROUNDING_S
    ]
    told = ", ".join(f"{reason} {seconds:.1f} s" for reason, seconds in reasons)
    if reasons[0][0] in (OTHERS, DOUBLED):  # no fault of the recording
        notes.append(f"{name}: gave no utterance: {told}")
    else:
        failed[name] = f"gave no utterance: {told}"


def _require_enough(
    rows: Sequence[tuple[Source, dict[str, Any]]],
    dropped: Sequence[Dropped],
    left_out_s: dict[str, float],
    notes: Sequence[str],
    failed: dict[str, str],
) -> None:
    """Refuse a corpus that cannot be trained on, and say where the speech went."""
    found_s = sum(row["seconds"] for _, row in rows)
    if found_s >= MIN_S:
        return
    lost = defaultdict(float, left_out_s)
    for one in dropped:
        lost[one.reason] += one.seconds
    where = ", ".join(f"{reason} {seconds:.0f} s" for reason, seconds in lost.items() if seconds)
    complaints = [*notes, *(f"{name}: {reason}" for name, reason in failed.items())]
    said = f"; {some_of(complaints)}" if complaints else ""
    raise BadInput(
        f"{found_s:.0f} s of usable speech; expected {MIN_S:.0f} s at least, better "
        f"{ADVISED_MINUTES} minutes (left out: {where or 'nothing'}){said}",
        key="corpus.short",
    )


def _advice(
    pieces: Sequence[tuple[Source, dict[str, Any]]],
    utterances: Sequence[Utterance],
    sample_rate: int,
) -> list[str]:
    """What the user should know of the whole."""
    notes = []
    minutes = sum(one.seconds for one in utterances) / 60
    if minutes < ADVISED_MINUTES:
        notes.append(
            f"{minutes:.1f} minutes of speech; with {ADVISED_MINUTES} or more a speaker is learnt "
            "better"
        )
    rates = Counter(piece["sample_rate"] for _, piece in pieces)
    notes += [
        f"{rates[rate]} of {len(pieces)} recordings have {rate} Hz: the band above {rate // 2} Hz "
        f"is empty, and a model learns to leave it so; take better ones, or a spec of {rate} Hz"
        for rate in sorted(rates)
        if rate < sample_rate
    ]
    kinds = {source.labels.path.suffix if source.labels else "none" for source, _ in pieces}
    return [*notes, f"labels used: {', '.join(sorted(kinds))}"]
