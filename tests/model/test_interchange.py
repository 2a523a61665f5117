"""Generators of BigVGAN, Vocos and ParallelWaveGAN: the same audio as those programs give."""

from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tests.model import foreign
from tests.model.foreign import FLOOR, Foreign
from tests.refusals import refused
from vocoder.decibels import to_decibels
from vocoder.errors import BadInput
from vocoder.model.bigvgan import TAPS, Snake, half_band
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.generator import fold_weight_norm, generate
from vocoder.model.interchange.foreign import import_generator
from vocoder.model.parallel_hifigan import ParallelHifiGan
from vocoder.spectrogram import mel_filters

KINDS = {
    "BigVGAN": lambda: foreign.bigvgan(activation="snake", second_version=False),
    "BigVGAN, single": lambda: foreign.bigvgan(block=2),
    "BigVGAN 2": foreign.bigvgan,
    "ParallelWaveGAN": foreign.parallel_wavegan,
    "ParallelWaveGAN, single": lambda: foreign.parallel_wavegan(block=2),
    "Vocos": foreign.vocos,
    "Vocos, same": lambda: foreign.vocos(centred=False),
}


@pytest.fixture
def write(tmp_path):
    def write(made: Foreign, content: Any = None):
        path = tmp_path / "g"
        (tmp_path / "config.yml").write_text(yaml.safe_dump(made.config))
        if isinstance(made.ours, ParallelHifiGan):
            statistics = made.ours.mean.numpy(), made.ours.scale.numpy()
            np.save(tmp_path / "stats.npy", np.stack(statistics))
            for name in ("mean", "scale"):
                made.state.pop(name, None)
        torch.save(made.state if content is None else content, path)
        return path

    return write


def log_mels(model, frames=30, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, model.spec.bins, frames) - 4


@pytest.mark.parametrize("kind", KINDS)
def test_comes_in_under_its_own_names(kind, write, tmp_path):
    made = KINDS[kind]()
    path = tmp_path / "ours.safetensors"
    import_generator(None, write(made)).write(path, overwrite=False)
    found: Any = read_checkpoint(path).build()
    assert (found.spec, found.settings) == (made.ours.spec, made.ours.settings)
    decibels = to_decibels(log_mels(made.ours).exp(), made.ours.spec)
    with torch.inference_mode():
        wanted = made.ours(decibels)
        assert wanted.shape == (2, 30 * found.spec.hop_length)
        assert 1e-3 < wanted.abs().max() < 1
        torch.testing.assert_close(found(decibels), wanted, rtol=0, atol=0)
        fold_weight_norm(found)
        torch.testing.assert_close(found(decibels), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_join_to_the_whole(kind):
    model = KINDS[kind]().ours
    decibels = to_decibels(log_mels(model).exp(), model.spec)
    with torch.inference_mode():
        whole = model(decibels)
    joined = torch.cat(list(generate(model, decibels, 7)), dim=1)
    assert (joined - whole).abs().max() < 1e-5


@pytest.mark.parametrize(("own_size", "log_scale"), [(False, False), (True, False), (True, True)])
def test_snake_is_taken_at_twice_the_rate(own_size, log_scale):
    """Zeros between, a sinc in Kaiser's window (alpha of 51 dB), and back; in double precision."""
    time = np.arange(TAPS) - (TAPS - 1) / 2
    attenuation = 2.285 * (TAPS // 2 - 1) * np.pi * 1.2 + 7.95
    taps = np.sinc(time / 2) * np.kaiser(TAPS, 0.1102 * (attenuation - 8.7))
    taps /= taps.sum()
    assert np.abs(half_band().numpy() - taps).max() < 1e-7
    torch.manual_seed(0)
    snake = Snake(3, own_size=own_size, log_scale=log_scale).double()
    snake.taps = torch.from_numpy(taps)
    given = torch.randn(1, 3, 40, dtype=torch.float64)
    with torch.no_grad():
        for parameter in snake.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        found = snake(given)[0].numpy()
    alpha = snake.alpha.detach().numpy()
    beta = alpha if snake.beta is None else snake.beta.detach().numpy()
    if log_scale:
        alpha, beta = np.exp(alpha), np.exp(beta)
    for x, a, b, y in zip(given[0].numpy(), alpha, beta, found, strict=True):
        wide = np.zeros(2 * (len(x) + 20))
        wide[::2] = np.pad(x, 10, mode="edge")
        up = 2 * np.convolve(wide, taps)[20 + 5 :][: 2 * len(x)]
        bent = up + np.sin(a * up) ** 2 / b
        down = np.convolve(np.pad(bent, (5, 6), mode="edge"), taps[::-1], mode="valid")[::2]
        np.testing.assert_allclose(y, down, rtol=0, atol=1e-8)


@pytest.mark.parametrize("centred", [True, False])
def test_the_transform_of_vocos_is_inverted_as_it_should(centred):
    model: Any = foreign.vocos(centred=centred).ours
    numbers = torch.randn(2, 30, 1026)
    with torch.inference_mode():
        found = model.waveform(numbers)
    transform = torch.polar(numbers[..., :513].exp().clamp(max=100), numbers[..., 513:]).mT
    # Two frames of silence around, so that all that is asked for lies inside.
    padded = torch.nn.functional.pad(transform, (2, 2))
    window = torch.hann_window(1024)
    wanted = torch.istft(padded, 1024, 256, window=window, center=True)
    first = 2 * 256 + model.first_sample
    inside = slice(512, 29 * 256 - 512)  # where four frames share every sample
    torch.testing.assert_close(found[:, inside], wanted[:, first:][:, inside], rtol=1e-3, atol=1e-4)
    if centred:
        whole = torch.istft(transform, 1024, 256, window=window, center=True)
        torch.testing.assert_close(found[:, : whole.shape[1]], whole, rtol=1e-3, atol=1e-4)


def test_mels_of_parallel_wavegan_are_standardised_decimal_logarithms():
    model: Any = foreign.parallel_wavegan().ours
    mels = 10 ** torch.linspace(-8, 1, 30).repeat(1, model.spec.bins, 1)
    mels[:, :, 3] = 0
    found = model.seen(to_decibels(mels, model.spec))
    wanted = (mels.clamp(min=FLOOR).log10() - model.mean[:, None]) / model.scale[:, None]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert model.first_sample == 0


@pytest.mark.parametrize(
    ("kind", "change", "key"),
    [
        ("ParallelWaveGAN", {"generator_type": "MelGANGenerator"}, "config.generator_type.range"),
        ("ParallelWaveGAN", {"window": "hamming"}, "config.window.range"),
        ("ParallelWaveGAN", {"num_mels": 7}, "weights.config"),
        *(
            ("ParallelWaveGAN", {"generator_params": one}, f"config.{next(iter(one))}.range")
            for one in (
                {"use_causal_conv": True},
                {"out_channels": 4},
                {"nonlinear_activation_params": {"negative_slope": 0.2}},
                {"bias": False},
            )
        ),
        ("ParallelWaveGAN", {"generator_params": {"channels": 2**40}}, "weights.config"),
        (
            "ParallelWaveGAN",
            {"generator_params": {"upsample_scales": "5"}},
            "config.upsample_scales.type",
        ),
        ("BigVGAN 2", {"activation": "relu"}, "weights.config"),
        ("BigVGAN 2", {"upsample_kernel_sizes": [15, 8, 4]}, "config.upsample_kernel_sizes.range"),
        ("Vocos", {"head": {"class_path": "vocos.heads.IMDCTCosHead"}}, "config.head.range"),
        ("Vocos", {"backbone": {"class_path": "VocosResNetBackbone"}}, "config.backbone.range"),
        (
            "Vocos",
            {"feature_extractor": {"class_path": "vocos.EncodecFeatures"}},
            "config.feature_extractor.range",
        ),
        ("Vocos", {"head": {"init_args": {"padding": "same"}}}, "config.padding.range"),
        ("Vocos", {"head": {"init_args": {"n_fft": 2**40}}}, "weights.config"),
        ("Vocos", {"backbone": {"init_args": {"num_layers": 10**9}}}, "weights.config"),
        (
            "Vocos",
            {"backbone": {"init_args": {"adanorm_num_embeddings": 4}}},
            "config.adanorm_num_embeddings.range",
        ),
        ("Vocos", {"head": None}, "config.head.range"),
    ],
)
def test_what_differs_is_refused_by_name(kind, change, key, write):
    made = KINDS[kind]()

    def merge(into, changes):
        for name, value in changes.items():
            if isinstance(value, dict) and isinstance(into.get(name), dict):
                merge(into[name], value)
            else:
                into[name] = value

    merge(made.config, change)
    with refused(key):
        import_generator(None, write(made))


def test_other_filters_and_windows_are_refused(write):
    made = foreign.bigvgan()
    made.state["activation_post.upsample.filter"] = torch.ones(1, 1, 12) / 12
    with refused("weights.filter"):
        import_generator(None, write(made))
    made = foreign.vocos()
    filters = mel_filters(made.ours.spec, torch.device("cpu")).mT
    made.state["feature_extractor.mel_spec.mel_scale.fb"] = filters
    import_generator(None, write(made))
    made.state["feature_extractor.mel_spec.mel_scale.fb"] = filters.flip(0)
    with refused("weights.config"):
        import_generator(None, write(made))


def test_statistics_are_needed_and_those_of_hdf5_are_said_how_to_take(write):
    path = write(foreign.parallel_wavegan())
    path.with_name("stats.npy").unlink()
    with refused("statistics.missing"):
        import_generator(None, path)
    path.with_name("stats.h5").touch()
    with pytest.raises(BadInput, match=r"numpy\.save"):
        import_generator(None, path)
    np.save(path.with_name("stats.npy"), np.zeros((2, foreign.BANDS)))
    with refused("statistics.format"):
        import_generator(None, path)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("upsample_net.conv_in.weight", "ParallelWaveGAN"),
        ("melgan.1.weight", "ParallelWaveGAN"),
        ("encoder.0.weight", "unknown"),
    ],
)
def test_other_networks_are_refused_by_name(name, word, write):
    with refused("weights.unknown") as caught:
        import_generator(None, write(foreign.vocos(), {name: torch.ones(2)}))
    assert word in str(caught.value)


def test_a_training_of_vocos_holds_the_model_and_more(write):
    """As Lightning saves it: discriminators beside, the settings of the model inside others."""
    made = foreign.vocos()
    state = {**made.state, "multiresddisc.discriminators.0.weight": torch.ones(2)}
    made.config = {"model": {"class_path": "vocos.VocosExp", "init_args": made.config}}
    path = write(made, {"state_dict": state, "epoch": 3})
    assert import_generator(None, path).spec == made.ours.spec


def test_onnx_is_not_read_and_says_so(tmp_path):
    (tmp_path / "g.onnx").write_bytes(b"\x08\x08")
    with refused("weights.onnx"):
        import_generator(None, tmp_path / "g.onnx")
