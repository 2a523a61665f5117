"""Settings of earlier versions: refused with what says the same today."""

from __future__ import annotations

from vocoder.errors import BadInput

# Key, or key=option, and what to give instead.
_RENAMED: dict[str, str] = {}


def require_current(setting: str) -> None:
    """Refuse a setting whose key, or one of whose values, an earlier version had."""
    key, _, value = setting.partition("=")
    for old in (key, *(f"{key}={word}" for word in value.split(","))):
        if old in _RENAMED:
            raise BadInput(f"{old} is now {_RENAMED[old]}", key=f"{key}.renamed")
