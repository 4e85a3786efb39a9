"""Does `impasto music` sound like the style and play the content? Against the recipe of 2016. One command.

    python benchmarks/music_quality.py CLIPS [--seconds 10]

CLIPS is a folder of sounds; by name, each is played with the sound of the next. Style: distance of the texture
statistics of McDermott and Simoncelli (2011) to the style (0 is the same). Content: correlation of chromagrams and of
onset strengths with the content's (1 is the same). All three also for the inputs themselves.
"""

import argparse
import time
from pathlib import Path

from impasto.device import configure_cpu
from impasto.evaluation.sound import chroma, correlation, onsets, texture_distance
from impasto.media import sound
from impasto.media.sound import FORMATS, Sound
from impasto.style.music import transfer

import numpy as np
from torch import Tensor

METHODS = ("impasto", "ulyanov")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--seconds", type=float, default=10, help="of each clip")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--method", choices=METHODS, nargs="+", default=METHODS)
    parser.add_argument("--work", type=Path, help="where to keep the results")
    args = parser.parse_args()
    print(f"{configure_cpu()} threads; columns: style distance, chroma, onsets; then seconds")
    files = sorted(path for path in args.clips.iterdir() if path.suffix.lower() in FORMATS)
    rows = []
    for content_file, style_file in zip(files, files[1:] + files[:1], strict=True):
        content, style = cut(content_file, args.seconds), cut(style_file, args.seconds)
        row = [*figures(content, content, style), *figures(style, content, style)]
        text = f"{content_file.stem:>12} {style_file.stem:<12}"
        for method in args.method:
            begun = time.perf_counter()
            result = transfer(content, style, method=method, strength=args.strength)
            row += [*figures(result, content, style), time.perf_counter() - begun]
            if args.work:
                result.save(args.work / f"{content_file.stem}-{style_file.stem}-{method}.wav")
        rows.append(row)
        print(text, shown(row), flush=True)
    print(f"{'mean':>25} {shown(np.mean(rows, 0))}")
    print("columns: content, style, " + ", ".join(args.method))


def cut(path: Path, seconds: float) -> Sound:
    whole = sound.read(path)
    return Sound(whole.samples[:, : round(seconds * whole.rate)], whole.rate)


def figures(result: Sound, content: Sound, style: Sound) -> tuple[float, float, float]:
    """Texture distance to the style, chroma and onset correlation with the content."""
    rate = content.rate
    x, c, s = (mono(each) for each in (result, content, style))
    return texture_distance(x, s, rate), correlation(chroma(x, rate), chroma(c, rate)), correlation(
        onsets(x, rate), onsets(c, rate)
    )  # fmt: skip


def mono(given: Sound) -> Tensor:
    return given.samples.mean(0)


def shown(row: list[float]) -> str:
    parts = [row[0:3], row[3:6], *(row[i : i + 4] for i in range(6, len(row), 4))]
    return "   ".join(" ".join(f"{v:.3f}" if i < 3 else f"{v:.1f} s" for i, v in enumerate(part)) for part in parts)


if __name__ == "__main__":
    main()
