"""Who speaks when, as the file beside a recording says: RTTM diarisation or captions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vocoder.config import nearest
from vocoder.corpus.captions import Cue, read_captions, read_text
from vocoder.corpus.spans import Span, merge, total_s
from vocoder.errors import BadInput, some_of
from vocoder.image.dataset.recordings import AUDIO_SUFFIX

# In order of trust: diarisation times voices, subtitles time reading.
SUFFIXES = (".rttm", ".vtt", ".srt")
# Type, file, channel, onset, duration, two unused, name; confidence and lookahead may follow.
_RTTM_FIELDS = 8, 10
_RTTM_NOTHING = "<NA>"
# Of the cues, beside one that always may: credits come after the end, but a greater share means
# that the labels do not fit.
_MAX_LATE = 0.03


@dataclass(frozen=True)
class Labels:
    """The cues of one recording, in order of time, and the file that they come from."""

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

    def within(self, recording: Path, length_s: float) -> Labels:
        """Leave out the few cues that begin after the recording's end, such as credits.

        More of them mean labels of another recording, or of one that was cut since: refused.
        """
        inside = tuple(cue for cue in self.cues if cue.span.start_s < length_s)
        late = self.cues[len(inside) :]
        if late and (not inside or len(late) > max(1, _MAX_LATE * len(self.cues))):
            raise BadInput(
                f"{self.path}, line {late[0].line}: begins at {late[0].span.start_s:.2f} s, but "
                f"{recording} ends at {length_s:.2f} s, before {len(late)} of {len(self.cues)} "
                "cues; are these the labels of another recording?",
                key="labels.late",
            )
        return replace(self, cues=inside)


def find_labels(recording: Path, captions: Path | None = None) -> Path | None:
    """Find the label file of a recording: its name with ``.rttm``, ``.vtt`` or ``.srt``.

    The first of these that is there, in capitals too. A language may stand between, as in
    ``talk.en.srt``, unless that is another recording's name.

    ``captions`` is a file, which is taken as it is, or the folder to look in; beside the recording
    if not given.
    """
    if captions is not None and captions.is_file():
        return captions
    recorded = {
        path.stem for path in recording.parent.iterdir() if AUDIO_SUFFIX.fullmatch(path.suffix)
    }
    files = sorted(path for path in (captions or recording.parent).iterdir() if path.is_file())
    for suffix in SUFFIXES:
        labels = [path for path in files if path.suffix.lower() == suffix]
        found = [path for path in labels if path.stem in (recording.stem, recording.name)] or [
            path
            for path in labels
            if path.stem.rpartition(".")[0] == recording.stem and path.stem not in recorded
        ]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise BadInput(
                f"{recording} has several label files: {names}; keep one", key="labels.conflict"
            )
        if found:
            return found[0]
    return None


def read_labels(path: Path, recording: Path) -> Labels:
    """Read a label file: ``.rttm``, ``.vtt`` or ``.srt``.

    An RTTM file of several recordings names each by its stem.
    """
    is_rttm = path.suffix.lower() == ".rttm"
    cues = _read_rttm(path, recording) if is_rttm else read_captions(path)
    if not cues:
        raise BadInput(f"{path} holds no cues; remove it, or export it again", key="labels.missing")
    return Labels(path, tuple(sorted(cues, key=lambda cue: (cue.span, cue.line))))


def choose_speaker(everything: Sequence[Labels], speaker: str | None) -> str | None:
    """Choose the speaker whose speech is wanted, whom the user named in capitals or not.

    Gives the most frequent spelling of the name; ``None`` where there are no labels, or nobody is
    chosen and they name nobody.
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
            "speech, without speaker= or without the labels",
            key="labels.names",
        )
    if speaker is None or speaker.casefold() not in spellings:
        listed = ", ".join(
            f"{name} ({seconds[name] / 60:.1f} min)"
            for name in sorted(seconds, key=lambda name: -seconds[name])
        )
        if speaker is None:
            raise BadInput(
                f"the labels name several speakers: {listed}; choose one with speaker=",
                key="speaker.missing",
            )
        hint = nearest(speaker, sorted(seconds))
        raise BadInput(
            f"no label names {speaker}{hint} (the labels have {listed})", key="speaker.unknown"
        )
    return spellings[speaker.casefold()]


def _spellings(cues: Iterable[Cue]) -> dict[str, str]:
    """How most cues spell every name, by the name in small letters."""
    names = Counter(cue.speaker for cue in cues if cue.speaker).most_common()
    return {name.casefold(): name for name, _ in reversed(names)}


def _is_of(cue: Cue, speaker: str) -> bool:
    return cue.speaker is not None and cue.speaker.casefold() == speaker.casefold()


def _read_rttm(path: Path, recording: Path) -> list[Cue]:
    """Read NIST's rich transcription time marks: type, file, channel, onset, duration, …, name."""
    by_file: dict[str, list[Cue]] = defaultdict(list)
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0] != "SPEAKER":  # comments begin with ;;
            continue
        # A name of two words would shift what follows.
        optional = all(word == _RTTM_NOTHING or _is_number(word) for word in words[8:])
        fits = _RTTM_FIELDS[0] <= len(words) <= _RTTM_FIELDS[1]
        if not fits or not optional or _is_number(words[5]) or not all(map(_is_number, words[3:5])):
            raise BadInput(
                f"{path}, line {number}: {line.strip()[:80]!r}; expected SPEAKER file channel "
                "onset duration <NA> <NA> name, with seconds of 0 or more, and at most two "
                "numbers or <NA> more, without spaces in the names",
                key="labels.format",
            )
        onset_s, length_s = (float(word.replace(",", ".")) for word in words[3:5])
        name = None if words[7] == _RTTM_NOTHING else words[7]
        if length_s > 0:
            by_file[words[1]].append(Cue(Span(onset_s, onset_s + length_s), name, number))
    if len(by_file) == 1:
        return next(iter(by_file.values()))
    if by_file and recording.stem not in by_file:
        raise BadInput(
            f"{path} is about {some_of(sorted(by_file), ', ')}, but not about {recording.stem}",
            key="labels.recording",
        )
    return by_file[recording.stem]


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"\d{1,9}([.,]\d{0,9})?", word))
