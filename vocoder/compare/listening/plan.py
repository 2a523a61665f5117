"""Making a listening study: drawing items, planning trials, preparing sounds."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vocoder.audio import write_audio
from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.compare.listening.sources import Sources, summary
from vocoder.compare.listening.stimuli import (
    LOUDNESS_LUFS,
    Stimulus,
    attenuate,
    common_rate,
    digest,
    prepare_item,
)
from vocoder.compare.listening.study import (
    AB,
    ABX,
    DCR,
    MUSHRA,
    STUDY_NAME,
    TESTS,
    Study,
    Trial,
    read_study,
)
from vocoder.errors import BadInput
from vocoder.files import atomic_path

SOUNDS_NAME = "sounds"
# There while sounds are written: those that an interrupted run leaves are ours to replace.
UNFINISHED_NAME = ".unfinished-study"
# ITU-R BS.1534-3, 5.2: at most twelve signals a page, of which three are ours.
MAX_RATED = 12


def make_study(
    folder: Path,
    *,
    sources: Sources,
    test: str,
    items: int | None,
    repeats: int,
    longest_s: float,
    seed: int,
    title: str,
    question: str | None,
    skip: bool,
    allow_clipped: bool,
) -> Study:
    """Prepare the sounds and write ``study.json``, or find the same study there already.

    Parameters
    ----------
    folder : Path
        Of the study.
    sources : Sources
        From folders: `vocoder.compare.listening.sources.find_sources`; or from a webMUSHRA test:
        `vocoder.compare.webmushra.study.planned_study`.
    test : {"ab", "abx", "mushra", "dcr"}
    items : int or None
        How many are drawn; ``None`` takes all.
    repeats : int
        How often each question is asked.
    longest_s : float
        In seconds; longer sounds lose their end.
    seed : int
    title : str
    question : str or None
        What A/B asks; ``None`` takes the usual words.
    skip : bool
        Whether items that cannot be used are left out; otherwise they are refused.
    allow_clipped : bool

    Raises
    ------
    BadInput
        A setting out of range, sounds that cannot be compared, or a folder that holds another study
        or somebody's sounds.
    """
    for name, value, least in (
        ("items", items, 1),
        ("repeats", repeats, 1),
        ("seed", seed, 0),
        ("longest_s", longest_s, 0.5),
    ):
        if value is not None and value < least:
            raise BadInput(f"{name} is {value}; expected at least {least}")
    has_reference = bool(sources.references)
    settings = {
        "systems": list(sources.systems),
        "reference": has_reference,
        "test": test,
        "items": items,
        "repeats": repeats,
        "longest_s": longest_s,
        "seed": seed,
        "skip": skip,
        "allow_clipped": allow_clipped,
    }
    # Before the sounds are worked on: what the test cannot do with these systems.
    plan_trials(test, list(sources.systems), [""], 1, seed, has_reference=has_reference)
    if (folder / STUDY_NAME).exists():
        return _same_study(folder, settings, sources)
    unfinished = folder / UNFINISHED_NAME
    if (folder / SOUNDS_NAME).exists() and not unfinished.exists():
        raise BadInput(
            f"{folder / SOUNDS_NAME} exists, but no {STUDY_NAME} beside it says that it is a "
            "study's; give another output"
        )
    if sources.problems and not skip:
        raise BadInput(f"{summary(sources.problems)}; add the files, or leave these out: skip=true")
    chosen, spare, stimuli, problems = _prepare(sources, settings)
    stimuli, attenuation_db = attenuate(stimuli)
    trials = plan_trials(
        test, list(sources.systems), chosen, repeats, seed, has_reference=has_reference
    )
    study = Study(
        test=test,
        seed=seed,
        secret=secrets.token_hex(32),
        title=title,
        question=question or _QUESTIONS[test, has_reference],
        systems=tuple(sources.systems),
        items=tuple(chosen),
        training=spare,
        has_reference=has_reference and test != ABX,
        sample_rate=stimuli[0].sample_rate,
        samples={one.treatment.item: len(one.samples) for one in stimuli},
        trials=trials,
        settings=settings,
        stimuli=[
            {**one.treatment.to_dict(), "file": f"{SOUNDS_NAME}/{number:04}.wav"}
            for number, one in enumerate(stimuli)
        ],
        more={
            "loudness_lufs": LOUDNESS_LUFS,
            "shared_attenuation_db": round(attenuation_db, 3),
            "left_out": problems,
        },
    )
    with atomic_path(unfinished, overwrite=True) as temporary:
        temporary.touch()
    for one, about in zip(stimuli, study.stimuli, strict=True):
        write_audio(folder / about["file"], one.samples, one.sample_rate, overwrite=True)
    study.write(folder)
    unfinished.unlink()
    return study


def plan_trials(
    test: str,
    systems: Sequence[str],
    items: Sequence[str],
    repeats: int,
    seed: int,
    *,
    has_reference: bool,
) -> tuple[Trial, ...]:
    """All questions of a study, numbered in random order so that numbers tell nothing.

    A/B asks about every pair of systems. ABX asks about every pair too, or with a reference about
    each system beside it. MUSHRA rates all systems, the hidden reference and the anchors at once;
    DCR each system beside the reference.

    Raises
    ------
    BadInput
        Too few systems for the test, too many for a page, or a reference is needed.
    """
    if test not in TESTS:
        raise BadInput(f"test is {test!r}; expected one of {', '.join(TESTS)}")
    if test in (MUSHRA, DCR) and not has_reference:
        raise BadInput(f"test={test} compares with true recordings; give their folder, reference=")
    if test == MUSHRA:
        rated = (*systems, REFERENCE, *ANCHORS)
        if len(rated) > MAX_RATED:
            raise BadInput(
                f"{len(systems)} systems with reference and anchors are more than {MAX_RATED} on "
                f"a page; compare {MAX_RATED - 3} at most, or choose test=ab"
            )
        groups: list[tuple[str, ...]] = [rated]
    elif test == DCR:
        groups = [(system,) for system in systems]
    elif test == ABX and has_reference:
        groups = [(REFERENCE, system) for system in systems]
    else:
        groups = list(combinations(systems, 2))
        if not groups:
            hint = "" if test == AB else ", or reference= to compare it with"
            raise BadInput(
                f"test={test} compares pairs, but there is one system, {systems[0]}; give two{hint}"
            )
    asked = [(item, group) for _ in range(repeats) for group in groups for item in items]
    random.Random(f"{seed}/trials").shuffle(asked)
    return tuple(Trial(number, item, group) for number, (item, group) in enumerate(asked))


# By test, and whether there is a reference.
_QUESTIONS = {
    (AB, False): "Which one sounds better?",
    (AB, True): "Which one sounds closer to the reference?",
    (ABX, False): "Is X the same as A, or the same as B?",
    (ABX, True): "Is X the same as A, or the same as B?",
    (MUSHRA, True): "How good is each, compared with the reference?",
    (DCR, True): "How much worse is the sound than the reference?",
}


def _same_study(folder: Path, settings: Mapping[str, Any], sources: Sources) -> Study:
    study = read_study(folder)
    hint = "give another output, or leave systems= out to go on with it"
    for key, value in settings.items():
        if study.settings.get(key) != value:
            raise BadInput(
                f"{folder} holds a study with {key}={study.settings.get(key)}, not {value}; {hint}"
            )
    for one in study.stimuli:
        if one["system"] in ANCHORS:
            continue
        path = sources.files[one["system"]].get(one["item"])
        if path is None or digest(path) != one["source_sha256"]:
            raise BadInput(
                f"{folder} holds a study of other sounds, such as {one['source']} for "
                f"{one['item']} of {one['system']}; {hint}"
            )
    return study


def _prepare(
    sources: Sources, settings: Mapping[str, Any]
) -> tuple[list[str], str, list[Stimulus], dict[str, str]]:
    """Items for trials, the one for practice, the sounds of all these, and what was left out."""
    paths = sources.files
    shuffled = list(sources.items)
    random.Random(f"{settings['seed']}/items").shuffle(shuffled)
    # One more than asked for: practice takes an item of its own where there is one to spare.
    wanted = len(shuffled) if settings["items"] is None else settings["items"] + 1
    sample_rate = common_rate(paths, shuffled)
    usable: dict[str, list[Stimulus]] = {}
    problems = dict(sources.problems)
    with tqdm(total=min(wanted, len(shuffled)), unit="item", disable=None) as bar:
        for item in shuffled:
            if len(usable) == wanted:
                break
            try:
                usable[item] = prepare_item(
                    item,
                    {system: files[item] for system, files in paths.items()},
                    sample_rate,
                    longest_s=settings["longest_s"],
                    anchors_of=REFERENCE if settings["test"] == MUSHRA else None,
                    allow_clipped=settings["allow_clipped"],
                )
            except BadInput as error:
                if not settings["skip"]:
                    raise BadInput(f"{error}; skip=true leaves such items out") from error
                problems[item] = str(error)
                continue
            bar.update()
    if not usable:
        raise BadInput(f"no item can be used: {summary(problems)}")
    items = list(usable)
    spare = items.pop() if len(items) == wanted and settings["items"] is not None else items[0]
    return sorted(items), spare, [one for sounds in usable.values() for one in sounds], problems
