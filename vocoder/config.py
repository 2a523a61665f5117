"""Configurations to objects: the folder ``conf/``, composed by Hydra, and what may be built of it.

Hydra is imported where it is used: it takes as long as all of the program's help.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import inspect
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocoder.errors import BadInput, expect
from vocoder.renamed import require_current

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGE = "vocoder"
TARGET = "_target_"
HYDRA_VERSION = "1.3"
_MISSING = "???"
_BASE = "base"  # keys that options refer to, where no command gives them
# torch takes seeds up to 64 bits, its generators on a device 63.
_MAX_SEED = 2**63 - 1
# Plain values, by the word of an annotation. Exact types: True is no whole number.
_PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
    "None": ((type(None),), "null"),
}
_LISTS, _MAPPINGS = ("list", "Sequence"), ("dict", "Mapping")
_hydra_lock = threading.RLock()  # Hydra's state is the process's


def conf_dir() -> Path:
    """The folder ``conf/``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "conf", package.parent / "conf"):
        if folder.is_dir():
            return folder
    raise BadInput(
        f"the installation lacks its folder conf/ beside {package}; install it again",
        key="installation.missing",
    )


def groups() -> list[str]:
    """Names of the groups: ``codec``, ``inverter``, ``spec``, …"""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


def options(group: str) -> list[str]:
    """Names of a group's options; files that begin with ``_`` hold what several have in common."""
    names = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    return [name for name in names if not name.startswith("_")]


def nearest(name: str, known: Sequence[str]) -> str:
    """``; did you mean …?`` for a mistyped name, or the names that there are."""
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(sorted(known))}" if known else ""


def require_option(group: str, name: str) -> None:
    """Refuse a name that the group has no file for, suggesting the nearest."""
    if group not in groups():
        raise BadInput(f"unknown group {group}{nearest(group, groups())}", key="group.unknown")
    known = options(group)
    if name not in known:
        require_current(group, name)
        raise BadInput(f"unknown {group}={name}{nearest(name, known)}", key=f"{group}.unknown")


@contextmanager
def hydra_conf() -> Iterator[None]:
    """Let Hydra's `compose` find the folder ``conf/``."""
    from hydra import initialize_config_dir

    with _hydra_lock, initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
        yield


def load(group: str, name: str, **changes: Any) -> Any:
    """Build the object that ``group=name`` stands for on the command line.

    Parameters
    ----------
    group : str
        ``spec``, ``codec``, ``inverter``, …
    name : str
        One of `options`, and perhaps fields: ``admm:n_iter=100,rho=0.2``, values as in YAML.
    **changes
        Settings other than in the file, nested ones as ``{"plan.steps": 5}``; objects where the
        class takes objects.

    Examples
    --------
    >>> load("codec", "gray8", db_min=-80).db_min
    -80
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    name, given = _split(name)
    changes = given | changes
    require_option(group, name)
    config = copy.deepcopy(_composed(conf_dir(), group, name))
    node = config[group]
    known = list(all_settings(OmegaConf.to_container(node)))
    objects = {}
    for field, value in changes.items():
        if field not in known:
            raise BadInput(
                f"{group} {name} has no setting {field}{nearest(field, known)}",
                key=f"{group}.{field}.unknown",
            )
        if _is_plain(value):
            OmegaConf.update(node, field, value, merge=isinstance(value, Mapping))
        else:
            objects[field] = value
            OmegaConf.update(node, field, None, merge=False)
    try:
        missing = missing_settings(OmegaConf.to_container(node))
        values: Any = OmegaConf.to_container(node, resolve=True)
    except OmegaConfBaseException as error:  # of a key that only commands have
        raise BadInput(
            f"{group} {name}: {' '.join(str(error).split())}; give that setting",
            key=f"{group}.missing",
        ) from error
    if missing:
        raise BadInput(f"{group} {name} needs {missing[0]}", key=f"{group}.{missing[0]}.missing")
    return build({**values, **objects}, group)


def all_settings(values: Any, prefix: str = "") -> dict[str, Any]:
    """Every key of nested mappings, joined with dots, and its value; without Hydra's own words."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if not str(key).startswith("_"):
            found[f"{prefix}{key}"] = value
            found |= all_settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {}
    return found


def missing_settings(values: Any) -> list[str]:
    """The settings that must be given and are not, in plain values of a configuration."""
    return [name for name, value in all_settings(values).items() if value == _MISSING]


@lru_cache
def _composed(_: Path, group: str, name: str) -> DictConfig:
    """Compose one option alone; 40 ms, which the cache saves from the second time on."""
    from hydra import compose

    with hydra_conf():
        return compose(_BASE, [f"+{group}={name}"])


def _split(word: str) -> tuple[str, dict[str, Any]]:
    """``name:field=value,...`` as the name and the fields."""
    import yaml

    name, _, fields = word.partition(":")
    changes = {}
    for field in filter(None, fields.split(",")):
        key, equals, value = field.partition("=")
        if not equals:
            raise BadInput(
                f"{word}: {field} has no value; expected name:field=value,...", key=f"{key}.missing"
            )
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise BadInput(f"{word}: invalid value of {key}: {value!r}", f"{key}.type") from error
    return name, changes


def build(node: Any, where: str) -> Any:
    """Build the objects that a configuration describes, innermost first, with Hydra.

    Only classes of this package are built, and everything is checked before the first one is, so
    that a configuration from elsewhere cannot run other code.

    Parameters
    ----------
    node : Any
        Plain values; a mapping with ``_target_`` becomes an object of that class, and may hold
        objects among its values.
    where : str
        The key it stands under, for errors.
    """
    check(node, where)
    if not isinstance(node, Mapping | list):
        return node
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    objects: dict[str, Any] = {}
    if isinstance(node, Mapping) and TARGET in node:  # Hydra would take dataclasses apart
        objects = {key: value for key, value in node.items() if not _is_plain(value)}
        node = {key: value for key, value in node.items() if key not in objects}
    try:
        if objects:
            return instantiate({**node, "_partial_": True}, _convert_="all")(**objects)
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, BadInput) and (inner := re.search(r"full_key: (\S+)$", str(error))):
            cause = _placed(cause, f"{where}.{inner[1]}" if where else inner[1])
        raise cause from None


def _placed(error: BadInput, where: str) -> BadInput:
    """An error of an object that lies deeper than its class expects, naming the key it has there.

    Classes call their settings by their group, ``repair.strength``, also where the whole key is
    ``repair.jpeg.strength``.
    """
    group = str(error).partition(".")[0]
    if group not in groups() or str(error).startswith(f"{where}."):
        return error
    return BadInput(where + str(error).removeprefix(group), where + error.key.removeprefix(group))


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_is_plain(inner) for inner in value)
    return isinstance(value, str | int | float | None)


def check(node: Any, where: str) -> None:
    """Refuse what `build` could not build, or must not, without building anything."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            check(value, f"{where}[{index}]")
    if not isinstance(node, Mapping):
        return
    if TARGET in node:
        kind = own_class(node[TARGET], where)
        _require_fields(kind, node, where)
        require_types(kind, node, f"{where}." if where else "")
    for key, value in node.items():
        path = f"{where}.{key}" if where else str(key)
        if str(key).startswith("_") and key != TARGET:  # Hydra's own words
            raise BadInput(f"unknown setting {path}", key=f"{path}.unknown")
        check(value, path)


def require_types(function: Callable[..., Any], values: Mapping[str, Any], prefix: str) -> None:
    """Refuse values of another type than a function's signature says.

    Errors name a value as ``prefix`` and the parameter's name.
    """
    for name, parameter in _parameters(function).items():
        if name not in values:
            continue
        value, path = values[name], f"{prefix}{name}"
        given = parameter.annotation  # text only where annotations are put off
        words = (given if isinstance(given, str) else inspect.formatannotation(given)).split(" | ")
        if not any(_fits(value, word) for word in words):
            shown = "null" if value is None else repr(value)
            expected = " or ".join(_in_words(word) for word in words)
            raise BadInput(f"{path} is {shown}; expected {expected}", key=f"{path}.type")
        if name == "seed" and value is not None:
            expect(0 <= value <= _MAX_SEED, path, value, "0 to 2^63 - 1")


def text_keys(function: Callable[..., Any]) -> list[str]:
    """The parameters that can be nothing but text (or null), such as file names."""
    parameters = inspect.signature(function).parameters.items()
    return [name for name, one in parameters if str(one.annotation) in ("str", "str | None")]


def _fits(value: Any, word: str) -> bool:
    """Whether a value is, or will be built to, what one word of an annotation says."""
    if word in _PLAIN:
        return type(value) in _PLAIN[word][0] and not (
            isinstance(value, float) and not math.isfinite(value)
        )
    kind, inner = _parts(word)
    if kind in _LISTS:
        return isinstance(value, list | tuple) and all(_fits(one, inner) for one in value)
    if kind in _MAPPINGS:
        return isinstance(value, Mapping) and TARGET not in value
    return word == "Any" or not (_is_plain(value) and not isinstance(value, Mapping))


def _in_words(word: str) -> str:
    if word in _PLAIN:
        return _PLAIN[word][1]
    kind, inner = _parts(word)
    if kind in _LISTS:
        return f"a list, each {_in_words(inner)}"
    return "settings by their names" if kind in _MAPPINGS else f"the settings of a {kind}"


def _parts(word: str) -> tuple[str, str]:
    """``list[int]`` as ``list`` and ``int``."""
    found = re.fullmatch(r"(\w+)\[(.*)\]", word)
    return (found[1], found[2]) if found else (word, "Any")


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Those of a function, or of a class, with its base's where it passes on what it does not
    name."""
    if not isinstance(function, type):
        return dict(inspect.signature(function).parameters)
    found: dict[str, inspect.Parameter] = {}
    for kind in function.__mro__:
        if "__init__" not in vars(kind):
            continue
        _, *own = inspect.signature(vars(kind)["__init__"]).parameters.values()
        named = [one for one in own if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        found |= {one.name: one for one in named if one.name not in found}
        if all(one.kind is not one.VAR_KEYWORD for one in own):
            break
    return found


def _require_fields(kind: type, values: Mapping[str, Any], where: str) -> None:
    parameters = _parameters(kind)
    given = [name for name in values if not name.startswith("_")]
    for name in given:
        if name not in parameters:
            path = f"{where}.{name}" if where else name
            raise BadInput(
                f"unknown setting {path} of {kind.__name__}{nearest(name, [*parameters])}",
                key=f"{path}.unknown",
            )
    needed = [name for name, one in parameters.items() if one.default is one.empty]
    if missing := [name for name in needed if name not in given]:
        raise BadInput(
            f"{where}: {kind.__name__} needs {', '.join(missing)}", key=f"{where}.missing"
        )


def own_class(target: Any, where: str) -> type:
    """The class of this package that ``target`` names; no other code is run."""
    module_name, _, class_name = str(target).rpartition(".")
    if module_name.split(".")[0] == PACKAGE:
        try:
            kind = getattr(importlib.import_module(module_name), class_name, None)
        except ModuleNotFoundError:
            kind = None
        if isinstance(kind, type) and kind.__module__ == module_name:
            return kind
    raise BadInput(
        f"{where}.{TARGET} is {target!r}; expected a class of the package {PACKAGE}, and nothing "
        "else is run",
        key=f"{where}.target",
    )
