"""SRT and WebVTT subtitles, as they are found in the wild: when, and if it says so, who."""

from __future__ import annotations

import codecs
import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocoder.corpus.spans import Span
from vocoder.errors import BadInput

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,6}))?"
# Position and style settings may follow.
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s+.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)*\s+([^>]+)>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_NAME = r"(?P<name>[^\W_][\w.'’&-]*(?: [\w.'’&-]+){0,3})"  # of one to four words
# (off), [on the phone]; but MAN (1) and MAN (#2) are two.
_REMARK = r"(?:\s*[\[(](?P<%s>[^\d#\[\]()]+)[\])])?"
# ANNA: or ANNA (off): or [ANNA]: at the beginning of a line, perhaps after a dash.
_PREFIX = re.compile(
    rf"[-–—>\s]*(?P<bracket>[\[(])?{_NAME}{_REMARK % 'inner'}"
    rf"(?(bracket)[\])]{_REMARK % 'outer'})\s*:(?:\s|$)"
)
_BRACKETED = re.compile(rf"[-–—>\s]*[\[(]{_NAME}[\])]\s*[^\s\[(]")  # [ANNA] and words
_DASH = re.compile(r"\s*[-–—]\s*\S")
# "Well: I never" is no name. Whoever is named is named more than once.
_LEAST_CUES = 2
_BLOCKS = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True)
class Cue:
    """A stretch of time with who speaks in it.

    Parameters
    ----------
    span : Span
    speaker : str or None
        ``None`` where it is not said, or several speak.
    line : int
        Where in the file, from 1.
    """

    span: Span
    speaker: str | None
    line: int


@dataclass
class _Block:
    """A cue with its lines of text as they stand."""

    span: Span
    line: int
    text: list[str] = field(default_factory=list)


def read_subtitles(path: Path) -> list[Cue]:
    """Read ``.srt`` or ``.vtt``.

    Speakers are taken from WebVTT's voice tags (``<v Name>``), or else from names before a colon:
    ``[NAME]: text``, or ``NAME: text`` and ``NAME (remark): text`` if at least two cues have the
    name. ``[NAME] text`` counts where most cues of the file begin like that; else it may be a
    sound. A cue of several speakers has none.

    Raises
    ------
    BadInput
        Not text in UTF-8 or UTF-16, or a line that cannot be understood, with its number.
    """
    text = read_text(path)
    lines = text.splitlines()
    is_vtt = path.suffix.lower() == ".vtt"
    if is_vtt and not (lines and re.fullmatch(r"WEBVTT(\s.*)?", lines[0])):
        raise BadInput(f"{path}, line 1: {_shown(lines[:1])}; a WebVTT file begins with WEBVTT")
    blocks = [block for block in _blocks(path, lines, is_vtt=is_vtt) if block.span.length_s > 0]
    return [
        Cue(block.span, _speaker(block.text, names), block.line)
        for block, names in zip(blocks, _names([block.text for block in blocks]), strict=True)
    ]


def read_text(path: Path) -> str:
    """A text file in UTF-8 or, with a byte order mark, UTF-16.

    Raises
    ------
    BadInput
        Cannot be read, or is in another encoding; names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}, line {number}: byte {content[error.start]:#04x} is not "
            f"{'UTF-16' if wide else 'UTF-8'}; save the file as UTF-8"
        ) from error
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise BadInput(f"{path}, line {number}: holds a zero byte, so it is no text file")
    return text


def _blocks(path: Path, lines: Sequence[str], *, is_vtt: bool) -> Iterator[_Block]:
    block: _Block | None = None
    skipping = is_vtt  # the header reaches to the first empty line
    for number, line in enumerate(lines, start=1):
        if "-->" in line:
            if block is not None:
                yield _without_index(block)
            block, skipping = _Block(_span(line, f"{path}, line {number}"), number), False
        elif not line.strip():
            skipping = False
            if block is not None:
                block.text.append("")
        elif is_vtt and line.split()[0] in _BLOCKS and (block is None or block.text[-1:] == [""]):
            skipping = True
        elif block is not None and not skipping:
            block.text.append(line)
        elif not (is_vtt or line.strip().isdigit()):
            raise BadInput(
                f"{path}, line {number}: {_shown([line])}; expected the number of the first cue "
                "or its times, such as 00:00:01,500 --> 00:00:03,000"
            )
    if block is not None:
        yield block


def _without_index(block: _Block) -> _Block:
    """Drop the number or name of the next cue, which stands right before its times."""
    text = block.text
    after_gap = len(text) > 1 and text[-2] == "" != text[-1]
    if text and (after_gap or text[-1].strip().isdigit()):
        text = text[:-1]
    return _Block(block.span, block.line, text)


def _span(line: str, place: str) -> Span:
    found = _TIMES.fullmatch(line)
    if found is None:
        raise BadInput(
            f"{place}: {_shown([line])}; expected times such as 00:00:01,500 --> 00:00:03,000"
        )
    groups = found.groups()
    start_s, end_s = (_seconds(groups[k : k + 4], place) for k in (0, 4))
    if end_s < start_s:
        raise BadInput(f"{place}: ends at {end_s:g} s, before it begins at {start_s:g} s")
    return Span(start_s, end_s)


def _seconds(parts: Sequence[str | None], place: str) -> float:
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    if minutes >= 60 or seconds >= 60:
        raise BadInput(f"{place}: {minutes} minutes, {seconds} seconds; expected less than 60 each")
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{parts[3] or 0}")


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
    known = {name for name, count in counts.items() if count >= _LEAST_CUES}
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
    """What may be a name in brackets; [laughs] and [door slams] are sounds, in small letters."""
    match = _BRACKETED.match(line)
    return match if match and not match["name"][0].islower() else None


def _speaker(text: Sequence[str], prefixes: Sequence[str]) -> str | None:
    """Who speaks a cue, if that is one and the same from its first word to its last."""
    whole = "\n".join(text)
    if tags := _VOICE.findall(whole):
        names = [tag.strip() for tag in tags]
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


def _shown(lines: Sequence[str]) -> str:
    return repr(lines[0][:60]) if lines else "an empty file"
