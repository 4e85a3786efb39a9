"""Draw the gallery's style pictures: six paintings made by code alone, from flow fields, brush strokes and light."""

from __future__ import annotations

import argparse
import io
import itertools
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

OUT = Path(__file__).resolve().parents[1] / "src" / "impasto" / "assets" / "styles"
SCALE = 2  # pictures are painted this many times larger, then reduced: that is the antialiasing


# --- fields: arrays [H, W] over the picture, lengths in pixels of the finished picture -------------------------------


def grid(w, h):
    """Pixel coordinates x, y as float arrays [H, W]."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    return x, y


def noise(rng, w, h, size):
    """Smooth noise of zero mean and unit deviation; `size` is the width of a blob, or (along y, along x)."""
    n = gaussian_filter(rng.standard_normal((h, w)).astype(np.float32), size, mode="reflect")
    return (n - n.mean()) / n.std()


def curl(psi):
    """Unit flow (u, v) along the level lines of a stream function."""
    gy, gx = np.gradient(psi)
    length = np.hypot(gx, gy) + 1e-6
    return gy / length, -gx / length


def turn(flow, angle):
    """The flow rotated by an angle (a number or a field)."""
    c, s = np.cos(angle), np.sin(angle)
    return flow[0] * c - flow[1] * s, flow[0] * s + flow[1] * c


def at(field, x, y):
    """The field's values at points, nearest pixel, clamped to the frame."""
    h, w = field.shape[:2]
    return field[np.clip(y, 0, h - 1).astype(int), np.clip(x, 0, w - 1).astype(int)]


def streaks(rng, flow, size, length):
    """Noise dragged along the flow (line integral convolution, Cabral and Leedom 1993)."""
    h, w = flow[0].shape
    n, total = noise(rng, w, h, size), 0
    for sign in (-1, 1):
        x, y = grid(w, h)
        for _ in range(length // 4):
            u, v = at(flow[0], x, y), at(flow[1], x, y)
            x, y = np.clip(x + 2 * sign * u, 0, w - 1), np.clip(y + 2 * sign * v, 0, h - 1)
            total = total + at(n, x, y)
    return (total - total.mean()) / total.std()


def ramp(stops, t):
    """Colours [..., 3] for t in [0, 1] along a list of hex colours, evenly spaced."""
    rgb = np.array([[int(s[i : i + 2], 16) for i in (0, 2, 4)] for s in stops.split()]) / 255
    t = np.clip(t, 0, 1) * (len(rgb) - 1)
    return np.stack([np.interp(t, range(len(rgb)), rgb[:, c]) for c in range(3)], -1).astype(np.float32)


def unbroken(path, good):
    """The part of a path around its middle along which `good` holds without a break; empty if not even there."""
    mid, bad = len(path) // 2, np.flatnonzero(~good)
    if not good[mid]:
        return path[:0]
    return path[max(bad[bad < mid], default=-1) + 1 : min(bad[bad > mid], default=len(path))]


# --- paint -----------------------------------------------------------------------------------------------------------


class Canvas:
    """Wet paint: colour [H, W, 3] and thickness [H, W], at SCALE times the finished size."""

    def __init__(self, rng, w, h, ground):
        self.rng, self.w, self.h = rng, w, h
        self.rgb = np.empty((h * SCALE, w * SCALE, 3), np.float32)
        self.rgb[:] = ground
        self.height = np.zeros((h * SCALE, w * SCALE), np.float32)
        self.hair = 0.6 * noise(rng, 1024, 1024, (60, 1.1)) + 0.6 * noise(rng, 1024, 1024, (80, 3.5))

    def seeds(self, spacing):
        """Points about `spacing` apart, a little beyond the frame, in random order."""
        x, y = np.meshgrid(*(np.arange(-spacing, side + spacing, spacing) for side in (self.w, self.h)))
        p = np.stack([x.ravel(), y.ravel()], 1) + self.rng.uniform(-0.6, 0.6, (x.size, 2)) * spacing
        return self.rng.permutation(p)

    def trace(self, flow, points, length, step=2.0):
        """Paths [N, K, 2] through the points, half of the length to either side."""
        half = max(2, int(length.max() / 2 / step))
        sides = []
        for sign in (-1, 1):
            p, side = points.copy(), []
            for _ in range(half):
                d = np.stack([at(flow[0], *p.T), at(flow[1], *p.T)], 1)
                m = p + sign * step / 2 * d
                p = p + sign * step * np.stack([at(flow[0], *m.T), at(flow[1], *m.T)], 1)
                side.append(p)
            sides.append(side)
        return np.stack(sides[0][::-1] + [points] + sides[1], 1)

    def cover(self, flow, spacing, length, width, colours, scale=None, part=1.0, **brush):
        """Cover the canvas, or a random part of it; `colours(points, jitter)` mixes the paint, `scale` is a field."""
        p = self.seeds(spacing)
        p = p[self.rng.random(len(p)) < part]
        size = self.rng.uniform(0.65, 1.2, (2, len(p))) * (1 if scale is None else at(scale, *p.T))
        self.strokes(flow, p, length * size[0], width * size[1], colours(p, 0.05), colours(p, 0.11), **brush)

    def strokes(self, flow, points, length, width, colour, second=None, within=None, **brush):
        """Lay a stroke along the flow through every point; length, width and the two colours are per stroke.

        `within` is a map of labels: a stroke ends where it would leave the label it began on.
        """
        n = len(points)
        length, width = (np.broadcast_to(np.asarray(a, np.float32), n) for a in (length, width))
        second = colour if second is None else second
        paths = self.trace(flow, points, length)
        for i in range(n):
            keep = max(2, int(length[i] / 4))
            mid = paths.shape[1] // 2
            path = paths[i, max(0, mid - keep) : mid + keep + 1]
            if within is not None:
                here = at(within, *path.T)
                path = unbroken(path, here == here[len(path) // 2])
            if len(path) > 3:
                self.stroke(path, width[i], colour[i], second[i], **brush)

    def stroke(self, path, width, colour, second, body=1.0, dry=0.5, pickup=0.15, streak=0.045, keep=0.4):
        """One loaded brush dragged along a path: bristle furrows, ragged ends, paint pushed to the sides.

        `body` is the paint's thickness, `dry` how early the bristles run out, `pickup` the share of wet colour taken
        from below, `streak` the bristles' difference in colour, `keep` the share of the relief below that shows.
        """
        path, width = path * SCALE, width * SCALE
        run = np.concatenate([[0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
        nu, nv = max(5, int(run[-1] / 0.7)), max(5, int(width / 0.7))
        s = np.linspace(0, run[-1], nu)
        px, py = np.interp(s, run, path[:, 0]).astype(np.float32), np.interp(s, run, path[:, 1]).astype(np.float32)
        tx, ty = np.gradient(px), np.gradient(py)
        norm = np.hypot(tx, ty) + 1e-6
        u, v = np.linspace(0, 1, nu, dtype=np.float32)[:, None], np.linspace(-1, 1, nv, dtype=np.float32)[None]
        a, b = (self.rng.integers(0, size - n) for size, n in zip(self.hair.shape, (nu, nv), strict=True))
        hair = self.hair[a : a + nu, b : b + nv]
        cap = min(0.5, 0.9 * width / (run[-1] + 1e-6))  # the rounding of the ends, as a part of the length
        end = np.minimum(u, 1 - u) / cap
        off = v * np.sqrt(1 - np.clip(1 - end, 0, 1) ** 2) * (1 - 0.3 * u * u) * (width / 2)
        x = (px[:, None] - off * (ty / norm)[:, None]).astype(np.int32)
        y = (py[:, None] + off * (tx / norm)[:, None]).astype(np.int32)
        wet = (end > 0.02 + 0.14 * np.abs(hair[:1])) & (hair > -2.8 + dry * (2.2 * u * u + 0.8 * v**6))
        wet &= (x >= 0) & (y >= 0) & (x < self.rgb.shape[1]) & (y < self.rgb.shape[0])
        x, y = x[wet], y[wet]
        mix = np.clip(0.5 + 0.35 * hair + self.rng.uniform(-0.4, 0.4) * v, 0, 1)[wet][:, None]
        paint = second + (colour - second) * mix + streak * hair[wet][:, None]
        fade = pickup * (0.4 + np.broadcast_to(u, wet.shape)[wet])[:, None]
        self.rgb[y, x] = paint + (self.rgb[y, x] - paint) * fade
        ridge = 0.5 + 0.4 * v**4 + 0.36 * hair + 0.35 * np.exp(-4 * ((1 - u) / cap - 0.4) ** 2)
        ridge *= (1 - v**10) * np.clip(2.5 * end, 0, 1)
        self.height[y, x] = keep * self.height[y, x] + body * min(width, 40) / 14 * ridge[wet]

    def lit(self, relief=2.4, gloss=0.16, angle=-2.2):
        """The finished picture [H, W, 3]: raking light over the paint's relief, then reduced to size."""
        gy, gx = np.gradient(gaussian_filter(self.height, 0.9) * relief)
        facing = np.tanh(-(gx * np.cos(angle) + gy * np.sin(angle)))  # 1 towards the light, -1 away from it
        shade = 1 + 0.16 * np.clip(facing, 0, 1) - 0.30 * np.clip(-facing, 0, 1)
        shine = gloss * np.clip(facing - 0.2, 0, 1) ** 2
        rgb = self.rgb * shade[..., None] ** np.float32([1.1, 1.05, 0.85])  # shadows in paint are not grey
        return reduce(rgb + shine[..., None] * np.float32([1, 0.97, 0.9]))


def reduce(rgb):
    """Box-average SCALE x SCALE pixels into one."""
    h, w = rgb.shape[0] // SCALE, rgb.shape[1] // SCALE
    return rgb[: h * SCALE, : w * SCALE].reshape(h, SCALE, w, SCALE, 3).mean((1, 3))


# --- the pictures ----------------------------------------------------------------------------------------------------


def swirl(rng):
    """Thick oil: a night wind curling round its lights."""
    w, h = 896, 672
    x, y = grid(w, h)
    lights = [  # x, y, radius, spin
        (0.40, 0.43, 0.150, 1), (0.655, 0.60, 0.105, -1), (0.86, 0.20, 0.120, 1), (0.12, 0.17, 0.075, -1),
        (0.60, 0.12, 0.060, -1), (0.16, 0.66, 0.060, 1), (0.90, 0.72, 0.050, 1), (0.36, 0.86, 0.052, -1),
    ]  # fmt: skip
    wind = 0.75 * y + 26 * np.sin(x / w * 7 + y / h * 3) + 16 * noise(rng, w, h, 70)
    psi, spiral, glow, core = wind.copy(), 0, 0, 0
    for cx, cy, r, spin in lights:
        cx, cy, r = cx * w, cy * h, r * h
        d = np.hypot(x - cx, y - cy)
        near = np.exp(-((d / (1.5 * r)) ** 2))
        psi += near * (wind[int(cy), int(cx)] - wind + spin * (1.6 * r + 16))
        spiral = spiral + spin * 0.30 * near
        glow = np.maximum(glow, (0.78 + 0.22 * np.cos(d / r * 7)) * np.exp(-((d / (1.1 * r)) ** 2)))
        core = np.maximum(core, np.exp(-((d / (0.36 * r)) ** 2)))
    flow = turn(curl(psi), spiral)
    tone = 0.38 - 0.10 * y / h + 0.6 * glow + 0.3 * core
    tone += 0.25 * np.tanh(streaks(rng, flow, 7, 260)) + 0.05 * streaks(rng, flow, 2.5, 90)
    night = "0a1036 121d66 1a318e 2552b4 3f80c8 79b4cc bcd6c4 efe8bd f8f1d6"
    sea = "08142a 0f2f52 145a78 2c8a96 6cb3a4 b4d2b0 d8dcb8 efe8bd f8f1d6"
    gold = "123046 1f5a78 3a8f9a 7fb79a e0c256 f4c63c f8d85a fbea9a fdf6d8"

    def colours(p, jitter):
        t, lit, hot = at(tone, *p.T) + rng.normal(0, jitter, len(p)), at(glow, *p.T), at(core, *p.T)
        warm = rng.random(len(p)) < np.maximum(0.75 * lit - 0.08, hot)
        deep = rng.random(len(p)) < np.clip(1.6 * p[:, 1] / h - 0.9, 0.04, 0.55)
        c = np.where(deep[:, None], ramp(sea, t), ramp(night, t))
        c = np.where(warm[:, None], ramp(gold, np.minimum(t, 0.78)), c)
        hot = rng.random(len(p)) < 0.7 * hot
        c[hot] = ramp("e2801f f2aa28 f8c840", rng.random(hot.sum()))
        return np.clip(c + rng.normal(0, 0.015, c.shape), 0, 1)

    canvas = Canvas(rng, w, h, (0.08, 0.12, 0.32))
    for spacing, length, width, part in ((17, 130, 26, 1), (12, 92, 17, 1), (10, 64, 11, 0.5), (8, 46, 7, 0.25)):
        canvas.cover(flow, spacing, length, width, colours, 1 - 0.45 * np.clip(glow, 0, 1), part)
    return canvas.lit()


def wave(rng):
    """Woodblock print: claws of foam over bands of Prussian blue. Points of the drawing are complex, x + iy."""
    w, h, k = 896, 672, 3
    sheet = Image.new("RGB", (w * k, h * k))
    draw = ImageDraw.Draw(sheet)
    t = np.linspace(0, 1, 90)

    def fill(points, colour, line=0.8, edge="#14213f"):
        points = [(k * p.real, k * p.imag) for p in points]
        draw.polygon(points, fill=colour)
        draw.line(points + points[:1], fill=edge, width=round(line * k), joint="curve")

    def disc(p, r, colour, **edge):
        draw.ellipse([k * (p.real - r), k * (p.imag - r), k * (p.real + r), k * (p.imag + r)], fill=colour, **edge)

    def foam(discs):
        """Discs (centre, radius) run together: ink around, a cool shadow, cream on top."""
        for grow, shift, colour in ((1.2, 0, "#14213f"), (0, 0, "#a9c6c8"), (-0.6, 0.22, "#f3ead2")):
            for p, r in discs:
                disc(p - shift * r * (1 + 1j), max(0.3, r * (1 - 0.6 * shift) + grow), colour)

    def bezier(a, b, c, d):
        return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d

    def arc(start, sweep, radius):
        return radius * np.exp(1j * np.radians(start + sweep * t))

    back = np.append(bezier(-3.3 + 1.8j, -1.7 + 1.75j, -1.12 + 0.8j, -0.985 - 0.17j), arc(190, 190, 1 - 0.1 * t))
    hollow = arc(180, 200, 0.6) + 0.02 + 0.12j
    hollow += t**2 * (back[-1] - hollow[-1])  # both meet in the tip of the lip
    face = np.append(bezier(2.2 + 1.8j, 0.5 + 1.75j, -0.66 + 1.15j, -0.58 + 0.12j), hollow)

    def breaker(x, y, r, flip):
        """One overturning wave: bands run from its foot between back and face to the lip, which is foam."""

        def place(q):
            return x + 1j * y + r * (-np.conj(q) if flip else q)

        steps = np.append(0, np.cumsum(rng.choice([0.35, 0.5, 1, 1.6], 7 + r // 12)))
        edges = [place(back + (face - back) * f) for f in steps / steps[-1]]
        for i, (a, b) in enumerate(itertools.pairwise(edges)):
            inks = "#1d3f73 #16305f #2c5d94" if i % 2 else "#f3ead2 #9dbdc4 #5f93bd #2c5d94"
            fill(np.append(a, b[::-1]), rng.choice(inks.split()))
        for f, start, lean in ((0.30, 106, 1.0), (0.16, 98, 0.5), (0.0, 100, -0.5)):
            rim, discs = back + (face - back) * f, []
            for i in np.linspace(start, 176, 9 + r // 9).astype(int):
                size = 0.5 + 0.5 * np.sin(np.pi * (i - 90) / 95)
                root = rim[i] + complex(*rng.normal(0, 0.02, 2))
                discs.append((place(root), (0.05 if lean > 0 else 0.085) * r * size * rng.uniform(0.7, 1.25)))
                if lean > 0 or rng.random() < 0.5:  # a finger: the discs shrink along a curl
                    bend = lean + rng.normal(0, 0.2) + np.linspace(0, 1, 26) ** 2.2 * rng.uniform(1.5, 3.4)
                    reach = rng.uniform(0.25, 0.52) * (1 if lean > 0 else 0.5) * size
                    path = root + np.cumsum(np.exp(1j * (np.angle(rim[i + 1] - rim[i - 1]) + bend))) * reach / 26
                    discs += zip(place(path), 0.042 * r * size * np.linspace(1, 0.35, 26), strict=True)
            foam(discs)
        spray = rng.normal((0.8, 0.2), 0.5, (r // 3, 2)) @ (1, 1j)
        foam([(q, 0.7 + min(rng.exponential(0.012 * r), 5)) for q in place(spray)])

    def swell(level, height, period, phase, colour, **edge):
        """All below a sea's surface of sharp crests and round troughs."""
        x = np.arange(-8, w + 9, 4)
        y = level + height * (1 - 2 * np.abs(np.sin(x / period + phase)) ** 0.8)
        y += 0.3 * height * np.sin(x / period * 0.37 + 2 * phase)
        fill(np.append(x + 1j * y, [w + 8 + 1j * (h + 8), -8 + 1j * (h + 8)]), colour, **edge)

    heaven = ["#d9b878", "#dfc38a", "#cfc7a6", "#e6cf9c", "#dfc38a", "#e0b07a"]
    for i, level in enumerate(np.linspace(-0.05, 0.55, 27) * h):
        swell(level, 4 + 3 * (i % 3), 60 + 23 * (i % 4), 1.7 * i, heaven[i % 6], line=0.6, edge="#9a7a48")
    dusk = np.uint8(235 * np.exp(-((np.arange(h * k) / k / 90) ** 2)))
    sheet.paste("#1d3f73", mask=Image.fromarray(dusk[:, None].repeat(w * k, 1)))  # bokashi: ink wiped on the block
    disc(666 + 100j, 56, "#c4512f", outline="#5a2a20", width=2 * k)
    blues = ["#16305f", "#2c5d94", "#1d3f73", "#9dbdc4", "#1d3f73", "#16305f", "#5f93bd", "#2c5d94", "#f3ead2"]
    rows = (  # level, breakers (x, radius, faces left)
        (0.54, ((0.68, 46, 0), (0.05, 54, 0), (0.22, 34, 1))),
        (0.69, ((0.37, 162, 0), (0.91, 106, 1))),
        (0.83, ((0.12, 84, 0), (0.62, 74, 0), (1.0, 60, 1))),
        (0.98, ((0.36, 76, 1), (0.84, 70, 0), (0.03, 50, 0))),
    )
    for i, (level, breakers) in enumerate(rows):
        for x, r, flip in breakers:
            breaker(x * w, level * h - 1.4 * r, r, flip)
        size = 5 + 4 * i
        for j in range(14):
            swell(level * h + 0.75 * size * j**1.25, size, 40 + 22 * i, 1.3 * i + 0.12 * j, blues[j % len(blues)])

    rgb = np.asarray(sheet.resize((w, h), Image.Resampling.BOX), np.float32) / 255
    ink, wood = 1.1 - rgb.mean(-1), noise(rng, w, h, (0.9, 40)) + 0.8 * noise(rng, w, h, (2.5, 90))
    wood, tooth, fibre = wood + 0.8 * noise(rng, w, h, 45), noise(rng, w, h, 0.6), noise(rng, w, h, (0.6, 5))
    rgb *= (1 + 0.055 * wood * ink + 0.012 * tooth + 0.012 * fibre)[..., None]
    bare = np.clip(0.9 * tooth + 0.35 * wood - 2.0, 0, 0.6)[..., None] * 0.4  # flecks where the ink missed
    return rgb + (np.float32([0.95, 0.91, 0.82]) - rgb) * bare


def mosaic(rng):
    """Tesserae in fans: centroidal cells of a turned square metric (Hausner 2001), in grout, each tile lit."""
    w, h, size = 896, 672, 11.0
    x, y = grid(w, h)
    inks = (
        "e9dcb8 123a6b 1f6f9c 3fa3a8 e0b13e f2e4c0 174e86 0f2a52",
        "efe2c4 7c2a22 b5482e d98a3c f0cf7a 2f5d57 93362a 4a1a1c",
        "d9b24a 143f3c 2f7a5f 7fae6a efe0b0 b5482e 1d5650 0e2b33",
        "f2e6c8 2b4f8c 5f93bd a9cdc9 f4ecd0 d8a03a 34629e 1b2f5e",
    )
    inks = [ramp(stones, np.linspace(0, 1, 8)) for stones in inks]
    stone, angle = inks[0][(y / size).astype(int) % 8], 0.3 * np.sin(x / 130)
    fans = rng.uniform(0, (w, h * 1.25), (72, 2))
    for px, py in fans[fans[:, 1].argsort()]:
        d, r = np.hypot(x - px, y - py), rng.choice([62, 84, 110, 150])
        stone[d < r] = inks[rng.integers(len(inks))][((r - d[d < r]) / size).astype(int) % 8]
        angle[d < r] = np.arctan2(y - py, x - px)[d < r]
    p = rng.uniform(0, (w, h), (int(w * h / size**2), 2))

    def cells(scale, k):
        """For every pixel: its place, its tile, its coordinates within the tile, the gap to the next tile."""
        px, py = grid(int(w * scale), int(h * scale))
        q = np.stack([px.ravel() + 0.5, py.ravel() + 0.5], 1) / scale
        near = cKDTree(p).query(q, k)[1]
        a, d = at(angle, *p.T)[near], q[:, None] - p[near]
        u, v = turn((d[..., 0], d[..., 1]), -a)
        metric = np.maximum(np.abs(u), np.abs(v))
        order = np.argsort(metric, 1)[:, :2]
        first, second = np.take_along_axis(metric, order, 1).T
        tile, u, v = (np.take_along_axis(m, order[:, :1], 1).reshape(px.shape) for m in (near, u, v))
        return q, tile, u, v, (second - first).reshape(px.shape)

    for _ in range(14):
        q, tile, *_ = cells(0.5, 5)
        n = np.maximum(np.bincount(tile.ravel(), minlength=len(p)), 1)
        p = np.stack([np.bincount(tile.ravel(), axis, len(p)) / n for axis in q.T], 1)
    _, tile, u, v, gap = cells(SCALE, 6)
    big = tile.shape[::-1]
    colour = at(stone, *p.T) * rng.normal(1, 0.10, (len(p), 1)) + rng.normal(0, 0.022, (len(p), 3))
    tilt = rng.normal(0, 0.012, (2, len(p)))
    shade = 1 + tilt[0][tile] * u + tilt[1][tile] * v
    shade += 0.035 * noise(rng, *big, 1.2) + 0.03 * noise(rng, *big, 5) + 0.05 * noise(rng, *big, 160)
    gy, gx = np.gradient(gaussian_filter(np.clip((gap - 1.2) / 2.2, 0, 1), 0.8))  # the rounded edge of a tile
    grout = ramp("2a2622 6b6257", 0.5 + 0.2 * noise(rng, *big, 2.0))
    solid = np.clip((gap - 0.9) / 0.8, 0, 1)[..., None]
    return reduce(grout * (1 - solid) + colour[tile] * (shade + 0.9 * (gx + gy))[..., None] * solid)


def facets(rng):
    """Planes and arcs cut through one another, each cell brushed its own way, the cuts drawn in black."""
    w, h = 768, 768
    x, y = grid(w, h)
    cells, shadow, outlines = np.zeros((h, w), np.int64), np.zeros((h, w), np.float32), []
    hubs = [  # x, y, radii of the arcs, angles of the rays
        (300, 290, (58, 112, 176, 250, 345), (0.35, 1.25, 2.3)), (560, 540, (50, 104, 170), (0.8, 2.75)),
        (110, 690, (70, 150, 215), (1.9,)), (690, 110, (60, 130), (2.05,)), (745, 395, (58, 118), ()),
    ]  # fmt: skip
    for px, py, radii, angles in hubs:
        arcs = [(np.hypot(x - px, y - py) - r, r * np.exp(1j * np.arange(0, 2 * np.pi, 2 / r))) for r in radii]
        rays = [((x - px) * np.sin(a) - (y - py) * np.cos(a), np.arange(-900, 900, 2) * np.exp(1j * a)) for a in angles]
        for signed, path in arcs + rays:
            cells = cells * 2 + (signed > 0)
            shadow += rng.choice([-1, 1]) * np.sign(signed) * np.exp(-np.abs(signed) / 70)
            outlines.append(np.stack([px + path.real, py + path.imag], 1))
    cells = np.unique(cells, return_inverse=True)[1].reshape(h, w)
    n = cells.max() + 1
    hues = (
        "3a1410 7d2a1c b5452a d4774a efb78a",
        "3d2508 8a5a14 cf8f22 e8b545 f6dfa0",
        "06262b 0f4f57 1f7f80 5fada0 bcd8c0",
        "0b1020 1c2d52 35568c 7592b8 c9d2d8",
        "4a3a28 8f7a58 c9b48a e8d9b4 f8f0da",
        "14100e 2b2320 4d3c34 7a6354 b59a80",
    )
    kind = rng.choice(len(hues), n, p=(0.23, 0.24, 0.20, 0.12, 0.15, 0.06))
    angle = rng.uniform(0, np.pi, n)[cells] + 0.25 * noise(rng, w, h, 60)
    tone = rng.uniform(0.35, 0.7, n)[cells] + 0.26 * shadow

    def colours(p, jitter):
        which, t = kind[at(cells, *p.T)], at(tone, *p.T) + rng.normal(0, jitter, len(p))
        return np.stack([ramp(hue, t) for hue in hues])[which, range(len(p))] + rng.normal(0, 0.012, (len(p), 3))

    canvas = Canvas(rng, w, h, (0.25, 0.18, 0.12))
    for spacing, length, width in ((15, 80, 24), (11, 52, 15), (10, 34, 8)):
        canvas.cover((np.cos(angle), np.sin(angle)), spacing, length, width, colours, within=cells, dry=0.9)
    black = np.float32([0.07, 0.055, 0.06])
    for path in outlines:
        start = rng.integers(0, 50)
        while start < len(path) - 8:
            piece = path[start : start + rng.integers(50, 110)]
            if rng.random() < 0.9:
                piece = piece + rng.normal(0, 0.7, 2)
                canvas.stroke(piece, rng.uniform(3.5, 8), black, black + 0.1, body=0.7, dry=0.8, pickup=0.1)
            start += len(piece) - 4
    return canvas.lit(relief=2.0)


def meadow(rng):
    """Divided colour: a flowering pond in dabs of water, leaf and petal, each beside its complement."""
    w, h = 896, 672
    x = grid(w, h)[0]
    ripple = noise(rng, w, h, (6, 60))
    willow = noise(rng, w, h, (140, 36)) + 0.9 * np.cos(x / w * 8 + 0.6) + 0.45 * ripple
    tone = 0.50 - 0.06 * willow + 0.08 * ripple + 0.20 * noise(rng, w, h, (32, 100))
    level = np.ones((h, w)), np.zeros((h, w))
    water, fall = turn(level, 0.35 * noise(rng, w, h, (14, 40))), turn(level, 1.57 + 0.15 * noise(rng, w, h, 40))

    def colours(p, jitter):
        t = at(tone, *p.T) + rng.normal(0, jitter, len(p))
        green = (rng.random(len(p)) < 1 / (1 + np.exp(-3.0 * at(willow, *p.T))))[:, None]
        leaf, sky = "0b2638 104a48 22704a 62a04a b8c850 ece48c", "1f2a72 3050a8 4a86cc 7fb4de b3a4de eeb0c8 fbe0b8"
        own = np.where(green, ramp(leaf, t - 0.1), ramp(sky, t + 0.1))
        other = np.where(green, ramp("7a2f6a c4577a e88f6a", t), ramp("d9714e f0a95c f7dc8a", t))
        return np.where(rng.random((len(p), 1)) < 0.07, other, own) + rng.normal(0, 0.02, own.shape)

    canvas = Canvas(rng, w, h, (0.2, 0.3, 0.4))
    canvas.cover(fall, 15, 80, 22, colours)
    for spacing, length, width in ((13, 44, 15), (9, 22, 10), (11, 16, 8.5)):
        canvas.cover(water, spacing, length, width, colours, body=1.1)

    leaves = "123b3a 2f6f55 5f9f63 a8c66c e9e6a0", "1a3f55 2f7f7f 74b39a b9d6a8 f3e9c4", "4a2f5a 4f7a5f 8fae62 f6d8b8"
    petals = "b8326a e8709a f9c4cf fdeee6", "c9a0c8 f2d6e0 fdf4ea ffffff", "d9603a f29a6a fbd3a0 fff0d8"
    p = rng.uniform((0, 0.06 * h), (w, h), (750, 2))
    drift = np.sin(p[:, 0] / w * 5 + p[:, 1] / h * 8) + 0.7 * np.sin(p[:, 0] / w * 9 - p[:, 1] / h * 5 + 1)
    for px, py in p[p[:, 1].argsort()][(drift > 0.45)[p[:, 1].argsort()]]:
        s = (0.35 + 0.65 * py / h) * rng.uniform(20, 36)
        n = int(s * s / 16)
        a, q = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.random(n))
        spots = np.stack([px + s * q * np.cos(a), py + 0.36 * s * q * np.sin(a)], 1)
        leaf = ramp(rng.choice(leaves), 0.5 - 0.32 * q * np.sin(a + 0.6) + rng.normal(0, 0.13, n))
        canvas.strokes(water, spots + np.array([0, 0.22 * s]), s * 0.6, 5, ramp("101c40 1d3a5a 2b2f66", rng.random(n)))
        canvas.strokes(water, spots, rng.uniform(8, 14, n), rng.uniform(4.5, 7, n), leaf, leaf + 0.05, body=1.2)
        if rng.random() < 0.4:  # a water lily: petals round a yellow heart
            r, tint, heart = s * rng.uniform(0.42, 0.66), rng.choice(petals), np.array([px, py])
            for ring in (1.0, 0.6):
                for a in np.sort(rng.uniform(0, 2 * np.pi, 11)):
                    tip = np.array([np.cos(a), 0.7 * np.sin(a) - 0.35]) * r * ring
                    path = heart - (0, 0.25 * r) + np.linspace(0.25, 1, 6)[:, None] * tip
                    c = ramp(tint, 0.55 - 0.4 * np.sin(a) * ring + rng.normal(0, 0.2))
                    canvas.stroke(path, max(4, 0.45 * r * ring), c, c + 0.06, body=1.6)
            spots = heart - (0, 0.3 * r) + rng.normal(0, 0.12 * r, (4, 2))
            canvas.strokes(water, spots, 5, 3.5, ramp("f0a51f fbe06a", rng.random(4)), body=1.6)
    return canvas.lit(relief=1.8)


def ink(rng):
    """Etching: lines follow the hills and cross where it is dark, sepia and blue-black wash on warm paper."""
    w, h = 896, 672
    x, y = grid(w, h)
    sun = np.hypot(x - 0.70 * w, y - 0.24 * h)
    cloud = noise(rng, w, h, (38, 70)) + 0.4 * noise(rng, w, h, (14, 24))
    psi = 30 * cloud * (1 - np.exp(-((sun / 170) ** 2))) + 0.75 * sun
    tone = 0.72 + 0.20 * np.tanh(cloud) + 0.3 * np.exp(-((sun / 140) ** 2)) + 1.0 * (sun < 34)
    label, ridges = np.zeros((h, w), int), []
    for i in range(7):
        edge = noise(rng, w, 1, (0, 55 + 12 * i))[0] * (30 + 2 * i) + 4 * noise(rng, w, 1, (0, 7))[0]
        edge += h * (0.36 + 0.105 * i)
        below, form = y - edge, noise(rng, w, h, (24 + 4 * i, 30 + 6 * i))
        gy, gx = np.gradient(gaussian_filter(form, 3) * (24 + 4 * i))
        lean, inside = rng.uniform(-0.9, 0.9), below > 0
        psi = np.where(inside, np.sin(lean) * x + np.cos(lean) * below + (13 + 3 * i) * form, psi)
        light = 0.78 - 0.035 * i - 0.40 * np.clip(below / (110 + 12 * i), 0, 1) - 0.24 * gx - 0.18 * gy
        tone, label = np.where(inside, light, tone), np.where(inside, i + 1, label)
        ridges.append(np.stack([x[0], edge], 1))

    wash = (
        np.float32([0.955, 0.915, 0.825])
        * (1 + 0.012 * noise(rng, w, h, 0.7) + 0.01 * noise(rng, w, h, (1, 6)))[..., None]
    )
    soft = gaussian_filter(tone, 5) + 0.05 * noise(rng, w, h, 25)
    for limit, colour in ((0.80, (0.93, 0.86, 0.70)), (0.55, (0.86, 0.75, 0.58)), (0.30, (0.66, 0.66, 0.70))):
        cover = 1 / (1 + np.exp((soft - limit + 0.03 * noise(rng, w, h, 6)) / 0.02))
        rim = np.clip(cover - gaussian_filter(cover, 5), 0, 1)  # pigment gathers where a wash dries
        depth = cover * (0.8 + 0.08 * noise(rng, w, h, 18) + 0.05 * noise(rng, w, h, 1)) + 0.8 * rim
        wash *= 1 - depth[..., None] * (1 - np.float32(colour))
    canvas = Canvas(rng, w, h, wash.repeat(SCALE, 0).repeat(SCALE, 1))

    dx, dy = (d.ravel() for d in np.meshgrid(range(-6, 7), range(-6, 7)))
    for angle, limit, gap, length in ((0, 1.05, 3.0, 110), (1.05, 0.52, 3.2, 60), (-0.8, 0.24, 3.4, 60)):
        taken = np.zeros((h, w), bool)  # ground too near to a line already drawn (Jobard and Lefer 1997)
        for path in canvas.trace(turn(curl(psi), angle), canvas.seeds(3.0), np.array([length])):
            here, dark = at(label, *path.T), at(tone, *path.T) + rng.normal(0, 0.04) < limit
            path = unbroken(path, dark & ~at(taken, *path.T) & (here == here[len(path) // 2]))
            if len(path) < 5:
                continue
            t = np.clip(at(tone, *path.T), 0, 1)
            apart = gap + 3.2 * np.clip(t - 0.3, 0, 1) * (angle == 0)
            px, py = np.clip(path[:, :1] + dx, 0, w - 1), np.clip(path[:, 1:] + dy, 0, h - 1)
            near = np.hypot(dx, dy) < apart[:, None]
            taken[py[near].astype(int), px[near].astype(int)] = True
            t, path = t.mean(), path + rng.normal(0, 0.15, 2)
            shade = ramp("10162a 1a1d2c 3a2a20", 1.2 * t)
            canvas.stroke(path, 2.1 - 1.1 * t, shade, shade, dry=0.6, streak=0.02)
    for i, ridge in enumerate(ridges):
        for piece in np.array_split(ridge, 15):
            if (at(label, piece[:, 0], piece[:, 1] + 1.5) == i + 1).mean() > 0.9:
                canvas.stroke(piece, rng.uniform(1.6, 3.0), shade * 0.4, shade * 0.6)
    return reduce(canvas.rgb)


PICTURES = {  # function and seed
    "swirl": (swirl, 7),
    "wave": (wave, 3),
    "mosaic": (mosaic, 35),
    "facets": (facets, 25),
    "meadow": (meadow, 13),
    "ink": (ink, 17),
}


def save(rgb, path, limit=250_000):
    """Write a JPEG no larger than `limit` bytes; returns the quality used."""
    image = Image.fromarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
    for quality in range(88, 60, -2):
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality, optimize=True, progressive=True)
        if data.tell() <= limit:
            break
    path.write_bytes(data.getvalue())
    return quality


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="pictures to draw (default: all): " + ", ".join(PICTURES))
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or PICTURES:
        draw, seed = PICTURES[name]
        start = time.perf_counter()
        path = args.out / f"{name}.jpg"
        quality = save(draw(np.random.default_rng(seed)), path)
        print(f"{name}: {path.stat().st_size / 1000:.0f} kB, quality {quality}, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
