"""Which recordings go into a data set: finding, naming, pairing and splitting them."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vocoder.audio import MIX, read_info
from vocoder.errors import BadInput
from vocoder.image.manifest import one_spelling

# What people keep audio in. Some of it libsndfile cannot read: that is then said, not passed over.
AUDIO_SUFFIX = re.compile(
    r"\.(3gp|aac|ac3|aif|aifc|aiff|amr|ape|au|caf|flac|g722|m4a|mka|mp2|mp3|mp4|oga|ogg|opus|rf64|snd|voc|w64"
    r"|wav|wave|webm|wma|wv)",
    re.IGNORECASE,
)
# Longest name in bytes: file systems allow 255, and tile numbers, labels and suffixes come after.
_NAME_BYTES = 180


@dataclass(frozen=True)
class Recording:
    """An audio file, or one channel of it.

    Parameters
    ----------
    relative : str
        Path below the folder that was searched, with ``/``.
    channel : "mix" or int
        All channels mixed, or one of them, counted from 1.
    numbered : bool
        Whether the channel belongs into the name, since others of the file are used too.
    """

    path: Path
    relative: str
    channel: str | int = MIX
    numbered: bool = False

    @property
    def key(self) -> str:
        """Relative path without suffix: what a partner must have in common."""
        return one_spelling(str(PurePosixPath(self.relative).with_suffix("")))

    @property
    def source(self) -> str:
        """How the recording is called in the manifest and in messages."""
        return f"{self.relative}, channel {self.channel}" if self.numbered else self.relative

    @property
    def name(self) -> str:
        """A plain file name from the relative path, ``sub/dir/x.wav`` becoming ``sub_dir__x``."""
        *folders, last = self.key.split("/")
        name = "__".join(filter(None, ["_".join(folders), last]))
        if self.numbered:
            name += f"_ch{self.channel}"
        name = re.sub(r"[^\w.-]+", "-", name).lstrip(".-")
        if len(name.encode()) > _NAME_BYTES:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            name = f"{name.encode()[: _NAME_BYTES - 9].decode(errors='ignore')}-{digest}"
        return name or "untitled"


def find_recordings(folder: Path) -> tuple[list[Recording], list[str]]:
    """All audio files in a folder and its sub-folders, by their suffix, in order of their paths.

    A recording instead of a folder is taken alone.

    Returns
    -------
    recordings : list of Recording
    ignored : list of str
        Paths of other files; hidden ones are passed over.
    """
    if folder.is_file() and AUDIO_SUFFIX.fullmatch(folder.suffix):
        return [Recording(folder, folder.name)], []
    if not folder.is_dir():
        raise BadInput(
            f"{folder} is not a folder; expected a folder of recordings, or one such as .wav or "
            ".flac",
            key="recordings.missing",
        )
    found, ignored = [], []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        if AUDIO_SUFFIX.fullmatch(path.suffix):
            found.append(Recording(path, relative.as_posix()))
        else:
            ignored.append(str(path))
    if not found:
        raise BadInput(
            f"{folder} holds no recordings ({len(ignored)} other files); expected .wav, .flac, "
            ".ogg, .mp3 or the like",
            key="recordings.missing",
        )
    return found, ignored


def choose_channels(
    recordings: Sequence[Recording], channel: str | int
) -> tuple[list[Recording], list[tuple[Recording, str]]]:
    """Take one channel or the mix of each file, or with ``split`` every channel by itself.

    Returns
    -------
    recordings : list of Recording
    failed : list of (Recording, str)
        Files that could not be split, and why.
    """
    if channel != "split":
        if channel != MIX and (type(channel) is not int or channel < 1):
            raise BadInput(
                f"audio_channel is {channel!r}; expected {MIX}, split or a number from 1",
                key="audio_channel.unknown",
            )
        return [replace(one, channel=channel) for one in recordings], []
    chosen: list[Recording] = []
    failed = []
    for one in recordings:
        try:
            n_channels = read_info(one.path).channels
        except BadInput as error:
            failed.append((one, str(error)))
            continue
        chosen += [replace(one, channel=k + 1, numbered=n_channels > 1) for k in range(n_channels)]
    return chosen, failed


def unique_names(names: Sequence[str]) -> list[str]:
    """Number names that were taken before, ``x`` becoming ``x_2``; upper and lower case count as
    the same, since some file systems have it so."""
    taken: set[str] = set()
    unique = []
    for name in names:
        candidate, n = name, 1
        while candidate.casefold() in taken:
            n += 1
            candidate = f"{name}_{n}"
        taken.add(candidate.casefold())
        unique.append(candidate)
    return unique


def pair(
    given: Sequence[Recording], targets: Sequence[Recording]
) -> tuple[list[tuple[Recording, Recording]], list[str]]:
    """Match the recordings of two folders by relative path, whatever their suffixes.

    Returns
    -------
    pairs : list of (Recording, Recording)
        (given, target), in the order of ``targets``.
    problems : list of str
        A line for each recording without a partner, or with several.
    """
    sides = {"A (input_a)": given, "B (input)": targets}
    counts = {side: Counter((one.key, one.channel) for one in many) for side, many in sides.items()}
    problems = []
    for (side, many), other in zip(sides.items(), reversed(sides), strict=True):
        for one in many:
            if counts[side][one.key, one.channel] > 1:
                problems.append(f"{one.source}: several recordings of this name in {side}")
            elif not counts[other][one.key, one.channel]:
                problems.append(f"{one.source}: in {side}, but not in {other}")
    partners = {(one.key, one.channel): one for one in given}
    pairs = [
        (partners[one.key, one.channel], one)
        for one in targets
        if all(count[one.key, one.channel] == 1 for count in counts.values())
    ]
    return pairs, problems


def assign_splits(
    recordings: Sequence[Recording],
    val: float | Sequence[str],
    test: float | Sequence[str],
    seed: int,
) -> dict[str, str]:
    """Spread whole recordings (never parts or channels of one) over train, val and test.

    Parameters
    ----------
    val, test : float or sequence of str
        A share from 0 to 1, drawn at random; or names as in `listed`.
    seed : int
        Of the draw.

    Returns
    -------
    dict
        ``train``, ``val`` or ``test`` by the recording's key.
    """
    keys = sorted({one.key for one in recordings})
    splits: dict[str, str] = {}
    shares = {}
    for split, choice in (("test", test), ("val", val)):
        if isinstance(choice, Sequence):
            named = listed(recordings, choice).values()
            if both := sorted(splits.keys() & named):
                raise BadInput(
                    f"{', '.join(both)}: named both in split.test and in split.val",
                    key="split.conflict",
                )
            splits |= dict.fromkeys(named, split)
        else:
            shares[split] = choice
    _check_shares(shares)
    drawn = [key for key in keys if key not in splits]
    random.Random(seed).shuffle(drawn)
    for split, share in shares.items():
        # Whoever asks for a share gets at least one recording, if there are any to share.
        count = max(round(share * len(keys)), int(share > 0 and len(keys) > 1))
        splits |= dict.fromkeys(drawn[:count], split)
        del drawn[:count]
    return splits | dict.fromkeys(drawn, "train")


def listed(recordings: Sequence[Recording], lines: Sequence[str]) -> dict[str, str]:
    """The keys of the recordings that lines name, by line; lines that name none are left out.

    A line is a relative path, with or without suffix, or the name of an utterance.
    """
    keys = {
        one_spelling(alias): one.key
        for one in recordings
        for alias in (one.name, one.relative, one.key)
    }
    named = {line: keys.get(one_spelling(line)) for line in lines}
    return {line: key for line, key in named.items() if key is not None}


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without empty ones and those that begin with ``#``."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read {path} as a list of recordings ({error}); expected a text file with one "
            "relative path a line",
            key="split.file",
        ) from error
    stripped = [line.strip().replace("\\", "/") for line in lines]
    return [line for line in stripped if line and not line.startswith("#")]


def _check_shares(shares: dict[str, float]) -> None:
    for split, share in shares.items():
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise BadInput(
                f"split.{split} is {share!r}; expected a share from 0 to 1, or a file",
                key="split.range",
            )
    if sum(shares.values()) > 1:
        raise BadInput(
            f"split.val and split.test make {sum(shares.values()):g} together; expected 1 at most",
            key="split.range",
        )
