"""The page that listeners see: plain HTML, CSS and scripts, the same served and exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
INDEX_NAME, STUDY_SCRIPT = "index.html", "study.js"
# Media types of all else that the page consists of.
ASSETS = {
    "page.css": "text/css",
    "controls.css": "text/css",
    "sliders.css": "text/css",
    "player.js": "text/javascript",
    "controls.js": "text/javascript",
    "timeline.js": "text/javascript",
    "questions.js": "text/javascript",
    "served.js": "text/javascript",
    "exported.js": "text/javascript",
    "keys.js": "text/javascript",
    "page.js": "text/javascript",
}


def study_script(public: Mapping[str, Any]) -> str:
    """The script that tells the page what the study is."""
    return f'"use strict";\nconst STUDY = {json.dumps(public)};\n'
