"""The program itself: help, settings, errors and exit codes."""

import re
import shutil
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

import pytest
import soundfile
import yaml
from hydra import compose
from omegaconf import OmegaConf

from tests.processes import python
from tests.refusals import refused as told
from vocoder import config
from vocoder.cli import help as help_texts
from vocoder.cli import main, overrides
from vocoder.cli.help import commands
from vocoder.config import all_settings, conf_dir, hydra_conf, options

SLOW_IMPORTS = {"torch", "librosa", "numpy", "scipy", "matplotlib"}
CHEAP = ("inverter.n_iter=1", "inverter.init=zero")


def process(*words):
    """The program in a process of its own, with the modules it had imported at the end."""
    code = (
        "import sys, atexit\n"
        "from vocoder.cli.main import main\n"
        "atexit.register(lambda: print('MODULES', *sys.modules, file=sys.stderr))\n"
        "main()"
    )
    return python("-c", code, *words)


def refused(capsys, *words):
    """The one line that a command is refused with; nothing else is printed."""
    assert main.run(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("vocoder: ")
    return line.removeprefix("vocoder: ")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_alone_it_lists_commands_and_examples(words, capsys):
    assert main.run(words) == 0
    text = capsys.readouterr().out
    for name in commands():
        assert re.search(rf"^  {name} +[A-Z]", text, flags=re.MULTILINE)
    assert "vocoder invert input=" in text and "-m inverter=griffin_lim,admm" in text


def test_it_tells_its_version(capsys):
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"vocoder {version('vocoder')}\n"


@pytest.mark.parametrize("command", commands())
def test_the_help_of_a_command_names_every_setting_and_option(command, capsys):
    assert main.run([command, "--help"]) == 0
    text = capsys.readouterr().out
    with hydra_conf():
        values = OmegaConf.to_container(compose(command))
        choices = overrides.places(command, [])[1]
    for name, value in all_settings(values).items():
        if not isinstance(value, dict) and "${" not in str(value):
            assert re.search(rf"^  {re.escape(name)}=\S*", text, flags=re.MULTILINE), name
    for group in choices:
        place = group.rpartition("@")[2]
        section = text.partition(f"\n{place}= one of\n")[2].partition("\n\n")[0]
        for name in options(group.partition("@")[0]):
            assert re.search(rf"^  {name} +\S", section, flags=re.MULTILINE), name
    assert f"  vocoder {command} " in text


def test_help_lists_the_settings_of_the_options_given(capsys):
    assert main.run(["invert", "inverter=admm", "spec=tacotron2", "--help"]) == 0
    text = capsys.readouterr().out
    assert "inverter.rho=0.1" in text and "inverter.momentum=0.99" not in text
    # A meaning is inherited with its setting.
    assert re.search(r"spec\.n_mels=80 +mel bands", text)
    with told("inverter.unknown"):
        main.dispatch(["invert", "inverter=admn", "--help"])


def test_every_setting_of_every_option_has_its_meaning_beside_it():
    shown = set()
    for command in commands():
        with hydra_conf():
            own = overrides.places(command, [])[1]
        given = [[], *([f"{group}={name}"] for group in own for name in options(group))]
        for words in given:
            if words and words[0] in shown:  # by another command
                continue
            shown.update(words)
            text = help_texts.command_help(command, words)
            for line in re.findall(r"^  [a-z_.]+=.*", text, flags=re.MULTILINE):
                assert re.search(r"\S  +\S", line), (words, line)


def test_help_into_a_pipe_that_is_closed():
    code = "from vocoder.cli.main import main; main()"
    done = subprocess.run(
        f"{sys.executable} -c '{code}' train --help | head -n 1",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("vocoder train") and done.stderr == ""


@pytest.mark.parametrize(
    "words", [(), ("invert", "--help"), ("encode", "style=aligned", "-h"), ("invrt",)]
)
def test_help_and_slips_import_nothing_slow(words):
    done = process(*words)
    assert done.returncode == (2 if words == ("invrt",) else 0)
    modules = set(done.stderr.partition("MODULES ")[2].split())
    assert "vocoder.cli.main" in modules
    assert not modules & SLOW_IMPORTS


def test_an_inversion_imports_only_what_it_uses(tiles, tmp_path):
    words = (f"input={tiles}", "repair=none", "inverter.n_iter=1", f"output={tmp_path / 'out'}")
    done = process("invert", *words)
    assert done.returncode == 0
    modules = set(done.stderr.partition("MODULES ")[2].split())
    others = {"scipy.ndimage", "scipy.signal", "pydantic", "vocoder.evaluate.reference"}
    assert "torch" in modules and not modules & others


def test_a_command_of_its_own_is_one_module_and_one_file(tmp_path, monkeypatch):
    conf = tmp_path / "conf"
    shutil.copytree(conf_dir(), conf)
    (conf / "whistle.yaml").write_text("# Whistle an image.\ninput: ???  # picture\n")
    for module in (help_texts, config):
        monkeypatch.setattr(module, "conf_dir", lambda: conf)
    assert "whistle" not in commands()  # no module yet
    monkeypatch.setattr(help_texts, "command_module", lambda _: types.ModuleType("whistle"))
    assert "Whistle an image." in help_texts.command_help("whistle")


@pytest.mark.parametrize(
    ("words", "key", "named"),
    [
        ("invrt", "command.unknown", "invert"),
        ("quack", "command.unknown", "bench, compare"),
        ("invert", "input.missing", "a folder of images"),
        ("invert input=x", "output.missing", "folder for the audio"),
        ("encode output=x", "input.missing", "folder of recordings"),
        ("invert imput=x", "imput.unknown", "input?"),
        ("invert invertr=admm", "invertr.unknown", "inverter?"),
        ("invert checkpoint=mine", "checkpoint.renamed", "inverter.weights="),
        (
            "invert repair=none inverter=hifigan checkpoint=mine",
            "checkpoint.renamed",
            "inverter.weights=",
        ),
        ("invert inverter.jpeg_contrast=0.3", "inverter.jpeg_contrast.renamed", "repair.jpeg.post"),
        ("invert inverter=_phase", "inverter.unknown", "phasenet"),
        ("invert inverter=hybrid", "inverter.renamed", "repair=auto"),
        ("invert -m inverter=istft,admm", "inverter.renamed", "repair=auto"),
        ("train model=wavenet_mulaw", "model.renamed", "model=wavenet"),
        ("encode tile.frame=3", "tile.frame.unknown", "tile.frames?"),
        ("encode tile=3 input=i output=o", "tile.type", "3"),
        ("invert inverter=admn", "inverter.unknown", "admm?"),
        ("invert codec=jpeg2000 spec=mel256", "codec.unknown", "gray8"),
        ("invert inverter=admm inverter.n_itr=1", "inverter.n_itr.unknown", "inverter.n_iter?"),
        ("invert inverter=admm inverter.momentum=1", "inverter.momentum.unknown", "momentum"),
        ("invert spec=mel256 spec.n_mel=1", "spec.n_mel.unknown", "spec.n_mels?"),
        ("invert codec.db_min=-80", "codec.missing", "codec=gray8"),
        ("invert inverter._target_=os.system", "setting.unknown", "_target_"),
        ("invert +inverter._target_=os.system", "setting.unknown", "_target_"),
        ("invert ++seed=3", "setting.unknown", "seed=3"),
        ("invert ~seed=0", "setting.unknown", "seed=0"),
        ("invert seed", "setting.format", "key=value"),
        ("invert inverter=null", "inverter.unknown", "admm"),
        ("invert spec=null", "spec.unknown", "mel256"),
        ("invert inverter=[admm]", "inverter.unknown", "admm"),
        ("invert inverter={a: b}", "inverter.unknown", "admm"),
        ("invert inverter=griffin_lim,admm", "setting.conflict", "add --multirun"),
        ("invert hydra=null", "setting.unknown", "hydra/launcher="),
        ("invert hydra.run.dir=here", "setting.unknown", "hydra/launcher="),
        ("invert -m codec=range(3) input=i output=o", "codec.type", "range(3)"),
        ("invert -m seed=interval(0,1) input=i output=o", "seed.type", "range()"),
        ("invert -m input=i output=o,p", "output.conflict", "output=o,p"),
        ("invert -m input=i output=", "output.missing", "output="),
        ("invert -m input=i hydra/launcher=ray,joblib", "launcher.conflict", "give one"),
        ("invert -m input=i hydra.launcher=ray", "launcher.format", "hydra/launcher=ray"),
        ("invert -m input=i hydra/launcher=jobli output=o", "launcher.unknown", "joblib?"),
        ("invert -m inverter=griffin_lim,adm", "inverter.unknown", "admm?"),
        ("invert -m inverter=griffin_lim,admm inverter.rho=1", "inverter.rho.unknown", "rho"),
        ("invert -m --cfg job", "flag.conflict", "--cfg"),
        ("invert --cfg all", "flag.unknown", "--cfg job"),
        ("invert --info", "flag.unknown", "info=value"),
        ("invert --shell-completion install=bash", "flag.unknown", "--shell-completion"),
        ("invert --seed=3", "flag.unknown", "seed=value"),
        ("invert input=null output=o", "input.missing", "input="),
        ("invert input= output=o", "input.missing", "folder"),
        ("invert input=i output=o workers=two", "workers.type", "'two'"),
        ("invert input=i output=o workers=1.5", "workers.type", "a whole number or null"),
        ("invert input=i output=o strict=maybe", "strict.type", "true or false"),
        ("invert input=i output=o seed=x", "seed.type", "'x'"),
        ("invert input=i output=o seed=-1", "seed.range", "-1"),
        ("invert input=i output=o seed=18446744073709551616", "seed.range", "2^63"),
        ("invert input=i output=o inverter.n_iter=2.5", "inverter.n_iter.type", "a whole number"),
        ("invert input=i output=o inverter.momentum=nan", "inverter.momentum.type", "nan"),
        ("invert input=i output=o inverter=5", "inverter.unknown", "admm"),
        ("train output=o data.root=r train.plan=5", "train.plan.type", "settings of a Plan"),
        ("train output=o data.root=r train.plan.betas=[a,b]", "train.plan.betas.type", "a list"),
    ],
)
def test_bad_use_names_what_is_wrong_and_what_is_right(words, key, named):
    with told(key) as caught:
        main.dispatch(words.split(" ") if "{" not in words else words.split(" ", 1))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("quack",),
        ("invert", "imput=x"),
        ("invert", "input=x"),
        ("invert", "input=gone", "output=o"),
    ],
)
def test_the_process_exits_with_2_and_no_traceback(words):
    done = process(*words)
    line, _, _ = done.stderr.partition("MODULES")
    assert done.returncode == 2
    assert line.startswith("vocoder: ") and line.count("\n") == 1 and done.stdout == ""


def test_a_bug_is_a_traceback_and_1(monkeypatch):
    code = (
        "import vocoder.cli.main as m\n"
        "m.command_help = None\n"  # as a bug would be
        "import sys; sys.argv = ['vocoder', 'invert', '--help']; m.main()"
    )
    done = python("-c", code)
    assert done.returncode == 1 and "Traceback" in done.stderr


@pytest.mark.parametrize("key", ["input", "output", "reference", "manifest"])
def test_what_the_system_says_of_a_file_is_one_line(key, tiles, tmp_path, capsys):
    long = "x" * 300
    words = {"input": tiles, "output": tmp_path / "o"} | {key: tmp_path / long}
    line = refused(capsys, "invert", *(f"{name}={value}" for name, value in words.items()))
    assert line.startswith("cannot use") and f"{long}: File name too long" in line


def test_what_the_system_says_of_no_file_is_a_bug(monkeypatch):
    def broken(*_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(overrides, "compose", broken)
    with pytest.raises(BrokenPipeError):
        main.run(["invert", "input=i", "output=o"])


def test_a_sweep_goes_on_after_a_file_that_cannot_be(tiles, tmp_path, capsys):
    (tmp_path / "link").symlink_to("x" * 300)
    words = [f"input={tmp_path / 'link'},{tiles}", f"output={tmp_path / 'o'}", *CHEAP]
    assert main.run(["invert", "-m", *words]) == 2
    assert "link: File name too long" in capsys.readouterr().err
    assert len(list((tmp_path / "o").rglob("*.wav"))) == 1


def test_interruption_is_130(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "overview", interrupted)
    assert main.run([]) == 130
    assert "what is finished stays" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "a (1)=x.png",
        "it's.png",
        "comma, and more.png",
        "[take 2].png",
        "{x}.png",
        "100%; #3.png",
        "ünï cödé.png",
        r"back\slash (2).png",
        "2024",
        "1e3",
        "true",
        "key=value=more",
    ],
)
def test_file_names_are_taken_as_they_stand(name, tiles, tmp_path, monkeypatch, capsys):
    assert f"{name} does not exist" in refused(capsys, "invert", f"input={name}", "output=o")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiles, tmp_path / name)
    assert main.run(["invert", f"input={name}", f"output=to {name}", *CHEAP]) == 0
    assert [path.name for path in (tmp_path / f"to {name}").glob("*.wav")] == [
        "nl_v__jes-v-kamen.wav"
    ]


@pytest.mark.parametrize("flag", [["--cfg", "job"], ["--cfg=job"], ["-c", "job"]])
def test_the_composed_configuration_can_be_printed(flag, capsys):
    assert main.run(["invert", "inverter=admm", "inverter.rho=0.25", *flag]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["inverter"]["rho"] == 0.25 and shown["input"] == "???"
    assert list(Path.cwd().glob("outputs/20*")) == []  # Hydra's usual litter


def test_a_sweep_writes_each_job_into_its_own_folder(tiles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [f"input={tiles}", "output=sweep", "inverter=griffin_lim,admm", *CHEAP]
    assert main.run(["invert", "-m", *words]) == 0
    folders = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert folders == ["inverter=admm", "inverter=griffin_lim"]
    sounds = [
        soundfile.read(tmp_path / "sweep" / folder / "nl_v__jes-v-kamen.wav")[0]
        for folder in folders
    ]
    assert len(sounds[0]) == len(sounds[1]) and (sounds[0] != sounds[1]).any()
    # Alone, the same job gives the same sound.
    words = [f"input={tiles}", "output=alone", "inverter=admm", *CHEAP]
    assert main.run(["invert", *words]) == 0
    alone, _ = soundfile.read(tmp_path / "alone/nl_v__jes-v-kamen.wav")
    assert (alone == sounds[0]).all()
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "set", "sweep"}


def test_every_combination_of_a_sweep_is_run_though_one_has_problems(tiles, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(tiles, broken)
    (broken / "nl_v__jes-v-kamen__01_fake_B.png").unlink()
    output = tmp_path / "sweep"
    words = ["inverter.n_iter=0,1", "inverter.init=zero", f"output={output}", f"input={broken}"]
    assert main.run(["invert", "--multirun", *words]) == 2
    assert [len(list(path.glob("*.wav"))) for path in sorted(output.glob("inverter*"))] == [1, 1]

    output = tmp_path / "another"
    words = ["inverter.n_iter=x,-1,1", "inverter.init=zero", f"output={output}", f"input={tiles}"]
    capsys.readouterr()
    assert main.run(["invert", "-m", *words]) == 2
    assert len(list(output.glob("inverter.n_iter=1/*.wav"))) == 1
    said = capsys.readouterr().err
    assert "inverter.n_iter=x: inverter.n_iter is 'x'; expected a whole number" in said
    assert "inverter.n_iter=-1: inverter.n_iter is -1; expected at least 0" in said
    assert "Traceback" not in said and "Error executing job" not in said
    assert not list(output.rglob("multirun.yaml"))
