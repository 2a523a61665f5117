"""No room imports one that comes after it: the order is the road's."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vocoder"
ORDER = [
    "image",
    "model",
    "repair",
    "inverter",
    "identify",
    "evaluate",
    "corpus",
    "train",
    "compare",
    "window",
    "bench",
    "cli",
]
# What goes back: the bench times the command that users run.
BACK = {("bench", "cli")}
DOORS = {"__init__.py"}  # the verbs of Python use all rooms


def imported(path):
    """Names of this package's modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def rooms_of(paths):
    """The rooms that files import."""
    names = [name.split(".") for path in paths for name in imported(path)]
    return {name[1] for name in names if name[0] == "vocoder" and name[1:2] and name[1] in ORDER}


def test_the_order_names_every_room():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_those_before_it(room):
    after = set(ORDER[ORDER.index(room) + 1 :])
    back = {(room, other) for other in rooms_of((PACKAGE / room).rglob("*.py")) & after}
    assert back == {pair for pair in BACK if pair[0] == room}


def test_what_all_rooms_share_imports_none():
    shared = [path for path in PACKAGE.glob("*.py") if path.name not in DOORS]
    assert not rooms_of(shared)
