"""Which sounds a listening study compares: folders of systems, and recordings of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.errors import BadInput, some_of
from vocoder.evaluate.pairing import find_systems
from vocoder.evaluate.reference import References
from vocoder.image.dataset.recordings import find_recordings

_RESERVED = (REFERENCE, *ANCHORS)


@dataclass(frozen=True)
class Sources:
    """The sounds that there are.

    Parameters
    ----------
    systems : dict
        Of each system, by its name: the sound file of each item.
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
        As for `vocoder.evaluate.pairing.find_systems`.
    reference : str or None
        Folder of true recordings of the same names.

    Raises
    ------
    BadInput
        A folder is missing, empty or given twice, a name is reserved or doubled, or no item is
        common to all.
    """
    found = {name: _files(folder) for name, folder in find_systems(systems).items()}
    for name in found:
        if name in _RESERVED:
            raise BadInput(f"a system is called {name}, which means something else here; rename it")
    names = sorted({item for files in found.values() for item in files})
    references = {}
    if reference is not None:
        known = References(Path(reference))
        paths = {item: known.path(item) for item in names}
        references = {item: path for item, path in paths.items() if path is not None}
    sides = found if reference is None else {**found, f"reference={reference}": references}
    problems = {}
    for item in names:
        if lacking := [side for side, files in sides.items() if item not in files]:
            problems[item] = f"{' and '.join(lacking)} lack{'s' * (len(lacking) == 1)} it"
    items = tuple(item for item in names if item not in problems)
    if not items:
        some = "; ".join(f"{name}: {', '.join(sorted(s)[:2])}" for name, s in sides.items())
        raise BadInput(f"no name is common to all folders ({some}); they are paired by file name")
    return Sources(found, references, items, problems)


def summary(problems: dict[str, str]) -> str:
    """Problems on one line, the first few named."""
    return some_of([f"{item}: {reason}" for item, reason in problems.items()])


def _files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for one in find_recordings(folder)[0]:
        if one.name in files:
            raise BadInput(
                f"{folder} has two sounds called {one.name}: {files[one.name].name} and "
                f"{one.path.name}; keep one of them"
            )
        files[one.name] = one.path
    return files
