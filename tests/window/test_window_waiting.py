"""The page while the program is still at work: nothing is lost, and nothing outdated is done."""

import numpy as np
import pytest

from tests.compare.browser import Keyboard
from tests.image.laws import save
from tests.window.driving import HEARD, wait

PLAYING = f"{HEARD} && player.playing"


@pytest.mark.parametrize("times", [1, 2])
def test_play_is_kept_until_there_is_audio(times, images, serving, browse, looking):
    page = browse(serving(images))
    button = page.locator(".play")
    usual = button.inner_text()
    for _ in range(times):
        button.click()
    assert (button.inner_text() != usual) == (times == 1)
    looking.gate.set()
    wait(page, PLAYING if times == 1 else HEARD)
    assert page.evaluate("player.playing") == (times == 1)


def test_the_file_is_seen_while_it_is_looked_at(images, serving, browse, looking):
    page = browse(serving(images))
    wait(page, "$('tile').naturalWidth === 216")
    assert page.locator("#name").input_value() == "dark"
    assert "dark" in page.locator("#figures").inner_text()
    assert not page.evaluate(f"Boolean({HEARD})")
    looking.gate.set()
    wait(page)
    wait(page, "$('tile').src.startsWith('data:')")


def test_an_array_is_seen_as_it_is(tmp_path, serving, browse, looking):
    np.savez(tmp_path / "mel.npz", mel=np.linspace(-9, 0, 800, dtype=np.float32).reshape(80, 10))
    page = browse(serving(tmp_path))
    wait(page, "$('tile').naturalHeight === 80")
    looking.gate.set()


def test_only_the_last_of_fast_steps_is_looked_at(images, serving, browse, looking):
    page = browse(serving(images))
    while looking.paths != ["dark"]:
        page.wait_for_timeout(50)
    Keyboard(page).press("j", "j")
    looking.gate.set()
    wait(page, f"current === 'upside_down' && {HEARD}")
    assert looking.paths == ["dark", "upside_down"]
    assert page.get_by_label("First row").input_value() == "low"


def test_fast_steps_keep_the_same_settings_for_all(images, serving, browse):
    page = browse(serving(images))
    wait(page)
    page.get_by_label("The same settings").check()
    Keyboard(page).press("j", "j")
    wait(page, "current === 'upside_down' && !busy")
    assert page.evaluate("slots[0].values['codec.dark_is_loud']") is True


def test_nothing_stays_of_the_image_before(images, serving, browse, tmp_path):
    """Of a photograph, of which nothing is heard."""
    rng = np.random.default_rng(0)
    (tmp_path / "both").mkdir()
    (tmp_path / "both/grey.png").write_bytes((images / "grey.png").read_bytes())
    save(tmp_path / "both/photo.png", rng.integers(0, 255, (90, 120, 3), dtype=np.uint8))
    page = browse(serving(tmp_path / "both"))
    wait(page)
    assert page.locator("#command").inner_text()
    hand = Keyboard(page)
    hand.press("j")
    page.get_by_role("alert").get_by_text("photo").wait_for()
    assert page.locator("#command").inner_text() == page.locator("#words").input_value() == ""
    assert page.locator("[data-key=spec]").input_value() == ""
    usual = page.locator(".play").inner_text()
    hand.press("p")
    assert not page.evaluate("player.playing")
    assert page.locator(".play").inner_text() == usual  # nothing is to be waited for
    hand.press("k")
    wait(page, f"current === 'grey' && {HEARD}")


def test_a_change_is_of_the_slot_that_was_changed(images, serving, browse):
    page = browse(serving(images / "grey.png"))
    wait(page)
    page.evaluate("hear({ 'codec.db_min': -60 }); hear({ 'codec.db_min': -40 }); choose(1)")
    wait(page)
    assert page.evaluate("slots.map((slot) => slot.values['codec.db_min'])") == [-40, None]
