"""The page as people use it: in a real browser, by mouse and by keyboard."""

import pytest
import soundfile

from tests.compare.browser import PATIENCE_MS, Keyboard, picture
from tests.window.driving import HEARD, wait


def loud(page):
    """What the player holds, as one number."""
    return page.evaluate("player.whole.getChannelData(0).reduce((sum, x) => sum + x * x, 0)")


def test_from_a_folder_to_audio_without_typing(images, serving, browse):
    page = browse(serving(images))
    wait(page)
    assert page.locator("#name").input_value() == "dark"
    assert page.get_by_label("Loud is").input_value() == "true"
    assert loud(page) > 0 and not page.evaluate("player.playing")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Next").click()
    wait(page, f"current === 'grey' && {HEARD}")
    assert page.get_by_label("Loud is").input_value() == "false"
    assert "input=" in page.locator("#command").inner_text()
    picture(page, "open")


def test_a_slider_is_heard_and_a_goes_against_b(images, serving, browse):
    page = browse(serving(images / "grey.png"))
    wait(page)
    before = page.evaluate("slots[0].result.audio")
    page.get_by_role("button", name="B", exact=True).click()
    wait(page)
    page.get_by_label("Darkest is").fill("-40")
    wait(page, f"{HEARD} && slots[1].values['codec.db_min'] === -40")
    assert page.evaluate("player.playing && player.heard.length") == 2
    assert "codec.db_min=-40" in page.locator("#command").inner_text()
    page.get_by_role("button", name="A", exact=True).click()
    wait(page)
    assert (
        page.evaluate("slots[0].result.audio") == before != page.evaluate("slots[1].result.audio")
    )
    assert "codec.db_min=-40" not in page.locator("#command").inner_text()
    assert page.evaluate("player.active") == 0


def test_a_reading_is_chosen_by_what_it_says(images, serving, browse):
    page = browse(serving(images / "grey.png"))
    wait(page)
    readings = page.evaluate("begun.get(current).readings")
    best = page.get_by_role("radio").first
    assert best.is_checked()
    said = page.locator("#readings .option").first.inner_text()
    assert 0 == said.index(readings[0]["text"]) < said.index(readings[0]["words"])
    page.locator("#fewer summary").click()
    page.get_by_role("radio").nth(1).check()
    wait(page, f"{HEARD} && slots[0].result.words === begun.get(current).readings[1].words")
    page.get_by_label("Darkest is").fill("-40")
    wait(page, f"{HEARD} && slots[0].values['codec.db_min'] === -40")
    assert page.locator("#readings :checked").count() == 0  # it is none of them now
    best.focus()
    Keyboard(page).press("Space")
    wait(page, f"{HEARD} && slots[0].result.words === begun.get(current).readings[0].words")
    Keyboard(page).press("b")  # a letter is no text there
    assert page.evaluate("active") == 1


def test_sliders_say_what_they_stand_at(images, serving, browse):
    page = browse(serving(images / "grey.png"))
    wait(page)

    def said(name):
        return page.get_by_label(name).get_attribute("aria-valuetext")

    assert said("Darkest is") == "-80 dB" and said("Strength") == "100 %"
    page.locator("[data-key=repair]").select_option("none")
    wait(page, f"{HEARD} && slots[0].values.repair === 'none'")
    shown = page.locator("label:has([data-key='repair.strength']) output").inner_text()
    assert shown == said("Strength") and any(letter.isalpha() for letter in shown)


def test_a_level_that_no_file_tells_can_be_brought_to_full_scale(images, serving, browse, tmp_path):
    page = browse(serving(images / "grey.png"))
    wait(page)
    assert "codec.reference=max" in page.locator("#caveat").inner_text()
    page.get_by_label("gain=peak").check()
    assert page.locator("#command").inner_text().endswith(" gain=peak")
    page.get_by_role("button", name="Render all").click()
    page.get_by_text("Rendered 1 of 1").wait_for(timeout=2 * PATIENCE_MS)
    samples, _ = soundfile.read(tmp_path / "opened/heard-1/grey.wav")
    assert abs(samples).max() == pytest.approx(1, abs=1e-3)


def test_settings_in_words_and_what_is_wrong_with_them(images, serving, browse):
    page = browse(serving(images / "grey.png"))
    wait(page)
    words = page.get_by_label("All settings")
    good = words.input_value()
    words.fill(good + " codec.dark_is_loud=true")
    words.press("Enter")
    page.get_by_role("alert").get_by_text("force=true").wait_for()
    page.get_by_label("Noise too").select_option("true")
    page.get_by_role("alert").get_by_text("force=true").wait_for(state="detached")
    words.fill(good + " inverter=admm")
    words.press("Enter")
    wait(page, f"{HEARD} && slots[0].values.inverter === 'admm'")
    assert page.get_by_label("Inverter").input_value() == "admm"


def test_by_keys_alone(images, serving, browse):
    page = browse(serving(images))
    wait(page)
    hand = Keyboard(page)
    hand.press("p")
    page.get_by_role("button", name="Pause").wait_for()
    hand.press("j")
    wait(page, f"current === 'grey' && {HEARD}")
    hand.press("b")
    wait(page, f"active === 1 && {HEARD}")
    page.get_by_label("Strength").focus()
    hand.press("Home")
    wait(page, f"{HEARD} && slots[1].values['repair.strength'] === 0")
    page.get_by_label("Use single keys").uncheck()
    hand.press("a")
    assert page.evaluate("active") == 1


def test_a_dropped_file_is_heard_and_all_is_rendered(images, serving, browse, tmp_path):
    page = browse(serving())
    page.get_by_text("Add a file").wait_for()
    page.get_by_label("Add files").set_input_files(str(images / "upside_down.png"))
    wait(page, f"current === 'upside_down' && {HEARD}")
    page.evaluate(
        """async () => {
          const data = new DataTransfer();
          const answer = await fetch("api/original?name=upside_down");
          data.items.add(new File([await answer.blob()], "dropped.png"));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
        }"""
    )
    wait(page, f"current === 'dropped' && {HEARD}")
    assert page.get_by_label("First row").input_value() == "low"
    page.get_by_role("button", name="Render all").click()
    page.get_by_text("Rendered 2 of 2").wait_for(timeout=2 * PATIENCE_MS)
    written = {path.name for path in (tmp_path / "opened/heard-1").rglob("*.wav")}
    assert written == {"upside_down.wav", "dropped.wav"}


def test_what_is_rendered_too_early_is_identified(images, serving, browse):
    page = browse(serving(images / "grey.png"))
    page.get_by_role("button", name="Render all").click()
    assert not page.evaluate(f"Boolean({HEARD})")
    page.get_by_text("Rendered 1 of 1").wait_for(timeout=2 * PATIENCE_MS)
    wait(page)
    assert loud(page) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_every_control_has_a_name(scheme, images, serving, browse):
    page = browse(serving(images), color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 640})
    wait(page)
    picture(page, f"open-phone-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # What stays in sight leaves room for what one sets.
    assert page.evaluate("document.querySelector('.deck').offsetHeight") <= 320
    nameless = page.evaluate(
        """[...document.querySelectorAll("input, select, button, img")].filter((node) =>
          !(node.labels?.length || node.innerText || node.alt)).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    small = page.evaluate(
        """[...document.querySelectorAll("button, select")]
        .map((node) => [node.id, node.getBoundingClientRect().height])
        .filter(([, height]) => height < 43)"""
    )
    assert small == []
