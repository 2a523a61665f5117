"""How tests say that something is refused: by the error's key, never by its wording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vocoder.errors import BadInput


@contextmanager
def refused(key: str) -> Iterator[pytest.ExceptionInfo[BadInput]]:
    """Expect a `BadInput` with this key."""
    with pytest.raises(BadInput) as caught:
        yield caught
    assert caught.value.key == key, f"{caught.value.key!r}: {caught.value}"
