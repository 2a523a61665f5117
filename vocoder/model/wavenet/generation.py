"""Speaking with a `WaveNet`: spectrogram frames in, blocks of sound out, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.model.wavenet.draft import Drafter
from vocoder.model.wavenet.hold import Hold
from vocoder.model.wavenet.loop import UNROLLED, Guide, State, Weights, run_steps
from vocoder.model.wavenet.network import WaveNet
from vocoder.model.wavenet.output import MuLaw
from vocoder.model.wavenet.pqmf import Joiner
from vocoder.model.wavenet.prediction import BLOCKS_PER_FRAME

# Frames computed between two calls of the progress function, and two chances to interrupt: a few
# tenths of a second of sound.
PIECE_FRAMES = 32
# Uniform noise keeps away from 0 and 1, whose quantiles are infinite: one of 2 ** 23 intervals.
INTERVALS = 2**23


class Speaker:
    """A network's weights as the compiled loop reads them; many streams may share one.

    Parameters
    ----------
    model : WaveNet
        Is left as it is.

    Raises
    ------
    BadInput
        A weight is no finite number.
    """

    def __init__(self, model: WaveNet) -> None:
        self.model = model.folded().eval()
        for name, weight in self.model.named_parameters():
            if not weight.isfinite().all():
                raise BadInput(f"the WaveNet's {name} holds what is no number; it is damaged")
        self.weights = _weights(self.model)

    def stream(self, batch: int, *, seed: int, temperature: float, n_iter: int) -> Stream:
        """Begin sounds; see `Stream`."""
        return Stream(self, batch, seed=seed, temperature=temperature, n_iter=n_iter)


class Stream:
    """Sounds that grow as their spectrograms do.

    Sample 0 lies at the centre of the first frame. The sound lags behind the frames by
    `latency_samples` at most; frames and sound that are done with are forgotten.

    Parameters
    ----------
    speaker : Speaker
    batch : int
        Sounds at once.
    seed : int
        Of the noise. Every item of a batch draws its own; the same seed gives the same sound,
        however the frames are cut.
    temperature : float
        1 draws from the network's densities, less from sharper ones, 0 takes the most likely.
    n_iter : int
        Griffin-Lim iterations that what was said goes through; see
        `vocoder.model.wavenet.hold.Hold`. 0 gives the network's own sound.

    Raises
    ------
    BadInput
        The temperature or ``n_iter`` is negative.
    """

    def __init__(
        self, speaker: Speaker, batch: int, *, seed: int, temperature: float, n_iter: int
    ) -> None:
        if not temperature >= 0:
            raise BadInput(f"temperature is {temperature}; expected 0 or more, 1 as trained")
        if n_iter < 0:
            raise BadInput(f"n_iter is {n_iter}; expected 0 or more")
        self._speaker, self._model = speaker, speaker.model
        self._temperature = np.float32(temperature)
        bank = self._model.bank
        self._noise = [np.random.default_rng([seed, item]) for item in range(batch)]
        order = self._model.order
        self._state = State(
            rings=_zeros(batch, sum(self._model.dilations), speaker.weights.first.shape[1]),
            history=_zeros(batch, bank.bands, 2 * order),
            value=_zeros(batch, bank.bands),
            excitation=_zeros(batch, bank.bands),
        )
        self._joiner = Joiner(bank, batch)
        self._filter_state = _zeros(batch, 1)
        self._drafter = Drafter(self._model.spec, self._model.draft_iterations, batch)
        self._holds = [Hold(self._model.spec, batch) for _ in range(n_iter)]
        self._frames = torch.zeros(batch, self._model.spec.bins, 0)
        self._draft = torch.zeros(batch, 0)
        self._first = 0  # number of the first frame kept, and of the draft's
        self._done = 0  # frames whose steps are done

    @property
    def latency_samples(self) -> int:
        """Samples, at most, that the sound lags behind the centre of the newest frame."""
        model = self._model
        frames = self._drafter.latency_frames + model.context_frames
        lag: int = frames * model.spec.hop_length + model.bank.reach
        return lag + sum(hold.latency_samples for hold in self._holds)

    def push(self, values: Tensor, progress: Callable[[int], None] | None = None) -> Tensor:
        """Take the next frames; give the sound that they settle.

        Parameters
        ----------
        values : Tensor
            ``(batch, bins, frames)`` in the spec's units.
        progress : callable, optional
            Called with the frames done since the last call; what it raises ends the work.

        Returns
        -------
        Tensor
            ``(batch, samples)``, float32, on the CPU.
        """
        values = values.detach().cpu()
        self._frames = torch.cat([self._frames, values], dim=2)
        self._draft = torch.cat([self._draft, self._drafter.push(values)], dim=1)
        drafted = self._draft.shape[1] // self._model.spec.hop_length
        sound = self._advance(self._first + drafted - self._model.context_frames, progress)
        for hold in self._holds:
            sound = hold.push(values, sound)
        return sound

    def finish(self, progress: Callable[[int], None] | None = None) -> Tensor:
        """The rest of the sound, to ``frames * hop_length`` samples in all."""
        self._draft = torch.cat([self._draft, self._drafter.finish()], dim=1)
        sound = self._advance(self._first + self._frames.shape[2], progress)
        sound = torch.cat([sound, self._deemphasise(self._joiner.finish())], dim=1)
        for hold in self._holds:
            sound = hold.finish(sound)
        return sound

    def _advance(self, end: int, progress: Callable[[int], None] | None) -> Tensor:
        pieces = [torch.zeros(self._frames.shape[0], 0)]
        while self._done < end:
            piece_end = min(self._done + PIECE_FRAMES, end)
            subbands = self.steps(self._guide(self._done, piece_end), self._draw(piece_end))
            if progress is not None:
                progress(piece_end - self._done)
            self._done = piece_end
            pieces.append(self._deemphasise(self._joiner.push(subbands)))
            kept = max(self._done - self._model.context_frames, self._first)
            self._frames = self._frames[:, :, kept - self._first :].clone()
            hop = self._model.spec.hop_length
            self._draft = self._draft[:, (kept - self._first) * hop :].clone()
            self._first = kept
        return torch.cat(pieces, dim=1)

    def steps(self, guide: Guide, uniform: np.ndarray) -> Tensor:
        """Run the loop: uniform noise ``(batch, steps, bands)`` to ``(batch, bands, steps)``."""
        out = np.empty_like(uniform)
        begin = self._done * self._model.steps_per_frame
        run_steps(self._speaker.weights, self._state, guide, begin, uniform, self._temperature, out)
        return torch.from_numpy(out).mT.contiguous()

    def _guide(self, begin: int, end: int) -> Guide:
        """What is known of frames ``begin`` to ``end``."""
        begin, end = begin - self._first, end - self._first
        return guide_from(self._model, self._frames, self._draft, begin, end)

    def _draw(self, end: int) -> np.ndarray:
        steps = (end - self._done) * self._model.steps_per_frame
        drawn = [
            noise.integers(INTERVALS, size=(steps, self._model.bank.bands)) for noise in self._noise
        ]
        return (np.stack(drawn).astype(np.float32) + np.float32(0.5)) / np.float32(INTERVALS)

    def _deemphasise(self, sound: Tensor) -> Tensor:
        if self._model.preemphasis == 0 or sound.shape[1] == 0:
            return sound
        out, self._filter_state = lfilter(
            [np.float32(1)],
            np.array([1, -self._model.preemphasis], np.float32),
            sound.numpy(),
            zi=self._filter_state,
        )
        return torch.from_numpy(out)


@torch.inference_mode()
def guide_from(model: WaveNet, values: Tensor, draft: Tensor, begin: int, end: int) -> Guide:
    """What a spectrogram and its draft say to the loop, each frame as all of them would have it.

    Parameters
    ----------
    model : WaveNet
    values : Tensor
        ``(batch, bins, frames)``.
    draft : Tensor
        ``(batch, samples)`` from the centre of the first frame on.
    begin, end : int
        The frames to come; around them as many as are there and the network reaches are read.
    """
    first = max(begin - model.context_frames, 0)
    last = min(end + model.context_frames, values.shape[2])
    near, hop = values[:, :, first:last], model.spec.hop_length
    prediction = model.predict(near)
    bands, told = model.tell(prediction, model.split(draft[:, first * hop : last * hop]))
    frames = slice(begin - first, end - first)
    blocks, steps = (
        slice(each * frames.start, each * frames.stop)
        for each in (BLOCKS_PER_FRAME, model.steps_per_frame)
    )
    return Guide(
        condition=_array(model.condition(near)[:, frames.start : frames.stop + 1]),
        coefficients=_array(prediction.coefficients[:, blocks].flip(3)),
        scale=_array(prediction.scale[:, blocks]),
        level=_array(prediction.level[:, blocks]),
        draft=_array(bands.mT[:, steps]),
        told=_array(told[:, steps]),
    )


def _weights(model: WaveNet) -> Weights:
    residual = model.first.out_features
    gates = np.stack([_matrix(layer) for layer in model.gates])
    first = _matrix(model.first)
    near, far = model.upsampling.weights
    output = model.output
    return Weights(
        first=np.pad(first, ((0, -len(first) % UNROLLED), (0, 0))),
        first_bias=_array(model.first.bias),
        past=np.ascontiguousarray(gates[:, :residual]),
        now=np.ascontiguousarray(gates[:, residual:]),
        mix=np.stack([_matrix(layer) for layer in model.mixes]),
        mix_bias=np.stack([_array(_linear(layer).bias) for layer in model.mixes]),
        head=_matrix(model.head),
        last=_matrix(model.last),
        last_bias=_array(model.last.bias),
        near=_array(near),
        far=_array(far),
        dilations=np.array(model.dilations, np.int64),
        edges=_array(output.edges) if isinstance(output, MuLaw) else _zeros(0),
        kind=output.kind,
        size=output.size,
    )


def _linear(module: nn.Module) -> nn.Linear:
    if not isinstance(module, nn.Linear):
        raise TypeError(f"{type(module).__name__} is no nn.Linear")
    return module


def _matrix(layer: nn.Module) -> np.ndarray:
    return _array(_linear(layer).weight.mT)


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)
