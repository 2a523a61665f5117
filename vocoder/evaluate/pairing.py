"""Which files belong together: those of all systems, their reference and their image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vocoder.errors import BadInput, some_of
from vocoder.image.dataset.recordings import find_recordings
from vocoder.image.manifest import one_spelling
from vocoder.image.source import Found, Utterance


@dataclass(frozen=True)
class Job:
    """One utterance by all systems.

    Parameters
    ----------
    files : dict of str to Path
        By system.
    image : (Utterance, Found) or None
        What they were made of.
    """

    utterance: str
    files: dict[str, Path]
    reference: Path | None = None
    image: tuple[Utterance, Found] | None = None


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    problems : dict of str to str
        Files of systems without a partner: name to reason.
    notes : list of str
        References and images that no system has, which is usual: a folder of all recordings.
    """

    jobs: list[Job]
    problems: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_systems(systems: str | Sequence[str]) -> dict[str, Path]:
    """Find the folders to compare, by name.

    Parameters
    ----------
    systems : str or sequence of str
        Folders of audio, one a system; or one folder whose sub-folders are the systems, as a sweep
        writes it.

    Returns
    -------
    dict of str to Path
        The names are those of the folders; where two are the same, the paths as given.
    """
    if isinstance(systems, str) and not Path(systems).exists() and systems[:1] == "[":
        systems = systems.strip("[]").split(",")  # what Hydra's grammar could not read
    if isinstance(systems, str):
        root = Path(systems)
        if not root.is_dir():
            raise BadInput(
                f"systems={systems} is not a folder; expected folders of audio, or a sweep",
                "systems.missing",
            )
        recordings, _ = find_recordings(root)
        if any(one.path.parent == root for one in recordings):
            return {root.resolve().name: root}
        names = sorted({one.path.relative_to(root).parts[0] for one in recordings})
        return {name: root / name for name in names}
    if not systems:
        raise BadInput(
            "systems=[] names no folder; expected folders of audio, or a sweep", "systems.empty"
        )
    for one in systems:
        if not Path(one).is_dir():
            raise BadInput(
                f"systems has {one}, which is not a folder; a name with commas or brackets in it "
                "needs quotes, such as systems=['a,b',c]",
                "systems.missing",
            )
    paths = [Path(one) for one in systems]
    if len({path.resolve() for path in paths}) < len(paths):
        raise BadInput(f"systems names a folder twice: {', '.join(systems)}", "systems.twice")
    names = [path.resolve().name for path in paths]
    counts = Counter(names)
    return {
        (name if counts[name] == 1 else str(path)): path
        for name, path in zip(names, paths, strict=True)
    }


def plan(systems: dict[str, Path], reference: Path | None, images: Found | None) -> Plan:
    """Match files by name: ``x.wav`` of each system, ``x.flac`` of the references, image ``x``."""
    problems: dict[str, str] = {}
    files = {system: _files(system, folder, problems) for system, folder in systems.items()}
    true = {} if reference is None else _files("reference", reference, problems)
    shown = {} if images is None else {one_spelling(one.name): one for one in images.utterances}
    jobs = []
    for name in sorted({name for found in files.values() for name in found}):
        of_system = {system: found[name] for system, found in files.items() if name in found}
        for system in systems.keys() - of_system.keys():
            problems[f"{system}: {name}"] = "missing; another system has it"
        if reference is not None and name not in true:
            problems[f"reference: {name}"] = f"missing; {', '.join(of_system)} cannot be compared"
        image = None
        if images is not None and name in shown:
            image = shown[name], replace(images, utterances=[], problems={})
        elif images is not None:
            problems[f"pictures: {name}"] = "missing"
        if name in true or image is not None or (reference is None and images is None):
            jobs.append(Job(name, of_system, true.get(name), image))
    if not jobs:
        raise BadInput(
            f"no file in {', '.join(map(str, systems.values()))} has the name of a recording in "
            f"{reference} or of an image; names must be the same, whatever the suffixes",
            "systems.names",
        )
    notes = []
    for key, names in (("reference", true), ("pictures", shown)):
        if unused := sorted(names.keys() - {job.utterance for job in jobs}):
            notes.append(
                f"{len(unused)} of the {len(names)} utterances in {key}= are in no system and "
                f"were not used: {some_of(unused, ', ')}"
            )
    return Plan(jobs, dict(sorted(problems.items())), notes)


def _files(system: str, folder: Path, problems: dict[str, str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in find_recordings(folder)[0]:
        if one.name in found:
            problems[f"{system}: {one.relative}"] = (
                f"has the same name as {found[one.name].name}; not used"
            )
        else:
            found[one.name] = one.path
    return found
