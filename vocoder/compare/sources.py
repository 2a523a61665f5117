"""Which audio a listening study compares: folders of systems, and recordings of the same names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.errors import BadInput, some_of
from vocoder.evaluate.pairing import find_systems
from vocoder.evaluate.reference import References
from vocoder.image.dataset.recordings import find_recordings


@dataclass(frozen=True)
class Sources:
    """The audio files that there are.

    Parameters
    ----------
    systems : dict
        Of each system, by its name: the file of each item.
    references : dict
        The true recording of each item; empty where none are given.
    items : tuple of str
        Names that all of them have, sorted.
    problems : dict of str to str
        Item to reason: names that some lack.
    """

    systems: dict[str, dict[str, Path]]
    references: dict[str, Path]
    items: tuple[str, ...]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, dict[str, Path]]:
        """Those of the reference, where there is one, and of each system."""
        return ({REFERENCE: self.references} if self.references else {}) | self.systems


def find_sources(systems: str | Sequence[str], reference: str | None) -> Sources:
    """Find the systems and pair their files, and the references', by name.

    Parameters
    ----------
    systems : str or sequence of str
        As for `vocoder.evaluate.pairing.find_systems`; `short_names` are what they are called.
    reference : str or None
        Folder of true recordings of the same names.
    """
    folders = find_systems(systems)
    names = short_names(list(folders))
    found = {name: _files(folder) for name, folder in zip(names, folders.values(), strict=True)}
    items = sorted({item for files in found.values() for item in files})
    references = {}
    if reference is not None:
        known = References(Path(reference))
        paths = {item: known.path(item) for item in items}
        references = {item: path for item, path in paths.items() if path is not None}
    sides = found if reference is None else {**found, f"reference={reference}": references}
    return paired(found, references, sides, items)


def paired(
    systems: dict[str, dict[str, Path]],
    references: dict[str, Path],
    sides: dict[str, dict[str, Path]],
    items: Sequence[str],
) -> Sources:
    """Sources of the items that all sides have; what the others lack are problems."""
    if reserved := systems.keys() & {REFERENCE, *ANCHORS}:
        raise BadInput(
            f"a system is called {reserved.pop()}, which means something else here; call it "
            "otherwise",
            key="systems.reserved",
        )
    problems = {}
    for item in items:
        if lacking := [side for side, files in sides.items() if item not in files]:
            problems[item] = f"{' and '.join(lacking)} lack{'s' * (len(lacking) == 1)} it"
    common = tuple(sorted(item for item in items if item not in problems))
    if not common:
        some = "; ".join(f"{name}: {', '.join(sorted(s)[:2])}" for name, s in sides.items())
        raise BadInput(
            f"no name is common to all systems ({some}); they are paired by name",
            key="systems.unpaired",
        )
    return Sources(systems, references, common, problems)


def short_names(names: Sequence[str]) -> list[str]:
    """Names of a sweep's folders without what is the same in all of them.

    >>> short_names(["inverter=admm,repair=none", "inverter=griffin_lim,repair=none"])
    ['admm', 'griffin_lim']
    >>> short_names(["inverter=admm,inverter.n_iter=32", "inverter=admm,inverter.n_iter=100"])
    ['n_iter=32', 'n_iter=100']
    """
    parts = [name.split(",") for name in names]
    common = set(parts[0]).intersection(*parts[1:]) if len(names) > 1 else set()
    rest = [[part for part in one if part not in common] for one in parts]
    keys = {part.partition("=")[0] for one in rest for part in one if "=" in part}
    if len(keys) == 1 and all(len(one) == 1 and "=" in one[0] for one in rest):
        named = all(one[0].partition("=")[2][:1].isalpha() for one in rest)
        # A number alone says nothing.
        rest = [[re.sub(r".*=" if named else r".*\.(?=\w+=)", "", one[0])] for one in rest]
    short = [",".join(one) for one in rest]
    return short if all(short) and len(set(short)) == len(names) else list(names)


def summary(problems: dict[str, str]) -> str:
    """Problems on one line, the first few named."""
    return some_of([f"{item}: {reason}" for item, reason in problems.items()])


def _files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for one in find_recordings(folder)[0]:
        if one.name in files:
            raise BadInput(
                f"{folder} has two files called {one.name}: {files[one.name].name} and "
                f"{one.path.name}; keep one of them",
                key="systems.twice",
            )
        files[one.name] = one.path
    return files
