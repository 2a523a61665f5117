"""Answers made from little, and a listener who talks to the server as the page does."""

from typing import Any

from vocoder.compare.answers import AbxAnswer, DegradationAnswer, MushraAnswer, PreferenceAnswer

SIDES: Any = ("a", "b")
NOW = "2026-01-31T12:00:00+00:00"


def about(trial, listener, item) -> dict[str, Any]:
    return {"listener": listener, "trial": trial, "item": item, "time": NOW, "seconds": 5.0}


def preferences(rows):
    """From ``(listener, item, left, right, choice)``."""
    return [
        PreferenceAnswer(**about(k, *named), left=left, right=right, choice=choice)
        for k, (*named, left, right, choice) in enumerate(rows)
    ]


def abx(rows):
    """From ``(listener, item, is_right)``; X is A every other time."""
    return [
        AbxAnswer(
            **about(k, *named),
            a="admm",
            b="hifigan",
            x=SIDES[k % 2],
            choice=SIDES[k % 2 if is_right else 1 - k % 2],
        )
        for k, (*named, is_right) in enumerate(rows)
    ]


def mushra(rows):
    """From ``(listener, item, scores)``; the hidden reference gets 100 where it is left out."""
    return [
        MushraAnswer(**about(k, *named), scores={"reference": 100.0} | scores)
        for k, (*named, scores) in enumerate(rows)
    ]


def degradations(rows):
    """From ``(listener, item, system, score)``."""
    return [
        DegradationAnswer(**about(k, *named), system=system, score=score)
        for k, (*named, system, score) in enumerate(rows)
    ]


class Listener:
    """A browser without a screen."""

    def __init__(self, client, token=None):
        self.client = client
        self.token = token or client.post("/api/session", json={}).json()["token"]
        self.headers: dict = {"Authorization": f"Bearer {self.token}"}
        self.name = self.token.split(".")[0]

    def state(self):
        return self.client.get("/api/session", headers=self.headers).json()

    def audio(self, name):
        return self.client.get(f"/api/audio/{name}", headers=self.headers)

    def answer(self, state, **changes):
        shown = state["trial"]
        names = [*shown["versions"], shown["x"], shown["reference"]]
        said = {
            "position": state["position"],
            "heard": {name: 1.0 for name in names if name},
            "seconds": 3.5,
            "choice": shown["versions"][0],
            **changes,
        }
        return self.client.post("/api/answer", headers=self.headers, json=said)
