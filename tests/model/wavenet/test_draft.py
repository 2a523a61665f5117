"""Drafts of the sound: Griffin-Lim while the picture grows, and recordings with their phases."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.model.wavenet.networks import MEL, picture_of
from tests.train.tiny import griffin_lim
from vocoder.evaluate.metrics import estoi
from vocoder.model.wavenet.draft import Drafter, draft_of, rephased
from vocoder.spectrogram import Spectrogram, analyse, stft

FRAMES = 150


@pytest.fixture(scope="module")
def pair(speech):
    return picture_of(speech, FRAMES)


@pytest.mark.parametrize("cuts", [[1, 2, 77], [56, 57, 58, 120], range(1, FRAMES)])
def test_a_draft_is_the_same_however_the_frames_come(cuts, pair):
    values, _ = pair
    expected = draft_of(values, MEL, 2)
    assert expected.shape == (1, FRAMES * 256)
    drafter = Drafter(MEL, 2, 1)
    heard = [drafter.push(piece) for piece in values.tensor_split(list(cuts), dim=2)]
    heard.append(drafter.finish())
    assert torch.equal(torch.cat(heard, 1), expected)


def test_a_draft_is_griffin_lims(pair):
    """As near to the picture as in one block, though it is done in five."""
    values, sound = pair
    whole = griffin_lim(n_iter=8, init="phase_gradient", refine_every=0)(Spectrogram(values, MEL))
    errors = [
        float(torch.linalg.norm(analyse(one, MEL).values[:, :, :FRAMES] - values))
        for one in (draft_of(values, MEL, 8), whole)
    ]
    assert errors[0] < 1.1 * errors[1]
    assert estoi(sound[0].numpy(), draft_of(values, MEL, 8)[0].numpy(), 22_050) > 0.93


def test_members_of_a_batch_are_drafted_as_they_are_alone(pair):
    values, _ = pair
    batch = torch.cat([values, 0.1 * values.flip(2), 0 * values])
    for one, alone in zip(draft_of(batch, MEL, 1), batch, strict=True):
        assert (one - draft_of(alone[None], MEL, 1)[0]).abs().max() < 1e-3


def test_without_iterations_given_nothing_is_drafted(pair):
    values, _ = pair
    assert not draft_of(values, MEL, None).any()
    assert draft_of(values, MEL, None).shape == (1, FRAMES * 256)
    assert Drafter(MEL, None, 1).latency_frames == 0


def test_a_rephased_recording_is_the_recording_and_fits_the_draft(pair):
    values, sound = pair
    draft = draft_of(values, MEL, 2)
    found = rephased(sound, draft, MEL)
    assert found.shape == sound.shape

    def shown(samples):
        return stft(samples, MEL).abs()[:, :, 8:-8]  # both are cut in the middle of a word

    def off(samples, wanted):
        return float(torch.linalg.norm(samples - wanted) / torch.linalg.norm(wanted))

    assert off(shown(found), shown(sound)) < 0.85 * off(shown(draft), shown(sound))
    assert off(found, draft) < 0.5 < off(sound, draft)
    assert estoi(sound[0].numpy(), found[0].numpy(), 22_050) > 0.96
    assert np.isfinite(found.numpy()).all()


def test_a_recording_is_its_own_draft(pair):
    _, sound = pair
    quiet = functional.pad(sound, (2_560, 2_560))
    assert (rephased(quiet, quiet, MEL) - quiet).abs().max() < 1e-3
