"""The compiled loop against the network in torch, and what a stream promises."""

import time

import numpy as np
import pytest
import torch

from tests.model.wavenet.networks import CONFIGS, configured, drafted, picture_of, small
from vocoder.errors import BadInput
from vocoder.model.wavenet.draft import draft_of
from vocoder.model.wavenet.generation import Speaker, guide_from
from vocoder.model.wavenet.prediction import CREST

TWO_SECONDS = 173  # frames
KINDS = [
    {},
    {"bands": 1, "order": 0, "upsampling": "transposed", "draft_iterations": None},
    {"bands": 2, "output": "mulaw", "components": 64, "preemphasis": 0.85},
]


def noise(model, batch, n_frames, seed=0):
    shape = (batch, n_frames * model.steps_per_frame, model.bank.bands)
    drawn = np.random.default_rng(seed).uniform(1e-6, 1 - 1e-6, shape)
    return drawn.astype(np.float32)


def loop(model, values, uniform, temperature):
    """The compiled loop alone: ``(batch, bands, steps)``."""
    stream = Speaker(model).stream(len(values), seed=0, temperature=temperature, n_iter=0)
    return stream.steps(guide(model, values), uniform)


def guide(model, values):
    draft = draft_of(values, model.spec, model.draft_iterations)
    return guide_from(model, values, draft, 0, values.shape[2])


def reference(model, values, subbands, uniform, temperature):
    """What torch says at every step after the same steps before, with the same noise."""
    with torch.no_grad():
        forced = model.teacher_forced(values, subbands, drafted(model, values))
        return forced.draw(torch.from_numpy(uniform).mT, temperature)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loop_is_the_network(name, speech):
    """By induction: each step is torch's after the same steps, so both give the same sound."""
    values, _ = picture_of(speech, TWO_SECONDS)
    model = configured(name, gain=1.3).eval()
    uniform = noise(model, 1, TWO_SECONDS)
    subbands = loop(model, values, uniform, 1.0)
    assert 0.01 < float(subbands.std()) < 1
    assert (reference(model, values, subbands, uniform, 1.0) - subbands).abs().max() < 1e-3


@pytest.mark.parametrize("temperature", [0.0, 0.6])
@pytest.mark.parametrize("changes", KINDS)
def test_so_it_is_at_any_temperature(changes, temperature, speech):
    values, _ = picture_of(speech[20_000:], 20)
    values = torch.cat([values, 0.1 * values.flip(2)])
    model = small(**changes)
    uniform = noise(model, 2, 20)
    subbands = loop(model, values, uniform, temperature)
    expected = reference(model, values, subbands, uniform, temperature)
    assert (expected - subbands).abs().max() < 1e-4


def naive(model, values, uniform, n_steps):
    """Every step by the network in torch over all that it can see, as public vocoders do it."""
    steps = values.shape[2] * model.steps_per_frame
    subbands = torch.zeros(len(values), model.bank.bands, steps)
    for step in range(n_steps):
        drawn = reference(model, values, subbands, uniform, 1.0)
        subbands[:, :, step] = drawn[:, :, step]
    return subbands[:, :, :n_steps]


@pytest.mark.parametrize("changes", KINDS)
def test_step_by_step_in_torch_gives_the_same_sound(changes, speech):
    values = picture_of(speech[20_000:], 4)[0][:, :, :1]
    model = small(**changes)
    uniform = noise(model, 1, 1)
    n_steps = 64
    expected = naive(model, values, uniform, n_steps)
    assert (loop(model, values, uniform, 1.0)[:, :, :n_steps] - expected).abs().max() < 1e-4


def test_it_is_a_hundred_times_faster_than_step_by_step(speech):
    """Both in the time of one core, a step of both: the network that ships."""
    model = configured("wavenet").eval()
    frames = -(-model.receptive_steps // model.steps_per_frame)
    values, _ = picture_of(speech, frames)
    uniform = noise(model, 1, frames)
    loop(model, values, uniform, 1.0)  # compiles
    given = guide(model, values)
    stream = Speaker(model).stream(1, seed=0, temperature=1.0, n_iter=0)
    begin = time.thread_time()
    subbands = stream.steps(given, uniform)
    mine = (time.thread_time() - begin) / subbands.shape[2]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.thread_time()
    for _ in range(3):
        reference(model, values, subbands, uniform, 1.0)
    theirs = (time.thread_time() - begin) / 3
    torch.set_num_threads(threads)
    assert theirs > 100 * mine


@pytest.mark.parametrize("changes", KINDS)
def test_pieces_are_the_whole(changes, speech):
    values, _ = picture_of(speech, 90)
    speaker = Speaker(small(**changes))
    whole = speaker.stream(1, seed=3, temperature=1.0, n_iter=2)
    expected = torch.cat([whole.push(values), whole.finish()], 1)
    assert expected.shape == (1, 90 * 256)
    stream = speaker.stream(1, seed=3, temperature=1.0, n_iter=2)
    heard = [stream.push(piece) for piece in values.tensor_split([1, 2, 2, 40, 77], dim=2)]
    heard.append(stream.finish())
    assert torch.allclose(torch.cat(heard, 1), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("draft_iterations", "blocks", "n_iter"), [(None, 0, 0), (0, 56, 1)])
def test_sound_comes_as_soon_as_stated_and_nothing_piles_up(
    draft_iterations, blocks, n_iter, speech
):
    values, _ = picture_of(speech, 120)
    speaker = Speaker(small(draft_iterations=draft_iterations))
    model = speaker.model
    stream = speaker.stream(1, seed=0, temperature=1.0, n_iter=n_iter)
    n_samples = 0
    lags = []
    for frame in range(120):
        n_samples += stream.push(values[:, :, frame : frame + 1]).shape[1]
        lags.append((frame + 1) * 256 - n_samples)  # behind the centre of the next frame
        assert stream._frames.shape[2] <= 2 * model.reach_frames + 1 + blocks + 24
        assert all(
            hold._frames.shape[2] <= stream.latency_samples // 256 + 1 for hold in stream._holds
        )
    waiting = lags[model.reach_frames + blocks :]
    assert 0 <= stream.latency_samples - max(waiting) < 256  # iterations settle whole frames
    if blocks == 0:
        assert min(waiting) == stream.latency_samples == model.reach_frames * 256 + 31


def test_a_loud_frame_sounds_at_its_centre():
    """The picture's only frame that isn't silent, heard through an untrained network."""
    values = torch.zeros(1, 256, 30)
    values[:, :, 12] = 5.0
    stream = Speaker(small()).stream(1, seed=0, temperature=1.0, n_iter=0)
    sound = torch.cat([stream.push(values), stream.finish()], 1)[0].double()
    energy = sound.square()
    centre = float((energy * torch.arange(len(sound))).sum() / energy.sum())
    assert centre == pytest.approx(12 * 256, abs=48)
    assert float(energy[: 11 * 256 - 31].sum() + energy[13 * 256 + 31 :].sum()) == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("changes", KINDS)
def test_silence_in_is_silence_out(changes, temperature, speech):
    """Alone, and after speech: exactly none, but for the tail of the pre-emphasis' inverse."""
    values, _ = picture_of(speech, 40)
    silence = torch.zeros_like(values)
    stream = Speaker(small(gain=3.0, **changes)).stream(
        2, seed=0, temperature=temperature, n_iter=0
    )
    both = torch.cat([silence, values]), torch.cat([silence, silence])
    sound = torch.cat([*(stream.push(piece) for piece in both), stream.finish()], 1)
    assert sound[0].abs().max() == 0
    assert sound[1, : 39 * 256].std() > 0.001
    assert sound[1, 42 * 256 :].abs().max() < 1e-3  # -60 dB
    if "preemphasis" not in changes:
        assert sound[1, 42 * 256 :].abs().max() == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("gain", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("changes", KINDS)
def test_no_network_can_run_away_from_the_picture(changes, gain, temperature, speech):
    """Whatever the weights: finite, and no louder than the picture's own level allows."""
    values, _ = picture_of(speech, 60)
    model = small(gain=gain, **changes)
    uniform = noise(model, 1, 60)
    subbands = loop(model, values, uniform, temperature)
    assert torch.isfinite(subbands).all()
    prediction = model.predict(values)
    bound = CREST * prediction.at_steps(prediction.level, subbands.shape[2])
    assert (subbands.abs() <= 1.001 * bound + 2e-4).all()


def test_weights_that_are_no_numbers_are_refused():
    model = small()
    with torch.no_grad():
        model.last.bias[0] = torch.nan
    with pytest.raises(BadInput, match=r"the WaveNet's last.bias holds what is no number"):
        Speaker(model)


def test_a_seed_decides_everything(speech):
    values, _ = picture_of(speech, 20)
    speaker = Speaker(small())

    def heard(seed, batch=1):
        stream = speaker.stream(batch, seed=seed, temperature=1.0, n_iter=0)
        return torch.cat([stream.push(values.expand(batch, -1, -1)), stream.finish()], 1)

    assert torch.equal(heard(1), heard(1))
    assert not torch.equal(heard(1), heard(2))
    pair = heard(1, batch=2)
    assert torch.allclose(pair[:1], heard(1), atol=1e-4), "other members change a sound"
    assert not torch.equal(pair[0], pair[1]), "members share their noise"


def test_progress_is_told_and_can_stop_the_work(speech):
    values, _ = picture_of(speech, 100)
    speaker = Speaker(small())
    done: list[int] = []
    stream = speaker.stream(1, seed=0, temperature=1.0, n_iter=0)
    stream.push(values, done.append)
    stream.finish(done.append)
    assert sum(done) == 100 and len(done) >= 4

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        speaker.stream(1, seed=0, temperature=1.0, n_iter=0).push(values, stop)


def test_a_speaker_leaves_its_network_as_it_is(speech):
    model = small().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Speaker(model)
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_negative_temperature_is_refused():
    with pytest.raises(BadInput, match=r"temperature is -0.5; expected 0 or more"):
        Speaker(small()).stream(1, seed=0, temperature=-0.5, n_iter=0)
