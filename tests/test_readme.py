"""Every command of the README runs, in a folder that has what it speaks of."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import librosa
import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.compare.listeners import Listener
from tests.corpora import make_corpus
from vocoder.image.dataset.commands import commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
]
# Commands that find something to change, as the README says.
FINDS_SOMETHING = {
    "vocoder doctor input=results/voice manifest=dataset/manifest.csv",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artist's folder: recordings, a data set, what pix2pix generated, old pictures."""
    home, generated = tmp_path_factory.mktemp("home"), Path(__file__).parent / "data/pix2pix"
    tiles = home / "results/voice/test_latest/images"
    tiles.mkdir(parents=True)
    for path in generated.glob("results/*/*/images/nl_v__jes*"):
        shutil.copy(path, tiles)
    rows = (generated / "manifest.csv").read_text().splitlines(keepends=True)
    (home / "dataset").mkdir()
    told = [row if "nl_v__jes" in row else row.replace(",test", ",train") for row in rows]
    (home / "dataset/manifest.csv").write_text("".join(told))
    shutil.copy(generated / "spec.yaml", home / "dataset")
    shutil.copy(next(tiles.glob("*__00_fake_B.png")), home / "picture.png")
    (home / "true_recordings").mkdir()
    for path in (generated / "reference").glob("*.flac"):
        shutil.copy(path, home / "true_recordings")
    shutil.copytree(next(generated.glob("results/*")), home / "results_train/voice")
    for path in (home / "results_train/voice").rglob("nl_v__jes*"):
        path.unlink()

    samples, sample_rate = soundfile.read(
        generated / "reference/nl_v__jes-v-kamen.flac", dtype="float32"
    )
    for folder, gain in (("recordings", 1.0), ("telephone", 0.5)):
        (home / folder).mkdir()
        for name in ("one.wav", "two.flac"):
            soundfile.write(home / folder / name, gain * samples, sample_rate)
    splits = ("train", "train", "train", "train", "val")
    clips = {
        f"{k}.flac": (samples[k * sample_rate // 4 :][: 2 * sample_rate], split)
        for k, split in enumerate(splits)
    }
    make_corpus(home / "corpus", clips)
    db = librosa.amplitude_to_db(np.abs(librosa.stft(samples)))
    (home / "old").mkdir()
    Image.fromarray(db).save(home / "old/line.tif")
    relative = librosa.amplitude_to_db(np.abs(librosa.stft(samples)), ref=np.median)
    Image.fromarray(relative).convert("L").save(home / "old/line.jpg")
    mel = librosa.feature.melspectrogram(
        y=samples, sr=sample_rate, n_fft=1024, hop_length=256, power=1, n_mels=80, fmax=8000
    )
    (home / "mels").mkdir()
    np.save(home / "mels/line.npy", np.log(np.maximum(mel, 1e-5)))
    return home


def test_the_whole_way_is_what_encode_prints() -> None:
    lines = re.findall(r"^    (python (?:train|test)\.py .*)$", README, flags=re.MULTILINE)
    n_tiles = {"train": 1, "test": 100_000}
    (made, *_) = commands("aligned", Path("/x/dataset"), 256, 256, n_tiles, grey=True)
    printed = [str(one).replace("/x/dataset", "../dataset", 1) for one in (made.train, made.test)]
    assert lines == printed
    assert f"git clone https://github.com/uxfion/{made.program}\n" in README


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 12
    assert all(command.startswith("vocoder ") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, home: Path) -> None:
    for earlier in COMMANDS[: COMMANDS.index(command)]:
        made = written(earlier)
        if (
            made
            and f"={made}" in command.replace(f"output={made}", "")
            and not (home / made).exists()
        ):
            test_command(earlier, home)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if command.startswith("vocoder compare systems="):
        listen(command, home, environment)
        return
    done = subprocess.run(
        command, shell=True, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == (2 if command in FINDS_SOMETHING else 0), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    output = written(command)
    if output and "decode" in command:
        assert list((home / output).glob("*.npy"))
    elif output and "invert" in command:
        sounds = list((home / output).rglob("*.wav"))
        assert sounds
        assert all(soundfile.info(sound).duration > 2 for sound in sounds)


def written(command: str) -> str:
    """The folder that a command writes to, or nothing."""
    found = re.search(r"output=(\S+)", command)
    return found[1] if found else ""


def listen(command: str, home: Path, environment: dict[str, str]) -> None:
    """Serve a study, answer all of it, and end the server as people do."""
    process = subprocess.Popen(
        [*shlex.split(command), "port=0"],
        cwd=home,
        env={name: value for name, value in environment.items() if "DISPLAY" not in name},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = next((line for line in process.stdout or () if line.startswith("Listen at ")), "")
    assert said, process.communicate()[1]
    with httpx.Client(base_url=said.split()[2], timeout=60) as client:
        listener = Listener(client)
        state = listener.state()
        while state["trial"]:
            state = listener.answer(state).json()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in errors, errors
    assert f"{state['answered']} answers of 1 listeners" in rest


def test_python_example(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(home)
    names: dict[str, Any] = {}
    exec(example, names)
    assert tuple(np.shape(names["waveform"])) == (1, 255 * 256)


@pytest.mark.parametrize("script", ["demo", "install", "test"])
def test_script_is_as_the_readme_says(script: str) -> None:
    assert f"    scripts/{script} " in README
    assert os.access(ROOT / "scripts" / script, os.X_OK)


@pytest.mark.skipif(
    not (ROOT / ".venv/installed").exists(), reason="scripts/test makes what scripts/demo needs"
)
def test_demo() -> None:
    done = subprocess.run([ROOT / "scripts/demo"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for utterance in ("nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma"):
        assert soundfile.info(ROOT / f"outputs/demo/{utterance}.wav").samplerate == 22050
        assert (ROOT / f"outputs/demo/{utterance}.png").stat().st_size > 10_000
        assert re.search(rf"{utterance}.wav +\d+\.\d+ +0\.\d+", done.stdout)
