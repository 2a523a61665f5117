"""``vocoder encode``: a folder of recordings becomes a data set for pix2pix."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocoder.cli.codes import BAD, DONE
from vocoder.cli.jobs import REPORT_NAME, begin, print_some, progress, require_report
from vocoder.cli.page import Entry, write_page
from vocoder.errors import BadInput, expect
from vocoder.files import refuse_existing, write_text

if TYPE_CHECKING:
    from vocoder.image.codec.base import Codec
    from vocoder.image.dataset.commands import Commands
    from vocoder.image.dataset.encode import DataSet, Written
    from vocoder.image.dataset.plan import Plan
    from vocoder.spec import SpectrogramSpec

_CHOICES = {"unpaired": ("refuse", "skip"), "lengths": ("refuse", "trim")}


def run(
    *,
    input: str,
    output: str,
    spec: SpectrogramSpec,
    codec: Codec,
    style: str,
    input_a: str | None,
    audio_channel: str | int,
    gain: str,
    peak_db: float,
    tile: Mapping[str, int],
    split: Mapping[str, Any],
    seed: int,
    unpaired: str,
    lengths: str,
    channels: int,
    suffix: str | None,
    quality: int | None,
    resume: bool,
    overwrite: bool,
) -> int:
    """Make a data set; the keys are those of ``conf/encode.yaml``, which describes them.

    Returns
    -------
    int
        0, or 2 if a recording could not be used (the others are there all the same).
    """
    from vocoder.image.dataset.commands import commands, require_sides
    from vocoder.image.dataset.contact_sheet import CONTACT_SHEET_NAME, write_contact_sheet
    from vocoder.image.dataset.encode import DataSet
    from vocoder.image.dataset.plan import make_plan
    from vocoder.image.manifest import (
        MANIFEST_NAME,
        SIDECAR_NAME,
        Sidecar,
        write_manifest,
        write_sidecar,
    )

    for name, value in (("unpaired", unpaired), ("lengths", lengths)):
        expect(value in _CHOICES[name], name, value, " or ".join(_CHOICES[name]), "unknown")
    root = Path(output)
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        if resume:
            require_report(root)
        refuse_existing(root, overwrite=overwrite or resume)
    sidecar = Sidecar(spec, codec, tile["frames"], tile["overlap_frames"])
    require_sides(style, spec.bins, sidecar.tile_frames)
    data_set = DataSet(
        root=root,
        sidecar=sidecar,
        style=style,
        channels=channels,
        gain=gain,
        peak_db=peak_db,
        trim=lengths == "trim",
        suffix=suffix or codec.suffixes[0],
        quality=quality,
        overwrite=overwrite,
        keep=resume,
    )
    plan = make_plan(
        style=style,
        folder=Path(input),
        folder_a=None if input_a is None else Path(input_a),
        channel=audio_channel,
        val=split["val"],
        test=split["test"],
        seed=seed,
        skip_unpaired=unpaired == "skip",
        trim=lengths == "trim",
        spec=spec,
    )
    settings = {
        "style": style,
        "spec": spec.to_dict(),
        "codec": codec.to_dict(),
        "tile": dict(tile),
        "audio_channel": audio_channel,
        "gain": gain,
        "peak_db": peak_db,
        "lengths": lengths,
        "channels": channels,
        "suffix": data_set.suffix,
        "quality": quality,
    }
    begin(root, settings, resume=resume)
    overwrite = overwrite or resume  # what is not an image is written anew
    started = time.perf_counter()
    made = _write_all(data_set, plan)
    elapsed_s = time.perf_counter() - started

    tiles = [one for written in made for one in written.tiles]
    places = [
        (one, [data_set.path(folder, one) for folder in written.folders])
        for written in made
        for one in written.tiles
    ]
    n_tiles = Counter(
        folder for written in made for folder in written.folders for _ in written.tiles
    )
    found = []
    if codec.suits_networks:
        grey = codec.mode == "L"
        found = commands(style, root, spec.bins, tile["frames"], n_tiles, grey=grey)
    report = {
        "command": "encode",
        **settings,
        "elapsed_s": round(elapsed_s, 3),
        "folders": _folders(made),
        "delayed": [
            f"{written.source}: A is {abs(1000 * written.delay_s):.0f} ms "
            f"{'later' if written.delay_s > 0 else 'earlier'} than B"
            for written in made
            if written.delay_s
        ],
        "silent": [written.source for written in made if written.silent],
        "changes": Counter(change for written in made for change in written.changes),
        "failed": plan.failed,
        "unpaired": plan.unpaired,
        "unknown_in_lists": plan.unknown,
        "ignored": plan.ignored,
        "left_over": _left_over(root, [path for _, paths in places for path in paths]),
        "commands": [vars(one) for one in found],
    }
    if tiles:
        captions = [(one.stem, paths) for one, paths in places]
        write_contact_sheet(root / CONTACT_SHEET_NAME, captions, codec, overwrite=overwrite)
        write_sidecar(root / SIDECAR_NAME, sidecar, overwrite=overwrite)
        write_manifest(root / MANIFEST_NAME, tiles, overwrite=overwrite)
        sheet = Entry("Some of the tiles", images=[root / CONTACT_SHEET_NAME])
        write_page(root, f"Data set {root.resolve().name}", [sheet])
    text = json.dumps(report, indent=2, ensure_ascii=False)
    write_text(root / REPORT_NAME, text, overwrite=True)
    _print(report, found, root, codec)
    return BAD if plan.failed else DONE


def _write_all(data_set: DataSet, plan: Plan) -> list[Written]:
    """Go through the jobs with a progress bar; recordings that fail are noted in the plan."""
    made = []
    with progress(len(plan.jobs), "recording") as step:
        for job in plan.jobs:
            try:
                strips = data_set.encode(job)
            except BadInput as error:
                plan.failed[job.target.source] = str(error)
                step(job.utterance, 0.0)
            else:
                made.append(data_set.write(job, strips))
                step(job.utterance, made[-1].seconds)
    return made


def _folders(made: Sequence[Written]) -> dict[str, dict[str, Any]]:
    """What each folder of the data set holds."""
    table = {}
    for name in sorted({folder for written in made for folder in written.folders}):
        inside = [written for written in made if name in written.folders]
        peak_db = max(written.peak_db for written in inside)
        table[name] = {
            "utterances": len(inside),
            "tiles": sum(len(written.tiles) for written in inside),
            "minutes": round(sum(written.seconds for written in inside) / 60, 2),
            "peak_db": round(peak_db, 2) if math.isfinite(peak_db) else None,
            "clipped": max(written.clipped for written in inside),
        }
    return table


def _left_over(root: Path, written: Sequence[Path]) -> list[str]:
    """Images of an earlier run, half-written ones too, which pix2pix would take for tiles."""
    mine = set(written)
    suffixes = {path.suffix for path in written}
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.glob("*/*")
        if path.suffix in suffixes and path not in mine
    )


def _print(report: dict[str, Any], found: Sequence[Commands], root: Path, codec: Codec) -> None:
    line = "{:<12} {:>10} {:>7} {:>8} {:>8} {:>9}"
    print(line.format("folder", "utterances", "tiles", "minutes", "peak dB", "clipped"))
    for name, row in report["folders"].items():
        peak = "silent" if row["peak_db"] is None else f"{row['peak_db']:.1f}"
        minutes, clipped = f"{row['minutes']:.1f}", f"{row['clipped']:.3%}"
        print(line.format(name, row["utterances"], row["tiles"], minutes, peak, clipped))
    if any(row["clipped"] for row in report["folders"].values()):
        print(
            f"Some values exceed codec.db_max={codec.db_max:g} and are cut off there; raise it, or "
            "use gain=peak."
        )
    for change, n in report["changes"].items():
        print(f"{n} recordings: {change}" if n > 1 else f"1 recording: {change}")
    if not codec.suits_networks:
        print(f"\nNo pix2pix program can read images of codec {codec.name}; for those use gray8.")
    for one in found:
        print(f"\n{one.program}:")
        for command in filter(None, (one.train, one.test)):
            print(f"  {command}")
    for title, key in (
        ("Not used, for lack of a partner", "unpaired"),
        ("Pairs that are not in time, which pix2pix cannot learn; shift A, then encode", "delayed"),
        ("Silent, so that an image of it shows nothing: leave them out", "silent"),
        ("Lines of the split lists that name no recording", "unknown_in_lists"),
        ("Not audio by their suffix, ignored", "ignored"),
        ("Left over from an earlier run, and not part of this data set: remove them", "left_over"),
    ):
        print_some(title, report[key])
    print_some("Failed", report["failed"])
    print(f"\nData set, contact sheet and report ({REPORT_NAME}) in {root}")
