"""Make a corpus of many voices, from free recordings that have been brought into one folder.

    mkdir outputs/voices; cd outputs/voices
    for voice in nathalie kathleen flemishguy kerstin; do
        git clone --depth 1 https://github.com/rhasspy/dataset-voice-$voice $voice
    done
    apt-get download tuxpaint-stamps-default ktuberling-data
    for package in *.deb; do dpkg -x $package .; done
    cd ../..
    python -m recipes.voices outputs/voices outputs/corpus_voices
    python -m recipes.voices outputs/voices outputs/corpus_kerstin --voices kerstin

Writes ``speakers/<voice>``, a corpus of each, and ``corpus.csv`` of all. Without ``--voices`` those
that the shipped networks learnt from: the others are kept to test with. Stopped half-way, the same
command goes on. The first four are CC0, those of the packages GPL-2 and GPL-2 or later.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

import soundfile
from tqdm import tqdm

from recipes.results import recipe
from vocoder import load
from vocoder.audio import MIX, read_audio, write_audio
from vocoder.corpus.cleaning import Limits
from vocoder.corpus.cut import Cut
from vocoder.corpus.make import Preparation, make_corpus
from vocoder.corpus.manifest import CORPUS_NAME, Utterance, read_corpus, write_corpus
from vocoder.corpus.sources import find_sources
from vocoder.errors import BadInput

MIN_S, MIN_SAMPLE_RATE = 0.8, 22_050  # of a recording
LIMITS = Limits(min_snr_db=18.0)  # home recordings, not a studio's
VALIDATION_SHARE = 0.03
_STAMPS, _POTATO = "usr/share/tuxpaint/stamps", "usr/share/ktuberling/sounds"
# Where each one's recordings are; how many minutes of them, drawn, and how many of the utterances.
LEARNT: dict[str, tuple[str, float, int]] = {
    "nathalie": ("nathalie/verified/*.flac", 16, 260),
    "kathleen": ("kathleen/data/*.wav", 16, 260),
    "flemishguy": ("flemishguy/wavs/*.wav", 16, 301),
    **{
        f"tux_{code}": (f"{_STAMPS}/**/*_{code}.ogg", 9, 130)
        for code in ("bg", "ca", "da", "el", "fr", "ro", "ru")
    },
    **{
        f"kt_{code}": (f"{_POTATO}/{code}/*", 9, 130)
        for code in ("ca", "da", "fr", "lt", "nn", "ru", "uk")
    },
}
KEPT: dict[str, tuple[str, float, int]] = {
    "kerstin": ("kerstin/verified/*.flac", 60, 10_000),
    "tux_be": (f"{_STAMPS}/**/*_be.ogg", 9, 10_000),
}
VOICES = LEARNT | KEPT


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("recordings", type=Path, help="folder of what was cloned and unpacked")
    parser.add_argument("output", type=Path, help="new folder for the corpus")
    parser.add_argument("--voices", nargs="+", choices=VOICES, default=list(LEARNT))
    given = parser.parse_args(arguments)
    utterances = [
        replace(one, path=f"speakers/{voice}/{one.path}")
        for voice in given.voices
        for one in corpus_of(voice, given.recordings, given.output)
    ]
    write_corpus(given.output, utterances, overwrite=True)
    minutes = sum(one.seconds for one in utterances) / 60
    print(f"{given.output}: {len(utterances)} utterances, {minutes:.0f} minutes")
    return 0


def corpus_of(voice: str, recordings: Path, output: Path) -> list[Utterance]:
    """Utterances of one voice, drawn, from a corpus of its own."""
    pattern, minutes, count = VOICES[voice]
    made = output / "speakers" / voice
    if not (made / CORPUS_NAME).exists():
        make(voice, sorted(recordings.glob(pattern)), output / ".drawn" / voice, made, minutes)
    utterances = read_corpus(made)
    random.Random(1).shuffle(utterances)
    return utterances[:count]


def make(voice: str, paths: list[Path], drawn: Path, made: Path, minutes: float) -> None:
    """Make a voice's corpus, or go on with it."""
    draw_recordings(paths, drawn, 60 * minutes)
    sources, label, failed = find_sources(drawn, made, None, None, MIX)
    sample_rate = load("spec", "mel256").sample_rate
    make_corpus(
        Preparation(made, sample_rate, voice, label, Cut(), LIMITS),
        sources,
        shares={"test": 0.0, "val": VALIDATION_SHARE},
        seed=0,
        failed=failed,
    )


def draw_recordings(paths: list[Path], output: Path, seconds: float) -> None:
    """Copy recordings that are long enough, at random, until there are as many seconds."""
    paths = [path for path in paths if not path.is_symlink()]
    if not paths:
        raise BadInput(f"no recordings of {output.name}; fetch them first", key="voices.missing")
    random.Random(0).shuffle(paths)
    total_s, count = 0.0, 0
    for path in tqdm(paths, desc=output.name, unit="recording"):
        info = soundfile.info(path)
        if info.duration < MIN_S or info.samplerate < MIN_SAMPLE_RATE:
            continue
        target = output / f"{count:04d}_{path.stem.replace('@', '').replace(' ', '_')}.flac"
        if not target.exists():
            samples = read_audio(path, info.samplerate, keep_offset=True)
            write_audio(target, samples, info.samplerate, overwrite=False)
        total_s, count = total_s + info.duration, count + 1
        if total_s > seconds:
            break


if __name__ == "__main__":
    sys.exit(main())
