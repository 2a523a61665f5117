"""``vocoder identify``: say what images or arrays that do not say it themselves probably are."""

from __future__ import annotations

from pathlib import Path

from vocoder.cli.codes import BAD, DONE
from vocoder.errors import BadInput
from vocoder.files import refuse_existing, write_text


def run(*, input: str, output: str | None = None, overwrite: bool = False) -> int:
    """Print the likeliest readings of every file; exit code 0 unless a file has none."""
    from vocoder.identify.identify import Reading, equals, identify, other_lengths
    from vocoder.identify.settings import as_yaml, files
    from vocoder.identify.words import in_words
    from vocoder.image.array import find_arrays

    if output is not None:
        refuse_existing(Path(output), overwrite=overwrite)
    found: dict[str, list[Reading]] = {}
    failed = False
    paths, left_out = files(Path(input))
    for remark in left_out:
        print(remark)
    for path in paths:
        try:
            found[str(path)] = readings = identify(path)
        except BadInput as error:
            print(error)
            failed = True
            continue
        print(f"{path}: {'; '.join(readings[0].reasons)}")
        if not readings[0].words:
            continue
        alike = equals(readings)
        if len(alike) > 1:
            print(f"  {len(alike)} readings explain it equally well; listen to each:")
        shown = alike if len(alike) > 1 else readings[:2]
        others = other_lengths(readings)
        shown += [one for one in others if one not in shown]
        for rank, reading in enumerate(shown, start=1):
            said = in_words(reading, is_array=bool(find_arrays(path)))
            print(f"  {rank}. {said} ({reading.score:.1%} of it unexplained)")
            print(f"     {' '.join(reading.words)}")
        if others:
            lengths = ", ".join(f"{one.seconds:.1f}" for one in (readings[0], *others))
            print(f"  how long it lasts is not certain: {lengths} s? Take the reading that fits")
        print(f"  vocoder invert input={path} {' '.join(readings[0].words)} output=audio")
    if output is not None and found:
        write_text(Path(output), as_yaml(found), overwrite=overwrite)
        print(f"settings in {output}")
    return BAD if failed or not found else DONE
