"""What a corpus holds and what was left out of it, for people and for programs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vocoder.corpus.manifest import SPLITS, Clip, data_digest
from vocoder.files import atomic_path, write_text

JSON_NAME, MARKDOWN_NAME, PICTURE_NAME = "report.json", "report.md", "levels.png"
_BIN_DB = 1.0
_LEAST_MINUTES = 0.005  # what two decimals show


@dataclass(frozen=True)
class Dropped:
    """A clip that was found but not kept.

    Parameters
    ----------
    source : str
        The recording.
    speaker : str
    start_s, seconds : float
        Where in it.
    reason : str
    """

    source: str
    speaker: str
    start_s: float
    seconds: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything about the making of a corpus.

    Parameters
    ----------
    title : str
    settings : dict
        JSON values: what it was made with.
    clips : sequence of Clip
    snr_db : sequence of float
        Of every clip.
    dropped : sequence of Dropped
    left_out_s : dict
        By speaker and reason: seconds that never became clips, such as silence.
    failed : dict
        Recordings that could not be used at all, each with the reason.
    notes : list of str
        What else a reader should know.
    """

    title: str
    settings: dict[str, Any]
    clips: Sequence[Clip]
    snr_db: Sequence[float]
    dropped: Sequence[Dropped] = ()
    left_out_s: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def write(self, folder: Path) -> None:
        """Write ``report.json``, ``report.md`` and the picture ``levels.png``."""
        content = {
            "title": self.title,
            "settings": self.settings,
            "data_digest": data_digest(self.clips),
            "speakers": self.speakers(),
            "left_out": self.left_out(),
            "dropped": [vars(one) for one in self.dropped],
            "failed": self.failed,
            "notes": list(self.notes),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, written in ((JSON_NAME, text), (MARKDOWN_NAME, self.markdown())):
            write_text(folder / name, written, overwrite=True)
        self._draw(folder / PICTURE_NAME)

    def speakers(self) -> dict[str, dict[str, Any]]:
        """Clips and minutes of every split, and levels, by speaker."""
        found: dict[str, dict[str, Any]] = {}
        for speaker in sorted({clip.speaker for clip in self.clips}):
            own = [index for index, clip in enumerate(self.clips) if clip.speaker == speaker]
            row: dict[str, Any] = {}
            for split in SPLITS:
                inside = [self.clips[k] for k in own if self.clips[k].split == split]
                row[split] = {
                    "clips": len(inside),
                    "minutes": round(sum(clip.seconds for clip in inside) / 60, 2),
                }
            rms = [self.clips[k].rms_dbfs for k in own]
            row["rms_dbfs"] = _quartiles(rms)
            row["peak_dbfs"] = max(self.clips[k].peak_dbfs for k in own)
            row["snr_db"] = _quartiles([self.snr_db[k] for k in own])
            found[speaker] = row
        return found

    def left_out(self) -> dict[str, dict[str, dict[str, float]]]:
        """Clips and minutes that were left out, by speaker and reason."""
        found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        for speaker, reasons in self.left_out_s.items():
            for reason, seconds in reasons.items():
                found[speaker][reason] = {"clips": 0, "minutes": seconds / 60}
        for one in self.dropped:
            row = found[one.speaker].setdefault(one.reason, {"clips": 0, "minutes": 0.0})
            row["clips"] += 1
            row["minutes"] += one.seconds / 60
        return {
            speaker: {
                reason: {"clips": row["clips"], "minutes": round(row["minutes"], 2)}
                for reason, row in sorted(reasons.items())
                if row["clips"] or row["minutes"] >= _LEAST_MINUTES
            }
            for speaker, reasons in sorted(found.items())
        }

    def tables(self) -> str:
        """What is kept and what is not, as Markdown."""
        kept = [
            "| speaker | train clips | min | val clips | min | test clips | min | RMS dBFS "
            "(quartiles) | peak dBFS | SNR dB (quartiles) |",
            "|---|" + "---|" * 9,
        ]
        for speaker, row in self.speakers().items():
            cells = [speaker]
            for split in SPLITS:
                cells += [str(row[split]["clips"]), f"{row[split]['minutes']:.1f}"]
            cells += [
                " ".join(f"{value:.1f}" for value in row["rms_dbfs"]),
                f"{row['peak_dbfs']:.1f}",
                " ".join(f"{value:.0f}" for value in row["snr_db"]),
            ]
            kept.append(f"| {' | '.join(cells)} |")
        lost = ["| speaker | left out | clips | min |", "|---|---|---|---|"]
        lost += [
            f"| {speaker} | {reason} | {row['clips'] or ''} | {row['minutes']:.1f} |"
            for speaker, reasons in self.left_out().items()
            for reason, row in reasons.items()
        ]
        return "\n".join([*kept, "", *lost])

    def markdown(self) -> str:
        """The whole report, for reading."""
        parts = [f"# {self.title}", "", self.tables(), ""]
        parts += [f"![Levels of the clips]({PICTURE_NAME})", ""]
        if self.failed:
            parts += ["Recordings that could not be used:", ""]
            parts += [f"* {name}: {reason}" for name, reason in self.failed.items()] + [""]
        parts += [f"* {note}" for note in self.notes]
        parts += [f"* {name}: {value}" for name, value in self.settings.items()]
        parts += [f"* data digest: {data_digest(self.clips)}"]
        return "\n".join(parts) + "\n"

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        speakers = sorted({clip.speaker for clip in self.clips})
        figure = Figure(figsize=(8, 1 + 1.6 * len(speakers)), layout="constrained")
        panels = np.ravel(figure.subplots(len(speakers), sharex=True, squeeze=False))
        for axes, speaker in zip(panels, speakers, strict=True):
            for name, label in (("rms_dbfs", "RMS"), ("peak_dbfs", "peak")):
                own = [clip for clip in self.clips if clip.speaker == speaker]
                values = [getattr(clip, name) for clip in own]
                minutes = [clip.seconds / 60 for clip in own]
                first = np.floor(min(values))
                bins = np.arange(first, max(values) + 2 * _BIN_DB, _BIN_DB)
                axes.hist(values, bins, weights=minutes, alpha=0.6, label=label)
            axes.set_title(speaker, loc="left", fontsize="medium")
            axes.set_ylabel("minutes")
        panels[0].legend(loc="upper left")
        panels[-1].set_xlabel("level of clips, dBFS")
        with atomic_path(path, overwrite=True) as temporary:
            figure.savefig(temporary, dpi=100, format="png")


def _quartiles(values: Sequence[float]) -> list[float]:
    return [round(float(value), 1) for value in np.percentile(values, (25, 50, 75))]
