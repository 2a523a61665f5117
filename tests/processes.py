"""Python in a process of its own."""

import subprocess
import sys
from typing import Any


def python(*words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it with these words, by default in this folder and environment; keep what it prints."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def program(*words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """``vocoder`` with these words."""
    return python("-m", "vocoder.cli.main", *words, **options)
