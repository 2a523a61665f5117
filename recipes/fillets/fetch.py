"""Fetch four speakers of spoken dialogue, Czech and Dutch, from Debian's packages of a game.

    python recipes/fillets/fetch.py outputs/fillets
    python recipes/fillets/fetch.py outputs/fillets --debs FOLDER_WITH_DEB_FILES

Writes ``<output>/<lang>_<speaker>/<line>.flac`` (22 050 Hz, mono, 16 bits), ``lines.csv`` and the
licence (GPL-2). Stopped half-way, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile
from tabulate import tabulate
from tqdm import tqdm

from vocoder.audio import read_audio, write_audio
from vocoder.errors import BadInput
from vocoder.files import atomic_path

SAMPLE_RATE = 22_050
# Almost half of the lines decode to peaks of up to 1.2, which 16 bits would clip. Halving all of
# them keeps every sample and the levels between lines.
GAIN = 0.5
PACKAGES = {"cs": "fillets-ng-data-cs", "nl": "fillets-ng-data-nl"}
HELD_OUT = Path(__file__).with_name("test.txt")

# <level>-<speaker>-<line>; some levels leave out the level, some lines the line.
LINE_NAME = re.compile(r"(?:[^-]+-)?(?P<speaker>[mv])(?:-.+)?")


@dataclass(frozen=True)
class Line:
    """A row of ``lines.csv``.

    Levels are of the file; ``clipped_samples`` counts those that would be at or beyond full scale
    at the packages' own level.
    """

    line: str
    speaker: str
    split: str
    seconds: float
    peak_dbfs: float
    rms_dbfs: float
    clipped_samples: int


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path, help="new folder for the recordings")
    parser.add_argument("--debs", type=Path, help="folder with the .deb files, instead of apt-get")
    given = parser.parse_args(arguments)
    try:
        lines = fetch(given.output, given.debs)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(lines))
    print(f"{given.output}: {len(lines)} lines; licence: GPL-2, see {given.output}/copyright")
    return 0


def fetch(output: Path, debs: Path | None) -> list[Line]:
    """Turn packages to unpacked files to recordings."""
    work = begin(output)
    if debs is None:
        debs = work / "debs"
        download(debs)
    tree = work / "tree"
    unpack(debs, tree)
    lines = write_lines(find_lines(tree), held_out_lines(), output)
    for copyright_file in sorted(tree.glob("usr/share/doc/*/copyright"))[:1]:
        shutil.copyfile(copyright_file, output / "copyright")
    shutil.rmtree(work)
    return lines


def begin(output: Path) -> Path:
    """Make the hidden folder inside ``output`` that exists as long as the result is partial."""
    work = output / ".partial"
    if output.exists() and not work.is_dir() and (output.is_file() or any(output.iterdir())):
        raise BadInput(
            f"{output} exists and is not a half-done fetch; choose a new folder",
            key="output.exists",
        )
    work.mkdir(parents=True, exist_ok=True)
    return work


def download(folder: Path) -> None:
    """Have apt fetch and verify the packages; files that are there already are kept."""
    require_tool("apt-get")
    folder.mkdir(exist_ok=True)
    run_tool("apt-get", "download", *PACKAGES.values(), folder=folder)


def unpack(debs: Path, tree: Path) -> None:
    """Unpack both packages from ``debs`` into ``tree``."""
    require_tool("dpkg")
    for package in PACKAGES.values():
        found = sorted(debs.glob(f"{package}_*.deb"))
        if len(found) != 1:
            raise BadInput(
                f"{debs} holds {len(found)} files {package}_*.deb; expected exactly one",
                key="packages.missing",
            )
        run_tool("dpkg", "-x", str(found[0].resolve()), str(tree.resolve()), folder=debs)


def require_tool(name: str) -> None:
    if shutil.which(name) is None:
        raise BadInput(
            f"{name} is not installed; this recipe needs Debian or Ubuntu (or a container of them)",
            key=f"{name}.missing",
        )


def run_tool(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(
            f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}",
            key=f"{command[0]}.failed",
        )


def held_out_lines() -> set[str]:
    return set(HELD_OUT.read_text(encoding="utf-8").split())


def find_lines(tree: Path) -> dict[str, Path]:
    """Find the lines of the wanted speakers, ``<lang>_<speaker>/<line>`` to file."""
    lines: dict[str, Path] = {}
    for path in sorted(tree.glob("usr/share/games/fillets-ng/sound/**/*.ogg")):
        lang, match = path.parent.name, LINE_NAME.fullmatch(path.stem)
        if lang not in PACKAGES or match is None:
            continue
        name = f"{lang}_{match['speaker']}/{path.stem}"
        if name in lines:
            raise BadInput(
                f"line {name} occurs twice: {lines[name]} and {path}", key="lines.doubled"
            )
        lines[name] = path
    return dict(sorted(lines.items()))


def write_lines(sources: dict[str, Path], held_out: set[str], output: Path) -> list[Line]:
    """Decode every line to FLAC (those that exist are only measured) and write ``lines.csv``.

    Lines without a single sample, of which the Dutch package has two, are left out.
    """
    if missing := sorted(held_out - sources.keys()):
        raise BadInput(
            f"{len(missing)} of {len(held_out)} held-out lines are not in the packages "
            f"({', '.join(missing[:3])} ...); this is another version than {HELD_OUT.name} is for",
            key="lines.missing",
        )
    lines, empty = [], []
    progress = tqdm(sources.items(), desc="decode", unit="line")
    for name, source in progress:
        progress.set_postfix_str(name, refresh=False)
        target = output / f"{name}.flac"
        if not target.exists():
            if soundfile.info(source).frames == 0:
                empty.append(name)
                continue
            samples = read_audio(source, SAMPLE_RATE) * np.float32(GAIN)
            write_audio(target, samples, SAMPLE_RATE, overwrite=False)
        lines.append(measure(name, target, "test" if name in held_out else "train"))
    if lost := sorted(held_out & set(empty)):
        raise BadInput(f"held-out lines without sound: {', '.join(lost)}", key="lines.empty")
    if empty:
        print(f"left out, since they hold no sound: {', '.join(empty)}")
    with (
        atomic_path(output / "lines.csv", overwrite=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(Line)])
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)
    return lines


def measure(name: str, path: Path, split: str) -> Line:
    samples, _ = soundfile.read(path, dtype="int16")
    magnitude = np.abs(samples.astype(np.float64))
    tiny = 0.5  # half a step of 16 bits: the level given to digital silence
    return Line(
        line=name,
        speaker=name.split("/")[0],
        split=split,
        seconds=round(samples.size / SAMPLE_RATE, 4),
        peak_dbfs=round(20 * np.log10(max(magnitude.max(), tiny) / 32768), 2),
        rms_dbfs=round(20 * np.log10(max(np.sqrt(np.mean(magnitude**2)), tiny) / 32768), 2),
        clipped_samples=int(np.count_nonzero(magnitude >= GAIN * 32767)),
    )


def table(lines: Iterable[Line]) -> str:
    """Tabulate minutes and levels of every speaker."""
    by_speaker: dict[str, list[Line]] = {}
    for line in lines:
        by_speaker.setdefault(line.speaker, []).append(line)
    rows = []
    for speaker, own in sorted(by_speaker.items()):
        test = [line for line in own if line.split == "test"]
        rows.append(
            {
                "speaker": speaker,
                "lines": len(own),
                "test": len(test),
                "minutes": sum(line.seconds for line in own) / 60,
                "test min": sum(line.seconds for line in test) / 60,
                "median RMS dBFS": float(np.median([line.rms_dbfs for line in own])),
                "max peak dBFS": max(line.peak_dbfs for line in own),
                "clipped lines": sum(line.clipped_samples > 0 for line in own),
            }
        )
    return tabulate(rows, headers="keys", floatfmt=".1f")


if __name__ == "__main__":
    sys.exit(main())
