"""Does a result look like the painting, and still like the photograph? A table and a sheet of pictures. One command.

    python benchmarks/style_quality.py --contents DIR --styles DIR --judge FILE --vgg19 FILE [--vgg16 FILE]

The i-th content (by name) gets the i-th style. Rows: the photograph itself; one half of the painting as if it were the
result, its other half the painting; `fine` of version 0.2, by moments alone; `draft`; `fine`; and with VGG-16,
`gallery` and Neural Neighbor Style Transfer (nnst.py; slow, so for the first --peers pairs).
  fidelity, coverage   as nearness.py says, judged by AlexNet, which no quality uses
  Gram                 mean over block1_conv1, block2_conv1, block3_conv1 of VGG-19 of |G - G*| / |G*|
  content              |F - F*| / |F*| at block3_conv4 of VGG-19
  LPIPS                version 0.1, AlexNet, to the photograph
Pictures are kept in --work. With --resume those that are there are not painted again (and have no seconds).
"""

import argparse
import math
import time
from collections import defaultdict
from pathlib import Path

from impasto.data.folder import pictures_in
from impasto.device import configure_cpu
from impasto.gaussian import measure
from impasto.media import picture
from impasto.media.picture import Picture, fit, resize, to_integers
from impasto.perception.vgg import VGG19
from impasto.style import losses, settings
from impasto.style.stylize import stylize

import torch
from nearness import Judge
from nnst import Peer
from PIL import Image
from torch import Tensor

STYLE_LAYERS, CONTENT_LAYER = ("block1_conv1", "block2_conv1", "block3_conv1"), "block3_conv4"
FIGURES = ("fidelity", "coverage", "Gram", "content", "LPIPS", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True, help="AlexNet with LPIPS's weights, safetensors")
    parser.add_argument("--vgg19", type=Path, required=True, help="Keras' weights; blocks 1 to 3 suffice")
    parser.add_argument("--vgg16", type=Path, help="torchvision's weights; blocks 1 to 4 suffice")
    parser.add_argument("--size", type=int, default=512, help="long side, pixels")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--peers", type=int, default=0, help="pairs that NNST paints, some 20 minutes each")
    parser.add_argument("--work", type=Path, default=Path("runs/style_quality"))
    parser.add_argument("--resume", action="store_true", help="go on from the pictures in --work")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    configure_cpu()
    judge, teacher = Judge(args.judge), VGG19(args.vgg19)
    contents, styles = ([folder / name for name in pictures_in(folder)] for folder in (args.contents, args.styles))
    rows: dict[str, list[list[float]]] = defaultdict(list)
    sheet = []
    for number, (content_path, style_path) in enumerate(list(zip(contents, styles, strict=False))[: args.pairs]):
        content, style = (fit(picture.read(path).pixels, args.size) for path in (content_path, style_path))
        names = ["fine of 0.2", "draft", "fine", *(["gallery"] if args.vgg16 else [])]
        names += ["NNST"] if args.vgg16 and number < args.peers else []
        results = {"photograph": (content, 0.0)}
        for row in names:
            kept, start = args.work / f"{content_path.stem}-{style_path.stem}-{row}.png", time.perf_counter()
            there = args.resume and kept.exists()
            if not there:
                painted(row, content, style, args.vgg16).save(kept)
            results[row] = picture.read(kept).pixels, math.nan if there else time.perf_counter() - start
        halves = judge.half_against_half(style, args.size)
        rows["half against half"].append([*halves, *[math.nan] * 4])
        for row, (pixels, seconds) in results.items():
            pixels = resize(pixels, *content.shape[2:])
            figures = [*judge.nearness(pixels, style), *distances(teacher, pixels, content, style)]
            rows[row].append([*figures, judge.lpips(pixels, content), seconds])
        sheet.append([style, *(pixels for pixels, _ in results.values())])
        both = f"{content_path.stem} in {style_path.stem}"
        print(f"{both:>44}  fine {rows['fine'][-1][0] / halves.fidelity:.3f} of half against half", flush=True)
    print(f"\n{'mean of ' + str(len(sheet)):>18}  " + "  ".join(f"{name:>9}" for name in FIGURES))
    for row, measured in rows.items():
        means = torch.tensor(measured).nanmean(0).tolist()
        few = f"  ({len(measured)} pairs)" if len(measured) < len(sheet) else ""
        print(f"{row:>18}  " + "  ".join(f"{value:9.3f}" for value in means) + few)
    draw(sheet, args.work / "sheet.png")
    print(args.work / "sheet.png")


def painted(row: str, content: Tensor, style: Tensor, vgg16: Path | None) -> Picture:
    """The picture of a row."""
    if row == "NNST":
        assert vgg16 is not None
        return Picture(Peer(vgg16).paint(content, style))
    options = {"quality": row.split()[0], "size": max(content.shape[2:])}
    if row == "gallery":
        options |= {"network": "vgg16", "weights": vgg16}
    now = settings.QUALITIES["fine"]
    if row == "fine of 0.2":
        settings.QUALITIES["fine"] = settings.BY_MOMENTS
    try:
        return stylize(Picture(content), Picture(style), **options)
    finally:
        settings.QUALITIES["fine"] = now


@torch.no_grad()
def distances(teacher: VGG19, pixels: Tensor, content: Tensor, style: Tensor) -> tuple[float, float]:
    """Of Gram matrices to the style, and of features to the content."""
    found, aim, photo = (teacher(p, [*STYLE_LAYERS, CONTENT_LAYER]) for p in (pixels, style, content))
    grams = [losses.gram(measure(found[name]), measure(aim[name])).sqrt().item() for name in STYLE_LAYERS]
    away = (found[CONTENT_LAYER] - photo[CONTENT_LAYER]).norm() / photo[CONTENT_LAYER].norm()
    return sum(grams) / len(grams), away.item()


def draw(sheet: list[list[Tensor]], path: Path, cell: int = 512) -> None:
    """A row for each pair: the painting, then the results in the order of the table."""
    canvas = Image.new("RGB", (max(map(len, sheet)) * cell, len(sheet) * cell), "white")
    for y, row in enumerate(sheet):
        for x, pixels in enumerate(row):
            canvas.paste(Image.fromarray(to_integers(fit(pixels, cell - 4))), (x * cell, y * cell))
    canvas.save(path)


if __name__ == "__main__":
    main()
