"""How much a sound differs from the true one, and how good it is by itself.

All functions take floating-point arrays ``(samples,)``, full scale at 1. `measure_pair` aligns two
sounds and takes all measures at once; the single functions compare what they are given, sample for
sample.
"""

from vocoder.evaluate.metrics.loudness import loudness_difference_lu, loudness_lufs
from vocoder.evaluate.metrics.measure import (
    COLUMNS,
    MEASURES,
    Measures,
    Pair,
    installed,
    measure,
    measure_pair,
    require_measures,
    take,
)
from vocoder.evaluate.metrics.perceptual import dnsmos, estoi, pesq_wb, visqol
from vocoder.evaluate.metrics.pitch import pitch_errors
from vocoder.evaluate.metrics.spectral import (
    level_difference_db,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
    mel_distance_db,
    picture_distance_db,
    spectral_convergence,
)

__all__ = [
    "COLUMNS",
    "MEASURES",
    "Measures",
    "Pair",
    "dnsmos",
    "estoi",
    "installed",
    "level_difference_db",
    "log_spectral_distance_db",
    "loudness_difference_lu",
    "loudness_lufs",
    "measure",
    "measure_pair",
    "mel_cepstral_distortion_db",
    "mel_distance_db",
    "pesq_wb",
    "picture_distance_db",
    "pitch_errors",
    "require_measures",
    "spectral_convergence",
    "take",
    "visqol",
]
