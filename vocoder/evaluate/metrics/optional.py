"""Packages that only some measures need."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from vocoder.errors import BadInput


def optional_package(module: str, measure: str, *, extra: str) -> ModuleType | Any:
    """Import a package of an extra.

    Parameters
    ----------
    module : str
    measure : str
        What needs it, for the error.
    extra : str
        The extra of ours that installs it.

    Raises
    ------
    BadInput
        It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"{measure} needs the package {module.split('.')[0]}; install it with "
            f"pip install 'vocoder[{extra}]'"
        ) from error
