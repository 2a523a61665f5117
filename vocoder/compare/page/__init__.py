"""The page that listeners see: plain HTML, CSS and scripts, the same served and exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vocoder.errors import BadInput, some_of
from vocoder.files import parse_yaml

FOLDER = Path(__file__).parent
INDEX_NAME, STUDY_SCRIPT = "index.html", "study.js"
TRANSLATION = FOLDER / "de.yaml"  # names all of the page's words
# Of what a page consists of, by suffix.
MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def assets(*folders: Path) -> dict[str, Path]:
    """The files that a page consists of, by name; those of the last folder come first."""
    return {
        path.name: path for folder in folders for path in folder.iterdir() if path.suffix in MEDIA
    }


def study_script(public: Mapping[str, Any]) -> str:
    """The script that tells the page what the study is."""
    return f'"use strict";\nconst STUDY = {json.dumps(public)};\n'


def read_words(language: str) -> dict[str, str]:
    """The page's words in another language, by the English ones.

    Parameters
    ----------
    language : str
        ``en``, ``de``, or a YAML file of English words and their translations, any number of
        those that ``de.yaml`` beside this module has; the others stay English.
    """
    if language == "en":
        return {}
    path = TRANSLATION if language == "de" else Path(language)
    try:
        words = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadInput(
            f"language={language} cannot be read ({error}); expected en, de, or a YAML file like "
            f"{TRANSLATION}",
            key="language.format",
        ) from error
    known = parse_yaml(TRANSLATION.read_text(encoding="utf-8"))
    if not isinstance(words, dict) or not all(isinstance(one, str) for one in words.values()):
        raise BadInput(f"{path} holds no words and translations", key="language.format")
    if unknown := [repr(word) for word in words if word not in known]:
        raise BadInput(
            f"{path} translates words that the page does not have: {some_of(unknown)}; those it "
            f"has are in {TRANSLATION}",
            key="language.unknown",
        )
    return words
