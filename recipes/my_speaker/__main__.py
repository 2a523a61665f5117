"""Anyone's recordings to a corpus to train on, of one speaker.

    python -m recipes.my_speaker RECORDINGS OUTPUT
    python -m recipes.my_speaker interview.wav OUTPUT --speaker Anna

RECORDINGS is a folder of sound files, or one file. Beside a recording may lie who speaks when:
``.rttm`` (diarisation), ``.vtt`` or ``.srt`` (subtitles), of the same name. See README.md. Stopped
half-way, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from recipes.my_speaker.prepare import Source, Work
from vocoder import load
from vocoder.audio import MIX
from vocoder.corpus.cleaning import Limits
from vocoder.corpus.cues import choose_speaker, find_labels, read_labels
from vocoder.corpus.cut import OTHERS, Cut
from vocoder.corpus.manifest import Clip, write_corpus
from vocoder.corpus.partial import Partial
from vocoder.corpus.report import Dropped, Report
from vocoder.corpus.splitting import assign, stretches
from vocoder.errors import BadInput, some_of
from vocoder.image.dataset.recordings import Recording, find_recordings, unique_names

# Less cannot be split into training, validation and test that mean anything.
LEAST_S = 30.0
ADVISED_MINUTES = 10
DONE, BAD = 0, 2
DOUBLED = "the same as another"
_ROUNDING_S = 1e-6  # less is what the arithmetic of spans leaves of nothing


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    torch.set_num_threads(1)
    try:
        report = build(given)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    print(report.tables())
    for note in report.notes:
        print(f"note: {note}")
    for name, reason in report.failed.items():
        print(f"not used: {name}: {reason}", file=sys.stderr)
    print(f"{given.output}: {len(report.clips)} clips; see {given.output}/report.md")
    return BAD if report.failed else DONE


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m recipes.my_speaker",
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("recordings", type=Path, help="a folder (sub-folders too), or one sound file")
    made.add_argument("output", type=Path, help="new folder for the corpus")
    made.add_argument(
        "--speaker", help="whose speech: a name in the labels; without any labels, any name"
    )
    made.add_argument("--channel", default=MIX, help="mix, or the channel to take, from 1")
    made.add_argument("--spec", default="mel256", help="option of spec= that gives the sample rate")
    made.add_argument("--val", type=float, default=0.05, help="share of the speech to validate on")
    made.add_argument("--test", type=float, default=0.05, help="share of the speech kept to test")
    made.add_argument("--seed", type=int, default=0, help="of the draw of these shares")
    for name, value, text in (
        ("shortest", Cut.shortest_s, "length of a clip, in s"),
        ("longest", Cut.longest_s, "length of a clip, in s"),
        ("pause", Cut.longest_pause_s, "pauses up to this stay in a clip, in s"),
        ("margin", Cut.margin_s, "kept before and after speech, in s"),
        ("snr", Limits.least_snr_db, "least signal-to-noise ratio of a clip, in dB"),
        ("clipped", Limits.most_clipped, "greatest share of clipped samples in a clip"),
        ("level", Limits.least_rms_dbfs, "least RMS level of a clip, in dBFS"),
    ):
        made.add_argument(f"--{name}", type=float, default=value, help=text)
    return made


def build(given: argparse.Namespace) -> Report:
    """The whole recipe: recordings to a corpus.

    Raises
    ------
    BadInput
        Nothing was made, or the output is not whole.
    """
    sources, label, failed = find_sources(given)
    work = Work(
        output=given.output,
        sample_rate=load("spec", given.spec).sample_rate,
        label=label,
        cut=Cut(
            shortest_s=given.shortest,
            longest_s=given.longest,
            longest_pause_s=given.pause,
            margin_s=given.margin,
        ),
        limits=Limits(
            least_snr_db=given.snr,
            most_clipped=given.clipped,
            least_rms_dbfs=given.level,
        ),
    )
    searched = given.recordings.resolve()  # "." has no name of its own
    named = searched.stem if searched.is_file() else searched.name
    speaker = label or given.speaker or named
    partial = Partial(given.output, work.settings())
    pieces: list[tuple[Source, dict[str, Any]]] = []
    with tqdm(sources, unit="recording", disable=None) as bar:
        for source in bar:
            bar.set_description(source.name[-30:], refresh=False)
            if (piece := partial.done(source.name, source.key)) is None:
                try:
                    piece = work.prepare(source)
                except BadInput as error:
                    failed[source.recording.source] = str(error)
                    continue
                partial.note(source.name, source.key, piece)
            pieces.append((source, piece))
    rows = [(source, row) for source, piece in pieces for row in piece["kept"]]
    dropped = [
        Dropped(source.recording.source, speaker, **row)
        for source, piece in pieces
        for row in piece["dropped"]
    ]
    left_out_s: dict[str, float] = {}
    for _, piece in pieces:
        for reason, seconds in piece["left_out_s"].items():
            left_out_s[reason] = left_out_s.get(reason, 0.0) + seconds
    notes = [note for _, piece in pieces for note in piece["notes"]]
    rows, doubled = without_doubles(rows, speaker)
    dropped += doubled
    for name, lost in without_clips(pieces, rows, dropped).items():
        told = ", ".join(f"{reason} {seconds:.1f} s" for reason, seconds in lost.items())
        if next(iter(lost)) in (OTHERS, DOUBLED):  # no fault of the recording
            notes.append(f"{name}: gave no clip: {told}")
        else:
            failed[name] = f"gave no clip: {told}"
    complaints = [*notes, *(f"{name}: {reason}" for name, reason in failed.items())]
    require_enough(rows, dropped, left_out_s, complaints)
    lengths = [row["seconds"] for _, row in rows]
    groups = stretches([(source.name, row["seconds"]) for source, row in rows])
    splits = assign(groups, lengths, {"test": given.test, "val": given.val}, given.seed)
    clips = [
        Clip(
            speaker=speaker,
            split=split,
            start_sample=0,
            sample_rate=work.sample_rate,
            **{name: row[name] for name in ("path", "samples", "peak_dbfs", "rms_dbfs", "sha256")},
        )
        for (_, row), split in zip(rows, splits, strict=True)
    ]
    report = Report(
        title=f"Corpus of {speaker}",
        settings={**work.settings(), "val": given.val, "test": given.test, "seed": given.seed},
        clips=clips,
        snr_db=[row["snr_db"] for _, row in rows],
        dropped=dropped,
        left_out_s={speaker: left_out_s},
        failed=failed,
        notes=[*notes, *advice(sources, clips)],
    )
    report.write(given.output)
    write_corpus(given.output, clips, overwrite=True)
    partial.finish()
    return report


def find_sources(
    given: argparse.Namespace,
) -> tuple[list[Source], str | None, dict[str, str]]:
    """The recordings with their labels, the wanted name in those, and what cannot be used.

    Where labels name speakers, recordings without such labels are left out: nobody can tell who
    speaks there. What lies in the output folder is what was made of recordings, and none.

    Raises
    ------
    BadInput
        No recordings, or the labels leave open who is wanted.
    """
    folder, output, channel = given.recordings, given.output.resolve(), given.channel
    if folder.is_file():
        found = [Recording(folder, folder.name)]
    else:
        found, _ = find_recordings(folder)
        found = [one for one in found if output not in one.path.resolve().parents]
    if not found:
        raise BadInput(f"{folder} holds no recordings but those in the output, {given.output}")
    number: str | int = int(channel) if channel.isdecimal() else channel
    if number != MIX and (isinstance(number, str) or number < 1):
        raise BadInput(f"--channel is {channel!r}; expected {MIX} or a number from 1")
    found = [replace(one, channel=number) for one in found]
    names = unique_names([one.name for one in found])
    sources, failed = [], {}
    for recording, name in zip(found, names, strict=True):
        try:
            path = find_labels(recording.path)
            labels = None if path is None else read_labels(path, recording.path)
        except BadInput as error:
            failed[recording.source] = str(error)
            continue
        sources.append(Source(recording, name, labels))
    label = choose_speaker([one.labels for one in sources if one.labels], given.speaker)
    if label is not None:
        for one in sources:
            if one.labels is None or not one.labels.speakers:
                failed[one.recording.source] = (
                    "nothing says who speaks, while other recordings have labels that do"
                )
        sources = [one for one in sources if one.recording.source not in failed]
    return sources, label, failed


def require_enough(
    rows: Sequence[tuple[Source, dict[str, Any]]],
    dropped: Sequence[Dropped],
    left_out_s: dict[str, float],
    complaints: Sequence[str],
) -> None:
    """Refuse a corpus that cannot be trained on.

    Raises
    ------
    BadInput
        Says where the speech went.
    """
    total_s = sum(row["seconds"] for _, row in rows)
    if total_s >= LEAST_S:
        return
    lost = dict(left_out_s)
    for one in dropped:
        lost[one.reason] = lost.get(one.reason, 0.0) + one.seconds
    where = ", ".join(f"{reason} {seconds:.0f} s" for reason, seconds in lost.items() if seconds)
    said = f"; {some_of(complaints)}" if complaints else ""
    raise BadInput(
        f"{total_s:.0f} s of usable speech; expected {LEAST_S:.0f} s at least, better "
        f"{ADVISED_MINUTES} minutes (left out: {where or 'nothing'}){said}"
    )


def without_doubles(
    rows: Sequence[tuple[Source, dict[str, Any]]], speaker: str
) -> tuple[list[tuple[Source, dict[str, Any]]], list[Dropped]]:
    """Leave out clips that hold exactly the sound of another: the same recording given twice."""
    seen: set[str] = set()
    kept, doubled = [], []
    for source, row in rows:
        if row["sha256"] in seen:
            where = (source.recording.source, speaker, row["start_s"], row["seconds"])
            doubled.append(Dropped(*where, DOUBLED))
        else:
            kept.append((source, row))
        seen.add(row["sha256"])
    return kept, doubled


def without_clips(
    pieces: Sequence[tuple[Source, dict[str, Any]]],
    rows: Sequence[tuple[Source, dict[str, Any]]],
    dropped: Sequence[Dropped],
) -> dict[str, dict[str, float]]:
    """Recordings that gave no clip: seconds by reason, the greatest first.

    Where there were clips, the reasons are those that they were dropped for, since silence lies
    around any speech.
    """
    used = {source.name for source, _ in rows}
    clips_s: dict[str, dict[str, float]] = {}
    for one in dropped:
        own = clips_s.setdefault(one.source, {})
        own[one.reason] = own.get(one.reason, 0.0) + one.seconds
    found = {}
    for source, piece in pieces:
        if source.name not in used:
            lost = clips_s.get(source.recording.source, piece["left_out_s"])
            found[source.recording.source] = {
                reason: lost[reason]
                for reason in sorted(lost, key=lambda reason: -lost[reason])
                if lost[reason] > _ROUNDING_S
            }
    return found


def advice(sources: Sequence[Source], clips: Sequence[Clip]) -> list[str]:
    """What the user should know of how it was made."""
    notes = []
    minutes = sum(clip.seconds for clip in clips) / 60
    if minutes < ADVISED_MINUTES:
        notes.append(
            f"{minutes:.1f} minutes of speech; with {ADVISED_MINUTES} or more a speaker is learnt "
            "better"
        )
    kinds = sorted({one.labels.path.suffix if one.labels else "none" for one in sources})
    notes.append(f"labels used: {', '.join(kinds)}")
    return notes


if __name__ == "__main__":
    sys.exit(main())
