"""Every configuration builds what it says, and nothing else is built."""

import inspect
import math
import re
import shlex
from pathlib import Path

import pytest
from hydra import compose
from omegaconf import OmegaConf

from tests.refusals import refused
from vocoder import config
from vocoder.cli import main, overrides
from vocoder.cli.help import commands
from vocoder.config import (
    TARGET,
    build,
    conf_dir,
    groups,
    hydra_conf,
    load,
    missing_settings,
    options,
    require_types,
    text_keys,
)
from vocoder.errors import BadInput

GROUPS = groups()
# Experiments change other groups; tests/cli/test_train.py composes them.
OPTIONS = [(group, name) for group in GROUPS if group != "experiment" for name in options(group)]
OPTIONS.remove(("inverter", "hifigan"))  # comes without weights, and opens them when it is built
COMMANDS = commands()
SPEC = load("spec", "mel256")


def composed(command, *overrides):
    """The plain values that the command line would hand on, required keys given."""
    with hydra_conf():
        config = compose(command, list(overrides))
    for key in missing_settings(OmegaConf.to_container(config)):
        OmegaConf.update(config, key, "given")
    return OmegaConf.to_container(config, resolve=True)


def missing(command, *overrides):
    with hydra_conf():
        return missing_settings(OmegaConf.to_container(compose(command, list(overrides))))


def groups_of(command):
    with hydra_conf():
        return list(overrides.places(command, [])[1])


def composed_whole(command, *more):
    """With an option of every group that the command has."""
    return composed(
        command, *[f"{group}={options(group)[0]}" for group in groups_of(command)], *more
    )


def test_the_rooms_of_the_configuration_are_there():
    assert {"spec", "codec", "inverter"} <= set(GROUPS)
    assert set(COMMANDS) >= {"bench", "decode", "doctor", "encode", "invert"}


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_option_builds_an_object_with_every_field_in_its_file(group, name):
    option = [f"+{group}={name}", *(["+spec=mel256"] if group == "model" else [])]
    values = composed("base", *option)[group]
    given = [key.removeprefix(f"{group}.") for key in missing("base", *option)]
    made = load(
        group, name, **dict.fromkeys(given, "given"), **({"spec": SPEC} if group == "model" else {})
    )
    kind = type(made)
    assert f"{kind.__module__}.{kind.__name__}" == values.pop(TARGET)
    assert set(values) == set(inspect.signature(kind).parameters)
    # Whoever copies one for an option of their own finds out what it is.
    first = (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8").split("\n")[0]
    assert first.startswith("# ") and len(first) > 15
    if group == "codec":  # presets are laws, and say so in metadata
        assert made.name in (name, "foreign")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_called_with_exactly_the_keys_of_its_file(command):
    run = main._function(command)
    values = composed_whole(command)
    recorded = {"composed"} if command == "train" else set()
    wanted = set(inspect.signature(run).parameters) - recorded
    assert wanted <= set(values)
    # What it is not called with reaches objects.
    said = "".join(path.read_text(encoding="utf-8") for path in conf_dir().rglob("*.yaml"))
    for key in set(values) - wanted:
        assert f"${{{key}}}" in said or f"${{oc.select:{key}," in said, key
    for parameter in inspect.signature(run).parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
    require_types(run, values, "")  # the file's own values are of the types that run states


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_can_be_set_on_the_command_line(command):
    """One that is called like a group, which this command hasn't, would be taken for an option."""
    before = composed_whole(command)
    for key in before.keys() - set(groups_of(command)):
        assert key not in GROUPS
        if not isinstance(before[key], dict):
            assert composed_whole(command, f"{key}=7")[key] == 7


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
        if re.match(r" *[a-z]\w*: [^$]", line):
            assert re.search(r"  # \S", line), f"{command}: {line}"
    for example in (line[4:] for line in lines if line.startswith("# $ ")):
        program, name, *words = shlex.split(example)
        assert (program, name) == ("vocoder", command)
        flags, settings = overrides.split(words)
        texts = text_keys(main._function(command))
        with hydra_conf():
            overrides.require_all(command, overrides.parse(settings, texts, sweeps=bool(flags)))


def test_keys_of_the_root_reach_the_options():
    built = build(composed("invert", "seed=7", "device=auto", "inverter=admm")["inverter"], "i")
    assert (built.seed, built.device) == (7, "auto")
    alone = load("inverter", "admm")
    assert (alone.seed, alone.device) == (0, "cpu")


def test_load_takes_a_name_with_settings():
    assert load("inverter", "admm:n_iter=7,rho=.2") == load("inverter", "admm", n_iter=7, rho=0.2)
    with refused("n_iter.missing"):
        load("inverter", "admm:n_iter")


def test_load_changes_settings_nested_ones_too():
    assert load("codec", "gray8", db_min=-80).step_db == pytest.approx(80 / 255)
    assert load("train", "repairing", **{"plan.steps": 5}).plan.steps == 5
    assert load("train", "repairing").plan.steps != 5
    by_name = load("repair", "auto", **{"jpeg.strength": 0.5})
    assert load("repair", "auto", jpeg={"strength": 0.5}) == by_name


@pytest.mark.parametrize(
    ("group", "name", "changes", "key", "named"),
    [
        ("inverters", "admm", {}, "group.unknown", "inverter?"),
        ("inverter", "griffinlim", {}, "inverter.unknown", "griffin_lim?"),
        ("spec", "telephone", {}, "spec.unknown", "linear256, linear512"),
        ("inverter", "admm", {"n_iters": 3}, "inverter.n_iters.unknown", "n_iter?"),
        ("codec", "gray8", {"_target_": "os.system"}, "codec._target_.unknown", "db_min"),
        ("codec", "../spec/mel256", {}, "codec.unknown", "gray8"),
        ("data", "corpus", {}, "data.root.missing", "corpus"),
        ("model", "repair", {}, "model.missing", "spec"),
    ],
)
def test_load_refuses_what_there_is_not(group, name, changes, key, named):
    with refused(key) as caught:
        load(group, name, **changes)
    assert named in str(caught.value)


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
    with pytest.raises(BadInput) as caught:
        build(wrap(node), "inverter")
    assert caught.value.key.endswith(".target")
    assert not mark.exists()


def test_a_constructor_that_passes_settings_on_takes_those_of_its_base():
    """BigVgan names its own settings only."""
    sizes = {"channels": 8, "upsample_rates": 1, "upsample_kernels": None, "block": 1}
    own = {"activation": "snake", "log_scale": True, "last_bias": True, "tanh": True}
    spec = load("spec", "tacotron2")
    whole = {TARGET: "vocoder.model.bigvgan.BigVgan", "spec": spec, **sizes, **own}
    with refused("model.missing") as caught:
        build(whole, "model")
    assert "BigVgan needs kernels, dilations" in str(caught.value)
    with refused("model.kernel.unknown") as caught:
        build(whole | {"kernel": [3]}, "model")
    assert "did you mean kernels" in str(caught.value)
    with refused("model.channels.type"):
        build(whole | {"channels": "8", "kernels": [3], "dilations": [[1]]}, "model")


def test_arguments_that_do_not_fit_are_named():
    target = "vocoder.inverter.admm.Admm"
    with refused("inverter.missing") as caught:
        build({TARGET: target}, "inverter")
    assert "Admm needs n_iter" in str(caught.value)
    values = composed("invert", "inverter=admm")["inverter"]
    for word in ("_partial_", "_args_", "_recursive_"):  # which Hydra would obey
        with refused(f"inverter.{word}.unknown"):
            build(values | {word: True}, "inverter")


@pytest.mark.parametrize(
    ("group", "name", "changes", "key"),
    [
        ("repair", "auto", {"jpeg": {"strength": 2.0}}, "repair.jpeg.strength"),
        (
            "train",
            "repairing",
            {"task": {"inverter": {"n_iter": -1}}},
            "train.task.inverter.n_iter",
        ),
    ],
)
def test_faults_deeper_down_are_named_by_their_whole_key(group, name, changes, key):
    """Classes know their settings by their group; here they are another object's."""
    with refused(f"{key}.range") as caught:
        load(group, name, **changes)
    assert str(caught.value).startswith(f"{key} is ")


def test_a_bug_in_a_constructor_is_itself(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("vocoder.inverter.admm.Admm.__post_init__", broken)
    with pytest.raises(ZeroDivisionError):
        load("inverter", "admm")


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("n_iter", 1.5, "type"),
        ("n_iter", True, "type"),
        ("n_iter", "many", "type"),
        ("n_iter", None, "type"),
        ("n_iter", [3], "type"),
        ("n_iter", {"a": 3}, "type"),
        ("rho", "0.1", "type"),
        ("rho", math.nan, "type"),
        ("init", 3, "type"),
        ("seed", 2**63, "range"),
        ("seed", -1, "range"),
    ],
)
def test_values_of_the_wrong_type_or_range_are_named(field, value, fault):
    with refused(f"inverter.{field}.{fault}") as caught:
        load("inverter", "admm", **{field: value})
    assert ("null" if value is None else repr(value)) in str(caught.value)


def test_whole_numbers_serve_as_numbers():
    assert load("inverter", "admm", rho=1).rho == 1


def test_an_installation_without_its_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "__file__", str(tmp_path / "vocoder" / "config.py"))
    with refused("installation.missing"):
        config.conf_dir()
