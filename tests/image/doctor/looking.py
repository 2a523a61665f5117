"""The doctor, asked about a path."""

from vocoder.cli import doctor
from vocoder.image.doctor import examine as room
from vocoder.image.source import ImageSource


def examine(path, **settings):
    return room.examine(ImageSource(input=path, **settings))


def run(input, *, output=None, overwrite=False, **settings):
    source = ImageSource(input=input, **settings)
    return doctor.run(source=source, output=output, overwrite=overwrite)
