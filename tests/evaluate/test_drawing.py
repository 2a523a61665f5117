"""Plots of an evaluation can be read."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from vocoder.evaluate import drawing
from vocoder.evaluate.metrics import METRICS
from vocoder.evaluate.summary import summarise
from vocoder.evaluate.work import Measured


@pytest.mark.parametrize("spread", [1e-7, 3e-5, 0.0037, 1.0, 400.0])
def test_numbers_at_the_axes_do_not_overlap(spread, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    files = [
        Measured(
            f"u{k}",
            system,
            f"{k}.wav",
            values={name: 1 + spread * rng.random() for name in METRICS},
        )
        for system in ("mine", "other")
        for k in range(5)
    ]
    figures = []
    monkeypatch.setattr(drawing, "_save", lambda figure, *_, **__: figures.append(figure))
    summary = summarise(files, ["mine", "other"], "mine", seed=0)
    drawing.draw_distributions(tmp_path / "d.png", files, summary, overwrite=False)
    renderer = FigureCanvasAgg(figures[0]).get_renderer()
    figures[0].draw(renderer)
    shown = [axes for axes in figures[0].axes if axes.get_visible()]
    assert len(shown) == len(summary.metrics) > 5
    for axes in shown:
        assert not axes.xaxis.get_offset_text().get_text()  # such as 1e-11+9.999e-1
        places = [
            label.get_window_extent(renderer)
            for label in axes.get_xticklabels()
            if label.get_visible() and label.get_text()
        ]
        assert len(places) > 1
        assert all(left.x1 < right.x0 for left, right in pairwise(places))
