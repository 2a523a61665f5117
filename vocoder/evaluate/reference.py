"""True recordings to measure audio against, found by name."""

from __future__ import annotations

from pathlib import Path

from vocoder.audio import read_info
from vocoder.errors import BadInput
from vocoder.evaluate.metrics import choose_metrics
from vocoder.evaluate.pairing import Job
from vocoder.evaluate.summary import notes
from vocoder.evaluate.work import measure_job
from vocoder.image.dataset.recordings import find_recordings
from vocoder.image.manifest import one_spelling

# Short names for tables, of columns of `vocoder.evaluate.metrics.METRICS`.
COLUMNS = {
    "estoi": "estoi",
    "lsd_db": "log_spectral_distance_db",
    "mel_db": "mel_distance_db",
    "level_db": "level_difference_db",
}
LEGEND = (
    "against the true recordings: estoi, intelligibility, 1 at best; lsd_db and mel_db, distance "
    "of spectra and of mel bands in dB, 0 at best; level_db, how much louder"
)
_NAMES = ("estoi", "lsd", "mel", "level")


class References:
    """A folder of recordings, one for each utterance, of any format.

    Those in sub-folders are called as in a data set made of them, ``sub/x.wav`` being ``sub__x``.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BadInput(
                f"reference={folder} is not a folder; expected one of true recordings",
                "reference.missing",
            )
        self._folder = folder
        recordings, _ = find_recordings(folder)
        stems = {
            one_spelling(one.path.stem): one.path for one in recordings if one.path.parent == folder
        }
        self._paths = stems | {one.name: one.path for one in recordings}

    def path(self, name: str) -> Path | None:
        """The recording called ``name``, if there is one."""
        return self._paths.get(one_spelling(name))

    def measure(self, path: Path, problems: dict[str, str], remarks: list[str]) -> dict[str, float]:
        """Measure an audio file against the recording of the same name.

        A missing or unusable recording is noted in ``problems`` and gives no figures; what was put
        right before measuring, a delay say, is added to ``remarks``.
        """
        where, true = f"reference of {path.stem}", self.path(path.stem)
        if true is None:
            problems[where] = f"{self._folder} holds no recording of this name"
            return {}
        job = Job(path.stem, {path.parent.name: path}, true)
        metrics, _ = choose_metrics(_NAMES)
        (found,) = measure_job(job, metrics, read_info(path).sample_rate)
        if found.problems:
            problems[where] = "; ".join(found.problems.values())
            return {}
        remarks += notes([found])
        return {short: found.values[column] for short, column in COLUMNS.items()}
