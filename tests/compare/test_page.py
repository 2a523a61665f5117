"""What listeners met that lost answers, or that they could not see, reach or read."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.compare.browser import (
    Keyboard,
    Mouse,
    answer_trial,
    heading,
    hear_all,
    picture,
    skip_to_first_trial,
)
from tests.compare.conftest import answers_in
from vocoder.compare.export import collect, export_page
from vocoder.compare.page import read_words
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import read_study

PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
BEFORE = "This question was answered before"


def answer_in_two_tabs(page, second):
    """Both are at the first trial; the second tab answers otherwise, and later."""
    hear_all(Mouse(second), "AB")
    second.locator(".option").nth(2).click()
    answer_trial(Mouse(page), "AB", lambda hand: hand.choose(0), 1, 3)
    Mouse(second).finish()
    second.get_by_text(BEFORE).wait_for()
    second.get_by_text("2 of 3").wait_for()


def test_two_tabs_of_a_served_study(copy, serving, browse):
    folder = copy("ab")
    page = browse(f"{serving(folder)}/")
    skip_to_first_trial(Mouse(page))
    second = page.context.new_page()
    second.goto(page.url)
    second.get_by_role("heading", name="Set the volume").wait_for()
    second.evaluate("study.resume().then(next)")
    second.locator(".trial").wait_for()
    answer_in_two_tabs(page, second)
    assert [one.choice for one in answers_in(folder)] == ["left"]


def test_an_exported_page_in_two_tabs_and_the_next_listener(copy, browse, tmp_path):
    folder = copy("ab")
    study = read_study(folder)
    export_page(study, folder, tmp_path / "page", overwrite=False)
    url = (tmp_path / "page/index.html").as_uri()
    page = browse(url)
    page.get_by_text("not tamper-proof").wait_for()
    second = page.context.new_page()
    second.goto(url)
    skip_to_first_trial(Mouse(page))
    skip_to_first_trial(Mouse(second))  # the same listener, though both have begun
    first = page.evaluate("study.listener")
    answer_in_two_tabs(page, second)
    second.close()
    page.reload()
    for number in (2, 3):
        answer_trial(Mouse(page), "AB", lambda hand: hand.choose(0), number, 3)
    another = page.get_by_role("button", name="Next listener")
    assert not another.is_visible()  # before the answers are saved
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my answers").click()
    assert download.value.suggested_filename == f"answers-{first}.json"
    assert collect(study, folder, [download.value.path()]) == (3, 0, 0)
    assert [(one.listener, one.choice) for one in answers_in(folder)] == [(first, "left")] * 3
    another.click()
    Mouse(page).begin()
    assert page.evaluate("study.listener") not in (first, None)
    kept = page.evaluate(f"memory.read('localStorage', `study-${{STUDY.id}}-{first}`)")
    assert len(kept["answers"]) == 3  # still there, should the file be lost


def test_a_listener_agrees_says_who_he_is_remarks_and_leaves_the_machine(
    make, serving, browse, tmp_path
):
    words = read_words("de")
    asked = {"consent": "Lesen Sie das.\n\nDann stimmen Sie zu.", "questions": ("Name",)}
    make(tmp_path, items=1, comments=True, words=words, **asked)
    page = browse(f"{serving(tmp_path)}/")
    picture(page, "german-welcome")
    begin = page.get_by_role("button", name="Beginnen")
    begin.click()
    assert page.get_by_role("button", name="Beginnen").is_visible()  # nothing was agreed to
    page.get_by_label("einverstanden").check()
    page.get_by_label("Name").fill("Žofie")
    begin.click()
    page.get_by_role("heading", name="Lautstärke einstellen").wait_for()
    assert page.evaluate("document.documentElement.lang") == "de"
    page.evaluate("study.resume().then(next)")
    page.get_by_label("Bemerkungen").fill("np wot")  # letters that are keys elsewhere
    hear_all(Mouse(page), "AB")
    picture(page, "german-trial")
    page.locator(".option").nth(0).click()
    page.reload()  # and nothing is lost
    page.locator(".trial").wait_for()
    assert page.get_by_label("Bemerkungen").input_value() == "np wot"
    page.locator(".actions .main[aria-disabled=false]").click()
    page.get_by_role("button", name="Nächste Person").click()
    assert heading(page) == "Which vocoder?"
    assert page.evaluate("study.token === null && study.earlier === null")
    with AnswerStore(tmp_path) as store:
        assert list(store.details().values()) == [{"Name": "Žofie"}]
        assert [one.comment for one in store.answers()] == ["np wot"]


def test_a_reload_keeps_ratings_and_what_was_heard(copy, serving, browse):
    page = browse(f"{serving(copy('mushra'))}/")
    hand = Mouse(page)
    skip_to_first_trial(hand)
    hear_all(hand, "RA")
    hand.rate(0, "A", 70)
    before = page.locator(".value").all_inner_texts()
    page.reload()
    page.locator(".trial").wait_for()
    assert page.locator(".value").all_inner_texts() == before
    assert page.locator(".version.heard").count() == 2
    assert page.locator("#missing").inner_text().startswith("Still to hear: B, C, D, E.")


def test_the_volume_page_wants_to_be_heard_also_with_caps_lock(copy, serving, browse):
    page = browse(f"{serving(copy('ab'))}/")
    hand = Keyboard(page)
    hand.begin()
    hand.press("n")
    page.locator("#live").get_by_text("Play the sound first.").wait_for()
    assert heading(page) == "Set the volume"
    hand.press("P")
    page.locator(".actions .main[aria-disabled=false]").wait_for()
    hand.press("N")
    page.locator(".badge").wait_for()
    hand.press("B")
    page.locator(".version", has_text="playing").wait_for()
    assert page.locator(".version[aria-pressed=true]").inner_text().split()[0] == "B"


@pytest.mark.parametrize("test", ["abx", "dcr"])
def test_nothing_moves_on_a_phone_while_one_listens(test, copy, serving, browse):
    page = browse(f"{serving(copy(test))}/", **PHONE)
    skip_to_first_trial(Mouse(page))

    def places():
        return page.evaluate(
            """[
              ...document.querySelectorAll(".version, .option, .transport button")
            ].map((node) => {
              const { x, y, width, height } = node.getBoundingClientRect();
              const sticks = node.closest(".deck");
              return [x, sticks ? 0 : y + window.scrollY, width, height].map(Math.round);
            })"""
        )

    before = places()
    for index in range(page.locator(".version").count()):
        page.locator(".version").nth(index).tap()
        page.locator(".version", has_text="playing").wait_for()
        assert places() == before
    picture(page, f"{test}-phone")


def test_on_a_phone_the_player_stays_and_a_tap_on_the_middle_rates(copy, serving, browse):
    page = browse(f"{serving(copy('mushra'))}/", **PHONE)
    skip_to_first_trial(Mouse(page))
    last = page.locator(".rating").last
    last.scroll_into_view_if_needed()
    box = page.locator(".play").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 640
    assert page.locator(".deck").bounding_box()["height"] < 320  # half of the phone is left
    last.tap()
    assert page.locator(".value").last.inner_text() == "50 fair"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tracks_are_seen_in_forced_colours(scheme, copy, serving, browse):
    page = browse(f"{serving(copy('mushra'))}/", forced_colors="active", color_scheme=scheme)
    skip_to_first_trial(Mouse(page))
    picture(page, f"mushra-forced-{scheme}")
    for name in (".rating >> nth=0", ".position", "progress", ".wave"):
        node = page.locator(name)
        pixels = np.asarray(Image.open(io.BytesIO(node.screenshot())).convert("L"), float)
        columns = pixels[:, pixels.shape[1] // 4 :][:, :12]  # between the ends and the thumb
        assert columns.max() - columns.min() > 60, name
