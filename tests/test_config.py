"""Every configuration builds what it says, and nothing else is built."""

import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from vocoder import config
from vocoder.cli import main, overrides
from vocoder.cli.help import commands
from vocoder.config import (
    TARGET,
    build,
    conf_dir,
    load,
    options,
    require_option,
    require_types,
)
from vocoder.errors import BadInput

GROUPS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
# Experiments change other groups; tests/cli/test_train.py composes them.
OPTIONS = [(group, name) for group in GROUPS if group != "experiment" for name in options(group)]
COMMANDS = commands()


def composed(command, *overrides):
    """The plain values that the command line would hand on, required keys given."""
    with initialize_config_dir(str(conf_dir()), version_base=main.HYDRA_VERSION):
        config = compose(command, list(overrides))
        for key in OmegaConf.missing_keys(config):
            OmegaConf.update(config, key, "given")
    return OmegaConf.to_container(config, resolve=True)


def groups_of(command):
    text = (conf_dir() / f"{command}.yaml").read_text(encoding="utf-8")
    return re.findall(r"^  - (\w+):", text, flags=re.MULTILINE)


def test_the_rooms_of_the_configuration_are_there():
    assert {"spec", "codec", "inverter"} <= set(GROUPS)
    assert set(COMMANDS) >= {"bench", "decode", "doctor", "encode", "invert"}


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_option_builds_an_object_with_every_field_in_its_file(group, name):
    values = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    made = load(group, name, **({"spec": load("spec", "mel256")} if group == "model" else {}))
    kind = type(made)
    assert f"{kind.__module__}.{kind.__name__}" == values.pop(TARGET)
    assert set(values) == set(inspect.signature(kind).parameters)
    # Whoever copies one for an option of their own finds out what it is.
    first = (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8").split("\n")[0]
    assert first.startswith("# ") and len(first) > 15
    if group == "codec":
        assert made.name == name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_called_with_exactly_the_keys_of_its_file(command):
    run = importlib.import_module(f"vocoder.cli.{command}").run
    choices = [f"{group}={options(group)[0]}" for group in groups_of(command)]
    values = composed(command, *choices)
    recorded = {"composed"} if command == "train" else set()
    assert set(values) | recorded == set(inspect.signature(run).parameters)
    for parameter in inspect.signature(run).parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
    require_types(run, values, "")  # the file's own values are of the types that run states


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_can_be_set_on_the_command_line(command):
    """One that is called like a group, which this command hasn't, would be taken for an option."""
    before = composed(command, *[f"{group}={options(group)[0]}" for group in groups_of(command)])
    for key in before.keys() - set(groups_of(command)):
        assert key not in GROUPS
        if not isinstance(before[key], dict):
            choices = [f"{group}={options(group)[0]}" for group in groups_of(command)]
            assert composed(command, *choices, f"{key}=7")[key] == 7


@pytest.mark.parametrize(
    ("command", "group", "name"),
    [
        (next(command for command in COMMANDS if group in groups_of(command)), group, name)
        for group, name in OPTIONS
        # Networks draw their weights, and data have keys that must be given.
        if group not in ("model", "data", "train")
    ],
)
def test_what_a_command_is_given_is_what_the_library_loads(command, group, name):
    values = composed(command, f"{group}={name}")
    assert build(values[group], group) == load(group, name)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_has_a_word_of_help_and_every_example_is_a_command(command):
    lines = (conf_dir() / f"{command}.yaml").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if re.match(r" *[a-z]\w*: \S", line):
            assert re.search(r"  # \S", line), f"{command}: {line}"
    for example in (line[4:] for line in lines if line.startswith("# $ ")):
        program, name, *words = shlex.split(example)
        assert (program, name) == ("vocoder", command)
        flags, settings = overrides.split(words)
        texts = overrides.text_keys(main._function(command))
        with initialize_config_dir(str(conf_dir()), version_base=main.HYDRA_VERSION):
            overrides.check(command, overrides.parse(settings, texts, sweeps=bool(flags)))


def test_keys_of_the_root_reach_the_options():
    built = build(composed("invert", "seed=7", "device=auto", "inverter=admm")["inverter"], "i")
    assert (built.seed, built.device) == (7, "auto")
    alone = load("inverter", "admm")
    assert (alone.seed, alone.device) == (0, "cpu")


def test_a_word_holds_a_name_and_fields():
    assert load("inverter", "admm") == load("inverter", "admm")
    assert load("inverter", "admm:n_iter=7,rho=.2") == load("inverter", "admm", n_iter=7, rho=0.2)
    with pytest.raises(BadInput, match="n_iter has no value; expected name:field=value"):
        load("inverter", "admm:n_iter")


def test_load_changes_fields_and_refuses_what_there_is_not():
    assert load("codec", "gray8", db_min=-80.0).db_min == -80
    assert load("codec", "gray8", db_min=-80).step_db == pytest.approx(80 / 255)
    with pytest.raises(BadInput, match=r"inverter=griffinlim does not exist; did you mean griffin"):
        load("inverter", "griffinlim")
    with pytest.raises(BadInput, match="spec=telephone does not exist; there are linear256"):
        load("spec", "telephone")
    with pytest.raises(BadInput, match="inverter admm has no field n_iters; did you mean n_iter"):
        load("inverter", "admm", n_iters=3)
    with pytest.raises(BadInput, match="codec gray8 has no field _target_"):
        load("codec", "gray8", _target_="os.system")
    with pytest.raises(BadInput, match=r"codec\.db_min is 10 .*expected db_min below db_max"):
        load("codec", "gray8", db_min=10.0)
    with pytest.raises(BadInput, match=r"=\.\./spec/mel256 does not exist"):
        require_option("codec", "../spec/mel256")


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "vocoder.files.os.system",
        "vocoder.cli.main.sys",
        "vocoder.cli.main.sys.exit",
        "vocoder.cli.main.main",
        "vocoder.inverter.base.torch_device",
        "vocoder.inverter.griffin_lim.Tensor",
        "vocoder.spec.SpectrogramSpec.from_dict",
        "vocoder.nothing.Here",
        "vocoder..spec",
        "vocoder.",
        "vocoder",
        "vocoders.spec.SpectrogramSpec",
        "/etc/passwd",
        "",
        5,
        None,
    ],
)
@pytest.mark.parametrize("wrap", [lambda node: node, lambda node: [{"deep": node}]])
def test_nothing_outside_the_package_is_built_or_run(target, wrap, tmp_path):
    mark = tmp_path / "mark"
    node = {TARGET: target, "command": f"touch {mark}"}
    with pytest.raises(BadInput, match=r"_target_ is .*expected a class of the package vocoder"):
        build(wrap(node), "inverter")
    assert not mark.exists()


def test_arguments_that_do_not_fit_are_named():
    target = "vocoder.inverter.admm.Admm"
    with pytest.raises(BadInput, match=r"inverter does not fit .*Admm: missing .*'n_iter'"):
        build({TARGET: target}, "inverter")
    values = load("inverter", "admm").to_dict() | {TARGET: target, "class": "louder"}
    with pytest.raises(BadInput, match=r"inverter does not fit .*Admm: .*'class'"):
        build(values, "inverter")


def test_fields_of_another_class_are_told_in_our_words():
    target = "vocoder.train.degradation.BandErrors"
    values = {TARGET: target, "max_db": 1.0, "bins": 2.0, "frames": 3.0}
    start = r"^degradation does not fit .*\.BandErrors: "
    with pytest.raises(BadInput, match=start + "it has no field 'pitch'; there are bins, frames, m"):
        build({**values, "pitch": 1.0}, "degradation")
    del values["bins"], values["frames"]
    message = start + "it has no field 'frame'; did you mean frames.; missing 'bins', 'frames'"
    with pytest.raises(BadInput, match=message + "$"):
        build({**values, "frame": 1.0}, "degradation")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("n_iter", 1.5, "1.5; expected a whole number"),
        ("n_iter", True, "True; expected a whole number"),
        ("n_iter", "many", "'many'; expected a whole number"),
        ("n_iter", None, "null; expected a whole number"),
        ("n_iter", [3], r"\[3\]; expected a whole number"),
        ("rho", "0.1", "'0.1'; expected a number"),
        ("init", 3, "3; expected text"),
        ("init", "zeros", "'zeros'; expected one of"),
        ("n_iter", -1, "-1; expected at least 0"),
    ],
)
def test_values_of_the_wrong_type_or_range_are_named(field, value, expected):
    with pytest.raises(BadInput, match=rf"^inverter\.{field} is {expected}"):
        load("inverter", "admm", **{field: value})


def test_whole_numbers_serve_as_numbers():
    assert load("inverter", "admm", rho=1).rho == 1


def test_an_installation_without_its_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "__file__", str(tmp_path / "vocoder" / "config.py"))
    with pytest.raises(BadInput, match=r"lacks its folder conf/ .*install it again"):
        config.conf_dir()
