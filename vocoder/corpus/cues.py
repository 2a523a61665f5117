"""Who speaks when, as the file beside a recording says: RTTM diarisation or subtitles."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vocoder.config import nearest
from vocoder.corpus.spans import Span, merge, total_s
from vocoder.corpus.subtitles import Cue, read_subtitles, read_text
from vocoder.errors import BadInput, some_of
from vocoder.image.dataset.recordings import AUDIO_SUFFIX

# In order of trust: diarisation times voices, subtitles time reading.
SUFFIXES = (".rttm", ".vtt", ".srt")
# Type, file, channel, onset, duration, two unused, name; confidence and lookahead may follow.
_RTTM_FIELDS = 8, 10
_RTTM_NOTHING = "<NA>"
# Of the cues, beside one that always may: credits come after the end, but a greater share means
# that the labels do not fit.
_MOST_LATE = 0.03


@dataclass(frozen=True)
class Labels:
    """The cues of one recording.

    Parameters
    ----------
    path : Path
        The file that they come from.
    cues : tuple of Cue
        In order of time.
    """

    path: Path
    cues: tuple[Cue, ...]

    @property
    def speakers(self) -> dict[str, float]:
        """Seconds of every named speaker, in the most frequent spelling: case makes no other."""
        names = sorted(_spellings(self.cues).values())
        return {name: total_s(self.of(name)) for name in names}

    def of(self, speaker: str | None) -> list[Span]:
        """When a speaker speaks; for ``None``, when anybody does. Merged."""
        return merge(cue.span for cue in self.cues if speaker is None or _is_of(cue, speaker))

    def not_of(self, speaker: str | None) -> list[Span]:
        """When somebody else speaks or may speak: other names, and cues without a name. Merged."""
        if speaker is None:
            return []
        return merge(cue.span for cue in self.cues if not _is_of(cue, speaker))

    def within(self, recording: Path, total_s: float) -> Labels:
        """Without the cues that begin after the recording's end, such as credits.

        Raises
        ------
        BadInput
            So many that the labels are of another recording, or of one that was cut since.
        """
        inside = tuple(cue for cue in self.cues if cue.span.start_s < total_s)
        late = self.cues[len(inside) :]
        if late and (not inside or len(late) > max(1, _MOST_LATE * len(self.cues))):
            raise BadInput(
                f"{self.path}, line {late[0].line}: begins at {late[0].span.start_s:.2f} s, but "
                f"{recording} ends at {total_s:.2f} s, before {len(late)} of {len(self.cues)} "
                "cues; are these the labels of another recording?"
            )
        return replace(self, cues=inside)


def find_labels(recording: Path) -> Path | None:
    """The label file beside a recording: its name with ``.rttm``, ``.vtt`` or ``.srt``, the first
    of these that is there, in capitals too; a language may stand between, as in ``talk.en.srt``,
    unless that is another recording's name.

    Raises
    ------
    BadInput
        Several of one kind.
    """
    beside = sorted(path for path in recording.parent.iterdir() if path.is_file())
    recorded = {path.stem for path in beside if AUDIO_SUFFIX.fullmatch(path.suffix)}
    for suffix in SUFFIXES:
        labels = [path for path in beside if path.suffix.lower() == suffix]
        found = [path for path in labels if path.stem in (recording.stem, recording.name)] or [
            path
            for path in labels
            if path.stem.rpartition(".")[0] == recording.stem and path.stem not in recorded
        ]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise BadInput(f"{recording} has several label files: {names}; keep one")
        if found:
            return found[0]
    return None


def read_labels(path: Path, recording: Path) -> Labels:
    """Read a label file.

    Parameters
    ----------
    path : Path
        ``.rttm``, ``.vtt`` or ``.srt``.
    recording : Path
        What it belongs to; an RTTM file of several recordings names it by its stem.

    Raises
    ------
    BadInput
        Not such a file, or a line that cannot be understood, with its number.
    """
    if path.suffix.lower() == ".rttm":
        cues: Sequence[Cue] = _read_rttm(path, recording)
    else:
        cues = read_subtitles(path)
    if not cues:
        raise BadInput(f"{path} holds no cues; remove it, or export it again")
    return Labels(path, tuple(sorted(cues, key=lambda cue: (cue.span, cue.line))))


def choose_speaker(everything: Sequence[Labels], speaker: str | None) -> str | None:
    """The speaker whose speech is wanted.

    Parameters
    ----------
    everything : sequence of Labels
        Of all recordings.
    speaker : str or None
        What the user said, in capitals or not.

    Returns
    -------
    str or None
        The most frequent spelling of the name; ``None`` where there are no labels, or nobody is
        chosen and they name nobody.

    Raises
    ------
    BadInput
        Several speakers and none chosen, or one that the labels do not name.
    """
    spellings = _spellings(cue for labels in everything for cue in labels.cues)
    seconds: dict[str, float] = defaultdict(float)
    for labels in everything:
        for name, length_s in labels.speakers.items():
            seconds[spellings[name.casefold()]] += length_s
    if speaker is None and len(seconds) == 1:
        return next(iter(seconds))
    if not seconds:
        if speaker is None or not everything:
            return None
        raise BadInput(
            f"no label names {speaker} or anybody: "
            f"{some_of([str(labels.path) for labels in everything], ', ')}; expected names such as "
            "ANNA: or [ANNA]: before the words, or <v ANNA> in .vtt; write them, or take all "
            "speech, without --speaker or without the labels"
        )
    if speaker is None or speaker.casefold() not in spellings:
        listed = ", ".join(
            f"{name} ({seconds[name] / 60:.1f} min)"
            for name in sorted(seconds, key=lambda name: -seconds[name])
        )
        if speaker is None:
            raise BadInput(f"the labels name several speakers: {listed}; choose one with --speaker")
        hint = nearest(speaker, sorted(seconds))
        raise BadInput(f"no label names {speaker}{hint} (the labels have {listed})")
    return spellings[speaker.casefold()]


def _spellings(cues: Iterable[Cue]) -> dict[str, str]:
    """How most cues spell every name, by the name in small letters."""
    names = Counter(cue.speaker for cue in cues if cue.speaker).most_common()
    return {name.casefold(): name for name, _ in reversed(names)}


def _is_of(cue: Cue, speaker: str) -> bool:
    return cue.speaker is not None and cue.speaker.casefold() == speaker.casefold()


def _read_rttm(path: Path, recording: Path) -> list[Cue]:
    """NIST's rich transcription time marks: of each line the type, file, onset, duration, name."""
    by_file: dict[str, list[Cue]] = defaultdict(list)
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith(";;") or words[0] != "SPEAKER":
            continue
        place = f"{path}, line {number}"
        if (
            not _RTTM_FIELDS[0] <= len(words) <= _RTTM_FIELDS[1]
            or _is_number(words[5])
            or not all(word == _RTTM_NOTHING or _is_number(word) for word in words[8:])
        ):
            raise BadInput(
                f"{place}: {line.strip()[:80]!r}; expected SPEAKER file channel onset duration "
                "<NA> <NA> name, and at most two numbers or <NA> more, without spaces in the names"
            )
        onset_s, length_s = (_seconds(word, place) for word in words[3:5])
        name = None if words[7] == _RTTM_NOTHING else words[7]
        if length_s > 0:
            by_file[words[1]].append(Cue(Span(onset_s, onset_s + length_s), name, number))
    if len(by_file) == 1:
        return next(iter(by_file.values()))
    if by_file and recording.stem not in by_file:
        raise BadInput(
            f"{path} is about {some_of(sorted(by_file), ', ')}, but not about {recording.stem}"
        )
    return by_file[recording.stem]


def _is_number(word: str) -> bool:
    return word.replace(",", ".").replace(".", "", 1).isdecimal()


def _seconds(word: str, place: str) -> float:
    try:
        value = float(word.replace(",", "."))
    except ValueError as error:
        raise BadInput(f"{place}: {word[:40]!r} is no number of seconds") from error
    if not math.isfinite(value) or value < 0:
        raise BadInput(f"{place}: {word[:40]} s; expected 0 or more")
    return value
