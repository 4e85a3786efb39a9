"""Many small pictures as one sheet."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAD = 1  # pixel of white between the pictures and around them, before they are enlarged
FONT = 18  # pixels
TINY = 64  # pictures with a shorter side are enlarged to about this, pixels


def grid(images: Tensor, columns: int) -> Tensor:
    """Lay `images` [N, 1 or 3, S, S] in [0, 1] out in rows of `columns` on white, as one picture [1, 3, H, W].

    Tiny pictures are enlarged, each pixel to a square.
    """
    n, _, height, width = images.shape
    rows = -(-n // columns)
    images = F.pad(images.detach().float().cpu().expand(n, 3, height, width), (PAD, 0, PAD, 0), value=1)
    empty = torch.ones(rows * columns - n, 3, height + PAD, width + PAD)
    cells = torch.cat([images, empty]).unflatten(0, (rows, columns))
    sheet = cells.permute(2, 0, 3, 1, 4).reshape(1, 3, rows * (height + PAD), columns * (width + PAD))
    scale = max(1, round(TINY / max(height, width)))
    return F.pad(sheet, (0, PAD, 0, PAD), value=1).repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def labelled(sheet: Tensor, names: Sequence[str]) -> Tensor:
    """`sheet` [1, 3, H, W] with a name in front of each of its rows, which are of equal height."""
    from matplotlib import font_manager

    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), FONT)
    margin = 2 * FONT + max(math.ceil(font.getlength(name)) for name in names)
    image = Image.new("L", (margin, sheet.shape[2]), 255)
    for number, name in enumerate(names):
        at = (margin - FONT, (number + 0.5) * sheet.shape[2] / len(names))
        ImageDraw.Draw(image).text(at, name, 0, font, anchor="rm")
    written = torch.from_numpy(np.array(image)).to(sheet) / 255
    return torch.cat([written.expand(1, 3, -1, -1), sheet], 3)


def columns_for(n: int) -> int:
    """How many columns make the sheet of `n` pictures nearly square."""
    return math.ceil(math.sqrt(n))
