"""Driving the page: what a listener with a mouse or with a keyboard alone does."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
# Why no browser can be driven; empty where one can.
LACKING = (
    "NO BROWSER TESTS: the Python package playwright is not installed"
    if find_spec("playwright") is None
    else "NO BROWSER TESTS: no chromium on the PATH, nor in the variable CHROMIUM"
    if CHROMIUM is None
    else ""
)
PICTURES = Path(__file__).parents[2] / "outputs/listening"
PATIENCE_MS = 60_000  # on a busy machine


def picture(page, name: str) -> None:
    """Keep a screenshot as an artefact."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def heading(page) -> str:
    return str(page.locator("h1").inner_text())


def open_page(page, url: str) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator("h1").wait_for()


class Mouse:
    """Clicks, and never touches a key."""

    name = "mouse"

    def __init__(self, page):
        self.page = page

    def begin(self):
        self.page.get_by_role("button", name="Begin").click()
        self.page.get_by_role("heading", name="Set the volume").wait_for()

    def set_volume(self):
        self.page.get_by_role("button", name="Play").click()
        self.page.get_by_role("button", name="Pause").wait_for()
        self.page.get_by_role("button", name="It is comfortable").click()

    def hear(self, index, letter):
        self.page.locator(".version").nth(index).click()

    def choose(self, index):
        self.page.locator(".option").nth(index).click()

    def rate(self, index, letter, score):
        slider = self.page.locator(".rating").nth(index)
        box = slider.bounding_box()
        thumb = 16
        x = thumb / 2 + (box["width"] - thumb) * score / 100
        slider.click(position={"x": x, "y": box["height"] / 2})

    def finish(self):
        self.page.locator(".actions button.main").click()


class Keyboard:
    """Tabs, types, and never touches the mouse."""

    name = "keyboard"

    def __init__(self, page):
        self.page = page

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, name):
        """Walk the focus order up to a control."""
        for _ in range(40):
            self.press("Tab")
            focused = self.page.locator(":focus")
            if focused.count() and name in focused.inner_text():
                return
        raise AssertionError(f"no {name} in the focus order")

    def begin(self):
        self.tab_to("Begin")
        self.press("Enter")
        self.page.get_by_role("heading", name="Set the volume").wait_for()

    def set_volume(self):
        self.press("p")
        self.page.locator(".actions .main[aria-disabled=false]").wait_for()
        self.press("n")

    def hear(self, index, letter):
        self.press(letter.lower())

    def choose(self, index):
        self.press(str(index + 1))

    def rate(self, index, letter, score):
        # The key that plays a version has put the focus on its slider.
        self.press(letter.lower(), "Home", *["PageUp"] * (score // 10))

    def finish(self):
        self.press("n")


def wait_until_heard(page, index: int) -> None:
    page.locator(".version").nth(index).and_(page.locator(".heard")).wait_for()


def hear_all(hand, letters) -> None:
    """Listen to every version until the page says that it is heard."""
    for index, letter in enumerate(letters):
        hand.hear(index, letter)
        wait_until_heard(hand.page, index)


def to_first_trial(hand, letters, answer) -> None:
    """Through welcome, volume and practice."""
    page = hand.page
    hand.begin()
    hand.set_volume()
    page.locator(".badge").wait_for()  # practice
    hear_all(hand, letters)
    answer(hand)
    hand.finish()
    page.locator(".badge").wait_for(state="detached")


def skip_to_first_trial(hand) -> None:
    """For tests that are not about what comes before."""
    hand.begin()
    hand.page.evaluate("study.resume().then(next)")
    hand.page.locator(".trial").wait_for()


def answer_trial(hand, letters, answer, number: int, count: int) -> None:
    page = hand.page
    page.get_by_text(f"{number} of {count}").wait_for()
    hear_all(hand, letters)
    answer(hand)
    hand.finish()
    following = f"{number + 1} of {count}" if number < count else f"All {count} done"
    page.get_by_text(following, exact=True).wait_for()
