"""Does a painted clip flicker? The warping error against frame-by-frame painting, and frames per second.

    python benchmarks/video_flicker.py [CLIP ...] [--style FILE ...]

For each clip, and for a camera that pans and zooms over a photograph (where the true flow is known): E_warp (Lai et al.
2018) of the clip itself, of every frame painted alone, and of the steady clip; and how far both are from the style
(Gram matrices of the compact network at three sizes, relative, mean over the frames).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from impasto import bundled
from impasto.device import configure_cpu
from impasto.evaluation.flicker import estimated, known, moving_photograph, warping_error
from impasto.media import clip as clips
from impasto.media import picture
from impasto.media.picture import Picture, fit
from impasto.perception import registry
from impasto.style import losses
from impasto.style.anystyle import LAYERS
from impasto.style.objective import Extractor
from impasto.style.settings import Settings
from impasto.style.video import Job, TimedStyle, stylizing

import torch
from skimage import data
from torch import Tensor

Links = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--style", type=Path, nargs="+", default=[bundled.ASSETS / "styles" / "swirl.jpg"])
    parser.add_argument("--size", type=int, default=640, help="long side, pixels")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each clip")
    parser.add_argument("--quality", choices=("draft", "fine"), default="draft")
    args = parser.parse_args()
    print(f"{configure_cpu()} threads, {args.quality}, long side {args.size}")
    print(f"{'clip':<14}{'style':<22}{'itself':>10}{'alone':>10}{'steady':>10}{'ratio':>8}{'style distances':>18}")
    with tempfile.TemporaryDirectory() as work:
        for name, source, links in sources(args, Path(work)):
            for style in args.style:
                measure(name, source, links, style, args, Path(work))


def sources(args: argparse.Namespace, work: Path) -> Iterator[tuple[str, Path, Links]]:
    """Name, frames without loss, and the links between them."""
    for path in args.clips:
        frames = [f.pixels for f in clips.read(path, size=args.size, end=args.seconds)]
        folder = saved(frames, work / path.stem)
        yield path.stem, folder, lambda folder=folder: estimated(f.pixels for f in clips.read(folder))
    photo = torch.from_numpy(data.rocket()).permute(2, 0, 1)[None].float() / 255
    size = (args.size, round(args.size * 9 / 16))
    moves = list(moving_photograph(photo, round(24 * args.seconds), pan=(1.3, 0.6), zoom=1.003, size=size))
    folder = saved([frame for frame, _ in moves], work / "camera")
    yield "camera", folder, lambda: known(flow for _, flow in moves[1:])


def saved(frames: list[Tensor], folder: Path) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        Picture(frame).save(folder / f"{number:05}.png", metadata=False)
    return folder


def measure(name: str, source: Path, links: Links, style: Path, args: argparse.Namespace, work: Path) -> None:
    extractor = Extractor(registry.load("compact"), dict.fromkeys(LAYERS, 1.0), ())
    wanted = extractor.statistics(fit(picture.read(style).pixels, args.size))
    errors, distances, speeds = [warping_error((f.pixels for f in clips.read(source)), links())], [], []
    for steadiness in (0.0, 0.8):
        job = Job(source, [TimedStyle(style)], work / "out.mp4", steadiness=steadiness)
        start = time.perf_counter()
        frames = [progress.pixels for progress in stylizing(job, Settings(quality=args.quality))]
        speeds.append(len(frames) / (time.perf_counter() - start))
        errors.append(warping_error(frames, links()))
        grams = [
            losses.gram(found[layer], aim[layer]).sqrt().item()
            for frame in frames[::8]
            for found, aim in zip(extractor.statistics(frame), wanted, strict=True)
            for layer in LAYERS
        ]
        distances.append(sum(grams) / len(grams))
    print(
        f"{name:<14}{style.stem[:20]:<22}{errors[0]:>10.6f}{errors[1]:>10.6f}{errors[2]:>10.6f}"
        f"{errors[2] / errors[1]:>8.2f}{distances[0]:>10.3f}{distances[1]:>8.3f}"
        f"   {speeds[0]:.1f} and {speeds[1]:.1f} frames a second",
        flush=True,
    )


if __name__ == "__main__":
    main()
