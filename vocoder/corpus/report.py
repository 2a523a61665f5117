"""What a corpus holds and what was left out of it, for people and for programs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from vocoder.corpus.manifest import SPLITS, Utterance, data_digest
from vocoder.files import atomic_path, write_text

JSON_NAME, MARKDOWN_NAME, PLOT_NAME = "report.json", "report.md", "levels.png"
_BIN_DB = 1.0
_MIN_MINUTES = 0.005  # what two decimals show


@dataclass(frozen=True)
class Dropped:
    """An utterance of a recording, ``source``, that was found but not kept."""

    source: str
    speaker: str
    start_s: float
    seconds: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything about the making of a corpus."""

    title: str
    settings: dict[str, Any]  # JSON values: what it was made with
    utterances: Sequence[Utterance]
    snr_db: Sequence[float]  # of every utterance
    dropped: Sequence[Dropped] = ()
    # Seconds that never became utterances, such as silence, by speaker and reason.
    left_out_s: dict[str, dict[str, float]] = field(default_factory=dict)
    # Recordings that could not be used at all, each with the reason.
    failed: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def write(self, folder: Path) -> None:
        """Write ``report.json``, ``report.md`` and ``levels.png``."""
        content = {
            "title": self.title,
            "settings": self.settings,
            "data_digest": data_digest(self.utterances),
            "speakers": self.speakers(),
            "left_out": self.left_out(),
            "dropped": [asdict(one) for one in self.dropped],
            "failed": self.failed,
            "notes": list(self.notes),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, written in ((JSON_NAME, text), (MARKDOWN_NAME, self.markdown())):
            write_text(folder / name, written, overwrite=True)
        self._plot(folder / PLOT_NAME)

    def speakers(self) -> dict[str, dict[str, Any]]:
        """Utterances and minutes of every split, and levels, by speaker."""
        found: dict[str, dict[str, Any]] = {}
        for speaker in sorted({one.speaker for one in self.utterances}):
            own = [k for k, one in enumerate(self.utterances) if one.speaker == speaker]
            row: dict[str, Any] = {}
            for split in SPLITS:
                inside = [self.utterances[k] for k in own if self.utterances[k].split == split]
                minutes = round(sum(one.seconds for one in inside) / 60, 2)
                row[split] = {"utterances": len(inside), "minutes": minutes}
            row["rms_dbfs"] = _quartiles([self.utterances[k].rms_dbfs for k in own])
            row["peak_dbfs"] = max(self.utterances[k].peak_dbfs for k in own)
            row["snr_db"] = _quartiles([self.snr_db[k] for k in own])
            found[speaker] = row
        return found

    def left_out(self) -> dict[str, dict[str, dict[str, float]]]:
        """Utterances and minutes that were left out, by speaker and reason."""
        rows: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
        for speaker, reasons in self.left_out_s.items():
            for reason, seconds in reasons.items():
                rows[speaker, reason][1] += seconds / 60
        for one in self.dropped:
            rows[one.speaker, one.reason][0] += 1
            rows[one.speaker, one.reason][1] += one.seconds / 60
        found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        for (speaker, reason), (count, minutes) in sorted(rows.items()):
            if count or minutes >= _MIN_MINUTES:
                found[speaker][reason] = {"utterances": count, "minutes": round(minutes, 2)}
        return dict(found)

    def tables(self) -> str:
        """What is kept and what is not, as Markdown."""
        kept = [
            [
                speaker,
                *(f"{row[split]['utterances']}, {row[split]['minutes']:.1f}" for split in SPLITS),
                " ".join(f"{value:.1f}" for value in row["rms_dbfs"]),
                f"{row['peak_dbfs']:.1f}",
                " ".join(f"{value:.0f}" for value in row["snr_db"]),
            ]
            for speaker, row in self.speakers().items()
        ]
        splits = [f"{split}: utterances, min" for split in SPLITS]
        levels = ["RMS dBFS (quartiles)", "peak dBFS", "SNR dB (quartiles)"]
        lost = [
            [speaker, reason, row["utterances"] or "", f"{row['minutes']:.1f}"]
            for speaker, reasons in self.left_out().items()
            for reason, row in reasons.items()
        ]
        return "\n\n".join(
            tabulate(rows, head, tablefmt="pipe", disable_numparse=True)
            for rows, head in (
                (kept, ["speaker", *splits, *levels]),
                (lost, ["speaker", "left out", "utterances", "min"]),
            )
        )

    def markdown(self) -> str:
        """The whole report, for reading."""
        parts = [f"# {self.title}", self.tables(), f"![Levels of the utterances]({PLOT_NAME})"]
        if self.failed:
            failed = [f"* {name}: {reason}" for name, reason in self.failed.items()]
            parts += ["Recordings that could not be used:", "\n".join(failed)]
        settings = [f"{name}: {value}" for name, value in self.settings.items()]
        facts = [*self.notes, *settings, f"data digest: {data_digest(self.utterances)}"]
        return "\n\n".join([*parts, "\n".join(f"* {fact}" for fact in facts)]) + "\n"

    def _plot(self, path: Path) -> None:
        from matplotlib.figure import Figure

        speakers = sorted({one.speaker for one in self.utterances})
        figure = Figure(figsize=(8, 1 + 1.6 * len(speakers)), layout="constrained")
        panels = np.ravel(figure.subplots(len(speakers), sharex=True, squeeze=False))
        for axes, speaker in zip(panels, speakers, strict=True):
            own = [one for one in self.utterances if one.speaker == speaker]
            minutes = [one.seconds / 60 for one in own]
            for label, values in (
                ("RMS", [one.rms_dbfs for one in own]),
                ("peak", [one.peak_dbfs for one in own]),
            ):
                bins = np.arange(np.floor(min(values)), max(values) + 2 * _BIN_DB, _BIN_DB)
                axes.hist(values, bins, weights=minutes, alpha=0.6, label=label)
            axes.set_title(speaker, loc="left", fontsize="medium")
            axes.set_ylabel("minutes")
        panels[0].legend(loc="upper left")
        panels[-1].set_xlabel("level of utterances, dBFS")
        with atomic_path(path, overwrite=True) as temporary:
            figure.savefig(temporary, dpi=100, format="png")


def _quartiles(values: Sequence[float]) -> list[float]:
    return [round(float(value), 1) for value in np.percentile(values, (25, 50, 75))]
