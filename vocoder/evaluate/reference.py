"""True recordings to measure sound against, found by name."""

from __future__ import annotations

from pathlib import Path

from vocoder.audio import read_audio, read_info
from vocoder.errors import BadInput
from vocoder.evaluate.metrics import measure
from vocoder.image.dataset.recordings import find_recordings
from vocoder.image.manifest import one_spelling

# Short names for tables: of `vocoder.evaluate.metrics.Measures`.
COLUMNS = {
    "estoi": "estoi",
    "lsd_db": "log_spectral_distance_db",
    "mel_db": "mel_distance_db",
    "level_db": "level_difference_db",
}
# Of longer sounds the beginning is measured: alignment compares all of two spectrograms.
MEASURED_S = 120.0


class References:
    """A folder of recordings, one for each utterance, of any format.

    Those in sub-folders are called as in a data set made of them, ``sub/x.wav`` being ``sub__x``.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    BadInput
        No such folder, or no recording in it.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BadInput(f"reference={folder} is not a folder; give one of true recordings")
        self._folder = folder
        recordings, _ = find_recordings(folder)
        stems = {
            one_spelling(one.path.stem): one.path for one in recordings if one.path.parent == folder
        }
        self._paths = stems | {one.name: one.path for one in recordings}

    def path(self, name: str) -> Path | None:
        """The recording called ``name``, if there is one."""
        return self._paths.get(one_spelling(name))

    def measure(self, sound: Path, problems: dict[str, str]) -> dict[str, float]:
        """Measures of a sound file against the recording of the same name.

        A missing or unusable recording is noted in ``problems``, and gives no figures.
        """
        true = self.path(sound.stem)
        try:
            if true is None:
                raise BadInput(f"{self._folder} holds no recording of this name")
            sample_rate = read_info(sound).sample_rate
            longest = int(MEASURED_S * sample_rate)
            reference = read_audio(true, sample_rate)[:longest]
            degraded = read_audio(sound, sample_rate)[:longest]
            taken = measure(reference, degraded, sample_rate, pesq=False).to_dict()
        except BadInput as error:
            problems[f"reference of {sound.stem}"] = str(error)
            return {}
        return {column: taken[name] for column, name in COLUMNS.items()}
