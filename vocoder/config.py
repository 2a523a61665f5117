"""Configurations to objects: the folder ``conf/``, and building what its ``_target_`` names."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vocoder.errors import BadInput

PACKAGE = "vocoder"
TARGET = "_target_"
# What plain values may be, by the words of an annotation. Exact types: True is no whole number.
_PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
    "None": ((type(None),), "null"),
}


def conf_dir() -> Path:
    """The folder ``conf/``: inside the installed package, or beside it in a checkout.

    Raises
    ------
    BadInput
        Neither is there.
    """
    package = Path(__file__).parent
    for folder in (package / "conf", package.parent / "conf"):
        if folder.is_dir():
            return folder
    raise BadInput(f"the installation lacks its folder conf/ beside {package}; install it again")


def options(group: str) -> list[str]:
    """Names of the options of a group such as ``inverter``."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def nearest(name: str, known: list[str]) -> str:
    """``; did you mean …?`` for a mistyped name, or the names that there are."""
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(sorted(known))}" if known else ""


def require_option(group: str, name: str) -> None:
    """Refuse a name that the group has no file for, suggesting the nearest.

    Raises
    ------
    BadInput
    """
    known = options(group)
    if name not in known:
        raise BadInput(f"{group}={name} does not exist{nearest(name, known)}")


def load(group: str, name: str, **changes: Any) -> Any:
    """The object that ``group=name`` stands for on the command line.

    Parameters
    ----------
    group : str
        ``spec``, ``codec``, ``inverter``, …
    name : str
        One of `options`, and perhaps fields: ``admm:n_iter=100,rho=0.2``, values as in YAML.
    **changes
        Fields to set otherwise than in the file.

    Raises
    ------
    BadInput
        No such option or field, or a value out of range.
    """
    from omegaconf import OmegaConf

    name, given = _split(name)
    changes = given | changes
    require_option(group, name)
    node: Any = OmegaConf.load(conf_dir() / group / f"{name}.yaml")
    for field in changes:
        if field not in node.keys() or field == TARGET:  # noqa: SIM118 (also what is ???)
            known = [str(name) for name in node if name != TARGET]
            raise BadInput(f"{group} {name} has no field {field}{nearest(field, known)}")
        node[field] = None
    # The files refer to keys of a command line's root, most with a value for when there is none.
    values = OmegaConf.to_container(OmegaConf.create({group: node}), resolve=True)
    fields: dict[str, Any] = values[group]  # type: ignore[index, call-overload, assignment]
    return build({**fields, **changes}, group)


def _split(word: str) -> tuple[str, dict[str, Any]]:
    """``name:field=value,...`` as the name and the fields."""
    import yaml

    name, _, fields = word.partition(":")
    changes = {}
    for field in filter(None, fields.split(",")):
        key, equals, value = field.partition("=")
        if not equals:
            raise BadInput(f"{word}: {field} has no value; expected name:field=value,...")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise BadInput(f"{word}: {value!r} is no value of {key}") from error
    return name, changes


def build(node: Any, where: str) -> Any:
    """Build the objects that a configuration describes, innermost first.

    Only classes of this package are built, so that a configuration from elsewhere cannot run
    other code.

    Parameters
    ----------
    node : Any
        Plain values; a mapping with ``_target_`` becomes an object of that class.
    where : str
        The key it stands under, for errors.

    Raises
    ------
    BadInput
        A class of another package, or arguments that do not fit.
    """
    if isinstance(node, Mapping):
        values = {key: build(value, f"{where}.{key}") for key, value in node.items()}
        return _construct(values, where) if TARGET in values else values
    if isinstance(node, list):
        return [build(value, f"{where}[{index}]") for index, value in enumerate(node)]
    return node


def plain_types(function: Callable[..., Any]) -> dict[str, list[str]]:
    """The parameters that take plain values, each with the words of its annotation."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        words = str(parameter.annotation).split(" | ")
        if all(word in _PLAIN for word in words):
            found[name] = words
    return found


def require_types(function: Callable[..., Any], values: Mapping[str, Any], prefix: str) -> None:
    """Refuse plain values of another type than a function's signature says.

    Raises
    ------
    BadInput
        Names the value as ``prefix`` and the parameter's name.
    """
    for name, words in plain_types(function).items():
        if name in values and not any(type(values[name]) in _PLAIN[word][0] for word in words):
            value = "null" if values[name] is None else repr(values[name])
            expected = " or ".join(_PLAIN[word][1] for word in words)
            raise BadInput(f"{prefix}{name} is {value}; expected {expected}")


def _construct(values: dict[str, Any], where: str) -> Any:
    target = values.pop(TARGET)
    kind = own_class(target, where)
    signature = inspect.signature(kind)
    try:
        signature.bind(**values)
    except TypeError as error:
        wrong = _misfits(values, signature)
        raise BadInput(f"{where} does not fit {target}: {'; '.join(wrong)}") from error
    require_types(kind, values, f"{where}.")
    return kind(**values)


def _misfits(values: dict[str, Any], signature: inspect.Signature) -> list[str]:
    fields = signature.parameters
    foreign = [f"it has no field '{n}'{nearest(n, [*fields])}" for n in values if n not in fields]
    needed = [name for name, field in fields.items() if field.default is field.empty]
    missing = [f"'{name}'" for name in needed if name not in values]
    return [*foreign, *([f"missing {', '.join(missing)}"] if missing else [])]


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
        "else is run"
    )
