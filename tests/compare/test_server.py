"""The server: sessions that resume, answers that are saved or refused, and nothing given away."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import soundfile

from tests.compare.conftest import answers_in, told
from tests.compare.listeners import Listener
from tests.refusals import refused
from vocoder.compare.page import FOLDER, assets
from vocoder.compare.server import bound
from vocoder.compare.sessions import Sessions
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import read_study
from vocoder.errors import BadInput


@pytest.fixture
def folder(copy):
    """Of a study of two systems and three lines."""
    return copy("ab")


@pytest.fixture
def connect(folder, serving):
    """Start a server on the study, as after a restart."""

    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            httpx.Client(base_url=serving(folder), timeout=60, verify=False)
        )


def test_the_audio_behind_a_name_is_that_of_the_recorded_system(connect, folder):
    study = read_study(folder)
    ann = Listener(connect())
    for arrangement in study.session(ann.name):
        for place, name in arrangement.names.items():
            file = study.file(arrangement.trial.item, arrangement.system(place))
            response = ann.audio(name)
            assert response.headers["content-type"] == "audio/wav"
            assert response.content == (folder / file).read_bytes()
            assert file not in str(response.headers)
            # X is told from A by nothing that the file has.
            assert not {"etag", "last-modified"} & response.headers.keys()
    assert soundfile.info(folder / file).samplerate == study.sample_rate


def test_sessions_outlive_the_server(connect, folder):
    ann = Listener(connect())
    shown = ann.answer(ann.state()).json()
    again = Listener(connect(), ann.token)  # all that was in memory is gone
    assert again.state() == shown
    assert shown["answered"] == 1


def test_tampered_tokens_open_nothing(connect, folder):
    client = connect()
    ann = Listener(client)
    state = ann.state()
    name, signature = ann.token.split(".")
    for token in (
        f"{name}.{signature[:-1]}x",
        f"{name[:-1]}x.{signature}",
        name,
        f"{name}.",
        ".",
        "ä.ö".encode().decode("latin-1"),
    ):
        mallory = Listener(client, token or "none")
        mallory.headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
        for response in (
            client.get("/api/session", headers=mallory.headers),
            mallory.audio(state["trial"]["versions"][0]),
            mallory.answer(state),
        ):
            assert response.status_code == 401
            assert "Begin a new one" in response.json()["error"]
    assert client.get("/api/session").status_code == 401
    assert not answers_in(folder)


def test_a_path_for_the_name_of_audio(connect, folder):
    client = connect()
    ann, bob = Listener(client), Listener(client)
    secret = read_study(folder).secret
    names = ["../study.json", "..%2Fstudy.json", "..%2F..%2Fstudy.json", "%2e%2e%2fstudy.json"]
    names += ["audio%2F0000.wav", "0000.wav", "gate", "....", "%00", "/etc/passwd", "x" * 5000]
    for name in (*names, bob.state()["trial"]["versions"][0]):
        for url in (f"/api/audio/{name}", f"/{name}"):
            response = client.get(url, headers=ann.headers)
            assert response.status_code == 404
            assert secret not in response.text


def test_answers_are_given_once_in_order_and_only_if_heard(connect, folder):
    ann = Listener(connect())
    first = ann.state()
    wrong: list[dict[str, Any]] = [
        {"heard": {}},
        {"choice": "left hand"},
        {"choice": None},
        {"position": 1},
        {"position": 99},
        {"position": -1},
        {"position": "0"},
        {"position": True},
    ]
    for changes in wrong:
        assert ann.answer(first, **changes).status_code == 400
    second = ann.answer(first).json()
    again = ann.answer(first, seconds=9.0)  # the reply was lost, say
    assert again.status_code == 200 and again.json() == second
    other = ann.answer(first, choice="none")  # in another window: it has to know
    assert other.status_code == 409
    (kept,) = answers_in(folder)
    assert kept.choice == "left"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 90_000, b"x" * 200_000]
)
def test_bodies_that_are_no_answers(connect, body):
    ann = Listener(connect())
    response = ann.client.post("/api/answer", headers=ann.headers, content=body)
    assert response.status_code == (413 if len(body) > 100_000 else 400)
    assert "error" in response.json()


def test_a_full_disk_loses_no_answer(connect, folder, monkeypatch):
    ann = Listener(connect())
    second = ann.answer(ann.state()).json()

    def full(self, answers):
        raise BadInput("disk full", key="answers.write")

    with monkeypatch.context() as patch:
        patch.setattr(AnswerStore, "add", full)
        response = ann.answer(second)
    assert response.status_code == 507
    assert ann.state() == second
    assert ann.answer(second).json()["answered"] == 2
    assert len(answers_in(folder)) == 2


def test_answers_of_another_study_are_not_added_to(connect, folder, copy):
    ann = Listener(connect())
    ann.answer(ann.state())
    other = copy("abx")
    (other / "answers.sqlite").write_bytes((folder / "answers.sqlite").read_bytes())
    with refused("answers.conflict"):
        Sessions(read_study(other), other)


def test_listeners_are_asked_about_themselves(make, serving, tmp_path):
    make(tmp_path, questions=("Name", "Age"))
    with httpx.Client(base_url=serving(tmp_path)) as client:
        wrong: list[Any] = [{}, {"Name": "Ann", "Age": " "}, {"Name": 3}, [], None]
        for details in wrong:
            response = client.post("/api/session", json={"details": details})
            assert response.status_code == 400
        said = {"Name": "Ann", "Age": "31", "more": "?"}
        ann = Listener(client, client.post("/api/session", json={"details": said}).json()["token"])
        ann.answer(ann.state(), comment="a hiss")
    with AnswerStore(tmp_path) as store:
        assert store.details() == {ann.name: {"Name": "Ann", "Age": "31"}}
        assert store.answers()[0].comment == "a hiss"


def test_with_a_key_nothing_is_there_for_those_who_lack_it(folder, serving):
    key = read_study(folder).sign("network")
    with httpx.Client(base_url=serving(folder, key), headers={"Host": "lab.example"}) as client:
        for path in ("/", "/page.js", "/api/session", f"/{key[:-1]}x/", f"/{key[:-1]}x/page.js"):
            assert client.get(path).status_code == 404
        assert "Listening test" in client.get(f"/{key}/").text
        assert client.post(f"/{key}/api/session", json={}).status_code == 200


def test_many_listeners_at_once(connect, folder):
    client = connect()

    def listen(_):
        one = Listener(client)
        state = one.state()
        assert (state["answered"], state["count"], state["position"]) == (0, 3, 0)
        while state["trial"]:
            state = one.answer(state).json()
        return one.name

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(listen, range(24)))
    assert len(names) == 24
    study = read_study(folder)
    found: dict[str, list[Any]] = {}
    for one in answers_in(folder):
        found.setdefault(one.listener, []).append(one)
    assert set(found) == names
    for name, given in found.items():
        session = study.session(name)
        assert [one.trial for one in given] == [a.trial.trial for a in session]
        assert [(one.left, one.right) for one in given] == [a.order for a in session]
        assert {one.choice for one in given} == {"left"}


def test_the_page_may_load_nothing_from_elsewhere(connect):
    client = connect()
    # A page elsewhere may have its own name resolved to this machine.
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    names = ["study.js", *assets(FOLDER)]
    for path in ("/", *(f"/{name}" for name in names)):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["cache-control"] == "no-store"
        for address in ("http://", "https://", "//cdn"):
            text = response.text.replace("http://www.w3.org/2000/svg", "")  # a name, not a place
            assert address not in text
    index = client.get("/").text
    assert [name for name in names if f'"{name}"' not in index] == ["index.html"]


def test_a_title_cannot_become_a_script(folder, serving):
    study = json.loads((folder / "study.json").read_text())
    study |= {"title": "</script><b>", "question": '"; alert(1); "'}
    (folder / "study.json").write_text(json.dumps(study))
    script = httpx.get(f"{serving(folder)}/study.js").text
    assert told(script)["title"] == "</script><b>"


def test_a_port_that_is_taken_or_none():
    with bound(0) as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"  # this machine alone
        with refused("port.taken"), bound(port):
            pass
    with bound(port):  # free again at once
        pass
    with refused("port.range"), bound(70_000):
        pass
