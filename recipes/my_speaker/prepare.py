"""One recording to clips: resampled, cut, judged and written."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocoder.audio import read_audio, write_audio
from vocoder.corpus.activity import listen
from vocoder.corpus.cleaning import Clipping, Limits, quality
from vocoder.corpus.cues import Labels
from vocoder.corpus.cut import Cut, cut
from vocoder.corpus.spans import Span, intersect, total_s
from vocoder.errors import BadInput
from vocoder.image.dataset.recordings import Recording

_HEADROOM = 0.99  # peak of recordings that would go beyond full scale
# Labels of another recording fit by chance: as much as there is speech. Good subtitles reach 80 %.
LEAST_AGREEMENT = 0.5


@dataclass(frozen=True)
class Source:
    """A recording with what is known of it.

    Parameters
    ----------
    recording : Recording
    name : str
        Plain and unique.
    labels : Labels or None
    """

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
class Work:
    """What is done with every recording.

    Parameters
    ----------
    output : Path
    sample_rate : int
        Of the clips, in Hz.
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
        """Write the clips of a recording as FLAC, 16 bits, ``<name>/<milliseconds>.flac``.

        Returns
        -------
        dict
            JSON values: ``kept`` (one dict a clip, as `Clip` but for speaker and split, with
            ``snr_db`` and ``start_s``), ``dropped``, ``left_out_s`` and ``notes``.

        Raises
        ------
        BadInput
            The recording cannot be read or is too short, or the labels are not its own.
        """
        path, channel = source.recording.path, source.recording.channel
        samples = read_audio(path, self.sample_rate, channel)
        length_s = len(samples) / self.sample_rate
        if length_s < self.cut.shortest_s:
            raise BadInput(
                f"{path} lasts {length_s:.2g} s; clips last {self.cut.shortest_s:g} s at least"
            )
        clipping = Clipping(path, channel)
        notes = []
        samples -= np.mean(samples, dtype=np.float64).astype(np.float32)  # a cheap card's offset
        if (peak := float(np.abs(samples).max())) > 1:
            samples *= np.float32(_HEADROOM / peak)
            notes.append(f"{source.recording.source}: turned down by {peak / _HEADROOM:.2f}")
        activity = listen(samples, self.sample_rate)
        wanted, others = None, []
        if source.labels is not None:
            labels = source.labels.within(path, length_s)
            if late := source.labels.cues[len(labels.cues) :]:
                notes.append(
                    f"{source.recording.source}: left out {len(late)} of "
                    f"{len(source.labels.cues)} cues of {labels.path.name}, from line "
                    f"{late[0].line}, after the recording's end at {length_s:.2f} s"
                )
            wanted, others = labels.of(self.label), labels.not_of(self.label)
            agreement = total_s(intersect(wanted, activity.speech)) / max(total_s(wanted), 1e-9)
            if wanted and agreement < LEAST_AGREEMENT:
                notes.append(
                    f"{source.recording.source}: there is speech in {agreement:.0%} of the time "
                    f"that {labels.path.name} labels; are they shifted, or of another cut?"
                )
        cuts = cut(activity, length_s, self.cut, wanted, others)

        kept, dropped = [], []
        for span in cuts.spans:
            first, last = (round(edge * self.sample_rate) for edge in span)
            clip = samples[first:last]
            measured = quality(clip, activity.snr_db(span), clipping.share(span))
            where = {"start_s": round(span.start_s, 3), "seconds": round(span.length_s, 3)}
            if (reason := self.limits.fault(measured)) is not None:
                dropped.append({**where, "reason": reason})
                continue
            kept.append(
                {**self._write(source.name, span, clip), **where, "snr_db": measured.snr_db}
                | measured.levels._asdict()
            )
        left_out_s = cuts.left_out_s
        return {"kept": kept, "dropped": dropped, "left_out_s": left_out_s, "notes": notes}

    def _write(self, name: str, span: Span, clip: np.ndarray) -> dict[str, Any]:
        relative = f"{name}/{round(span.start_s * 1000):09d}.flac"
        path = self.output / relative
        write_audio(path, clip, self.sample_rate, overwrite=True)
        return {
            "path": relative,
            "samples": len(clip),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }

    def settings(self) -> dict[str, Any]:
        """JSON values of what clips depend on."""
        return {
            "sample_rate": self.sample_rate,
            "label": self.label,
            **asdict(self.cut),
            **asdict(self.limits),
        }
