"""``vocoder compare``: which sounds better, asked of listeners in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.cli.codes import DONE
from vocoder.errors import BadInput

if TYPE_CHECKING:
    from vocoder.compare.listening.study import Study
    from vocoder.compare.webmushra.study import PlannedStudy


def run(
    *,
    output: str,
    systems: str | Sequence[str] | None,
    reference: str | None,
    webmushra: str | None,
    test: str,
    items: int | None,
    repeats: int,
    longest_s: float,
    title: str,
    question: str | None,
    skip: bool,
    allow_clipped: bool,
    seed: int,
    port: int,
    browser: bool,
    export: str | None,
    collect: str | Sequence[str] | None,
    report: str | None,
    overwrite: bool,
) -> int:
    """Make a study and serve, export or collect it, or report; keys are ``conf/compare.yaml``'s.

    Returns
    -------
    int
        0; or 2 from a report that lacks an answer, which was cut while it was written.

    Raises
    ------
    BadInput
        The sounds cannot be compared, or a setting, a file or the port cannot be used.
    """
    root = Path(output)
    if report is not None:
        from vocoder.compare.report import write_report

        return write_report(Path(report), root, overwrite=overwrite, seed=seed, tell=print)
    from vocoder.compare.listening.study import STUDY_NAME, read_study

    sources = None
    if webmushra is not None:
        if systems is not None or reference is not None:
            raise BadInput("webmushra= says which sounds there are; leave systems, reference out")
        planned = _planned(Path(webmushra))
        sources, test, items, title = planned.sources, planned.test, None, planned.title
    elif systems is not None:
        from vocoder.compare.listening.sources import find_sources

        sources = find_sources(systems, reference)
    if sources is None:
        study = read_study(root)
    else:
        from vocoder.compare.listening.plan import make_study

        study = make_study(
            root,
            sources=sources,
            test=test,
            items=items,
            repeats=repeats,
            longest_s=longest_s,
            seed=seed,
            title=title,
            question=question,
            skip=skip,
            allow_clipped=allow_clipped,
        )
    print(_about(study))
    print(f"What was done to the sounds, and the key, are in {root / STUDY_NAME}")
    if collect is not None:
        return _collect(study, root, collect)
    if export is not None:
        return _export(study, root, Path(export), overwrite)
    return _serve(study, root, port, browser)


def _planned(path: Path) -> PlannedStudy:
    from vocoder.compare.webmushra.study import planned_study

    planned = planned_study(path)
    for note in planned.notes:
        print(f"{path}: {note}")
    return planned


def _about(study: Study) -> str:
    left_out = study.more.get("left_out", {})
    more = f"; {len(left_out)} left out" if left_out else ""
    return (
        f"{study.test} test of {', '.join(study.systems)}: {len(study.items)} items, "
        f"{len(study.trials)} trials a listener{more}"
    )


def _serve(study: Study, root: Path, port: int, browser: bool) -> int:
    try:
        from vocoder.compare.listening.server import serve
    except ImportError as error:
        raise BadInput(
            "the server needs starlette and uvicorn; install them with pip install "
            "'vocoder[compare]'"
        ) from error
    from vocoder.compare.listening.session import Sessions

    sessions = Sessions(study, root)
    for line in sessions.cut_lines:
        print(f"{line} was cut while it was written, and is lost; its trial is asked again")
    serve(sessions, root, port=port, browser=browser, tell=_tell)
    print(
        f"\n{sessions.n_answers} answers of {sessions.n_listeners} listeners in {root}; for the "
        f"statistics: vocoder compare report={root} output=..."
    )
    return DONE


def _tell(url: str) -> None:
    print(f"Listen at {url}  (Ctrl+C ends; every answer is saved when given)", flush=True)


def _export(study: Study, root: Path, page: Path, overwrite: bool) -> int:
    from vocoder.compare.listening.export import export_page

    export_page(study, root, page, overwrite=overwrite)
    print(
        f"The page is in {page}: open its index.html, or put the folder on a web server. It is "
        "not tamper-proof.\nAdd what listeners send back with vocoder compare "
        f"output={root} collect=FILE"
    )
    return DONE


def _collect(study: Study, root: Path, files: str | Sequence[str]) -> int:
    from vocoder.compare.listening.export import collect

    paths = []
    for path in map(Path, [files] if isinstance(files, str) else files):
        paths += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not paths:
        raise BadInput(f"collect={files} holds no .json files; give what listeners sent back")
    added, known = collect(study, root, paths)
    print(f"{added} answers added to {root}, {known} were there already")
    return DONE
