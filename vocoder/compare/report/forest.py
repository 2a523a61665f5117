"""Forest plots: every estimate a mark on its interval, as SVG that follows the page's colours."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vocoder.compare.answers import MAX_DCR, MAX_MUSHRA
from vocoder.compare.report.wording import SHARES, interval, is_sure, neutral, number
from vocoder.compare.statistics.finding import Finding
from vocoder.compare.statistics.ratings import SCORE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that nothing else has, so that they can be told in the SVG, and what the page calls them.
_INK, _MUTED, _LINE, _SURE, _OPEN = "#010203", "#010204", "#010205", "#010206", "#010207"
COLOURS = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
    _SURE: "var(--accent)",
    _OPEN: "var(--paper)",
}
_DPI = 72  # of SVG from matplotlib: sizes in points are pixels
_WIDTH, _ROW, _FRAME = 9.6, 0.42, 0.75  # inches
_LEFT, _RIGHT = 0.27, 0.72  # of the width: where the axis begins and ends
_FONT, _SMALL_FONT = 13, 11
_LABEL = 30  # characters a line; the table has the whole name
_OFFSET = 0.2  # of a row, between the marks with and without screening
_MARGIN = 0.06  # of the axis, on both sides
# Like the recommendation's scale and that of P.800, which are shown whole.
_SCALES = {"mushra": (0.0, MAX_MUSHRA), "dcr": (1.0, float(MAX_DCR))}


def draw_forest(findings: Sequence[Finding], others: Sequence[Finding] = ()) -> str:
    """Draw the findings of one measure, one below the other.

    Parameters
    ----------
    findings : sequence of Finding
        All of one measure, each with value and interval. Filled marks; those that are sure have
        a colour and a bold number, so that the colour is not the only sign.
    others : sequence of Finding
        The same with all listeners, where ``findings`` leave some out: hollow marks.

    Returns
    -------
    str
        An ``<svg>`` element to put into a page that defines the custom properties of `COLOURS`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    measure = findings[0].measure
    height = _FRAME + _ROW * len(findings)
    settings: Mapping[str, object] = {
        "svg.fonttype": "none",
        "svg.hashsalt": measure,
        "font.size": _FONT,
        "axes.edgecolor": _LINE,
        "axes.labelcolor": _MUTED,
        "xtick.color": _LINE,
        "xtick.labelcolor": _MUTED,
        "text.color": _INK,
    }
    with rc_context(settings), warnings.catch_warnings():  # type: ignore[arg-type]
        # Text is set by the browser, which has other fonts for what ours lacks.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
        axes = figure.add_axes(
            (_LEFT, (_FRAME - 0.2) / height, _RIGHT - _LEFT, _ROW * len(findings) / height)
        )
        _draw_rows(axes, findings, others)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _embed(buffer.getvalue(), measure, findings)


def _draw_rows(axes: Axes, findings: Sequence[Finding], others: Sequence[Finding]) -> None:
    measure = findings[0].measure
    scale = 100.0 if measure in SHARES else 1.0
    middle = neutral(measure)
    by_subject = {one.subject: one for one in others}
    for k, finding in enumerate(findings):
        row = len(findings) - 1 - k
        other = by_subject.get(finding.subject)
        sure = is_sure(finding)
        offset = _OFFSET if other is not None else 0.0
        colour = _SURE if sure else _INK
        _mark(axes, finding, row + offset / 2, scale, colour, filled=True)
        if other is not None:
            _mark(axes, other, row - offset, scale, _MUTED, filled=False)
        text = f"{number(finding.value, measure)}  ({interval(finding)})"
        transform = axes.get_yaxis_transform()
        label = textwrap.wrap(finding.subject, _LABEL, max_lines=2, placeholder=" …")
        axes.text(
            -0.03,
            row,
            "\n".join(label),
            ha="right",
            va="center",
            transform=transform,
            fontsize=_FONT if len(label) == 1 else _SMALL_FONT,
            parse_math=False,
        )
        axes.text(
            1.03,
            row,
            text,
            ha="left",
            va="center",
            transform=transform,
            weight="bold" if sure else "normal",
        )
    axes.set_ylim(-0.6, len(findings) - 0.4)
    axes.set_xlim(*_limits([*findings, *others], scale))
    if middle is not None:
        axes.axvline(scale * middle, color=_MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks([])
    axes.grid(axis="x", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("%" if measure in SHARES else "", labelpad=2)


def _mark(
    axes: Axes, finding: Finding, row: float, scale: float, colour: str, *, filled: bool
) -> None:
    if finding.value is None or finding.low is None or finding.high is None:
        return
    axes.plot(
        [scale * finding.low, scale * finding.high],
        [row, row],
        color=colour,
        linewidth=2.2 if filled else 1.2,
        solid_capstyle="round",
    )
    axes.plot(
        [scale * finding.value],
        [row],
        marker="o",
        markersize=8 if filled else 6,
        markeredgecolor=colour,
        markerfacecolor=colour if filled else _OPEN,
        markeredgewidth=1.4,
        linestyle="none",
    )


def _limits(findings: Sequence[Finding], scale: float) -> tuple[float, float]:
    """Of the axis: a whole rating scale, or all intervals and the neutral value, with a margin."""
    measure = findings[0].measure
    if measure == SCORE:
        low, high = _SCALES[findings[0].question]
    else:
        ends = [end for one in findings for end in (one.low, one.high) if end is not None]
        middle = neutral(measure)
        ends += [] if middle is None else [middle]
        low, high = scale * min(ends), scale * max(ends)
        # A single narrow interval is not blown up to the whole width.
        least = 20.0 if measure in SHARES else 0.5
        grow = max(0.0, least - (high - low)) / 2
        low, high = low - grow, high + grow
    margin = _MARGIN * (high - low)
    if measure in SHARES:
        low, high = max(low, margin - 1), min(high, 101 - margin)
    return low - margin, high + margin


def _embed(svg: str, measure: str, findings: Sequence[Finding]) -> str:
    """Take the element out of the file, with the page's colours and font and unique names."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, name)
    svg = re.sub(r"(font: [^;\"]*?\d+px) [^;\"]*", r"\1 var(--sans)", svg)
    prefix = re.sub(r"\W+", "-", measure) + "-"
    svg = re.sub(r'id="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{prefix}", svg)
    label = f"{len(findings)} estimates of {measure} with their 95 % intervals; table below"
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{label}" ', svg, count=1)
