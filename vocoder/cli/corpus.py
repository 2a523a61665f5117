"""``vocoder corpus``: recordings of a speaker become a corpus to train on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.cli.codes import BAD, DONE

if TYPE_CHECKING:
    from vocoder.corpus.cleaning import Limits
    from vocoder.corpus.cut import Cut
    from vocoder.spec import SpectrogramSpec

_SHOWN = 100  # utterances of a page, which browsers can still hold


def run(
    *,
    input: str,
    output: str,
    speaker: str | None,
    captions: str | None,
    audio_channel: str | int,
    spec: SpectrogramSpec,
    cut: Cut,
    limits: Limits,
    split: Mapping[str, float],
    seed: int,
) -> int:
    """Make a corpus; the keys are those of ``conf/corpus.yaml``, which describes them.

    Returns
    -------
    int
        0, or 2 if a recording could not be used (the corpus is there all the same).
    """
    from vocoder.cli.page import Entry, write_page
    from vocoder.corpus.make import Preparation, make_corpus
    from vocoder.corpus.report import PLOT_NAME
    from vocoder.corpus.sources import find_sources
    from vocoder.cpu import torch_threads

    searched, made = Path(input), Path(output)
    sources, label, failed = find_sources(
        searched, made, speaker, None if captions is None else Path(captions), audio_channel
    )
    whole = searched.resolve()  # "." has no name of its own
    preparation = Preparation(
        made,
        spec.sample_rate,
        label or speaker or (whole.stem if whole.is_file() else whole.name),
        label,
        cut,
        limits,
    )
    shares = {name: split[name] for name in ("test", "val")}
    with torch_threads():
        report = make_corpus(preparation, sources, shares=shares, seed=seed, failed=failed)
    entries = [
        Entry(one.path, {"split": one.split, "seconds": one.seconds}, {"": made / one.path})
        for one in report.utterances[:_SHOWN]
    ]
    levels = Entry(f"Levels; then {len(entries)} of the utterances", images=[made / PLOT_NAME])
    write_page(made, report.title, [levels, *entries], report.tables())
    print(report.tables())
    for note in report.notes:
        print(f"note: {note}")
    for name, reason in report.failed.items():
        print(f"not used: {name}: {reason}", file=sys.stderr)
    count = len(report.utterances)
    print(
        f"{output}: {count} {'utterance' if count == 1 else 'utterances'}; see {output}/report.md"
    )
    return BAD if report.failed else DONE
