"""From folders of recordings to the list of utterances that a data set will hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vocoder.audio import read_info
from vocoder.errors import BadInput, expect
from vocoder.image.dataset.recordings import (
    Recording,
    assign_splits,
    choose_channels,
    find_recordings,
    listed,
    pair,
    read_lines,
    unique_names,
)
from vocoder.spec import SpectrogramSpec

STYLES = ("single", "aligned", "unaligned", "pix2pixhd")
PAIRED = ("aligned", "pix2pixhd")
# Share of the recordings kept for the test where nothing was said and the style has a test folder.
DEFAULT_TEST = 0.1


@dataclass(frozen=True)
class Job:
    """One utterance of the data set.

    Parameters
    ----------
    utterance : str
        A plain name, unique in the data set.
    split : str
        ``train``, ``val`` or ``test``; empty where the data set is not split.
    target : Recording
        What the manifest speaks of: the B of a pair, or the only recording.
    given : Recording or None
        The A of a pair.
    domain : {"A", "B"}
        Which side of an unaligned data set.
    """

    utterance: str
    split: str
    target: Recording
    given: Recording | None = None
    domain: str = "B"


@dataclass
class Plan:
    """What shall be made, and what was found amiss.

    Parameters
    ----------
    failed : dict
        Why a recording cannot be used, by its relative path.
    ignored : list of str
        Files that are not audio by their suffix.
    unpaired : list of str
        Recordings left out for lack of a partner, a line each.
    unknown : list of str
        Lines of split lists that name no recording.
    """

    jobs: list[Job] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def make_plan(
    *,
    style: str,
    folder: Path,
    folder_a: Path | None,
    channel: str | int,
    val: float | str,
    test: float | str | None,
    seed: int,
    skip_unpaired: bool,
    trim: bool,
    spec: SpectrogramSpec,
) -> Plan:
    """Find, pair, name and split recordings; audio itself is not read yet.

    Parameters
    ----------
    folder, folder_a : Path
        Recordings; the wanted (B) and the given ones (A), if the style has both.
    channel : str or int
        ``mix``, ``split``, or a number from 1.
    val, test : float, str or None
        A share of the recordings, or a file that lists some. ``None`` for test: 0.1, or for style
        single 0.
    seed : int
        Of the split.
    skip_unpaired : bool
        Leave out recordings without a partner instead of refusing them.
    trim : bool
        Accept pairs of different lengths.
    """
    expect(style in STYLES, "style", style, f"one of {', '.join(STYLES)}", "unknown")
    if (folder_a is None) != (style == "single"):
        needs = "no input_a" if style == "single" else "input_a, the folder of given recordings (A)"
        raise BadInput(f"style={style} needs {needs}", key="input_a.conflict")
    plan = Plan()
    unreadable: set[str] = set()
    sides = [_search(one, channel, plan, unreadable) for one in (folder, folder_a) if one]
    if test is None:
        test = 0.0 if style == "single" else DEFAULT_TEST
    choices = {
        split: _choice(choice, split, sides, plan)
        for split, choice in (("val", val), ("test", test))
    }
    groups: list[tuple[str, list[tuple[Recording | None, Recording]]]]
    if style in PAIRED:
        readable = [[one for one in side if one.key not in unreadable] for side in sides]
        pairs = _match(readable[1], readable[0], plan, skip_unpaired, trim, spec)
        groups = [("B", [*pairs])]
    else:
        groups = [
            (domain, [(None, one) for one in side])
            for domain, side in zip("BA"[: len(sides)], sides, strict=True)
        ]
    splits = _splits([[target for _, target in members] for _, members in groups], seed, choices)
    unsplit = style == "single" and not any(choices.values())
    for domain, members in groups:
        for given, target in members:
            name = f"{domain}__{target.name}" if style == "unaligned" else target.name
            split = "" if unsplit else splits[target.key]
            plan.jobs.append(Job(name, split, target, given, domain))
    names = unique_names([job.utterance for job in plan.jobs])
    plan.jobs = [replace(job, utterance=name) for job, name in zip(plan.jobs, names, strict=True)]
    return plan


def _splits(
    sides: Sequence[Sequence[Recording]], seed: int, choices: dict[str, Any]
) -> dict[str, str]:
    """The split of every recording by its key; recordings of one key on both sides share theirs,
    or else a network would be tested on what it has seen, if from the other side."""
    both = set.intersection(*({one.key for one in side} for side in sides))
    apart = [[one for one in side if one.key not in both] for side in sides]
    shared = [one for one in sides[0] if one.key in both]
    splits: dict[str, str] = {}
    for part in filter(None, [shared, *apart] if len(sides) > 1 else sides):
        splits |= assign_splits(part, seed=seed, **choices)
    return splits


def _search(folder: Path, channel: str | int, plan: Plan, unreadable: set[str]) -> list[Recording]:
    found, ignored = find_recordings(folder)
    chosen, failed = choose_channels(found, channel)
    plan.ignored += ignored
    plan.failed |= {one.source: reason for one, reason in failed}
    unreadable |= {one.key for one, _ in failed}
    return chosen


def _choice(
    choice: float | str, split: str, sides: Sequence[Sequence[Recording]], plan: Plan
) -> float | list[str]:
    """A share as it is; of a file its lines, those that name nothing noted in the plan."""
    if not isinstance(choice, str):
        return choice
    lines = read_lines(Path(choice))
    known = {line for side in sides for line in listed(side, lines)}
    if not known:
        raise BadInput(
            f"split.{split}: none of the {len(lines)} lines of {choice} names a recording here; "
            f"expected relative paths, with or without suffix",
            key="split.unknown",
        )
    plan.unknown += [line for line in lines if line not in known]
    return lines


def _match(
    given: Sequence[Recording],
    targets: Sequence[Recording],
    plan: Plan,
    skip_unpaired: bool,
    trim: bool,
    spec: SpectrogramSpec,
) -> list[tuple[Recording, Recording]]:
    pairs, unpaired = pair(given, targets)
    lengths = [] if trim else list(filter(None, (_length_problem(*one, spec) for one in pairs)))
    refused = lengths + ([] if skip_unpaired else unpaired)
    if refused:
        hints = ["unpaired=skip leaves recordings without a partner out"] if unpaired else []
        hints += ["lengths=trim cuts both of a pair to the shorter"] if lengths else []
        raise BadInput(
            f"A and B do not match ({'; '.join(hints)}):"
            + "".join(f"\n  {one}" for one in refused),
            key="pairs.conflict",
        )
    if not pairs:
        raise BadInput(
            "no recording in input has a partner of the same relative path in input_a",
            key="pairs.missing",
        )
    plan.unpaired = unpaired
    return pairs


def _length_problem(given: Recording, target: Recording, spec: SpectrogramSpec) -> str | None:
    """What the headers say; files that cannot be read are noticed when they are."""
    try:
        lengths = [read_info(one.path).samples_at(spec.sample_rate) for one in (given, target)]
    except BadInput:
        return None
    if abs(lengths[0] - lengths[1]) <= spec.hop_length:
        return None
    seconds = [length / spec.sample_rate for length in lengths]
    return f"{target.source}: A is {seconds[0]:.3f} s long, B {seconds[1]:.3f} s"
