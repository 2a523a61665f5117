"""The page in a real browser, with real sound: whole sessions, interruptions, and the player."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.compare.browser import (
    Keyboard,
    Mouse,
    answer_trial,
    heading,
    hear_all,
    picture,
    skip_to_first_trial,
    to_first_trial,
    wait_until_heard,
)
from tests.compare.conftest import answers_in
from vocoder.compare.study import read_study

LETTERS = {"ab": "AB", "abx": "AXB", "mushra": "RABCDE", "dcr": "RA"}


TELLING = {"etag", "last-modified"}  # X from A


def choose_first(hand):
    hand.choose(0)


def rate_all(hand):
    for index, letter in enumerate("ABCDE"):
        hand.rate(index, letter, 10 * (index + 1))


ANSWERS = {"ab": choose_first, "abx": lambda hand: hand.choose(1), "mushra": rate_all}


@pytest.mark.parametrize("kind", [Mouse, Keyboard])
@pytest.mark.parametrize("test", ["ab", "abx", "mushra"])
def test_a_whole_session(test, kind, copy, serving, browse):
    folder = copy(test)
    study = read_study(folder)
    told = []
    page = browse(f"{serving(folder)}/")
    page.on("response", lambda response: told.append(response))
    page.reload()
    page.locator("h1").wait_for()
    hand = kind(page)
    to_first_trial(hand, LETTERS[test], ANSWERS[test])
    if kind is Keyboard:
        picture(page, test)
    count = len(study.trials)
    for number in range(1, count + 1):
        answer_trial(hand, LETTERS[test], ANSWERS[test], number, count)
    page.get_by_role("heading", name="Thank you!").wait_for()
    found = answers_in(folder)
    assert len(found) == count
    session = study.session(found[0].listener)
    for one, arrangement in zip(found, session, strict=True):
        assert one.trial == arrangement.trial.trial
        if test == "ab":
            assert (one.left, one.right, one.choice) == (*arrangement.order, "left")
        elif test == "abx":
            assert (one.a, one.b, one.choice) == (*arrangement.order, "b")
            assert "ab".index(one.x) == arrangement.x
        else:
            for index, system in enumerate(arrangement.order):
                assert one.scores[system] == pytest.approx(10 * (index + 1), abs=1)
        assert one.seconds > 0.5
    # The key never reaches the page.
    texts = [page.content()]
    for response in told:
        kind_of = response.headers.get("content-type", "")
        texts += [response.url] + ([] if "audio" in kind_of else [response.text()])
        assert "/api/" not in response.url or not TELLING & response.headers.keys()
    assert len(texts) > 20
    for word in {study.secret, *study.systems, *study.items, "anchor35", "anchor70", "low_pass"}:
        assert not any(word in text for text in texts)


def test_nothing_can_be_finished_unheard_or_unanswered(copy, serving, browse):
    page = browse(f"{serving(copy('ab'))}/")
    hand = Mouse(page)
    skip_to_first_trial(hand)
    go = page.locator(".actions button.main")
    status = page.locator("#missing")
    assert go.get_attribute("aria-disabled") == "true"
    go.click(force=True)
    everything = "Still to hear: A, B. Still to choose: your answer."
    page.locator("#live").get_by_text(everything).wait_for()  # read out
    assert status.inner_text() == everything
    hear_all(hand, "A")
    hand.choose(0)
    assert status.inner_text() == "Still to hear: B."
    go.click(force=True)
    assert page.get_by_text("1 of 3").count() == 1
    hand.hear(1, "B")
    wait_until_heard(page, 1)
    assert status.inner_text() == ""
    go.click()
    page.get_by_text("2 of 3").wait_for()


def test_a_reload_resumes_and_another_window_goes_on(copy, serving, browse):
    folder = copy("ab")
    url = serving(folder)
    page = browse(f"{url}/#session=0123456789ab.{'0' * 32}")  # of another study, say
    assert heading(page) == "This session is not known"
    page.get_by_role("button", name="Begin a new session").click()
    assert heading(page) == "Which vocoder?"
    hand = Keyboard(page)
    skip_to_first_trial(hand)
    # What comes after the hash is not sent to servers, nor written into their logs.
    assert re.search(r"/#session=[0-9a-f]{12}\.[0-9a-f]{32}$", page.url)
    answer_trial(hand, "AB", choose_first, 1, 3)
    page.reload()
    answer_trial(hand, "AB", choose_first, 2, 3)
    # The window was closed; the browser remembers.
    page.goto(page.url.split("#")[0])
    page.get_by_role("button", name="Go on where you stopped").click()
    answer_trial(hand, "AB", choose_first, 3, 3)
    assert len(answers_in(folder)) == 3
    assert len({one.listener for one in answers_in(folder)}) == 1


@contextmanager
def program(folder, port):
    """``vocoder compare`` as a process of its own."""
    words = ["compare", f"output={folder}", f"port={port}", "browser=false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vocoder.cli.main", *words], stdout=subprocess.PIPE, text=True
    )
    url = None
    for line in process.stdout or ():
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            url = found[0]
            break
    try:
        yield process, url
    finally:
        process.kill()
        process.communicate()


def test_a_killed_server_loses_no_answer(copy, browse):
    folder = copy("ab")
    with program(folder, 0) as (process, url):
        page = browse(url)
        hand = Mouse(page)
        skip_to_first_trial(hand)
        answer_trial(hand, "AB", choose_first, 1, 3)
        hear_all(hand, "AB")
        hand.choose(0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(answers_in(folder)) == 1
    hand.finish()
    page.get_by_role("alert").get_by_text("cannot be reached").wait_for()
    assert page.locator(".option :checked").count() == 1  # the answer is still there
    with program(folder, urlsplit(url).port) as (process, _):
        hand.finish()
        page.get_by_text("3 of 3").wait_for()
        found = answers_in(folder)
        assert len(found) == 2 and len({one.listener for one in found}) == 1
        process.send_signal(signal.SIGINT)  # as Ctrl+C does
        assert process.wait(60) == 0
