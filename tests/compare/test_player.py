"""The page's player, measured in its own audio graph, rendered to samples."""

from itertools import pairwise

import numpy as np
import pytest

from tests.compare.browser import open_page
from vocoder.compare.export import export_page
from vocoder.compare.study import read_study

PLAYER = """
async ({ rate, length, make, script }) => {
  const context = new OfflineAudioContext(1, length, rate);
  const player = new Player(context);
  const versions = make.map((kind) => {
    const buffer = context.createBuffer(1, length, rate);
    const values = buffer.getChannelData(0);
    for (let n = 0; n < length; n += 1) {
      const tone = Math.sin((2 * Math.PI * 150 * n) / rate);
      values[n] = kind.constant + kind.slope * n + kind.sine * tone;
    }
    return buffer;
  });
  player.load(versions);
  player.play(script.when);
  for (const [time, name, ...values] of script.acts) {
    context.suspend(time).then(() => {
      player[name](...values);
      context.resume();
    });
  }
  const rendered = await context.startRendering();
  return Array.from(rendered.getChannelData(0));
}
"""
RATE = 22_050
LEAD_S, FADE_S = 0.025, 0.005


@pytest.fixture(scope="module")
def render(chromium, made, tmp_path_factory):
    """Run the page's player in a graph that renders to samples."""
    output = tmp_path_factory.mktemp("page")
    export_page(read_study(made("ab")), made("ab"), output, overwrite=True)
    page = chromium.new_page()
    open_page(page, (output / "index.html").as_uri())

    def version(constant=0.0, slope=0.0, sine=0.0):
        return {"constant": constant, "slope": slope, "sine": sine}

    def render(versions, acts, length=RATE):
        make = [version(**one) for one in versions]
        values = {"rate": RATE, "length": length, "make": make}
        # Acts happen on the grid of the audio thread's blocks.
        gridded = [[round(time * RATE / 128) * 128 / RATE, *act] for time, *act in acts]
        script = {"when": 0.01, "acts": gridded}
        return page.evaluate(PLAYER, {**values, "script": script})

    yield render
    page.close()


def test_switching_keeps_the_position(render):
    """Version n says at every sample where in the clip it is, on a scale of its own."""
    scales = [1.0, 0.5, 0.25]
    switches = [(0.2, "select", 1), (0.31, "select", 2), (0.4, "select", 0), (0.55, "select", 2)]
    out = np.array(render([{"slope": scale / RATE} for scale in scales], switches))
    time = np.arange(RATE) / RATE
    edges = [0.02, *(at for at, *_ in switches), 1.0]
    for active, start, stop in zip([0, 1, 2, 0, 2], edges[:-1], edges[1:], strict=True):
        # Without the fades, and the grid of the audio thread.
        inside = (time > start + LEAD_S + 2 * FADE_S + 0.01) & (time < stop + LEAD_S - 0.01)
        error_s = out[inside] / scales[active] - (time[inside] - 0.01)
        assert np.abs(error_s).max() < 0.0001  # 1 ms is allowed


def test_switching_takes_5_ms_out_and_5_ms_in(render):
    out = render([{"constant": 1.0}, {"constant": 0.5}], [(0.3, "select", 1)])
    start = next(n for n in range(round(0.3 * RATE), RATE) if out[n] < 0.999)
    silent = min(range(start, start + 400), key=lambda n: out[n])
    full = next(n for n in range(silent, RATE) if out[n] > 0.499)
    assert start / RATE == pytest.approx(0.3 + LEAD_S, abs=0.004)
    assert (silent - start) / RATE == pytest.approx(0.005, abs=0.0002)
    assert (full - silent) / RATE == pytest.approx(0.005, abs=0.0002)
    assert out[silent] < 0.01
    ramp = out[start:silent]
    assert all(after <= before for before, after in pairwise(ramp))


STEP = 1 / (FADE_S * RATE)  # of a fade from full scale


@pytest.mark.parametrize(
    "acts",
    [
        [(0.2, "select", 1)],
        [(0.2, "select", 1), (0.206, "select", 0), (0.213, "select", 1)],  # within the fades
        [(0.2, "select", 1), (0.23, "select", 0)],
        [(0.2, "seek", 0.6)],
        [(0.2, "setRegion", 0.1, 0.35)],  # and its seams
        [(0.2, "pause"), (0.4, "play")],
        [(0.2, "pause"), (0.206, "play"), (0.212, "pause")],
    ],
)
def test_nothing_clicks(acts, render):
    """From one sample to the next never more than a fade's step: turned over, a hard switch
    would jump by twice the amplitude."""
    out = render([{"constant": 1.0}, {"constant": -1.0}], acts)
    steps = [abs(after - before) for before, after in pairwise(out)]
    assert max(steps[: RATE - 2]) < 2.05 * STEP
    assert max(map(abs, out)) <= 1.001
    out = render([{"sine": 0.5}, {"sine": -0.5}], acts)
    steps = [abs(after - before) for before, after in pairwise(out)]
    assert max(steps[: RATE - 2]) < 0.5 * 2 * 3.1416 * 150 / RATE + 1.05 * STEP


def test_a_region_repeats_with_its_own_length(render):
    out = np.array(render([{"slope": 1 / RATE}], [(0.1, "setRegion", 0.2, 0.45)], length=2 * RATE))
    loud = np.flatnonzero(out > 0.4)  # near the end of each round, before its fade of 5 ms
    starts = loud[np.flatnonzero(np.diff(loud, prepend=0) > 1000)]
    rounds = np.diff(starts) / RATE
    assert len(rounds) >= 5
    assert rounds == pytest.approx(0.25, abs=0.001)
    assert out[round(0.3 * RATE) :].max() == pytest.approx(0.445, abs=0.006)
