"""Making a listening study: drawing items, planning trials, preparing the audio."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vocoder.audio import read_info, write_audio
from vocoder.compare.answers import ANCHORS, REFERENCE, checked
from vocoder.compare.sources import Sources, summary
from vocoder.compare.stimuli import (
    LOUDNESS_LUFS,
    Stimulus,
    attenuate,
    common_rate,
    digest,
    prepare_item,
)
from vocoder.compare.study import (
    STUDY_NAME,
    TESTS,
    Study,
    Texts,
    Trial,
    read_study,
)
from vocoder.errors import BadInput, expect
from vocoder.files import atomic_path

AUDIO_NAME = "audio"
# There while audio is written: what an interrupted run leaves is ours to replace.
UNFINISHED_NAME = ".unfinished-study"
# ITU-R BS.1534-3, 5.2: at most twelve signals a page, of which three are ours.
MAX_RATED = 12
MAX_SEED = 2**64 - 1
# By test, and whether there is a reference.
QUESTIONS = {
    ("ab", False): "Which one sounds better?",
    ("ab", True): "Which one sounds closer to the reference?",
    ("abx", False): "Is X the same as A, or the same as B?",
    ("abx", True): "Is X the same as A, or the same as B?",
    ("mushra", True): "How good is each, compared with the reference?",
    ("dcr", True): "How much worse is the sound than the reference?",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides which audio is heard, and how often; see ``conf/compare.yaml``."""

    test: str
    items: int | None = 10
    repeats: int = 1
    longest_s: float = 10.0
    seed: int = 0
    skip: bool = False
    allow_clipped: bool = False
    check: bool = True

    def __post_init__(self) -> None:
        expect(self.test in TESTS, "test", self.test, f"one of {', '.join(TESTS)}", "unknown")
        for name, value, low, high in (
            ("items", self.items, 1, 10_000),
            ("repeats", self.repeats, 1, 100),
            ("seed", self.seed, 0, MAX_SEED),
            ("longest_s", self.longest_s, 0.5, 600.0),
        ):
            expect(value is None or low <= value <= high, name, value, f"{low} to {high}")


def make_study(folder: Path, sources: Sources, settings: Settings, texts: dict[str, Any]) -> Study:
    """Prepare the audio and write ``study.json``, or find the same study there already.

    Parameters
    ----------
    sources : Sources
        Of folders (`vocoder.compare.sources.find_sources`) or of a webMUSHRA test
        (`vocoder.compare.webmushra.read_webmushra`).
    texts : dict
        Fields of `Texts`; without a question, it is the test's usual one.
    """
    test, has_reference = settings.test, bool(sources.references)
    systems = tuple(sources.systems)
    # Before the audio is worked on: what the test cannot do with these systems.
    groups = trial_groups(test, systems, has_reference=has_reference)
    asked = {**asdict(settings), "systems": list(systems), "reference": has_reference}
    question = texts.get("question") or QUESTIONS[test, has_reference]
    said: Texts = checked(Texts, {**texts, "question": question}, "the texts", "texts.invalid")
    if (folder / STUDY_NAME).exists():
        return _same_study(folder, {**asked, **dict(said)}, sources)
    unfinished = folder / UNFINISHED_NAME
    if (folder / AUDIO_NAME).exists() and not unfinished.exists():
        raise BadInput(
            f"{folder / AUDIO_NAME} exists, but no {STUDY_NAME} beside it says that it is a "
            "study's; give another output",
            key="output.exists",
        )
    if sources.problems and not settings.skip:
        raise BadInput(
            f"{summary(sources.problems)}; add the files, or leave these out: skip=true",
            key="items.missing",
        )
    items, spare, stimuli, problems = _prepare(sources, settings)
    stimuli, attenuation_db = attenuate(stimuli)
    study = Study(
        **dict(said),
        test=test,  # type: ignore[arg-type]
        seed=settings.seed,
        secret=secrets.token_hex(32),
        systems=systems,
        items=tuple(items),
        training=spare,
        has_reference=has_reference and test != "abx",
        sample_rate=stimuli[0].sample_rate,
        samples={one.about.item: len(one.samples) for one in stimuli},
        trials=plan_trials(groups, items, settings.repeats, settings.seed),
        settings=asked,
        stimuli=tuple(
            one.about.model_copy(update={"file": f"{AUDIO_NAME}/{number:04}.wav"})
            for number, one in enumerate(stimuli)
        ),
        loudness_lufs=LOUDNESS_LUFS,
        shared_attenuation_db=round(attenuation_db, 3),
        left_out=problems,
        notes=_notes(sources, (*items, spare)),
    )
    with atomic_path(unfinished, overwrite=True) as temporary:
        temporary.touch()
    for one, about in zip(stimuli, study.stimuli, strict=True):
        write_audio(folder / about.file, one.samples, one.sample_rate, overwrite=True)
    study.write(folder)
    unfinished.unlink()
    return study


def trial_groups(
    test: str, systems: Sequence[str], *, has_reference: bool
) -> list[tuple[str, ...]]:
    """The systems that each trial of an item is about.

    A/B asks about every pair of systems. ABX asks about every pair too, or with a reference about
    each system beside it. MUSHRA rates all systems, the hidden reference and the anchors at once;
    DCR each system beside the reference.
    """
    if test in ("mushra", "dcr") and not has_reference:
        raise BadInput(
            f"test={test} compares with true recordings; give their folder, reference=",
            key="reference.missing",
        )
    if test == "mushra":
        rated = (*systems, REFERENCE, *ANCHORS)
        if len(rated) > MAX_RATED:
            raise BadInput(
                f"{len(systems)} systems with reference and anchors are more than {MAX_RATED} on "
                f"a page; compare {MAX_RATED - 3} at most, or choose test=ab",
                key="systems.many",
            )
        return [rated]
    if test == "dcr":
        return [(system,) for system in systems]
    if test == "abx" and has_reference:
        return [(REFERENCE, system) for system in systems]
    if len(systems) < 2:
        hint = "" if test == "ab" else ", or reference= to compare it with"
        raise BadInput(
            f"test={test} compares pairs, but there is one system, {systems[0]}; give two{hint}",
            key="systems.few",
        )
    return list(combinations(systems, 2))


def plan_trials(
    groups: Sequence[tuple[str, ...]], items: Sequence[str], repeats: int, seed: int
) -> tuple[Trial, ...]:
    """All questions of a study, numbered in random order so that numbers tell nothing."""
    asked = [(item, group) for _ in range(repeats) for group in groups for item in items]
    random.Random(f"{seed}/trials").shuffle(asked)
    return tuple(
        Trial(trial=number, item=item, systems=group) for number, (item, group) in enumerate(asked)
    )


def _same_study(folder: Path, asked: dict[str, Any], sources: Sources) -> Study:
    study = read_study(folder)
    hint = "give another output, or leave systems= out to go on with it"
    has = {**vars(study), **study.settings}
    for key, value in asked.items():
        if key in has and has[key] != value:
            raise BadInput(
                f"{folder} holds a study with {key}={has[key]}, not {value}; {hint}",
                key="output.conflict",
            )
    for one in study.stimuli:
        if one.system in ANCHORS:
            continue
        path = sources.files.get(one.system, {}).get(one.item)
        if path is None or digest(path) != one.source_sha256:
            raise BadInput(
                f"{folder} holds a study of other audio, such as {one.source} for {one.item} of "
                f"{one.system}; {hint}",
                key="output.conflict",
            )
    return study


def _prepare(
    sources: Sources, settings: Settings
) -> tuple[list[str], str, list[Stimulus], dict[str, str]]:
    """Items for trials, the one for practice, the audio of all these, and what was left out."""
    paths = sources.files
    shuffled = list(sources.items)
    random.Random(f"{settings.seed}/items").shuffle(shuffled)
    # One more than asked for: practice takes an item of its own where there is one to spare.
    wanted = len(shuffled) if settings.items is None else settings.items + 1
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
                    longest_s=settings.longest_s,
                    anchors_of=REFERENCE if settings.test == "mushra" else None,
                    allow_clipped=settings.allow_clipped,
                    check=settings.check,
                )
            except BadInput as error:
                if not settings.skip:
                    message = f"{error}; skip=true leaves such items out"
                    raise BadInput(message, key=error.key) from error
                problems[item] = str(error)
                continue
            bar.update()
    if not usable:
        raise BadInput(f"no item can be used: {summary(problems)}", key="items.none")
    items = list(usable)
    spare = items.pop() if len(items) == wanted and settings.items is not None else items[0]
    return sorted(items), spare, [one for audio in usable.values() for one in audio], problems


def _notes(sources: Sources, items: Sequence[str]) -> tuple[str, ...]:
    """What was done to the audio that a listener might not expect."""
    paths = [files[item] for files in sources.files.values() for item in dict.fromkeys(items)]
    mixed = sum(read_info(path).channels > 1 for path in paths)
    some = f"{mixed} of {len(paths)} files have several channels, which were mixed to one"
    return (some,) if mixed else ()
