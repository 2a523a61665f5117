"""How much a waveform differs from the true one, and how good it is by itself.

All functions take floating-point arrays ``(samples,)``, full scale at 1. `measure` aligns two
waveforms and takes all metrics at once; the single functions compare what they are given, sample
for sample. Importing this loads neither torch nor a model.
"""
# ruff: noqa: I001 - imported in the order of the tables

from vocoder.evaluate.metrics.perceptual import dnsmos, dnsmos_difference, estoi, pesq_wb, visqol
from vocoder.evaluate.metrics.spectral import (
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
    mel_distance_db,
    image_distance_db,
)
from vocoder.evaluate.metrics.pitch import f0_rmse_cents, voicing_error
from vocoder.evaluate.metrics.loudness import (
    level_difference_db,
    loudness_difference_lu,
    loudness_lufs,
)
from vocoder.evaluate.metrics.metric import METRICS, Metric, choose_metrics, measure, metric, take

__all__ = [
    "METRICS",
    "Metric",
    "choose_metrics",
    "dnsmos",
    "dnsmos_difference",
    "estoi",
    "f0_rmse_cents",
    "image_distance_db",
    "level_difference_db",
    "log_spectral_distance_db",
    "loudness_difference_lu",
    "loudness_lufs",
    "measure",
    "mel_cepstral_distortion_db",
    "mel_distance_db",
    "metric",
    "pesq_wb",
    "take",
    "visqol",
    "voicing_error",
]
