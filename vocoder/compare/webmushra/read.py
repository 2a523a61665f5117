"""Reading webMUSHRA's YAML.

As its documentation for experimenters and its example configurations describe it. What is left
out there is false (but for ``randomize`` and ``strict`` of MUSHRA pages, which are true).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.compare.webmushra.plan import (
    Block,
    ConsentPage,
    FinishPage,
    GenericPage,
    LikertPage,
    MushraPage,
    Page,
    PairedComparisonPage,
    Plan,
    Question,
    Response,
    Stimulus,
    VolumePage,
)
from vocoder.errors import BadInput

RANDOM = "random"
DEEPEST = 20  # nested lists of pages; an alias may make them endless
_QUESTIONS = ("text", "number", "likert", "long_text")
_PLAYBACK = ("ended", "processUpdate")
_PAGE_KEYS = ("type", "id", "name", "content")


def read_plan(path: Path) -> Plan:
    """Read a configuration.

    Parameters
    ----------
    path : Path
        YAML.

    Raises
    ------
    BadInput
        Not readable, or not what webMUSHRA takes: says on which page and how to mend it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, _Loader)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text ({error})") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # or a date that is none
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    fields = _Fields(values, path.name)
    entries = fields.take("pages", list)
    if not entries:
        raise BadInput(f"{path.name}: pages is empty; a test needs pages")
    ignored: list[str] = []
    block = _block(entries, f"{path.name}, pages", ignored, depth=0)
    plan = Plan(
        test_name=fields.text("testname"),
        test_id=fields.text("testId"),
        language=fields.text("language", "en"),
        show_previous_button=fields.flag("showButtonPreviousPage"),
        block=block,
        ignored=(*fields.unused(), *ignored),
    )
    _check_pages(plan, path.name)
    return plan


def _check_pages(plan: Plan, source: str) -> None:
    pages = plan.pages()
    last = plan.block.entries[-1]
    n_finish = sum(isinstance(page, FinishPage) for page in pages)
    if not isinstance(last, FinishPage) or n_finish > 1 or plan.block.is_random:
        raise BadInput(
            f"{source}: {n_finish} finish pages, the last page is of another type or in random "
            "order; put one page of type finish at the end of pages"
        )
    seen: set[str] = set()
    for page in pages:
        if page.id and page.id in seen:
            raise BadInput(
                f"{source}: two pages have the id {page.id}; results could not tell them"
            )
        seen.add(page.id)


def _block(entries: list[Any], where: str, ignored: list[str], depth: int) -> Block:
    if depth > DEEPEST:
        raise BadInput(f"{where}: lists of pages are nested more than {DEEPEST} deep")
    is_random = bool(entries) and entries[0] == RANDOM
    found: list[Page | Block] = []
    for number, entry in enumerate(entries[is_random:], start=1):
        here = f"{where}, {number}"
        if isinstance(entry, list):
            found.append(_block(entry, here, ignored, depth + 1))
        elif entry == RANDOM:
            raise BadInput(f"{here}: {RANDOM} mixes a list of pages where it stands first in it")
        else:
            found.append(_page(entry, here, ignored))
    if not found:
        raise BadInput(f"{where}: a list of pages is empty")
    return Block(tuple(found), is_random)


def _page(values: Any, where: str, ignored: list[str]) -> Page:
    fields = _Fields(values, where)
    kind = fields.text("type")
    if kind not in _PAGES:
        raise BadInput(f"{where}: type is {kind!r}; expected one of {', '.join(_PAGES)}")
    page_id = fields.text("id", "" if kind == "finish" else None)
    fields.where = f"{where} ({page_id or kind})"
    common = {"id": page_id, "name": fields.text("name", ""), "content": fields.text("content", "")}
    page = _PAGES[kind](fields, common)
    ignored += fields.unused()
    return page


class _Fields:
    """A mapping that is taken apart key by key, each of its type."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise BadInput(f"{where}: expected keys and values, found {values!r:.60}")
        self._values: dict[Any, Any] = dict(values)
        self.where = where

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """The value of a key, which must be there if it has no default; empty is not there."""
        value = self._values.pop(key, None)
        if value is None:
            if default is None:
                raise BadInput(f"{self.where}: {key} is missing")
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            names = kind if isinstance(kind, tuple) else (kind,)
            expected = " or ".join(_NAMES[one] for one in names)
            raise BadInput(f"{self.where}: {key} is {value!r:.60}; expected {expected}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Text; numbers are taken as they are written."""
        return str(self.take(key, (str, int, float), default))

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        return bool(self.take(key, bool, default))

    def number(self, key: str, low: float, high: float) -> float:
        """A number of a range."""
        value = float(self.take(key, (int, float)))
        if not low <= value <= high:
            raise BadInput(f"{self.where}: {key} is {value:g}; expected {low:g} to {high:g}")
        return value

    def path(self, key: str) -> str:
        """A path inside webMUSHRA's folder."""
        return _inner_path(self.take(key, str), f"{self.where}: {key}")

    def stimuli(self, *reserved: str) -> tuple[Stimulus, ...]:
        """The map of stimuli, which must not be called like what is added to them."""
        found = []
        for name, path in self.take("stimuli", dict).items():
            if isinstance(name, bool) or not isinstance(name, str | int | float):
                raise BadInput(f'{self.where}: stimulus {name!r} has no name; put it into "quotes"')
            if str(name) in reserved:
                raise BadInput(
                    f"{self.where}: a stimulus is called {name}, which means the hidden reference "
                    "or an anchor; call it something else"
                )
            where = f"{self.where}: stimulus {name}"
            if not isinstance(path, str):
                raise BadInput(f"{where} is {path!r:.60}; expected a path")
            found.append(Stimulus(str(name), _inner_path(path, where)))
        if not found:
            raise BadInput(f"{self.where}: stimuli is empty; give names and paths of sounds")
        return tuple(found)

    def responses(self) -> tuple[Response, ...]:
        """The points of a Likert scale."""
        found = []
        for number, values in enumerate(self.take("response", list), start=1):
            point = _Fields(values, f"{self.where}: response {number}")
            value = point.text("value")
            found.append(Response(value, point.text("label", value)))
        if len(found) < 2:
            raise BadInput(f"{self.where}: a scale of {len(found)} points; expected 2 or more")
        return tuple(found)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of several words."""
        value = self.text(key)
        if value not in choices:
            raise BadInput(f"{self.where}: {key} is {value!r}; expected {' or '.join(choices)}")
        return value

    def optional_choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """`choice`, or ``None`` where there is none."""
        return self.choice(key, choices) if self._values.get(key) else self._values.pop(key, None)

    def unused(self) -> list[str]:
        """Keys that nobody asked for."""
        return [f"{self.where}: {key}" for key in self._values]


_NAMES = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a map of names to values",
}


def _inner_path(path: str, where: str) -> str:
    parts = PurePosixPath(path.replace("\\", "/"))
    if not path or parts.is_absolute() or ".." in parts.parts or ":" in path:
        raise BadInput(
            f"{where} is {path!r}; expected a path relative to webMUSHRA's folder and inside it"
        )
    return str(parts)


def _generic(fields: _Fields, common: Mapping[str, str]) -> Page:
    return GenericPage(**common)


def _consent(fields: _Fields, common: Mapping[str, str]) -> Page:
    return ConsentPage(**common, must_consent=fields.flag("mustConsent"))


def _volume(fields: _Fields, common: Mapping[str, str]) -> Page:
    return VolumePage(
        **common,
        stimulus=fields.path("stimulus"),
        default_volume=fields.number("defaultVolume", 0.0, 1.0),
    )


def _mushra(fields: _Fields, common: Mapping[str, str]) -> Page:
    return MushraPage(
        **common,
        reference=fields.path("reference"),
        stimuli=fields.stimuli(REFERENCE, *ANCHORS),
        show_waveform=fields.flag("showWaveform"),
        enable_looping=fields.flag("enableLooping"),
        create_anchor35=fields.flag("createAnchor35"),
        create_anchor70=fields.flag("createAnchor70"),
        randomize=fields.flag("randomize", True),
        show_condition_names=fields.flag("showConditionNames"),
        strict=fields.flag("strict", True),
    )


def _paired(fields: _Fields, common: Mapping[str, str]) -> Page:
    return PairedComparisonPage(
        **common,
        reference=fields.path("reference"),
        stimuli=fields.stimuli(REFERENCE),
        show_waveform=fields.flag("showWaveform"),
        enable_looping=fields.flag("enableLooping"),
        unforced=fields.text("unforced", "") or None,
    )


def _likert(one_at_a_time: bool) -> Callable[[_Fields, Mapping[str, str]], Page]:
    def read(fields: _Fields, common: Mapping[str, str]) -> Page:
        return LikertPage(
            **common,
            stimuli=fields.stimuli(),
            response=fields.responses(),
            one_at_a_time=one_at_a_time,
            must_rate=fields.flag("mustRate"),
            must_playback=fields.optional_choice("mustPlayback", _PLAYBACK),
        )

    return read


def _finish(fields: _Fields, common: Mapping[str, str]) -> Page:
    questions = []
    for number, values in enumerate(fields.take("questionnaire", list, []) or [], start=1):
        asked = _Fields(values, f"{fields.where}: question {number}")
        kind = asked.choice("type", _QUESTIONS)
        name = asked.text("name")
        questions.append(
            Question(
                type=kind,
                name=name,
                label=asked.text("label", name),
                optional=asked.flag("optional"),
                response=asked.responses() if kind == "likert" else (),
            )
        )
    return FinishPage(
        **common,
        show_results=fields.flag("showResults"),
        write_results=fields.flag("writeResults"),
        popup_content=fields.text("popupContent", ""),
        questionnaire=tuple(questions),
    )


_PAGES: dict[str, Callable[[_Fields, Mapping[str, str]], Page]] = {
    "generic": _generic,
    "consent": _consent,
    "volume": _volume,
    "mushra": _mushra,
    "paired_comparison": _paired,
    "likert_multi_stimulus": _likert(one_at_a_time=False),
    "likert_single_stimulus": _likert(one_at_a_time=True),
    "finish": _finish,
}


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, of which YAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key_node.value} stands there twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)
