"""What a file probably is, in words."""

from __future__ import annotations

from collections.abc import Iterator

from vocoder.identify.identify import Reading
from vocoder.image.codec.base import Codec
from vocoder.image.codec.law import Law

_UNITS = {
    "db": "decibels",
    "ln": "natural logarithms",
    "log10": "decimal logarithms",
    "log1p": "logarithms of 1 and the number",
    "linear": "numbers that are not logarithms",
}
_ROWS = {
    "stretched": "rows stretched over the bands",
    "linear": "rows linear in Hz",
    "log": "rows logarithmic in Hz",
    "mel": "rows on a mel scale",
    "specshow": "rows on librosa's axis",
    "constant_q": "rows of a constant-Q transform",
}


def in_words(reading: Reading, *, is_array: bool) -> str:
    """One reading: bands, rate, what a value is, which way up, how long."""
    rows, rate, *_, values = reading.spec.describe().split("; ")
    known = [values] if reading.codec is None else _of_codec(reading.codec, is_array)
    said = ", ".join([f"{rows.split(' (')[0]} at {rate}", *known])
    return said if reading.seconds is None else f"{said}; lasts {reading.seconds:.1f} s"


def _of_codec(codec: Codec, is_array: bool) -> Iterator[str]:
    law = codec if isinstance(codec, Law) else Law(db_min=codec.db_min, db_max=codec.db_max)
    if is_array:
        yield _UNITS[law.unit]
    else:
        cmap = getattr(codec, "cmap", None)
        grey = isinstance(codec, Law) or codec.mode != "RGB"
        yield f"colours of {cmap}" if cmap else "grey" if grey else f"colours of {codec.name}"
        low, high = law.ends()
        unit = "dB" if law.unit == "db" else _UNITS[law.unit]
        yield f"{low:g} to {high:g} {unit}" if None not in (low, high) else unit
    if law.reference == "max":
        yield "0 dB the loudest"
    if law.dark_is_loud:
        yield "dark is loud"
    if law.row_0 is not None and (law.row_0 == "high") == is_array:
        yield f"{law.row_0}est frequency first"
    if law.transposed:
        yield "time runs down"
    if law.crop is not None:
        yield "cut out of a figure"
    if law.rows in _ROWS:
        yield _ROWS[law.rows]
