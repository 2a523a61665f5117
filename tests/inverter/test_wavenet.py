"""The WaveNet inverter: lengths, alignment, blocks, and weights that don't fit."""

from dataclasses import replace

import pytest
import torch

from tests.model.wavenet.networks import MEL, picture_of, small
from tests.refusals import refused
from vocoder.config import load, options
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.spectrogram import Spectrogram, analyse


@pytest.fixture
def trained(tmp_path):
    """Writes a small network for a spec and gives the inverter that speaks with it."""

    def trained(spec=MEL, **changes):
        model = small(spec)
        path = tmp_path / f"{spec.digest}.safetensors"
        Checkpoint(settings_of(model), spec, model.state_dict(), {}).write(path, overwrite=True)
        return load("inverter", "wavenet", weights=str(path), **changes)

    return trained


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("name", options("spec"))
def test_sound_has_the_length_and_level_of_the_spectrogram(name, center, trained, speech):
    spec = replace(load("spec", name), center=center)
    sound = torch.from_numpy(speech[20_000:32_345])[None]
    spectrogram = analyse(sound, spec)
    heard = trained(spec)(spectrogram)
    assert heard.shape == sound.shape
    assert heard.dtype == torch.float32
    assert 0.3 < float(heard.std() / sound.std()) < 3


@pytest.mark.parametrize("center", [True, False])
def test_a_click_is_heard_where_it_was(center, trained):
    """An untrained network gives noise, but the picture's energy at the picture's time."""
    spec = replace(MEL, center=center)
    sound = torch.zeros(1, 12_000)
    sound[0, 5_000] = 1
    energy = trained(spec)(analyse(sound, spec))[0].double().square()
    centre = float((energy * torch.arange(len(energy))).sum() / energy.sum())
    assert centre == pytest.approx(5_000, abs=100)


def test_blocks_add_up(trained, speech):
    values, _ = picture_of(speech, 100)
    spectrogram = Spectrogram(torch.cat([values, values - 6]), MEL)
    pieces = list(trained(block_frames=16).stream(spectrogram))
    assert len(pieces) > 2
    assert sum(piece.shape[1] for piece in pieces) == spectrogram.length
    whole = trained(block_frames=640)(spectrogram)
    assert torch.allclose(torch.cat(pieces, 1), whole, rtol=0, atol=1e-4)


def test_an_hour_begins_at_once(trained):
    hour = Spectrogram(torch.full((1, 256, 1), -50.0).expand(-1, -1, 310_000), MEL)
    first = next(trained(block_frames=16).stream(hour))
    assert 0 < first.shape[1] <= 64 * 256


def test_silence_stays_silent(trained):
    assert trained()(analyse(torch.zeros(1, 9_000), MEL)).abs().max() == 0


def test_weights_for_another_spec_are_refused(trained, speech):
    inverter = trained()
    other = analyse(torch.from_numpy(speech)[None], load("spec", "linear512"))
    with refused("spec.conflict"):
        inverter(other)


def test_weights_that_are_not_there_are_refused(tmp_path):
    with refused("weights.unknown"):
        inverter = load("inverter", "wavenet", weights=str(tmp_path / "gone.safetensors"))
        inverter(Spectrogram(torch.zeros(1, 256, 3), MEL))


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", -0.1), ("temperature", float("nan")), ("block_frames", 0), ("seed", -1)],
)
def test_parameters_out_of_range_are_refused(field, value):
    with refused(f"inverter.{field}.range"):
        load("inverter", "wavenet", weights="any", **{field: value})
