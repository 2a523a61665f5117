"""Anyone's recordings to a corpus to train on, of one speaker."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vocoder.audio import constant_offset, read_audio, write_audio
from vocoder.corpus.activity import find_speech
from vocoder.corpus.cleaning import Clipping, Limits
from vocoder.corpus.cut import OTHERS, Cut, cut
from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import Utterance, write_corpus
from vocoder.corpus.partial import Partial
from vocoder.corpus.report import Dropped, Report
from vocoder.corpus.sources import Source
from vocoder.corpus.spans import intersect, total_s
from vocoder.corpus.splitting import assign, stretches
from vocoder.errors import BadInput, some_of

# Less cannot be split into training, validation and test that mean anything.
MIN_S = 30.0
ADVISED_MINUTES = 10
DOUBLED = "the same as another"
# Labels of another recording fit by chance: as much as there is speech. Good subtitles reach 80 %.
MIN_AGREEMENT = 0.5
_HEADROOM = 0.99  # peak of recordings that would go beyond full scale
_ROUNDING_S = 1e-6  # less is what the arithmetic of spans leaves of nothing


@dataclass(frozen=True)
class Preparation:
    """What is done with every recording."""

    output: Path
    sample_rate: int  # of the utterances, in Hz
    speaker: str  # as called in the corpus
    label: str | None  # as called in the labels; `None` takes all speech
    cut: Cut
    limits: Limits

    def prepare(self, source: Source) -> dict[str, Any]:
        """Write the utterances of a recording as FLAC, 16 bits, ``<name>/<milliseconds>.flac``.

        Gives JSON values: ``kept`` (an `Utterance`, its SNR in dB and its start in s each),
        ``dropped``, ``left_out_s``, ``notes``, and the recording's ``sample_rate``.
        """
        path, channel = source.recording.path, source.recording.channel
        samples = read_audio(path, self.sample_rate, channel, keep_offset=True)
        length_s = len(samples) / self.sample_rate
        if length_s < self.cut.min_s:
            raise BadInput(
                f"{path} lasts {length_s:.2g} s; utterances last {self.cut.min_s:g} s at least",
                key="recording.short",
            )
        clipping = Clipping(path, channel)
        notes = []
        if offset := constant_offset(samples, self.sample_rate):  # a cheap card's
            samples -= np.float32(offset)
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
            snr_db = activity.snr_db(span)
            fault = self.limits.fault(samples[first:last], snr_db, clipping.share(span))
            if fault is None:
                utterance = self._write(source.name, span.start_s, samples[first:last])
                kept.append((asdict(utterance), snr_db, span.start_s))
            else:
                start_s, seconds = round(span.start_s, 3), round(span.length_s, 3)
                one = Dropped(source.recording.source, self.speaker, start_s, seconds, fault)
                dropped.append(asdict(one))
        return {
            "kept": kept,
            "dropped": dropped,
            "left_out_s": left_out_s,
            "notes": [f"{source.recording.source}: {note}" for note in notes],
            "sample_rate": clipping.sample_rate,
        }

    def _write(self, name: str, start_s: float, samples: np.ndarray) -> Utterance:
        relative = f"{name}/{round(start_s * 1000):09d}.flac"
        path = self.output / relative
        write_audio(path, samples, self.sample_rate, overwrite=True)
        return Utterance(
            path=relative,
            speaker=self.speaker,
            split="train",  # until all are there
            start_sample=0,
            samples=len(samples),
            sample_rate=self.sample_rate,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            **levels(samples)._asdict(),
        )

    def settings(self) -> dict[str, Any]:
        """JSON values of what utterances depend on."""
        own = {name: getattr(self, name) for name in ("sample_rate", "speaker", "label")}
        return own | asdict(self.cut) | asdict(self.limits)


def make_corpus(
    preparation: Preparation,
    sources: Sequence[Source],
    *,
    shares: dict[str, float],
    seed: int,
    failed: dict[str, str],
) -> Report:
    """Make recordings into a corpus, or go on where an interrupted call stopped.

    ``shares`` of the speech are for ``test`` and ``val``, drawn with ``seed``; ``failed`` are
    recordings that cannot be used, each with the reason.
    """
    output, speaker, failed = preparation.output, preparation.speaker, dict(failed)
    partial = Partial(output, preparation.settings())
    kept: list[tuple[str, Utterance, float]] = []
    dropped: list[Dropped] = []
    left_out_s: dict[str, float] = defaultdict(float)
    notes: list[str] = []
    rates: Counter[int] = Counter()
    seen: set[str] = set()
    for source in tqdm(sources, unit="recording", disable=None):
        name = source.recording.source
        try:
            piece = partial.piece(
                source.name, source.key, functools.partial(preparation.prepare, source)
            )
        except BadInput as error:
            failed[name] = str(error)
            continue
        used = len(kept)
        own = [Dropped(**one) for one in piece["dropped"]]
        for row, snr_db, start_s in piece["kept"]:
            utterance = Utterance(**row)
            if utterance.sha256 in seen:  # the same recording given twice
                seconds = round(utterance.seconds, 3)
                own.append(Dropped(name, speaker, round(start_s, 3), seconds, DOUBLED))
            else:
                kept.append((source.name, utterance, snr_db))
            seen.add(utterance.sha256)
        dropped += own
        notes += piece["notes"]
        rates[piece["sample_rate"]] += 1
        for reason, seconds in piece["left_out_s"].items():
            left_out_s[reason] += seconds
        if len(kept) == used:
            # Utterances that were dropped are the reason; silence lies around any speech.
            lost = _seconds_of(own) or piece["left_out_s"]
            told = f"{name}: gave no utterance: {_listed(lost, '.1f')}"
            if max(lost, key=lambda reason: lost[reason]) in (OTHERS, DOUBLED):
                notes.append(told)  # no fault of the recording
            else:
                failed[name] = told.removeprefix(f"{name}: ")
    found_s = sum(utterance.seconds for _, utterance, _ in kept)
    if found_s < MIN_S:
        lost = {**left_out_s, **_seconds_of(dropped)}
        complaints = [*notes, *(f"{name}: {reason}" for name, reason in failed.items())]
        raise BadInput(
            f"{found_s:.0f} s of usable speech; expected {MIN_S:.0f} s at least, better "
            f"{ADVISED_MINUTES} minutes (left out: {_listed(lost, '.0f') or 'nothing'})"
            f"{'; ' if complaints else ''}{some_of(complaints)}",
            key="corpus.short",
        )
    lengths = [utterance.seconds for _, utterance, _ in kept]
    groups = stretches([(name, utterance.seconds) for name, utterance, _ in kept])
    splits = assign(groups, lengths, shares, seed)
    report = Report(
        title=f"Corpus of {speaker}",
        settings={**preparation.settings(), **shares, "seed": seed},
        utterances=[
            replace(one, split=split) for (_, one, _), split in zip(kept, splits, strict=True)
        ],
        snr_db=[snr_db for _, _, snr_db in kept],
        dropped=dropped,
        left_out_s={speaker: left_out_s},
        failed=failed,
        notes=[*notes, *_advice(sources, found_s / 60, rates, preparation.sample_rate)],
    )
    report.write(output)
    write_corpus(output, report.utterances, overwrite=True)
    partial.finish()
    return report


def _seconds_of(dropped: Sequence[Dropped]) -> dict[str, float]:
    """Seconds by reason."""
    lost: dict[str, float] = defaultdict(float)
    for one in dropped:
        lost[one.reason] += one.seconds
    return lost


def _listed(lost: dict[str, float], form: str) -> str:
    """Reasons and seconds in words, the greatest first."""
    ordered = sorted(lost.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason} {s:{form}} s" for reason, s in ordered if s > _ROUNDING_S)


def _advice(
    sources: Sequence[Source], minutes: float, rates: Counter[int], sample_rate: int
) -> list[str]:
    """What the user should know of the whole."""
    notes = [
        f"{rates[rate]} of {rates.total()} recordings have {rate} Hz: the band above {rate // 2} "
        f"Hz is empty, and a model learns to leave it so; take better ones, or a spec of {rate} Hz"
        for rate in sorted(rates)
        if rate < sample_rate
    ]
    if minutes < ADVISED_MINUTES:
        notes.append(
            f"{minutes:.1f} minutes of speech; with {ADVISED_MINUTES} or more a speaker is learnt "
            "better"
        )
    kinds = {source.labels.path.suffix if source.labels else "none" for source in sources}
    return [*notes, f"labels used: {', '.join(sorted(kinds))}"]
