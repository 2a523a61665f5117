"""Tables of people's: comma-separated text in UTF-8, whose rows are those of a dataclass."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from vocoder.errors import BadInput
from vocoder.files import atomic_path, reading

Row = TypeVar("Row")
_TYPES: dict[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "text"),
}


def read_table(path: Path, kind: type[Row], subject: str) -> tuple[list[Row], list[str]]:
    """Read the rows of a table, with the place of each for messages; other columns are ignored.

    The columns are the fields of ``kind``, in any order; those with a default may lack or be empty.
    Keys of errors begin with ``subject``.
    """
    rows: list[Row] = []
    places: list[str] = []
    try:
        with reading(path, f"{subject}.file"), path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True, strict=True)
            _check_columns(lines.fieldnames or (), kind, path, subject)
            for line in lines:
                places.append(f"{path}, line {lines.line_num}")
                rows.append(_row(line, kind, places[-1], subject))
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not UTF-8 text; save it as CSV in UTF-8", key=f"{subject}.format"
        ) from error
    except csv.Error as error:
        raise BadInput(
            f"{path}, line {lines.line_num}: not comma-separated text ({error})",
            key=f"{subject}.format",
        ) from error
    if not rows:
        raise BadInput(f"{path} has no rows; expected at least one", key=f"{subject}.empty")
    return rows, places


def write_table(
    path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]], *, overwrite: bool
) -> None:
    """Write a table; ``None`` becomes an empty field, and numbers read back exactly."""
    with (
        atomic_path(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _check_columns(columns: Sequence[str], kind: Any, path: Path, subject: str) -> None:
    required = [field.name for field in fields(kind) if field.default is MISSING]
    if missing := [name for name in required if name not in columns]:
        raise BadInput(
            f"{path} lacks the columns {', '.join(missing)}; its first line must name at least "
            f"{','.join(required)} (it has {','.join(columns) or 'nothing'})",
            key=f"{subject}.columns",
        )
    if doubled := sorted({name for name in columns if columns.count(name) > 1}):
        raise BadInput(
            f"{path} has the columns {', '.join(doubled)} more than once", key=f"{subject}.columns"
        )


def _row(line: dict[Any, Any], kind: Any, place: str, subject: str) -> Any:
    if None in line or None in line.values():
        raise BadInput(
            f"{place}: the number of fields differs from the first line's", key=f"{subject}.format"
        )
    values = {}
    for field in fields(kind):
        text = line.get(field.name, "")
        if text == "" and field.default is not MISSING:
            continue
        # Annotations are text in the modules of tables: "int", or "int | None".
        convert, expected = _TYPES[str(field.type).partition(" ")[0]]
        try:
            values[field.name] = convert(text)
        except ValueError as error:
            raise BadInput(
                f"{place}: {field.name} is {text[:40]!r}; expected {expected}",
                key=f"{field.name}.type",
            ) from error
    try:
        return kind(**values)
    except BadInput as error:
        raise BadInput(f"{place}: {error}", key=error.key) from error
