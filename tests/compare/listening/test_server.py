"""The server: sessions that resume, answers that are saved or refused, and nothing given away."""

import errno
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
import soundfile

from tests.compare.conftest import LINES
from tests.compare.listening.conftest import results
from tests.compare.listening.listener import Listener
from vocoder.compare.answers import read_answers
from vocoder.compare.listening.page import ASSETS
from vocoder.compare.listening.server import _alone, _bound
from vocoder.compare.listening.session import Sessions
from vocoder.compare.listening.study import read_study
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


def test_a_whole_session(connect, folder):
    ann = Listener(connect())
    state = ann.state()
    assert (state["answered"], state["count"], state["position"]) == (0, 3, 0)
    while state["trial"]:
        state = ann.answer(state).json()
    assert state["answered"] == 3 and state["position"] is None
    found = results(folder)
    session = read_study(folder).session(ann.name)
    assert [one.trial for one in found] == [a.trial.number for a in session]
    for one, arrangement in zip(found, session, strict=True):
        assert (one.left, one.right) == arrangement.order
        assert (one.listener, one.choice, one.seconds) == (ann.name, "left", 3.5)
    assert {one.item for one in found} == set(LINES)


def test_the_sound_behind_a_name_is_that_of_the_recorded_system(connect, folder):
    study = read_study(folder)
    ann = Listener(connect())
    for arrangement in study.session(ann.name):
        for place, name in arrangement.names.items():
            file = study.sound(arrangement.trial.item, arrangement.system(place))
            response = ann.sound(name)
            assert response.headers["content-type"] == "audio/wav"
            assert response.content == (folder / file).read_bytes()
            assert file not in str(response.headers)
    assert soundfile.info(folder / file).samplerate == study.sample_rate


def test_sessions_outlive_the_server_and_do_not_mix(connect, folder):
    client = connect()
    ann, bob = Listener(client), Listener(client)
    assert ann.name != bob.name
    shown = ann.answer(ann.state()).json()
    for state in (bob.state(), ann.state()):
        bob.answer(state) if state["answered"] == 0 else None
    client = connect()  # all that was in memory is gone
    again = Listener(client, ann.token)
    assert again.state() == shown
    assert shown["answered"] == 1 and Listener(client, bob.token).state()["answered"] == 1
    assert {one.listener for one in results(folder)} == {
        ann.name,
        bob.name,
    }


def test_one_listeners_names_are_nothing_to_another(connect):
    client = connect()
    ann, bob = Listener(client), Listener(client)
    name = ann.state()["trial"]["sounds"][0]
    assert ann.sound(name).status_code == 200
    assert bob.sound(name).status_code == 404


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
            mallory.sound(state["trial"]["sounds"][0]),
            mallory.answer(state),
        ):
            assert response.status_code == 401
            assert "Begin a new one" in response.json()["error"]
    assert client.get("/api/session").status_code == 401
    assert not (folder / "results.jsonl").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../study.json",
        "..%2Fstudy.json",
        "..%2F..%2Fstudy.json",
        "%2e%2e%2fstudy.json",
        "sounds%2F0000.wav",
        "0000.wav",
        "gate",
        "....",
        "%00",
        "/etc/passwd",
        "x" * 5000,
    ],
)
def test_a_path_for_a_sounds_name(connect, folder, name):
    ann = Listener(connect())
    secret = json.loads((folder / "study.json").read_text())["secret"]
    for url in (f"/api/sound/{name}", f"/{name}"):
        response = ann.client.get(url, headers=ann.headers)
        assert response.status_code == 404
        assert secret not in response.text


def test_answers_are_given_once_in_order_and_only_if_heard(connect, folder):
    ann = Listener(connect())
    first = ann.state()
    for changes, message in (
        ({"heard": {}}, "heard"),
        ({"choice": "left"}, "choice"),
        ({"choice": None}, "choice"),
        ({"position": 1}, "not open yet"),
        ({"position": 99}, "no trial"),
        ({"position": -1}, "no trial"),
        ({"position": "0"}, "no trial"),
        ({"position": True}, "no trial"),
    ):
        response = ann.answer(first, **changes)
        assert response.status_code == 400
        assert message in response.json()["error"]
    second = ann.answer(first).json()
    # The reply was lost, say, and the page asks again, perhaps with another answer.
    again = ann.answer(first, choice="none")
    assert again.status_code == 200 and again.json() == second
    (kept,) = results(folder)
    assert kept.choice == "left"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff", b'{"a": 1}', b"[" * 90_000])
def test_bodies_that_are_no_answers(connect, body):
    ann = Listener(connect())
    response = ann.client.post("/api/answer", headers=ann.headers, content=body)
    assert response.status_code == 400
    assert "error" in response.json()


def test_a_body_without_end_is_refused(connect):
    ann = Listener(connect())
    response = ann.client.post("/api/answer", headers=ann.headers, content=b"x" * 200_000)
    assert response.status_code == 413


def test_a_full_disk_loses_no_answer(connect, folder, monkeypatch):
    ann = Listener(connect())
    second = ann.answer(ann.state()).json()
    before = (folder / "results.jsonl").read_bytes()
    write = os.write

    def full(descriptor, data):
        if len(data) > 40:
            return write(descriptor, data[:40])  # what still fits
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vocoder.compare.answers.os.write", full)
        response = ann.answer(second)
    assert response.status_code == 507
    assert "could not be saved. It is still here" in response.json()["error"]
    assert (folder / "results.jsonl").read_bytes() == before
    assert ann.state() == second
    assert ann.answer(second).json()["answered"] == 2
    assert len(results(folder)) == 2


def test_results_cut_in_mid_line_lose_that_line_only(connect, folder):
    ann = Listener(connect())
    ann.answer(ann.answer(ann.state()).json())
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    sessions = Sessions(read_study(folder), folder)
    assert len(sessions.cut_lines) == 1
    client = connect()
    state = Listener(client, ann.token).state()
    assert state["answered"] == 1
    Listener(client, ann.token).answer(state)
    assert len(read_answers(path).answers) == 2


def test_results_of_another_study_are_not_added_to(connect, folder, copy):
    ann = Listener(connect())
    ann.answer(ann.state())
    other = copy("abx")
    (other / "results.jsonl").write_bytes((folder / "results.jsonl").read_bytes())
    with pytest.raises(BadInput, match="holds an answer of another study"):
        Sessions(read_study(other), other)


def test_many_listeners_at_once(connect, folder):
    client = connect()

    def listen(_):
        one = Listener(client)
        state = one.state()
        while state["trial"]:
            state = one.answer(state).json()
        return one.name

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(listen, range(24)))
    found = read_answers(folder / "results.jsonl")
    assert len(names) == 24 and not found.cut_lines
    assert len(found.answers) == 24 * 3
    assert {one.listener for one in found.answers} == names


def test_the_page_may_load_nothing_from_elsewhere(connect):
    client = connect()
    for path in ("/", "/study.js", *(f"/{name}" for name in ASSETS)):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["cache-control"] == "no-store"
        for address in ("http://", "https://", "//cdn"):
            text = response.text.replace("http://www.w3.org/2000/svg", "")  # a name, not a place
            assert address not in text
    index = client.get("/").text
    for name in (*ASSETS, "study.js"):
        assert f'"{name}"' in index


def test_other_hosts_names_are_refused(connect):
    """A page elsewhere may have its own name resolved to this machine."""
    response = connect().get("/api/session", headers={"Host": "evil.example"})
    assert response.status_code == 400


def test_a_title_cannot_become_a_script(folder, serving):
    study = json.loads((folder / "study.json").read_text())
    study |= {"title": "</script><b>", "question": '"; alert(1); "'}
    (folder / "study.json").write_text(json.dumps(study))
    script = httpx.get(f"{serving(folder)}/study.js").text
    assert json.loads(script.split("const STUDY = ")[1].rstrip(";\n"))["title"] == "</script><b>"


def test_two_servers_on_one_port_or_one_study(folder):
    with _bound(0) as first:
        port = first.getsockname()[1]
        with (
            pytest.raises(BadInput, match=f"port {port} cannot be used .*port=0 for any"),
            _bound(port),
        ):
            pass
    with _bound(port):  # free again at once
        pass
    with (
        _alone(folder),
        pytest.raises(BadInput, match="another server runs the study"),
        _alone(folder),
    ):
        pass
    with pytest.raises(BadInput, match="port is 70000"), _bound(70_000):
        pass


def test_only_this_machine_can_connect(folder):
    with _bound(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert listening.family == socket.AF_INET
