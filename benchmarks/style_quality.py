"""How close do `draft` and `fine` come to an optimisation on VGG-19 itself, judged by VGG-19? A table and a sheet.

    python benchmarks/style_quality.py --contents DIR --styles DIR --vgg FILE

The i-th content (by name) gets the i-th style. Judge: VGG-19 blocks 1 to 3, a network that neither uses.
  style    mean over block1_conv1, block2_conv1, block3_conv1 of |G - G*| / |G*| (Gram matrices, Frobenius norm)
  forms    the same, of the pictures reduced to a quarter
  content  |F - F*| / |F*| at block3_conv4
Peer: the same losses and the same engine on those blocks of VGG-19, 500 steps in all. Its pictures are kept in
--work, for they take most of the time.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from impasto.data.folder import pictures_in
from impasto.device import configure_threads
from impasto.media import picture
from impasto.media.picture import Picture, fit, to_integers
from impasto.perception.vgg import VGG19
from impasto.style import losses
from impasto.style.objective import Extractor
from impasto.style.settings import QUALITIES
from impasto.style.stylize import scale_sides, stylize

import torch
from PIL import Image

STYLE_LAYERS = {"block1_conv1": 1.0, "block2_conv1": 1.0, "block3_conv1": 1.0}
CONTENT_LAYER = "block3_conv4"
PEER_STEPS = 500
PEER_CONTENT_WEIGHT = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--vgg", type=Path, required=True, help="Keras' VGG-19 weights; blocks 1 to 3 suffice")
    parser.add_argument("--size", type=int, default=256, help="long side, pixels")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--content-weight", type=float, help="of `fine`; the default is its own")
    parser.add_argument("--init", help="of `fine`; the default is its own, style goes from coarse to fine")
    parser.add_argument("--strength", type=float, default=1.0, help="of `draft`")
    parser.add_argument("--work", type=Path, default=Path("runs/style_quality"))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    configure_threads()

    judge = Extractor(VGG19(args.vgg), STYLE_LAYERS, (CONTENT_LAYER,), levels=3)
    rows, sheet = [], []
    contents, styles = ([folder / name for name in pictures_in(folder)] for folder in (args.contents, args.styles))
    pairs = list(zip(contents, styles, strict=False))[: args.pairs]
    for content_path, style_path in pairs:
        content = fit(picture.read(content_path).pixels, args.size)
        style = fit(picture.read(style_path).pixels, args.size)
        draft = stylize(
            Picture(content), Picture(style), size=args.size, quality="draft", strength=args.strength
        ).pixels
        start = time.perf_counter()
        chosen = {"content_weight": args.content_weight, "init": args.init}
        fine = stylize(Picture(content), Picture(style), size=args.size, **chosen).pixels
        fine_seconds = time.perf_counter() - start
        kept = args.work / f"{content_path.stem}-{style_path.stem}-{args.size}.png"
        if not kept.exists():
            peer_settings = {"network": "vgg19", "weights": args.vgg, "steps": peer_steps(content), "size": args.size}
            peer_settings |= {"content_weight": PEER_CONTENT_WEIGHT, "init": "style"}
            stylize(Picture(content), Picture(style), **peer_settings).save(kept, bits=16)
        peer = picture.read(kept).pixels
        row = [distances(judge, x, content, style) for x in (content, draft, fine, peer)]
        rows.append(row)
        text = "   ".join(" ".join(f"{x:.3f}" for x in measured) for measured in row)
        print(f"{content_path.stem:>20} {style_path.stem:<26} {text}   fine {fine_seconds:.1f} s", flush=True)
        sheet.append([content, style, draft, fine, peer])

    table = torch.tensor(rows).mean(0)  # [content, draft, fine, peer] x [style, forms, content]
    means = "   ".join(" ".join(f"{x:.3f}" for x in measured) for measured in table.tolist())
    print(f"\n{'mean of ' + str(len(rows)):>47} {means}")
    print("columns: content itself, draft, fine, peer; each: distance of style, forms, content")
    for row, name in enumerate(("draft", "fine"), start=1):
        way = (table[0, 0] - table[row, 0]) / (table[0, 0] - table[3, 0])
        price = table[row, 2] / table[3, 2]
        print(f"{name} goes {way:.1%} of the peer's way to the style, at {price:.2f} of its content distance")
    draw(sheet, args.work / "sheet.png")
    print(args.work / "sheet.png")


def distances(judge: Extractor, pixels: torch.Tensor, content: torch.Tensor, style: torch.Tensor) -> list[float]:
    """Of style, forms and content."""
    found, wanted = judge.statistics(pixels), judge.statistics(style)
    grams = [
        [losses.gram(found[level][layer], wanted[level][layer]).sqrt().item() for layer in STYLE_LAYERS]
        for level in (0, -1)
    ]
    f, g = (judge.contents(p)[CONTENT_LAYER].float() for p in (pixels, content))
    return [sum(values) / len(values) for values in grams] + [((f - g).norm() / g.norm()).item()]


def peer_steps(content: torch.Tensor) -> int:
    """Steps at full size that give PEER_STEPS at all scales together."""
    peer = replace(QUALITIES["fine"], init="style")
    counts = [peer.steps[min(i, len(peer.steps) - 1)] for i in range(len(scale_sides(content, peer)))]
    return round(PEER_STEPS * counts[0] / sum(counts))


def draw(sheet: list[list[torch.Tensor]], path: Path, cell: int = 320) -> None:
    """A row per pair: content, style, draft, fine, peer."""
    canvas = Image.new("RGB", (len(sheet[0]) * cell, len(sheet) * cell), "white")
    for y, row in enumerate(sheet):
        for x, pixels in enumerate(row):
            canvas.paste(Image.fromarray(to_integers(fit(pixels, cell - 4))), (x * cell, y * cell))
    canvas.save(path)


if __name__ == "__main__":
    main()
