"""Files that say nothing of themselves are named: what is in them, which way up, how made."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from recipes.drawn import LAWS
from tests.image.laws import SPEC, grey, level, save
from tests.refusals import refused
from vocoder import encode, load
from vocoder.cli.main import run
from vocoder.identify.identify import by_harmonics, equals, identify, other_lengths
from vocoder.identify.laws import analyses, as_words
from vocoder.identify.look import figure_box, look_at_pixels
from vocoder.identify.own import best_hop
from vocoder.identify.pitch import bin_is_missing, comb, harmonics_rise, mel_comb
from vocoder.identify.trial import Trial
from vocoder.image.array import write_array
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.law import _specshow_axis
from vocoder.image.codec.maps import map_colours
from vocoder.image.doctor.looks import MAX_LOOKED_AT, tilt
from vocoder.image.file import read_image
from vocoder.inverter import mels
from vocoder.spectrogram import analyse


@pytest.fixture(scope="module")
def share(speech):
    """-90 to -10 dB as 0 to 1, ``(513, frames)``."""
    magnitude = np.abs(librosa.stft(speech, n_fft=1024, hop_length=256))
    return np.clip(level(librosa.amplitude_to_db(magnitude / 256, top_db=None)), 0, 1)


def first(path):
    return identify(path)[0]


@pytest.mark.parametrize(
    ("draw", "wanted"),
    [
        (lambda x: grey(x)[::-1], {"row_0": "low"}),
        (lambda x: 255 - grey(x), {"dark_is_loud": True}),
        (lambda x: map_colours("viridis")[grey(x)], {"cmap": "viridis"}),
        (lambda x: np.stack([0 * grey(x), grey(x), grey(x[:, ::-1])], 2), {"channel": "green"}),
    ],
    ids=["upside_down", "dark", "map", "stereo"],
)
def test_ways_to_draw_the_same(draw, wanted, share, tmp_path):
    found = first(save(tmp_path / "a.png", np.ascontiguousarray(draw(share))))
    assert found.spec == SPEC
    assert found.codec == Foreign(reference="max", db_min=-80.0, db_max=0.0, **wanted)


def test_what_is_read_by_its_settings_is_the_same(share, tmp_path):
    """The words are those of the command line, and read the file."""
    path = save(tmp_path / "a.png", 255 - grey(share))
    assert run(["decode", f"input={path}", *first(path).words, f"output={tmp_path / 'o'}"]) == 0


@pytest.mark.parametrize("missing", [0, 1])
def test_whether_0_hz_is_missing(missing, share, tmp_path):
    rows = share[1:] if missing else share[:-1]
    found = first(save(tmp_path / "a.png", grey(rows)))
    assert found.spec.nyquist == bool(missing)
    assert found.codec.first_bin == missing


def test_our_own_images_without_their_metadata(speech, tmp_path):
    encode(speech, tmp_path / "a.png")
    assert first(tmp_path / "a.png").words == ()
    save(tmp_path / "a.png", read_image(tmp_path / "a.png").pixels)
    found = first(tmp_path / "a.png")
    assert found.spec == load("spec", "mel256") and found.codec == load("codec", "gray8")


def test_an_array_with_its_meaning_beside_it(speech, tmp_path):
    spec = load("spec", "mel256")
    write_array(tmp_path / "a.npy", analyse(torch.from_numpy(speech)[None], spec), overwrite=False)
    (found,) = identify(tmp_path / "a.npy")
    assert found.words == () and found.spec == spec and found.codec is None


def test_rows_of_logarithmic_frequencies(share, tmp_path):
    places = np.geomspace(50, 11025, 480) / 11025 * 512
    found = first(save(tmp_path / "a.png", grey(share[np.rint(places).astype(int)])))
    assert found.codec.rows == "log" and found.codec.hz_min == 50


def test_a_figure_is_cut_out(speech, tmp_path):
    mel = librosa.feature.melspectrogram(y=speech, sr=22050)
    figure = Figure(figsize=(10, 4))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    drawn = librosa.display.specshow(
        librosa.power_to_db(mel, ref=np.max), sr=22050, x_axis="time", y_axis="mel", ax=axes
    )
    figure.colorbar(drawn, ax=axes)
    figure.savefig(tmp_path / "a.png")
    view = look_at_pixels(read_image(tmp_path / "a.png").pixels)
    box = axes.get_window_extent()  # from the bottom
    edges = [box.x0, 400 - box.y1, box.x1, 400 - box.y0]
    np.testing.assert_allclose(view.codec["crop"], edges, atol=2)
    assert view.codec["cmap"] == "magma"
    assert abs(view.fractions.shape[1] - mel.shape[1]) <= 1
    found = first(tmp_path / "a.png")
    assert found.spec == load("spec", "librosa_mel")
    assert found.codec.hop_length == pytest.approx(512 * mel.shape[1] / (box.x1 - box.x0), rel=0.01)


def test_a_large_image_lasts_as_long_as_all_of_it(share, tmp_path):
    """Though only its middle is looked at."""
    repeats = 1 + MAX_LOOKED_AT // share.size
    found = first(save(tmp_path / "a.png", np.tile(grey(share), (1, repeats))))
    assert found.seconds == pytest.approx(repeats * share.shape[1] * 256 / 22050, rel=1e-3)


def test_an_image_without_axes_is_whole(share):
    assert figure_box(grey(share)) is None


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("tacotron2", lambda m: np.log(np.maximum(m, 1e-5))),
        (
            "whisper",
            lambda m: (np.maximum(x := np.log10(np.maximum(m, 1e-10)), x.max() - 8) + 4) / 4,
        ),
        ("parallel_wavegan", lambda m: np.log10(np.maximum(m, 1e-10)).T),
    ],
)
def test_arrays(name, write, speech, tmp_path):
    spec = load("spec", name)
    mel = librosa.feature.melspectrogram(
        y=librosa.resample(speech, orig_sr=22050, target_sr=spec.sample_rate),
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        win_length=spec.win_length,
        n_mels=80,
        power=spec.power,
        fmin=spec.fmin,
        fmax=spec.fmax,
    )
    np.save(tmp_path / "a.npy", write(mel).astype(np.float32))
    alike = equals(identify(tmp_path / "a.npy"))
    assert replace(spec, compression="none", floor=0.0) in [
        replace(one.spec, compression="none", floor=0.0) for one in alike
    ]
    turned = {isinstance(one.codec, Foreign) and one.codec.transposed for one in alike}
    assert turned == {name == "parallel_wavegan"}


@pytest.mark.parametrize(
    "law",
    [
        *("auffusion", "autovc", "melgan_vc", "audacity", "constant_q 12", "constant_q 24"),
        *("arss", "diffsinger", "voice_cloning"),
    ],
)
def test_programs_are_named(law, speech, tmp_path):
    draw, settings = LAWS[law]
    assert first(draw(speech, tmp_path / "a")).words == tuple(settings.split())


def test_rows_like_those_of_arss_are_not_in_decibels(share, tmp_path):
    """What shows the same number of rows in decibels is not ARSS's."""
    places = np.geomspace(50, 11025, 115) / 11025 * 512
    found = first(save(tmp_path / "a.png", grey(share[np.rint(places).astype(int)])))
    assert found.codec.rows == "log" and found.codec.unit == "db"


def test_amplitudes_as_they_are(speech, tmp_path):
    """Most of such an image is next to black; silence is no repetition of frames."""
    quiet = np.concatenate([np.zeros(30_000, np.float32), speech])
    draw, _ = LAWS["amplitudes"]
    found = first(draw(quiet, tmp_path / "a"))
    assert found.spec == SPEC and found.codec.keeps_columns
    assert found.codec.unit == "linear" and found.codec.exponent == 1


def test_ffmpeg_is_named_with_its_rate_and_hop(speech, tmp_path):
    """The rate is in the legend's width, the hop in how columns overlap."""
    draw, settings = LAWS["showspectrumpic"]
    words = first(draw(speech, tmp_path / "a")).words
    wanted = settings.format(ffmpeg=len(speech) // 4096).replace("-133,-64", "4229,2112")
    assert words == tuple(wanted.split())


@pytest.mark.parametrize("hop", [5.0, 19.0, 300.0])
def test_the_best_hop_is_found(hop):
    assert best_hop(lambda one: abs(np.log(one / hop))) == pytest.approx(hop, rel=0.01)


@pytest.mark.parametrize("upside_down", [False, True])
def test_which_way_up_a_constant_q_is(upside_down, speech, tmp_path):
    rows = np.log(np.abs(librosa.cqt(speech, sr=22050)) + 1e-4)
    assert harmonics_rise(rows[::-1] if upside_down else rows, 12) * (1 - 2 * upside_down) > 0.3
    pixels = read_image(LAWS["constant_q 12"][0](speech, tmp_path / "a")).pixels
    path = save(tmp_path / "b.png", np.ascontiguousarray(pixels[::-1] if upside_down else pixels))
    assert first(path).codec.row_0 == ("low" if upside_down else None)


def test_an_array_that_is_a_little_brighter_above_stands_as_arrays_do(speech, tmp_path):
    hiss = np.diff(speech, n=4, prepend=np.zeros(4, np.float32))
    shown = np.log(np.maximum(np.abs(librosa.stft(hiss, n_fft=1024, hop_length=256)), 1e-5))
    assert -0.06 < tilt((shown - shown.min()) / np.ptp(shown)) < 0
    np.save(tmp_path / "a.npy", shown.astype(np.float32))
    assert first(tmp_path / "a.npy").codec.row_0 is None


def test_harmonics_say_where_0_hz_is():
    """Peaks at 7, 14, 21, ... bins."""
    rows = np.cos(2 * np.pi * np.arange(200) / 7)[:, None] / 2 + 0.5
    strength, apart = comb(np.repeat(rows, 20, axis=1))
    assert strength > 0.9 and apart == pytest.approx(7, rel=0.02)
    assert bin_is_missing(rows.repeat(20, axis=1)) == -1
    assert bin_is_missing(rows[1:].repeat(20, axis=1)) == 1


def test_harmonics_have_no_say_in_mel_bands():
    """Whose distances are not those of bins."""
    rows = np.cos(2 * np.pi * np.arange(1, 257) / 7)[:, None] / 2 + 0.5
    known = analyses(256)
    judged = by_harmonics(Trial(rows.repeat(200, axis=1)), known)
    factors = {
        (one.spec.kind, one.placement.get("first_bin", 0)): after.prior / one.prior
        for one, after in zip(known, judged, strict=True)
    }
    assert factors == {("mel", 0): 1, ("linear", 1): 1, ("linear", 0): 2}


def shown(speech, spec):
    """What a spec makes of speech, 100 dB as 0 to 1."""
    samples = librosa.resample(speech, orig_sr=22050, target_sr=spec.sample_rate)
    db = analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()
    return np.clip((db - db.max()) / 100 + 1, 0, 1)


RATES = {22050: {}, 16000: {"fmax": 8000.0}, 44100: {"fmax": 22050.0}}


@pytest.mark.parametrize("rate", RATES)
def test_harmonics_say_where_mel_bands_are(rate, speech):
    specs = {one: load("spec", "librosa_mel", sample_rate=one, **RATES[one]) for one in RATES}
    bands = shown(speech, specs[rate])
    assert max(specs, key=lambda one: mel_comb(bands, specs[one])) == rate


@pytest.mark.parametrize("rate", RATES)
def test_images_of_other_rates(rate, speech, tmp_path):
    spec = load("spec", "librosa_mel", sample_rate=rate, **RATES[rate])
    found = first(save(tmp_path / "a.png", grey(shown(speech, spec))))
    assert found.spec == spec
    assert found.seconds == pytest.approx(len(speech) / 22050, rel=0.05)


def test_how_long_mel_bands_last_may_be_uncertain(speech, tmp_path):
    """Frames of 16 and of 12.5 ms are alike where windows are four times as long."""
    spec = load("spec", "autovc", fmin=80.0)
    levels = np.log10(np.maximum(10 ** (5 * shown(speech, spec) - 5), 1e-10))
    np.save(tmp_path / "a.npy", levels.astype(np.float32))
    readings = identify(tmp_path / "a.npy")
    others = other_lengths(readings)
    assert others and all(one in readings for one in others)
    lengths = [one.seconds for one in (readings[0], *others) if one.seconds is not None]
    assert len(lengths) == 1 + len(others)
    assert min(abs(one / (len(speech) / 22050) - 1) for one in lengths) < 0.02
    assert len({round(one, 2) for one in lengths}) == len(lengths)


def test_no_network_explains_what_is_tried(speech, tmp_path, monkeypatch):
    """It knows some specs, and would have these explain everything better."""
    shown = analyse(torch.from_numpy(speech)[None], load("spec", "tacotron2"))
    np.save(tmp_path / "a.npy", np.log(np.maximum(shown.linear[0].numpy(), 1e-5)))
    monkeypatch.setattr(mels, "load_network", lambda *_: pytest.fail("a network was asked"))
    assert first(tmp_path / "a.npy").spec.n_mels == 80


def test_no_spectrogram_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (256, 90, 3)).astype(np.uint8)
    with refused("image.colours"):
        identify(save(tmp_path / "a.png", noise))
    with refused("image.colours"):
        identify(save(tmp_path / "b.png", np.zeros((256, 90), np.uint8)))


def test_the_command(share, tmp_path, capsys):
    save(tmp_path / "a.png", 255 - grey(share))
    Image.new("L", (20, 20)).save(tmp_path / "b.png")
    output = tmp_path / "found.yaml"
    assert run(["identify", f"input={tmp_path}", f"output={output}"]) == 2  # b.png is none
    assert "codec.dark_is_loud=true" in capsys.readouterr().out
    (readings,) = yaml.safe_load(output.read_text()).values()
    assert readings[0]["spec"]["n_fft"] == 1024 and readings[0]["settings"].startswith("spec=")


def drawn_by_specshow(speech, y_axis, path):
    decibels = librosa.amplitude_to_db(np.abs(librosa.stft(speech)), ref=np.max)
    figure = Figure(figsize=(10, 4))
    axes = figure.subplots()
    librosa.display.specshow(decibels, sr=22050, x_axis="time", y_axis=y_axis, ax=axes)
    FigureCanvasAgg(figure).print_png(path)
    return axes


@pytest.mark.parametrize(("axis", "rows"), [("hz", "linear"), ("log", "specshow")])
def test_a_figure_of_plain_bins_is_of_librosas_defaults(axis, rows, speech, tmp_path):
    drawn_by_specshow(speech, axis, tmp_path / "a.png")
    found = first(tmp_path / "a.png")
    assert found.spec == load("spec", "seed") and found.codec.rows == rows
    assert found.seconds == pytest.approx(len(speech) / 22050, rel=0.05)


def test_where_specshows_log_axis_has_its_bins(speech, tmp_path):
    axes = drawn_by_specshow(speech, "log", tmp_path / "a.png")
    y_data = np.linspace(0, 11025, 1025)
    _, heights = (
        axes.transAxes.inverted()
        .transform(axes.transData.transform(np.stack([0 * y_data, y_data], axis=1)))
        .T
    )
    np.testing.assert_allclose(_specshow_axis(load("spec", "seed")), heights, atol=1e-6)


def test_of_several_panels_the_spectrogram_is_taken(speech, tmp_path):
    figure = Figure(figsize=(10, 6))
    above, below = figure.subplots(2, 1, gridspec_kw={"height_ratios": [3, 2]})
    above.plot(speech)
    below.imshow(np.log(np.abs(librosa.stft(speech)) + 1e-3), origin="lower", aspect="auto")
    FigureCanvasAgg(figure).print_png(tmp_path / "a.png")
    box = below.get_window_extent()
    edges = [box.x0, 600 - box.y1, box.x1, 600 - box.y0]
    found = figure_box(read_image(tmp_path / "a.png").pixels) or ()
    np.testing.assert_allclose(found, edges, atol=2)


def test_specgram_is_linear_and_its_length_is_guessed(speech, tmp_path):
    figure = Figure()
    figure.subplots().specgram(speech, Fs=22050, NFFT=1024, noverlap=512)
    FigureCanvasAgg(figure).print_png(tmp_path / "a.png")
    found = first(tmp_path / "a.png")
    assert found.codec.rows == "linear"
    assert 1 / 2.5 < found.seconds / (len(speech) / 22050) < 2.5
    assert any("codec.seconds" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("numbers", "key"),
    [
        (np.ones((2, 80, 90)), "array.shape"),
        (np.full((80, 90), -np.inf), "array.finite"),
        (np.ones((513, 90), complex), "array.type"),
    ],
    ids=["batch", "log_0", "complex"],
)
def test_arrays_that_are_no_spectrogram(numbers, key, tmp_path):
    np.save(tmp_path / "a.npy", numbers)
    with refused(key):
        identify(tmp_path / "a.npy")


def test_whisper_has_128_bands_since_v3(speech, tmp_path):
    spec = replace(load("spec", "whisper"), n_mels=128)
    resampled = librosa.resample(speech, orig_sr=22050, target_sr=16000)
    power = np.abs(librosa.stft(resampled, n_fft=400, hop_length=160)) ** 2
    mel = librosa.feature.melspectrogram(S=power, sr=16000, n_mels=128, n_fft=400)
    logs = np.log10(np.maximum(mel, 1e-10))
    np.save(tmp_path / "a.npy", (np.maximum(logs, logs.max() - 8) + 4) / 4)
    found = first(tmp_path / "a.npy")
    assert found.spec == spec and found.codec == load("codec", "whisper")


def test_colour_maps_keep_their_case():
    assert as_words("codec", "foreign", {"cmap": "Blues"}) == ["codec=foreign", "codec.cmap=Blues"]
