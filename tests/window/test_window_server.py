"""What the page asks of the program: guesses, audio as ``vocoder invert`` makes it, files."""

import base64
import io
import shlex

import httpx
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.refusals import refused
from vocoder import encode, load
from vocoder.cli import main
from vocoder.image.array import write_array
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.law import ROWS
from vocoder.image.source import ImageSource
from vocoder.spectrogram import analyse
from vocoder.window.server import FOLDER, OWN_HEADER
from vocoder.window.settings import parse
from vocoder.window.workbench import TILE_S, Workbench


@pytest.fixture
def client(images, serving):
    with httpx.Client(
        base_url=serving(images), timeout=60, verify=False, headers={OWN_HEADER: "1"}
    ) as client:
        yield client


def asked(client, path, **body):
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def samples_of(answer):
    return soundfile.read(io.BytesIO(base64.b64decode(answer["audio"])))[0]


def test_a_guess_is_heard_and_its_command_line_gives_the_same(client, tmp_path):
    said = asked(client, "begin", name="dark")
    values = said["readings"][0]["values"]
    assert values["codec.dark_is_loud"] is True and not said["says_itself"]
    heard = asked(client, "hear", name="dark", values=values, start=0)
    assert heard["total"] < TILE_S  # the whole utterance
    words = shlex.split(heard["command"])
    assert words[:2] == ["vocoder", "invert"]
    assert main.run([*words[1:-1], f"output={tmp_path / 'audio'}"]) == 0
    written, _ = soundfile.read(tmp_path / "audio/dark.wav")
    samples = samples_of(heard)
    assert len(samples) == len(written)
    assert np.corrcoef(samples, written)[0, 1] > 0.999  # but for the level


def test_readings_say_in_words_what_they_are(images):
    bench = Workbench(ImageSource(input=images))
    for reading, one in zip(bench.begin("dark")["readings"], bench._readings["dark"], strict=True):
        assert isinstance(one.codec, Foreign)
        figures = (513, one.spec.sample_rate, f"{one.codec.db_min:g}", f"{one.seconds:.1f} s")
        assert all(str(figure) in reading["text"] for figure in figures)
        assert reading["unexplained"] == pytest.approx(100 * one.score, abs=0.05)
        assert parse(reading["words"]) == reading["values"]


def test_the_page_has_all_ways_to_place_rows():
    page = (FOLDER / "index.html").read_text()
    assert [row for row in ROWS if f'<option value="{row}">' not in page] == []


def test_levels_that_no_file_tells_are_said(client):
    words = "spec=linear512 spec.nyquist=true codec=foreign codec.reference="
    known, unknown = (
        asked(client, "hear", name="grey", values=words + one)["caveat"]
        for one in ("full_scale", "max")
    )
    assert unknown and not known


def test_a_data_set_is_examined_once(generated, monkeypatch):
    seen = []

    def examine(source):
        seen.append(source)
        return []

    monkeypatch.setattr("vocoder.window.workbench.examine", examine)
    bench = Workbench(ImageSource(input=generated))
    assert [bench.findings(name, {}) for name in bench.items] == [[], [], []]
    assert len(seen) == 1


def test_names_are_there_before_the_choices(client, monkeypatch):
    """Which take seconds to load."""
    monkeypatch.setattr("vocoder.window.server.choices", lambda group: [group])
    assert set(client.get("/api/state").json()) == {"names", "left_out"}
    assert client.get("/api/controls").json()["choices"]["spec"] == ["spec"]


def test_a_change_is_heard_as_loud(client):
    values = asked(client, "begin", name="grey")["readings"][0]["values"]
    one = asked(client, "hear", name="grey", values=values)
    two = asked(client, "hear", name="grey", values=values, changes={"codec.db_min": -40})
    assert two["shown"]["codec.db_min"] == -40 and "codec.db_min=-40" in two["words"]
    first, second = samples_of(one), samples_of(two)
    assert np.corrcoef(first, second)[0, 1] < 0.99
    assert np.std(first) == pytest.approx(np.std(second), rel=0.02)


def test_negatives_are_refused_unless_forced(client):
    values = asked(client, "begin", name="dark")["readings"][0]["values"]
    body = {"name": "dark", "values": values, "changes": {"codec.dark_is_loud": False}}
    answer = client.post("/api/hear", json=body)
    assert answer.status_code == 400 and "codec.dark_is_loud=true" in answer.json()["error"]
    body["changes"]["force"] = True
    assert asked(client, "hear", **body)["words"].endswith("force=true")


def test_only_a_stretch_of_a_long_image_is_heard(speech, tmp_path):
    encode(np.tile(speech, 6), tmp_path / "long.png")
    bench = Workbench(ImageSource(input=tmp_path))
    assert bench.begin("long")["says_itself"]
    heard = bench.hear("long", {}, start_s=1e6)
    assert heard["length"] == pytest.approx(TILE_S, abs=0.02)
    assert heard["start"] + heard["length"] == pytest.approx(heard["total"], abs=0.02)
    assert bench.findings("long", {}) == []
    with Image.open(io.BytesIO(bench.original("long"))) as shown:
        assert shown.width <= 1200


def test_render_all_overwrites_nothing(client, images, tmp_path):
    def rendered():
        asked(client, "render", given={})
        while (state := client.get("/api/render").json())["running"]:
            pass
        assert state["problems"] == [] and state["done"] == state["count"] == 3
        return state["folder"]

    folders = {rendered(), rendered()}
    assert folders == {str(tmp_path / f"opened/heard-{number}") for number in (1, 2)}


def test_a_dropped_file_is_kept_and_replaces_none(client, images, tmp_path):
    data = (images / "grey.png").read_bytes()
    for place in ("new.png", "new-2.png"):
        answer = client.post("/api/drop", params={"name": "../new.png"}, content=data)
        assert answer.status_code == 200, answer.text
        assert (tmp_path / "opened/dropped" / place).read_bytes() == data
    assert {"new", "new-2"} <= set(client.get("/api/state").json()["names"])
    assert client.post("/api/drop", params={"name": "a.exe"}, content=data).status_code == 400


@pytest.mark.parametrize("name", ["mel.npz", "MEL.NPY"])
def test_a_dropped_array_is_heard(name, client, speech):
    spec = load("spec", "hifigan")
    mel = analyse(torch.from_numpy(speech)[None], spec).linear[0].numpy()
    values = np.log(np.maximum(mel, 1e-5))
    with io.BytesIO() as file:
        np.savez(file, mel=values) if name.endswith("npz") else np.save(file, values)
        answer = client.post("/api/drop", params={"name": name}, content=file.getvalue())
    assert answer.status_code == 200, answer.text
    (name,) = answer.json()["names"]
    best = asked(client, "begin", name=name)["readings"][0]["values"]
    heard = asked(client, "hear", name=name, values=best)
    assert heard["total"] == pytest.approx(len(speech) / spec.sample_rate, rel=0.02)


def test_an_array_that_says_itself_what_it_is(speech, tmp_path):
    """As ``vocoder decode`` writes it."""
    spectrogram = analyse(torch.from_numpy(speech)[None], load("spec", "mel256"))
    write_array(tmp_path / "a.npy", spectrogram, overwrite=False)
    bench = Workbench(ImageSource(input=tmp_path))
    assert bench.begin("a")["says_itself"]
    assert bench.hear("a", {}, 0)["total"] == pytest.approx(len(speech) / 22050, rel=0.02)


@pytest.mark.parametrize("path", ["begin", "hear", "doctor", "render", "drop"])
def test_other_pages_cannot_ask(path, client):
    """Whether by a form, or by a name that leads here."""
    del client.headers[OWN_HEADER]
    assert client.post(f"/api/{path}", content="{}").status_code == 403
    assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_what_is_not_there(client):
    assert client.post("/api/begin", json={"name": "none"}).status_code == 400
    assert client.get("/nothing.js").status_code == 404
    assert client.get("/../settings.py").status_code == 404
    with refused("input.missing"):
        main.dispatch(["open", "input="])
