"""The table of generators of many kinds: which utterances, and what is beyond chance."""

import numpy as np
import pytest

from recipes import kinds
from tests.refusals import refused
from vocoder.audio import write_audio


def test_usual_utterances_are_chosen_evenly(tmp_path):
    for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0), ("e", 7.0), ("f", 5.0)):
        path = tmp_path / "reference" / f"{name}.flac"
        write_audio(path, np.zeros(int(8000 * seconds), np.float32), 8000, overwrite=False)
    assert kinds.chosen(tmp_path, 2) == ["b", "d"]
    with refused("kinds.count"):
        kinds.chosen(tmp_path, 5)


def test_bold_is_what_is_beyond_chance():
    names = [f"{k}" for k in range(12)]
    columns = dict.fromkeys(kinds.COLUMNS, 0.1)
    noise = np.random.default_rng(0).normal(size=12)
    both = {
        kinds.WITHOUT: dict.fromkeys(names, columns),
        "auto+griffin_lim": {
            name: columns | {"estoi": 0.2, "visqol": 0.1 + noise[k]} for k, name in enumerate(names)
        },
    }
    text = kinds.table({"room": both})
    assert f"`{kinds.WITHOUT}` / `auto+griffin_lim`" in text
    row = text.splitlines()[2]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["room", "0.100 / **0.200**"]
    assert "**" not in cells[2] and cells[4] == "0.100 / 0.100"
    assert float(cells[2].split(" / ")[1]) == pytest.approx(0.1 + noise.mean(), abs=0.006)
