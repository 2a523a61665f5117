"""Checkpoints of the original HiFi-GAN: the same sound as the published network makes."""

import json
import os
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.refusals import refused
from vocoder.config import load
from vocoder.decibels import to_decibels
from vocoder.errors import BadInput
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.discriminator.msd import MultiScale
from vocoder.model.generator import fold_weight_norm
from vocoder.model.interchange.foreign import import_generator
from vocoder.model.interchange.original_hifigan import import_discriminators
from vocoder.spectrogram import analyse, mel_filters

V1 = {  # the keys and values of config_v1.json, but for the number of channels
    "resblock": "1",
    "num_gpus": 0,
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "segment_size": 8192,
    "num_mels": 80,
    "num_freq": 1025,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
    "fmax_for_loss": None,
}
V3 = {
    **V1,
    "resblock": "2",
    "upsample_rates": [8, 8, 4],
    "upsample_kernel_sizes": [16, 16, 8],
    "resblock_kernel_sizes": [3, 5, 7],
    "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]],
    "fmax": None,
}


def original_weights(config) -> dict[str, torch.Tensor]:
    """Random weights under the names and with the shapes that the original code saves."""
    torch.manual_seed(0)
    state = {}

    def add(name, out, channels, kernel, biases=None):
        direction = torch.randn(out, channels, kernel)
        state[f"{name}.bias"] = 0.1 * torch.randn(biases or out)
        state[f"{name}.weight_g"] = 0.5 + 0.5 * torch.rand(out, 1, 1)
        state[f"{name}.weight_v"] = direction

    width = config["upsample_initial_channel"]
    add("conv_pre", width, config["num_mels"], 7)
    number = 0
    for i, kernel in enumerate(config["upsample_kernel_sizes"]):
        add(f"ups.{i}", width, width // 2, kernel, biases=width // 2)
        width //= 2
        for size, steps in zip(
            config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True
        ):
            for k in range(len(steps)):
                for group in ("convs1", "convs2") if config["resblock"] == "1" else ("convs",):
                    add(f"resblocks.{number}.{group}.{k}", width, width, size)
            number += 1
    add("conv_post", 1, width, 7)
    state["conv_post.weight_g"] *= 0.02
    return state


def original_sound(state, config, log_mel):
    """The forward pass as it is published, in plain calls: ``(batch, samples)``."""

    def weight(name):
        direction = state[f"{name}.weight_v"]
        return state[f"{name}.weight_g"] * direction / direction.norm(dim=(1, 2), keepdim=True)

    def conv(x, name, dilation=1):
        kernel = weight(name)
        padding = (kernel.shape[2] - 1) * dilation // 2
        return functional.conv1d(x, kernel, state[f"{name}.bias"], 1, padding, dilation)

    def resblock(x, name, steps):
        for k, dilation in enumerate(steps):
            y = functional.leaky_relu(x, 0.1)
            if config["resblock"] == "1":
                y = functional.leaky_relu(conv(y, f"{name}.convs1.{k}", dilation), 0.1)
                y = conv(y, f"{name}.convs2.{k}")
            else:
                y = conv(y, f"{name}.convs.{k}", dilation)
            x = x + y
        return x

    x = conv(log_mel, "conv_pre")
    n_kernels = len(config["resblock_kernel_sizes"])
    for i, rate in enumerate(config["upsample_rates"]):
        kernel = weight(f"ups.{i}")
        padding = (kernel.shape[2] - rate) // 2
        x = functional.leaky_relu(x, 0.1)
        x = functional.conv_transpose1d(x, kernel, state[f"ups.{i}.bias"], rate, padding)
        found = [
            resblock(x, f"resblocks.{i * n_kernels + j}", steps)
            for j, steps in enumerate(config["resblock_dilation_sizes"])
        ]
        x = torch.stack(found).mean(dim=0)
    return conv(functional.leaky_relu(x, 0.01), "conv_post").tanh()[:, 0]


@pytest.fixture
def write(tmp_path):
    def write(config, content=None, **options):
        paths = tmp_path / "config.json", tmp_path / "g_02500000"
        paths[0].write_text(json.dumps(config))
        content = {"generator": original_weights(V1)} if content is None else content
        torch.save(content, paths[1], **options)
        return paths

    return write


def without_norm(state):
    """As after the original's ``remove_weight_norm``."""
    plain = {name: tensor for name, tensor in state.items() if name.endswith(".bias")}
    for name in (name for name in state if name.endswith("weight_v")):
        layer = name.removesuffix("_v")
        length = state[name].norm(dim=(1, 2), keepdim=True)
        plain[layer] = state[f"{layer}_g"] * state[name] / length
    return plain


def of_new_pytorch(state):
    names = {"weight_g": "original0", "weight_v": "original1"}
    return {
        ".".join(
            [layer, "parametrizations.weight", names[leaf]] if leaf in names else [layer, leaf]
        ): t
        for (layer, _, leaf), t in ((name.rpartition("."), t) for name, t in state.items())
    }


@pytest.mark.parametrize(
    "form",
    [
        lambda state: state,
        lambda state: {"generator": without_norm(state)},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": of_new_pytorch(state), "epoch": 3},
    ],
    ids=["bare", "without norm", "of several GPUs", "of a new PyTorch"],
)
def test_the_form_of_the_state_dict_does_not_matter(form, write):
    state = original_weights(V1)
    log_mel = torch.randn(1, 80, 9) - 5
    with torch.inference_mode():
        wanted = original_sound(state, V1, log_mel)
        model: Any = import_generator(*write(V1, form(state))).build()
        assert (model(to_decibels(log_mel.exp(), model.spec)) - wanted).abs().max() < 1e-5


def original_discriminators():
    """Random weights as a ``do_…`` file holds them, and the published forward pass on samples.

    An eighth as wide as published; nothing else depends on the width.
    """
    torch.manual_seed(1)
    state: dict[str, dict[str, torch.Tensor]] = {"mpd": {}, "msd": {}}
    layers: list[torch.Tensor] = []
    sizes: list[Any]

    def add(kind, name, shape, spectral=False):
        own, direction = state[kind], torch.randn(shape)
        own[f"{name}.bias"] = 0.1 * torch.randn(shape[0])
        if spectral:
            matrix = direction.flatten(1)
            u, _, v = torch.linalg.svd(matrix, full_matrices=False)
            own |= {f"{name}.weight_orig": direction}
            own |= {f"{name}.weight_u": u[:, 0], f"{name}.weight_v": v[0]}
            return direction / (u[:, 0] @ matrix @ v[0])
        own[f"{name}.weight_v"] = direction
        own[f"{name}.weight_g"] = 1 + torch.rand(shape[0], *[1] * (len(shape) - 1))
        length = direction.flatten(1).norm(dim=1).view(-1, *[1] * (len(shape) - 1))
        return own[f"{name}.weight_g"] * direction / length

    def logits_of(kind, number, x, convolve, sizes, last, spectral=False):
        for k, (shape, options) in enumerate(sizes):
            name = f"discriminators.{number}.convs.{k}"
            weight = add(kind, name, shape, spectral)
            x = functional.leaky_relu(
                convolve(x, weight, state[kind][f"{name}.bias"], **options), 0.1
            )
        name = f"discriminators.{number}.conv_post"
        weight = add(kind, name, last, spectral)
        padding = (1, 0) if len(last) == 4 else 1
        return convolve(x, weight, state[kind][f"{name}.bias"], padding=padding).flatten()

    samples = 0.3 * torch.randn(1, 2310)
    for number, period in enumerate((2, 3, 5, 7, 11)):
        x = samples.view(1, 1, -1, period)  # a multiple of all periods: nothing is padded
        widths = (1, 4, 16, 64, 128, 128)
        sizes = [
            (
                (widths[k + 1], widths[k], 5, 1),
                {"stride": (3 if k < 4 else 1, 1), "padding": (2, 0)},
            )
            for k in range(5)
        ]
        layers.append(logits_of("mpd", number, x, functional.conv2d, sizes, (1, 128, 3, 1)))
    x = samples[:, None]
    for number in range(3):
        x = functional.avg_pool1d(x, 4, 2, padding=2) if number else x
        rows = (  # channels, kernel, stride, groups, as the original's DiscriminatorS
            *((16, 15, 1, 1), (16, 41, 2, 4), (32, 41, 2, 16), (64, 41, 4, 16)),
            *((128, 41, 4, 16), (128, 41, 1, 16), (128, 5, 1, 1)),
        )
        sizes, inputs = [], 1
        for channels, kernel, stride, groups in rows:
            options = {"stride": stride, "padding": kernel // 2, "groups": groups}
            sizes.append(((channels, inputs // groups, kernel), options))
            inputs = channels
        found = logits_of("msd", number, x, functional.conv1d, sizes, (1, 128, 3), number == 0)
        layers.append(found)
    return state, samples, layers


def test_the_discriminators_say_what_the_originals_say(tmp_path):
    state, samples, wanted = original_discriminators()
    torch.save({**state, "optim_d": {}, "steps": 7}, tmp_path / "do_1")
    states = import_discriminators(tmp_path / "do_1")
    found = []
    for name, network in (
        ("mpd", MultiPeriod(width=1 / 8, periods=[2, 3, 5, 7, 11])),
        ("msd", MultiScale(width=1 / 8, scales=3)),
    ):
        network.load_state_dict(states[name])
        with torch.inference_mode():
            found += [logits for logits, _ in network.eval()(samples)]
    for ours, theirs in zip(found, wanted, strict=True):
        # Ours have time last, so that the order differs.
        ours, theirs = ours.flatten().sort().values, theirs.sort().values
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    torch.save({"generator": {}}, tmp_path / "g_1")
    with refused("discriminators.format"):
        import_discriminators(tmp_path / "g_1")


@pytest.mark.parametrize("config", [V1, V3], ids=["pairs", "single"])
def test_sounds_as_the_original(config, write, tmp_path):
    state = original_weights(config)
    log_mel = torch.randn(2, 80, 20) * 2 - 5
    log_mel.clamp_(min=-11)  # the floor of 1e-5 is -11.5
    with torch.inference_mode():
        wanted = original_sound(state, config, log_mel)
    assert 0.05 < wanted.abs().max() < 0.99  # neither silent nor saturated
    as_in_2020 = {"_use_new_zipfile_serialization": config is V1}
    checkpoint = import_generator(*write(config, {"generator": state}, **as_in_2020))
    checkpoint.write(tmp_path / "ours.safetensors", overwrite=False)
    model: Any = read_checkpoint(tmp_path / "ours.safetensors").build()
    for fold in (False, True):
        if fold:
            fold_weight_norm(model)
        with torch.inference_mode():
            assert (model(to_decibels(log_mel.exp(), model.spec)) - wanted).abs().max() < 1e-5


def test_the_spec_is_what_the_original_was_trained_on(write, speech):
    """Its frames are ours of the sound that begins half a hop later, so `first_sample` says so."""
    whole_band = import_generator(*write(V3, {"generator": original_weights(V3)}))
    assert whole_band.spec == replace(load("spec", "tacotron2"), fmax=11_025.0)
    checkpoint = import_generator(*write(V1))
    assert checkpoint.spec == load("spec", "tacotron2")
    samples = torch.from_numpy(speech)[None]
    padded = functional.pad(samples[:, None], (384, 384), mode="reflect")[:, 0]
    window = torch.hann_window(1024)
    transform = torch.stft(padded, 1024, 256, 1024, window, center=False, return_complex=True)
    theirs = mel_filters(checkpoint.spec, samples.device) @ transform.abs()
    model: Any = checkpoint.build()
    half_hop = -model.first_sample
    assert half_hop == 128
    ours = analyse(samples[:, half_hop:], checkpoint.spec).linear
    inside = slice(3, theirs.shape[2] - 4)
    assert torch.allclose(ours[:, :, inside], theirs[:, :, inside], rtol=1e-3, atol=1e-4)


class Malicious:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda c, p: p.write_bytes(pickle.dumps(c, protocol=2))]
)
def test_a_malicious_file_is_refused_before_it_runs(save, write, tmp_path):
    trace = tmp_path / "trace"
    config, weights = write(V1)
    save({"generator": original_weights(V1), "more": Malicious(trace)}, weights)
    with refused("weights.unsafe"):
        import_generator(config, weights)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malicious(trace)))  # it does work
    assert trace.exists()


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.99])
def test_a_damaged_file_is_refused(keep, write):
    config, weights = write(V1)
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(BadInput, match=r"g_02500000 (holds other things|cannot be read)"):
        import_generator(config, weights)


def test_other_files_are_refused(write, tmp_path):
    state = original_weights(V1)
    del state["conv_post.bias"]
    for config, content, key in (
        (V1, {"mpd": {}, "msd": {}}, "weights.format"),
        (V1, [1, 2], "weights.format"),
        (V3, {"generator": original_weights(V1)}, "weights.config"),
        (V1, {"generator": state}, "weights.config"),
    ):
        with refused(key):
            import_generator(*write(config, content))
    (tmp_path / "g_0").write_text("no weights at all")
    for name, key in (("g_0", "weights.unsafe"), ("g_1", "weights.missing")):
        with refused(key):
            import_generator(tmp_path / "config.json", tmp_path / name)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"hop_size": 300}, "weights.config"),
        ({"resblock": "3"}, "config.resblock.range"),
        ({"upsample_rates": "8 8 2 2"}, "config.upsample_rates.type"),
        ({"resblock_dilation_sizes": [1, 2, 3]}, "config.resblock_dilation_sizes.type"),
        ({"upsample_initial_channel": "512"}, "weights.config"),
        ({"upsample_initial_channel": 2**40}, "weights.config"),
        ({"upsample_kernel_sizes": [2**40, 16, 4, 4]}, "weights.config"),
        ({"num_mels": {}}, None),
        ({"sampling_rate": None}, "config.sampling_rate.type"),
        ({"fmax": 20_000}, None),
        ({"fmax": None, "sampling_rate": "fast"}, "config.sampling_rate.type"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change, key, write):
    with pytest.raises(BadInput) as caught:
        import_generator(*write({**V1, **change}))
    assert key in (None, caught.value.key)  # None is for the spec to say


def test_an_unreadable_configuration_is_refused(write, tmp_path):
    config, weights = write({"sampling_rate": 22_050})
    given = config.read_text()
    for text, fault in ((given, "missing"), ("[]", "missing"), ("{", "unreadable")):
        config.write_text(text)
        with refused(f"config.{fault}"):
            import_generator(config, weights)
    with refused("config.unreadable"):
        import_generator(tmp_path / "nowhere.json", weights)
