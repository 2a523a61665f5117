"""Which files belong together: the sounds of all systems, their reference and their picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.image.dataset.recordings import find_recordings
from vocoder.image.manifest import one_spelling
from vocoder.image.source import Found, Utterance


@dataclass(frozen=True)
class Job:
    """One utterance by all systems.

    Parameters
    ----------
    utterance : str
    sounds : dict of str to Path
        By system.
    reference : Path or None
    picture : (Utterance, Found) or None
        What the sounds were made of.
    """

    utterance: str
    sounds: dict[str, Path]
    reference: Path | None = None
    picture: tuple[Utterance, Found] | None = None


@dataclass(frozen=True)
class Plan:
    """All that is to be measured.

    Parameters
    ----------
    systems : dict of str to Path
        Name to folder, in the order given.
    jobs : list of Job
    problems : dict of str to str
        What has no partner: name to reason.
    """

    systems: dict[str, Path]
    jobs: list[Job]
    problems: dict[str, str] = field(default_factory=dict)


def find_systems(systems: str | Sequence[str]) -> dict[str, Path]:
    """The folders to compare, by name.

    Parameters
    ----------
    systems : str or sequence of str
        Folders of sound, one a system; or one folder whose sub-folders are the systems, as a sweep
        writes it.

    Returns
    -------
    dict of str to Path
        The names are those of the folders; where two are the same, the paths as given.

    Raises
    ------
    BadInput
        No such folder, one of them twice, or none.
    """
    if isinstance(systems, str) and not Path(systems).exists() and systems[:1] == "[":
        systems = systems.strip("[]").split(",")  # what Hydra's grammar could not read
    if isinstance(systems, str):
        root = Path(systems)
        if not root.is_dir():
            raise BadInput(f"systems={systems} is not a folder; give folders of sound, or a sweep")
        recordings, _ = find_recordings(root)
        if any(one.path.parent == root for one in recordings):
            return {root.resolve().name: root}
        names = sorted({one.path.relative_to(root).parts[0] for one in recordings})
        return {name: root / name for name in names}
    if not systems:
        raise BadInput("systems=[] names no folder; give folders of sound, or a sweep's output")
    for one in systems:
        if not Path(one).is_dir():
            raise BadInput(
                f"systems has {one}, which is not a folder; a name with commas or brackets in it "
                "needs quotes, such as systems=['a,b',c]"
            )
    paths = [Path(one) for one in systems]
    if len({path.resolve() for path in paths}) < len(paths):
        raise BadInput(f"systems names a folder twice: {', '.join(systems)}")
    names = [path.resolve().name for path in paths]
    counts = Counter(names)
    return {
        (name if counts[name] == 1 else str(path)): path
        for name, path in zip(names, paths, strict=True)
    }


def plan(systems: dict[str, Path], reference: Path | None, pictures: Found | None) -> Plan:
    """Match files by name: ``x.wav`` of each system, ``x.flac`` of the references, picture ``x``.

    Raises
    ------
    BadInput
        A system without sounds, no references in the folder, or no name in common.
    """
    problems: dict[str, str] = {}
    sounds = {system: _sounds(system, folder, problems) for system, folder in systems.items()}
    true = {} if reference is None else _sounds("reference", reference, problems)
    shown = {} if pictures is None else {one_spelling(one.name): one for one in pictures.utterances}
    jobs = []
    for name in sorted({name for found in sounds.values() for name in found}):
        of_system = {system: found[name] for system, found in sounds.items() if name in found}
        for system in systems.keys() - of_system.keys():
            problems[f"{system}: {name}"] = "missing; another system has it"
        if reference is not None and name not in true:
            problems[f"reference: {name}"] = f"missing; {', '.join(of_system)} cannot be compared"
        picture = None
        if pictures is not None and name in shown:
            picture = shown[name], replace(pictures, utterances=[], problems={})
        elif pictures is not None:
            problems[f"pictures: {name}"] = "missing"
        if name in true or picture is not None or (reference is None and pictures is None):
            jobs.append(Job(name, of_system, true.get(name), picture))
    if not jobs:
        raise BadInput(
            f"no sound in {', '.join(map(str, systems.values()))} has the name of a recording in "
            f"{reference} or of a picture; names must be the same, whatever the suffixes"
        )
    for kind, names in (("reference", true), ("pictures", shown)):
        for name in names.keys() - {job.utterance for job in jobs}:
            problems[f"{kind}: {name}"] = "no system has it"
    return Plan(systems, jobs, dict(sorted(problems.items())))


def _sounds(system: str, folder: Path, problems: dict[str, str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in find_recordings(folder)[0]:
        if one.name in found:
            problems[f"{system}: {one.relative}"] = (
                f"has the same name as {found[one.name].name}; not used"
            )
        else:
            found[one.name] = one.path
    return found
