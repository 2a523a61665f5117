"""A listener who talks to the server as the page does."""


class Listener:
    """A browser without a screen."""

    def __init__(self, client, token=None):
        self.client = client
        self.token = token or client.post("/api/session", json={}).json()["token"]
        self.headers: dict = {"Authorization": f"Bearer {self.token}"}
        self.name = self.token.split(".")[0]

    def state(self):
        return self.client.get("/api/session", headers=self.headers).json()

    def sound(self, name):
        return self.client.get(f"/api/sound/{name}", headers=self.headers)

    def answer(self, state, **changes):
        shown = state["trial"]
        names = [*shown["sounds"], shown["x"], shown["reference"]]
        said = {
            "position": state["position"],
            "heard": {name: 1.0 for name in names if name},
            "seconds": 3.5,
            "choice": shown["sounds"][0],
            **changes,
        }
        return self.client.post("/api/answer", headers=self.headers, json=said)
