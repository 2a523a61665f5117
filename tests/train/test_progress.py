"""How much a training says while it goes on."""

import sys
import time

import pytest

from tests.train.tiny import plan, repairing, train

pytestmark = pytest.mark.usefixtures("board")


@pytest.mark.parametrize("watched", [True, False])
def test_a_log_is_not_flooded_with_the_progress_bar(watched, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
    objective = repairing()
    losses = objective.losses

    def slow(*given):
        time.sleep(0.11)
        return losses(*given)

    monkeypatch.setattr(objective, "losses", slow)
    train(objective, tmp_path, plan(steps=10, validate_every=10, checkpoint_every=10))
    drawn = capsys.readouterr().err.count("step/s")
    assert drawn >= 10 if watched else drawn <= 5  # beginning, two validations, end
