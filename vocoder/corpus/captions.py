"""Captions in SRT and WebVTT, as they are found in the wild: when, and if it says so, who.

The parser is our own: webvtt-py takes ``05,5`` for 5 ms and refuses SRT that begins with an empty
line, pysubs2 takes notes and cue names of WebVTT for spoken words, and both pass over a cue whose
times are mistyped, which would give its speech to whoever speaks around it.
"""

from __future__ import annotations

import codecs
import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from vocoder.corpus.spans import Span
from vocoder.errors import BadInput
from vocoder.files import reading

MAX_BYTES = 20_000_000  # a hundred times the captions of a long film
_TIME = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d(?:[.,]\d{1,6})?)"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")  # position and style may follow
# Every pattern ends at the next "<", so that no text takes longer than its length.
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]+)>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_NAME = r"(?P<name>[^\W_][\w.'’&-]*(?: [\w.'’&-]+){0,3})"  # of one to four words
# (off), [on the phone]; but MAN (1) and MAN (#2) are two.
_REMARK = r"(?:\s?[\[(](?P<%s>[^\d#\[\]()]+)[\])])?"
# ANNA: or ANNA (off): or [ANNA]: at the beginning of a line, perhaps after a dash.
_PREFIX = re.compile(
    rf"[-–—>\s]*(?P<bracket>[\[(])?{_NAME}{_REMARK % 'inner'}"
    rf"(?(bracket)[\])]{_REMARK % 'outer'})\s*:(?:\s|$)"
)
_BRACKETED = re.compile(rf"[-–—>\s]*[\[(]{_NAME}[\])]\s*[^\s\[(]")  # [ANNA] and words
_DASH = re.compile(r"\s*[-–—]\s*\S")
_NOTE = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")
# "Well: I never" is no name. Whoever is named is named more than once.
_MIN_CUES = 2


class Cue(NamedTuple):
    """A stretch of time, and who speaks in it: ``None`` if it is not said, or if several do."""

    span: Span
    speaker: str | None
    line: int  # of the file, from 1


def read_captions(path: Path) -> list[Cue]:
    """Read ``.srt`` or ``.vtt``.

    Speakers are taken from WebVTT's voice tags (``<v Name>``), or else from names before a colon:
    ``[NAME]: text``, or ``NAME: text`` and ``NAME (remark): text`` if at least two cues have the
    name. ``[NAME] text`` counts where most cues of the file begin like that; else it may be a
    noise. A cue of several speakers has none.
    """
    lines = read_text(path).splitlines()
    is_vtt = path.suffix.lower() == ".vtt"
    if is_vtt and not (lines and re.match(r"WEBVTT(\s|$)", lines[0])):
        found = repr(lines[0][:60]) if lines else "an empty file"
        raise BadInput(
            f"{path}, line 1: {found}; a WebVTT file begins with WEBVTT", key="captions.format"
        )
    cues = [cue for cue in _cues(path, lines, is_vtt=is_vtt) if cue[0].length_s > 0]
    names = _names([text for _, _, text in cues])
    return [
        Cue(span, _speaker(text, own), line)
        for (span, line, text), own in zip(cues, names, strict=True)
    ]


def read_text(path: Path) -> str:
    """Read text in UTF-8 or, with a byte order mark, UTF-16."""
    with reading(path, "captions.unreadable"), path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadInput(
            f"{path} has more than {MAX_BYTES} bytes; captions of an hour have a hundredth of it",
            key="captions.size",
        )
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
        wrong = len(text[: text.index("\0")].encode()) if "\0" in text else -1
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        line = content.count(b"\n", 0, wrong) + 1
        raise BadInput(
            f"{path}, line {line}: not text in {'UTF-16' if wide else 'UTF-8'}; save it as UTF-8",
            key="captions.encoding",
        )
    return text


def _cues(
    path: Path, lines: Sequence[str], *, is_vtt: bool
) -> Iterator[tuple[Span, int, list[str]]]:
    """Times, line number and text of every cue."""
    starts = [number for number, line in enumerate(lines) if "-->" in line]
    for number, line in enumerate(lines[: starts[0] if starts else None], start=1):
        if not is_vtt and line.strip() and not line.strip().isdigit():
            raise BadInput(
                f"{path}, line {number}: {line[:60]!r}; expected the number of the first cue or "
                "its times, such as 00:00:01,500 --> 00:00:03,000",
                key="captions.format",
            )
    for start, end in pairwise([*starts, len(lines)]):
        text = list(lines[start + 1 : end])
        if end < len(lines) and text:
            # The number or name of the next cue stands right before its times.
            after_gap = len(text) > 1 and not text[-2].strip() and text[-1].strip()
            if after_gap or text[-1].strip().isdigit():
                text.pop()
        if is_vtt:
            text = _without_notes(text)
        yield _span(lines[start], f"{path}, line {start + 1}"), start + 1, text


def _without_notes(text: Sequence[str]) -> list[str]:
    """Drop the blocks of WebVTT that are no cues; a block begins after an empty line."""
    kept, in_note, previous = [], False, "text"
    for line in text:
        if not previous.strip():
            in_note = bool(_NOTE.match(line))
        if not in_note:
            kept.append(line)
        previous = line
    return kept


def _span(line: str, place: str) -> Span:
    found = _TIMES.fullmatch(line)
    if found is None:
        raise BadInput(
            f"{place}: {line[:60]!r}; expected times such as 00:00:01,500 --> 00:00:03,000",
            key="captions.time",
        )
    start_s, end_s = (
        3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
        for hours, minutes, seconds in (found.groups()[:3], found.groups()[3:])
    )
    if end_s < start_s:
        raise BadInput(
            f"{place}: ends at {end_s:g} s, before it begins at {start_s:g} s", key="captions.time"
        )
    return Span(start_s, end_s)


def _names(texts: Sequence[Sequence[str]]) -> list[list[str]]:
    """The name that each line of each cue begins with; empty where there is none."""
    plain = [[_plain(line) for line in text] for text in texts]
    found = [[_PREFIX.match(line) for line in text] for text in plain]
    bracketed = [[_bracketed(line) for line in text] for text in plain]
    if 2 * sum(map(any, bracketed)) > len(texts):
        found = [
            [one or other for one, other in zip(*lines, strict=True)]
            for lines in zip(found, bracketed, strict=True)
        ]
    names = [[match["name"] if match else "" for match in own] for own in found]
    counts = Counter(name for own in names for name in {name.casefold() for name in own})
    known = {name for name, count in counts.items() if count >= _MIN_CUES}
    remarks: dict[str, set[str]] = defaultdict(set)
    for match in (match for own in found for match in own if match):
        name, is_prefix = match["name"].casefold(), match.re is _PREFIX
        if is_prefix and match["bracket"] == "[":  # nothing but a name is written so
            known.add(name)
        remarks[name].add((match["inner"] or match["outer"] or "") if is_prefix else "")
    # WOMAN (older) and WOMAN (younger) are two, unless one is called WOMAN alone.
    known -= {name for name, said in remarks.items() if len(said) > 1 and "" not in said}
    return [[name if name.casefold() in known else "" for name in own] for own in names]


def _bracketed(line: str) -> re.Match[str] | None:
    """Match what may be a name in brackets; [laughs] and [door slams], in small letters, are
    sounds."""
    match = _BRACKETED.match(line)
    return match if match and not match["name"][0].islower() else None


def _speaker(text: Sequence[str], prefixes: Sequence[str]) -> str | None:
    """Who speaks a cue, if that is one and the same from its first word to its last."""
    whole = "\n".join(text)
    if tags := _VOICE.findall(whole):
        names = [" ".join(tag.split()) for tag in tags]
        begins = not _plain(_VOICE.split(whole, maxsplit=1)[0]).strip()
        changes = False
    else:
        spoken = [(line, name) for line, name in zip(text, prefixes, strict=True) if line.strip()]
        names = [name for _, name in spoken if name]
        begins = bool(names and spoken[0][1])
        changes = sum(bool(_DASH.match(_plain(line))) for line, _ in spoken) > 1
    alone = len({name.casefold() for name in names}) == 1
    return names[0] if alone and begins and not changes else None


def _plain(line: str) -> str:
    """Without markup: YouTube writes ``&gt;&gt; ANNA:``."""
    return html.unescape(_TAG.sub("", line))
