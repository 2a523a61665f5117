"""Waiting for the page."""

import time

from tests.compare.browser import PATIENCE_MS

HEARD = "slots[active].result && !busy"


def wait(page, condition=HEARD):
    # Not by wait_for_function, which the page's own policy forbids.
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)
