"""Do strokes of a painted key frame stay on their things, and does its hand last? One command, a table and sheets.

    python benchmarks/keyframes.py --judge FILE --style FILE -- [CLIP@SECOND ...]

The first frame of each clip from its second on, and of a camera that pans and zooms over a photograph (where the true
flow is known), is painted over twice: by `impasto style` in the style, and by code that draws as a hand would: flat
colours, outlines in ink, hatched shadows. The clip follows: with `impasto video --key`, and as a script would do it,
the frame before moved along the flow, again and again.
  back      mean difference of the key frame from what was painted, 255ths
  E_warp    warping error (Lai et al. 2018): ours, and by share of that of frames painted one by one in that style
  nearness  fidelity of the 48th frame behind the key as nearness.py says, by share of the key's own half against half
  speed     frames per second
In the sheets, kept in --work: of every twelfth frame the clip, ours, and the script's.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from impasto.device import configure_cpu
from impasto.evaluation.flicker import estimated, known, moving_photograph, warping_error
from impasto.media import clip as clips
from impasto.media.picture import Picture, fit
from impasto.perception.flow import dense, warp
from impasto.style.keyframes import KeyFrame
from impasto.style.settings import Settings
from impasto.style.stylize import stylize
from impasto.style.video import Job, TimedStyle, stylizing

import numpy as np
import torch
from nearness import Judge
from skimage import color, data, filters, segmentation
from torch import Tensor

FRAMES, BEHIND, EVERY = 73, 48, 12
DRAFT = Settings(quality="draft")
Links = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", metavar="CLIP@SECOND")
    parser.add_argument("--judge", type=Path, required=True, help="AlexNet with LPIPS's weights, safetensors")
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--size", type=int, default=640, help="long side, pixels")
    parser.add_argument("--work", type=Path, default=Path("runs/keyframes"))
    args = parser.parse_args()
    judge = Judge(args.judge)
    print(
        f"{configure_cpu()} threads, {FRAMES} frames\n{'clip':<12}{'key':<9}{'size':>9}{'back':>7}{'E_warp':>10}",
        end="",
    )
    print(f"{'share':>7}{'nearness':>10}{'speed':>7}   the script: E_warp, nearness")
    for name, frames, links in sources(args):
        for kind, key in (("painted", painted(frames[0], args.style)), ("drawn", drawn(frames[0]))):
            measure(name, kind, key, frames, links, judge, args.work)


def sources(args: argparse.Namespace) -> Iterator[tuple[str, list[Tensor], Links]]:
    """Name, frames, and the links between them."""
    for clip in args.clips:
        path, _, second = clip.rpartition("@")
        read = clips.read(path, start=float(second), size=args.size)
        frames = [frame.pixels for frame in itertools.islice(read, FRAMES)]
        yield Path(path).stem, frames, lambda frames=frames: estimated(frames)  # type: ignore[misc]
    photo = torch.from_numpy(data.rocket()).permute(2, 0, 1)[None].float() / 255
    size = (args.size, round(args.size * 9 / 16))
    moves = list(moving_photograph(photo, FRAMES, pan=(1.3, 0.6), zoom=1.003, size=size))
    yield "camera", [frame for frame, _ in moves], lambda: known(flow for _, flow in moves[1:])


def painted(frame: Tensor, style: Path) -> Tensor:
    return stylize(Picture(frame), style, quality="fine", size=max(frame.shape[2:])).pixels


def drawn(frame: Tensor) -> Tensor:
    """As an animator might: flat colours, richer than they were, outlines in ink, and hatched shadows."""
    pixels = frame[0].permute(1, 2, 0).double().numpy()
    parts = segmentation.slic(pixels, n_segments=400, compactness=8, sigma=1)
    flat = color.rgb2hsv(color.label2rgb(parts, pixels, kind="avg", bg_label=-1))
    flat[..., 1] = np.clip(1.6 * flat[..., 1] + 0.1, 0, 1)
    flat = color.hsv2rgb(flat)
    light = filters.gaussian(pixels.mean(2), 2)
    ink = np.clip(8 * filters.sobel(filters.gaussian(pixels.mean(2), 1)) - 0.3, 0, 1)
    down, across = np.mgrid[: light.shape[0], : light.shape[1]]
    hatching = (light < 0.35) * np.clip(2 * np.sin((down + across) * np.pi / 4) - 0.8, 0, 1)
    found = flat * (1 - np.maximum(ink, 0.7 * hatching))[..., None]
    return torch.from_numpy(found).float().permute(2, 0, 1)[None]


def measure(name: str, kind: str, key: Tensor, frames: list[Tensor], links: Links, judge: Judge, work: Path) -> None:
    folder = work / f"{name}-{kind}"
    source = saved(frames, folder / "in")
    start = time.perf_counter()
    job = Job(source, [], folder / "out.mkv", keys=[KeyFrame(Picture(key), 0)])
    ours = [at.pixels for at in stylizing(job, DRAFT) if at.pixels is not None]
    speed = len(ours) / (time.perf_counter() - start)
    alone = Job(source, [TimedStyle(Picture(key))], folder / "alone.mkv", steadiness=0)
    errors = [warping_error(ours, links())]
    errors.append(warping_error((at.pixels for at in stylizing(alone, DRAFT) if at.pixels is not None), links()))
    theirs = [key]
    for before, now in itertools.pairwise(frames):
        theirs.append(warp(theirs[-1], dense(now, before)).clamp(0, 1))
    half = judge.half_against_half(key, max(key.shape[2:])).fidelity
    near, script = (judge.nearness(found[BEHIND], key).fidelity / half for found in (ours, theirs))
    back = (ours[0] - key).abs().mean().item() * 255
    size = f"{key.shape[3]}x{key.shape[2]}"
    print(
        f"{name:<12}{kind:<9}{size:>9}{back:>7.2f}{errors[0]:>10.6f}{errors[0] / errors[1]:>7.2f}{near:>10.2f}"
        f"{speed:>7.2f}   {warping_error(theirs, links()):.6f} {script:.2f}",
        flush=True,
    )
    columns = [
        torch.cat([fit(part[i], 480) for part in (frames, ours, theirs)], 2) for i in range(0, len(frames), EVERY)
    ]
    Picture(torch.cat(columns, 3)).save(work / f"{name}-{kind}.png")


def saved(frames: list[Tensor], folder: Path) -> Path:
    """A clip without loss."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Picture(frame).save(folder / f"{number:05}.png", metadata=False)
    return folder


if __name__ == "__main__":
    main()
