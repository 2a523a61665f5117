"""``vocoder doctor``: say what went wrong with images, or will, and what to set instead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from vocoder.cli.codes import BAD, DONE
from vocoder.files import refuse_existing, write_text
from vocoder.image.doctor.examine import examine
from vocoder.image.doctor.options import PROBLEM, Finding
from vocoder.image.source import ImageSource


def run(
    *,
    source: ImageSource,
    output: str | None = None,
    overwrite: bool = False,
) -> int:
    """Print the findings; exit code 0 if there is nothing to change, else 2."""
    if output is not None:
        refuse_existing(Path(output), overwrite=overwrite)
    findings = examine(source, _progress)
    print(_listing(findings, str(source.path)))
    if output is not None:
        report = {"input": str(source.path), "findings": [asdict(finding) for finding in findings]}
        write_text(
            Path(output),
            json.dumps(report, indent=2, ensure_ascii=False) + "\n",
            overwrite=overwrite,
        )
    return BAD if any(finding.severity == PROBLEM for finding in findings) else DONE


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
