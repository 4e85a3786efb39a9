"""Pictures for the examples, drawn with NumPy: products, a garment, and a camera that moves over a photograph."""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 640  # pixels
LIGHT = (-0.5, -0.55, 0.67)  # direction that light comes from: left, above, in front

Array = np.ndarray


def products() -> dict[str, tuple[Image.Image, Image.Image]]:
    """Each product's picture, and its mask (white where the product is)."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2)
    bottle = np.where(y < -0.45, 0.12, np.where(y < -0.15, 0.12 + 0.5 * (y + 0.45), 0.27)) * ((y > -0.8) & (y < 0.75))
    vase = (0.16 + 0.16 * np.sin(2.2 * (y + 0.75)) ** 2) * ((y > -0.65) & (y < 0.75))
    mug = 0.33 * ((y > -0.35) & (y < 0.6))
    handle = np.abs(np.hypot((x - 0.33) / 0.9, y - 0.1) - 0.22) < 0.05
    return {
        "bottle": _photographed(*_turned(x, bottle), (0.10, 0.42, 0.24), label=np.abs(y - 0.3) < 0.16),
        "vase": _photographed(*_turned(x, vase), (0.82, 0.36, 0.22), label=np.abs(np.abs(y - 0.2) - 0.12) < 0.02),
        "mug": _photographed(*_turned(x, mug, handle), (0.93, 0.80, 0.30), label=np.abs(y - 0.12) < 0.03),
        "lamp": _photographed(*_ball(x, y + 0.05, 0.48), (0.87, 0.90, 0.93), label=np.abs(y + 0.05) < 0.02),
    }


def _turned(x: Array, radius: Array, more: Array | None = None) -> tuple[Array, Array]:
    """Coverage, and the light on what a lathe turned: its radius at each place."""
    across = np.divide(x, radius, out=np.full_like(x, 2.0), where=radius > 0)
    normal = np.clip(across, -1, 1)
    light = LIGHT[0] * normal + LIGHT[2] * np.sqrt(1 - normal**2)
    cover = np.abs(across) < 1
    if more is not None:
        light, cover = np.where(cover, light, 0.45), cover | (more & ~cover)
    return cover.astype(float), light


def _ball(x: Array, y: Array, radius: float) -> tuple[Array, Array]:
    square = (x**2 + y**2) / radius**2
    depth = np.sqrt(np.clip(1 - square, 0, 1))
    return (square < 1).astype(float), (LIGHT[0] * x + LIGHT[1] * y) / radius + LIGHT[2] * depth


def _photographed(cover: Array, light: Array, colour: tuple[float, float, float], label: Array) -> tuple:
    """The thing on a table before a wall, and its mask."""
    light = np.clip(light, 0, None)
    paint = np.where(label[..., None], (0.95, 0.93, 0.88), colour)
    thing = paint * (0.25 + 0.75 * light[..., None]) + 0.5 * light[..., None] ** 40
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    wall = np.stack([0.80 - 0.15 * y, 0.78 - 0.12 * y, 0.74 - 0.1 * x], -1)
    table = np.stack([0.62 - 0.1 * y, 0.50 - 0.08 * y, 0.42 - 0.06 * y], -1)
    grain = gaussian_filter(np.random.default_rng(0).standard_normal((SIDE, SIDE)), (1, 30))[..., None]
    shadow = gaussian_filter(np.roll(cover, (40, 70), (0, 1)) * (y > 0.35), 14)[..., None]
    room = np.where(y[..., None] < 0.45, wall, table + 0.4 * grain) * (1 - 0.45 * shadow)
    soft = gaussian_filter(cover, 0.7)[..., None]
    return _image(room * (1 - soft) + thing * soft), _image(soft.repeat(3, 2))


def garment() -> tuple[Image.Image, Image.Image]:
    """A white shirt on grey, with its folds, and its mask."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2)
    body = (np.abs(x) < 0.42 + 0.05 * np.cos(3 * y)) & (y > -0.65) & (y < 0.85)
    sleeves = (np.abs(np.abs(x) - 0.55 - 0.35 * (y + 0.45)) < 0.2) & (np.abs(y + 0.35) < 0.3) & (np.abs(x) < 0.85)
    neck = (x / 0.2) ** 2 + ((y + 0.66) / 0.17) ** 2 < 1
    cover = gaussian_filter(((body | sleeves) & ~neck).astype(float), 1.2)
    rng = np.random.default_rng(3)
    folds = gaussian_filter(rng.standard_normal((SIDE, SIDE)), (45, 12)) * 25
    folds += 0.4 * np.sin(14 * x + 5 * y + 2 * folds) * np.exp(-((y - 0.5) ** 2) * 3)
    shade = 0.85 - 0.3 * folds - 0.3 * np.clip(np.abs(x) - 0.2, 0, None)
    shade = gaussian_filter(shade, 2)[..., None]
    ground = np.full((SIDE, SIDE, 3), 0.72) - 0.12 * y[..., None]
    return _image(ground * (1 - cover[..., None]) + shade * cover[..., None]), _image(cover[..., None].repeat(3, 2))


def walk(frames: int, photograph: Image.Image) -> Iterator[Image.Image]:
    """Frames of 480x270 of a camera that moves slowly over a photograph."""
    for i in range(frames):
        left, top = 40 + 1.5 * i, 30 + 0.6 * i
        scale = 1.1 - 0.002 * i
        box = (left, top, left + 400 * scale, top + 225 * scale)
        yield photograph.resize((480, 270), Image.Resampling.BICUBIC, box=box)


def _image(values: Array) -> Image.Image:
    return Image.fromarray((255 * values.clip(0, 1)).round().astype(np.uint8))
