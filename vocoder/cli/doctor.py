"""``vocoder doctor``: say what went wrong with images, or will, and what to set instead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from vocoder.cli.codes import BAD, DONE
from vocoder.errors import BadInput
from vocoder.files import refuse_existing, write_text
from vocoder.image.doctor.examine import examine
from vocoder.image.doctor.options import NOTE, PROBLEM, Finding
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import Spectrogram

SAMPLED = 6  # utterances that are inverted for a moment
REFUSED = ("image.unlike", "image.negative")  # as `vocoder invert` would


def run(
    *,
    source: ImageSource,
    output: str | None = None,
    overwrite: bool = False,
) -> int:
    """Print the findings; exit code 0 if there is nothing to change, else 2."""
    if output is not None:
        refuse_existing(Path(output), overwrite=overwrite)
    findings = examine(source, _progress) + _tried(source)
    print(_listing(findings, str(source.path)))
    if output is not None:
        report = {"input": str(source.path), "findings": [asdict(finding) for finding in findings]}
        write_text(
            Path(output),
            json.dumps(report, indent=2, ensure_ascii=False) + "\n",
            overwrite=overwrite,
        )
    return BAD if any(finding.severity == PROBLEM for finding in findings) else DONE


def _tried(source: ImageSource) -> list[Finding]:
    """What keeps some of the utterances from being inverted, and how far they are from what any
    waveform can show."""
    try:
        found = source.find()
    except BadInput:  # of which `examine` has told
        return []
    given, refused = [], []
    for one in found.utterances[:: max(1, len(found.utterances) // SAMPLED)][:SAMPLED]:
        try:
            given.append(load_utterance(one, found).spectrogram)
        except BadInput as error:
            if error.key in REFUSED:  # `examine` tells of damaged files
                code = error.key.removeprefix("image.")
                fix = "what it says; force=true makes audio of it all the same"
                refused.append(Finding(code=code, where=one.name, found=str(error), fix=fix))
    return refused or _far_off(given, len(found.utterances))


def _far_off(given: list[Spectrogram], n_utterances: int) -> list[Finding]:
    """How far they are from what any waveform can show, on average, if they are."""
    from vocoder.config import load
    from vocoder.model.weights import fits
    from vocoder.repair.consistency import CONSISTENT_DB, far_off

    repair = load("repair", "auto")
    images = [one for one in given if one.constraint is None]  # JPEGs of our own lose that much
    if not images:
        return []
    off_db = sum(map(repair.inconsistency_db, images)) / len(images)
    if off_db <= CONSISTENT_DB:
        return []
    known = fits(repair.weights, images[0].spec)
    fix = (
        "the repair that ships has learnt from such spectrograms: repair=auto, the default"
        if known
        else "no repair that ships knows this spec: vocoder train experiment=generated makes one"
    )
    where = f"{len(images)} of {n_utterances} utterances"
    told = f"on average {far_off(off_db)}"
    return [Finding(code="inconsistent", where=where, found=told, fix=fix, severity=NOTE)]


def _progress(paths: Sequence[Path]) -> Iterable[Path]:
    from tqdm import tqdm

    with tqdm(paths, unit="image", leave=False, delay=1) as bar:
        for path in bar:
            bar.set_postfix_str(path.name, refresh=False)
            yield path


def _listing(findings: list[Finding], input: str) -> str:
    if not findings:
        return f"{input}: nothing to change"
    lines = []
    for finding in findings:
        lines += [
            f"{finding.severity}: {finding.code}",
            f"  where  {finding.where}",
            f"  found  {finding.found}",
            f"  set    {finding.fix}",
        ]
    problems = sum(finding.severity == PROBLEM for finding in findings)
    return "\n".join([*lines, f"{input}: {problems} to change, {len(findings) - problems} to note"])
