"""The page for everybody: phones, magnification, keyboards, contrast."""

import re

import pytest

from tests.compare.browser import Keyboard, Mouse, picture, skip_to_first_trial
from tests.compare.conftest import CLIP_S
from vocoder.compare.page import FOLDER


@pytest.mark.parametrize(("scheme", "test"), [("light", "mushra"), ("dark", "dcr")])
def test_every_page_fits_a_phone_and_200_percent(scheme, test, copy, serving, browse):
    """320 pixels are a small phone, and 640 at 200 %: WCAG 2.2, 1.4.10."""
    page = browse(f"{serving(copy(test))}/", color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 640})
    hand = Mouse(page)

    def look(name):
        picture(page, f"{test}-{name}-phone-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        small = page.evaluate(
            """[...document.querySelectorAll("button, .option, .rating")]
            .map((node) => [node.innerText, node.getBoundingClientRect().height])
            .filter(([, height]) => height < 43)"""
        )
        assert small == []

    look("welcome")
    hand.begin()
    look("volume")
    hand.set_volume()
    page.locator(".badge").wait_for()
    look("practice")


def test_controls_are_native_named_and_in_order(copy, serving, browse):
    page = browse(f"{serving(copy('mushra'))}/")
    hand = Keyboard(page)
    skip_to_first_trial(hand)
    assert page.evaluate("document.activeElement.tagName") == "H1"  # read out on arrival
    names: list[str] = []
    while len(names) < 19:
        hand.press("Tab")
        names.append(
            page.evaluate(
                """(() => {
                  const node = document.activeElement;
                  const label = node.getAttribute("aria-label") ?? node.innerText;
                  return `${node.tagName} ${label.replace(/\\s+/g, " ").trim()}`;
                })()"""
            )
        )
    expected = ["INPUT Position in the clip", "BUTTON Play P", "BUTTON Loop is on O"]
    expected += ["BUTTON From here S", "BUTTON To here T", "BUTTON Reference"]
    rows = [(f"BUTTON {letter} ", f"INPUT Rating of {letter}") for letter in "ABCDE"]
    expected += [name for row in rows for name in row] + ["BUTTON Next", "INPUT"]
    for name, start in zip(names, expected, strict=False):
        assert name.startswith(start)
    # No state is told by colour alone.
    hand.press("b")
    page.locator(".version", has_text="playing").wait_for()
    pressed = page.locator(".version[aria-pressed=true]")
    assert pressed.count() == 1 and pressed.inner_text().split() == ["B", "playing"]
    # Single keys can be switched off: WCAG 2.2, 2.1.4.
    page.get_by_label("Use single keys").uncheck()
    hand.press("c")
    assert pressed.inner_text().split()[0] == "B"


def test_region_and_loop_by_keys(copy, serving, browse):
    page = browse(f"{serving(copy('ab'))}/")
    hand = Keyboard(page)
    skip_to_first_trial(hand)
    page.evaluate("player.seek(0.05)")
    hand.press("s")
    page.evaluate("player.seek(0.2)")
    hand.press("t")
    assert page.locator(".repeats").inner_text() == "Repeats 0.1 s to 0.2 s"
    page.locator("#live").get_by_text("From 0.1 s to 0.2 s").wait_for()
    hand.press("a")
    page.wait_for_timeout(500)  # several rounds
    assert page.evaluate("player.playing && player.position()") == pytest.approx(0.125, abs=0.076)
    hand.press("o")
    page.get_by_role("button", name="Play", exact=True).wait_for()  # it ends
    hand.press("w")
    assert page.evaluate("player.region.stop") == pytest.approx(CLIP_S, abs=0.01)
    page.reload()
    page.get_by_role("button", name="Loop is off").wait_for()


def test_region_by_dragging_and_position_by_clicking(copy, serving, browse):
    page = browse(f"{serving(copy('dcr'))}/")
    skip_to_first_trial(Mouse(page))
    box = page.locator(".wave").bounding_box()
    height = box["y"] + box["height"] / 2

    def at(share):
        return box["x"] + share * box["width"]

    page.mouse.move(at(0.8), height)
    page.mouse.down()
    page.mouse.move(at(0.3), height, steps=4)
    page.mouse.up()
    region = page.evaluate("[player.region.start, player.region.stop]")
    assert region == pytest.approx([0.3 * CLIP_S, 0.8 * CLIP_S], abs=0.01)
    drawn = page.locator(".marked .region").bounding_box()
    assert [drawn["x"], drawn["x"] + drawn["width"]] == pytest.approx([at(0.3), at(0.8)], abs=2)
    page.mouse.click(at(0.5), height)
    assert page.evaluate("player.position()") == pytest.approx(0.5 * CLIP_S, abs=0.01)
    page.mouse.click(at(0.1), height)  # outside: the whole clip again
    assert page.evaluate("player.hasRegion") is False
    assert page.evaluate("player.position()") == pytest.approx(0.1 * CLIP_S, abs=0.01)


def test_contrasts():
    """WCAG 2.2: 4.5 for text, 3 for controls; light and dark."""
    css = (FOLDER / "page.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)

    def luminance(value):
        parts = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for theme in (0, 1):
        light = {name: luminance(colours[theme]) for name, *colours in pairs}
        for front, back, least in (
            ("ink", "card", 7),
            ("ink", "tint", 7),
            ("soft", "card", 4.5),
            ("soft", "paper", 4.5),
            ("accent", "card", 4.5),
            ("accent-ink", "accent", 4.5),
            ("warn", "card", 4.5),
            ("ink", "warn-tint", 4.5),
            ("edge", "card", 3),
        ):
            high, low = sorted((light[front], light[back]), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= least, (front, back)
