"""Make the fetched lines into a corpus to train on: cleaned, trimmed and split.

    python -m recipes.fillets.corpus outputs/fillets outputs/corpus_fillets

Writes the recordings as they are, ``corpus.csv``, which says which stretch of each is used, and a
report of what was kept and left out (``report.md``, ``report.json``, ``levels.png``). Stopped
half-way, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import shutil
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from recipes.fillets.fetch import SAMPLE_RATE, held_out_lines
from recipes.results import read_lines, recipe
from vocoder.audio import read_audio
from vocoder.corpus.activity import find_speech
from vocoder.corpus.cleaning import Limits
from vocoder.corpus.cut import Cut, cut
from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import Utterance, write_corpus
from vocoder.corpus.partial import Partial
from vocoder.corpus.report import Dropped, Report
from vocoder.corpus.spans import Span
from vocoder.corpus.splitting import draw
from vocoder.errors import BadInput
from vocoder.files import atomic_path

CUT, LIMITS = Cut(), Limits()
VAL_LINES = 12  # of every speaker, as in the held-out list
VAL_S = (2.0, 6.0)
NO_SPEECH = "no speech"

Kept = list[tuple[Utterance, float]]  # with the SNR


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("recordings", type=Path, help="folder that recipes/fillets/fetch.py wrote")
    parser.add_argument("output", type=Path, help="new folder for the corpus")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of validation lines")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    report = build(given.recordings, given.output, given.seed)
    print(report.tables())
    print(
        f"{given.output}: {len(report.utterances)} utterances; licence: GPL-2, see copyright there"
    )
    return 0


def build(recordings: Path, output: Path, seed: int) -> Report:
    """Make the fetched lines into a corpus."""
    lines = fetched(recordings)
    settings = {"seed": seed, **asdict(CUT), **asdict(LIMITS)}
    partial = Partial(output, settings)
    kept: Kept = []
    dropped: list[Dropped] = []
    left_out_s: dict[str, dict[str, float]] = {}
    for speaker, rows in groupby(lines, key=lambda row: row["speaker"]):
        own = list(rows)
        key = hashlib.sha256(repr(own).encode()).hexdigest()
        piece = partial.piece(
            speaker, key, functools.partial(speaker_piece, recordings, output, own)
        )
        kept += [(Utterance(**one), snr_db) for one, snr_db in piece["kept"]]
        dropped += [Dropped(**one) for one in piece["dropped"]]
        left_out_s[speaker] = piece["left_out_s"]
    kept = with_validation(kept, seed)
    with atomic_path(output / "copyright", overwrite=True) as temporary:
        shutil.copyfile(recordings / "copyright", temporary)
    report = Report(
        title="Fish Fillets: four speakers of dialogue",
        settings=settings,
        utterances=[one for one, _ in kept],
        snr_db=[snr_db for _, snr_db in kept],
        dropped=dropped,
        left_out_s=left_out_s,
        notes=[
            "The recordings are under GPL-2; see the file copyright.",
            "Test lines are those of recipes/fillets/test.txt, whole and whatever their quality; "
            "all others are trimmed.",
        ],
    )
    report.write(output)
    write_corpus(output, report.utterances, overwrite=True)
    partial.finish()
    return report


def fetched(recordings: Path) -> list[dict[str, str]]:
    """Rows of ``lines.csv``, in order; its held-out lines must be those of ``test.txt``."""
    rows = sorted(read_lines(recordings), key=lambda row: row["line"])
    if {row["line"] for row in rows if row["split"] == "test"} != held_out_lines():
        raise BadInput(
            f"the test lines of {recordings} are not those of test.txt; fetch them anew",
            key="lines.split",
        )
    return rows


def speaker_piece(recordings: Path, output: Path, rows: list[dict[str, str]]) -> dict[str, Any]:
    """Copy and measure the lines of a speaker; all as JSON values."""
    kept: list[tuple[dict[str, Any], float]] = []
    dropped: list[dict[str, Any]] = []
    left_out_s: dict[str, float] = defaultdict(float)
    for row in tqdm(rows, desc=rows[0]["speaker"], unit="line", disable=None):
        name = f"{row['line']}.flac"
        samples = read_audio(recordings / name, SAMPLE_RATE)
        activity = find_speech(samples, SAMPLE_RATE)
        whole = Span(0.0, len(samples) / SAMPLE_RATE)
        spans = [whole]
        if row["split"] != "test":
            clipped = int(row["clipped_samples"]) / len(samples)
            fault = LIMITS.fault(samples, activity.snr_db(whole), clipped)
            fault = fault if activity.speech else NO_SPEECH
            if fault is not None:
                dropped.append(asdict(Dropped(name, row["speaker"], 0.0, whole.length_s, fault)))
                continue
            spans, lost_s = cut(activity, whole.length_s, CUT)
            for reason, seconds in lost_s.items():
                left_out_s[reason] += seconds
        if spans:
            with atomic_path(output / name, overwrite=True) as temporary:
                shutil.copyfile(recordings / name, temporary)
        sha256 = hashlib.sha256((recordings / name).read_bytes()).hexdigest()
        for span in spans:
            first, last = (round(edge * SAMPLE_RATE) for edge in span)
            utterance = Utterance(
                path=name,
                speaker=row["speaker"],
                split=row["split"],
                start_sample=first,
                samples=last - first,
                sample_rate=SAMPLE_RATE,
                sha256=sha256,
                **levels(samples[first:last])._asdict(),
            )
            kept.append((asdict(utterance), activity.snr_db(span)))
    return {"kept": kept, "dropped": dropped, "left_out_s": left_out_s}


def with_validation(kept: Kept, seed: int) -> Kept:
    """Make some training lines of every speaker validation lines.

    Only lines are drawn that are one utterance, of a middle length.
    """
    counts = Counter(one.path for one, _ in kept)
    chosen: set[str] = set()
    for speaker in sorted({one.speaker for one, _ in kept}):
        candidates = [
            one.path
            for one, _ in kept
            if (one.speaker, one.split) == (speaker, "train")
            and counts[one.path] == 1
            and VAL_S[0] <= one.seconds <= VAL_S[1]
        ]
        if len(candidates) < VAL_LINES:
            raise BadInput(
                f"{speaker} has {len(candidates)} training lines of {VAL_S[0]} to {VAL_S[1]} s; "
                f"expected {VAL_LINES} to validate on",
                key="lines.few",
            )
        chosen |= {*draw(candidates, seed)[:VAL_LINES]}
    return [(replace(one, split="val") if one.path in chosen else one, snr) for one, snr in kept]


if __name__ == "__main__":
    sys.exit(main())
