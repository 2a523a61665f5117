"""``vocoder compare``: which sounds better, asked of listeners in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.cli.codes import DONE
from vocoder.errors import BadInput

if TYPE_CHECKING:
    from vocoder.compare.study import Study


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
    consent: str | None,
    questions: str | Sequence[str],
    comments: bool,
    language: str | None,
    skip: bool,
    allow_clipped: bool,
    check: bool,
    seed: int,
    port: int,
    browser: bool,
    network: bool,
    export: str | None,
    collect: str | Sequence[str] | None,
    report: str | None,
    overwrite: bool,
) -> int:
    """Make a study and serve, export or collect it, or report; keys are ``conf/compare.yaml``'s."""
    root = Path(output)
    if report is not None:
        from vocoder.compare.report.write import write_report

        write_report(Path(report), root, overwrite=overwrite, tell=print)
        return DONE
    made = systems is not None or webmushra is not None
    served = export is None and collect is None
    packages = ("pyloudnorm",) * made + ("starlette", "uvicorn") * served
    instead = ", or write a page without a server: export=FOLDER" * served
    require_packages(packages, "a listening test", instead)
    from vocoder.compare.page import read_words
    from vocoder.compare.plan import Settings, make_study
    from vocoder.compare.sources import find_sources
    from vocoder.compare.study import STUDY_NAME, read_study

    sources = None
    asked = tuple(_listed(questions))
    agreed = "" if consent is None else _text(consent)
    if webmushra is not None:
        from vocoder.compare.webmushra import read_webmushra

        if systems is not None or reference is not None:
            raise BadInput(
                "webmushra= says which systems there are; leave systems, reference out",
                key="webmushra.conflict",
            )
        planned = read_webmushra(Path(webmushra))
        for note in planned.notes:
            print(f"{webmushra}: {note}")
        sources, test, items, title = planned.sources, planned.test, None, planned.title
        asked, agreed = asked or planned.questions, agreed or planned.consent
    elif systems is not None:
        sources = find_sources(systems, reference)
    if sources is None:
        study = read_study(root)
    else:
        settings = Settings(
            test=test,
            items=items,
            repeats=repeats,
            longest_s=longest_s,
            seed=seed,
            skip=skip,
            allow_clipped=allow_clipped,
            check=check,
        )
        texts = {
            "title": title,
            "question": question,
            "consent": agreed,
            "questions": asked,
            "comments": comments,
            "words": {} if language is None else read_words(language),
        }
        study = make_study(root, sources, settings, texts)
    left_out = f"; {len(study.left_out)} left out" if study.left_out else ""
    print(
        f"{study.test} test of {', '.join(study.systems)}: {len(study.items)} items, "
        f"{len(study.trials)} trials a listener{left_out}"
    )
    for note in study.notes:
        print(note)
    print(f"What was done to the audio, and the key, are in {root / STUDY_NAME}")
    if collect is not None:
        return _collect(study, root, _listed(collect))
    if export is not None:
        return _export(study, root, Path(export), overwrite)
    return _serve(study, root, port=port, browser=browser, network=network)


def require_packages(names: Sequence[str], what: str, instead: str = "") -> None:
    """Before any work is done."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise BadInput(
            f"{what} needs {' and '.join(missing)}; install what is missing with pip install "
            f"'vocoder[compare]'{instead * ('uvicorn' in missing)}",
            key="compare.extra",
        )


def _listed(values: str | Sequence[str]) -> list[str]:
    return [values] if isinstance(values, str) else [str(value) for value in values]


def _text(value: str) -> str:
    """Of a file, if there is one of that name."""
    path = Path(value)
    try:
        return path.read_text(encoding="utf-8").strip() if path.is_file() else value
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read consent={path} ({error})", key="consent.format") from error


def _serve(study: Study, root: Path, *, port: int, browser: bool, network: bool) -> int:
    from vocoder.compare.server import make_app, serve
    from vocoder.compare.sessions import Sessions

    def tell(url: str) -> None:
        others = ", also from other machines of this network" if network else ""
        print(
            f"Listen at {url}{others}  (Ctrl+C ends; every answer is saved when given)", flush=True
        )

    sessions = Sessions(study, root)
    key = study.sign("network") if network else ""
    app = make_app(sessions, root, key)
    with sessions.store:
        serve(app, port=port, browser=browser, tell=tell, key=key)
        answers = sessions.store.answers()
    print(
        f"\n{len(answers)} answers of {len({one.listener for one in answers})} listeners in "
        f"{root}; for the statistics: vocoder compare report={root} output=..."
    )
    return DONE


def _export(study: Study, root: Path, page: Path, overwrite: bool) -> int:
    from vocoder.compare.export import export_page

    export_page(study, root, page, overwrite=overwrite)
    print(
        f"The page is in {page}: open its index.html, or put the folder on a web server. It is "
        "not tamper-proof.\nAdd what listeners send back with vocoder compare "
        f"output={root} collect=FILE"
    )
    return DONE


def _collect(study: Study, root: Path, files: Sequence[str]) -> int:
    from vocoder.compare.export import collect

    paths = []
    for path in map(Path, files):
        paths += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not paths:
        raise BadInput(
            f"collect={', '.join(files)} holds no .json files; give what listeners sent back",
            key="collect.missing",
        )
    added, known, other = collect(study, root, paths)
    print(
        f"{added} answers added to {root}, {known} were there already"
        + f"; {other} were left out, of listeners who had answered otherwise before" * (other > 0)
    )
    return DONE
