"""The doctor, asked about a path."""

from pathlib import Path

from vocoder.cli import doctor
from vocoder.image.codec.scalar import Gray8
from vocoder.image.doctor import examine as room
from vocoder.image.doctor.options import PROBLEM
from vocoder.image.source import ImageSource

OPTIONS = Path(__file__).parents[2] / "data/options"
GRAY8 = Gray8(db_min=-100.0, db_max=0.0)


def codes(findings, severity=PROBLEM):
    return {finding.code for finding in findings if finding.severity == severity}


def examine(path, **settings):
    return room.examine(ImageSource(input=path, **settings))


def run(input, *, output=None, overwrite=False, **settings):
    source = ImageSource(input=input, **settings)
    return doctor.run(source=source, output=output, overwrite=overwrite)
