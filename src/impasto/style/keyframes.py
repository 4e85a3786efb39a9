"""Painted key frames: an artist paints over a frame or a few, and the rest of the clip follows in the same strokes.

This is the task of Jamriska et al. (2019, "Stylizing Video by Example", EbSynth) and of Texler et al. (2020,
arXiv:2004.14489). There each frame is put together from patches of the key. Here a key is *followed*: for each pixel of
a frame it is known where in the key's frame its thing lay, and there the painting is looked up, once, however far the
frame is. What the key does not show is left to whoever paints the rest (video.py).

Flow from frame to frame adds up its errors. So the key's own frame, laid out by what is known, is held against each
frame: what is left of motion between the two is made good, and how alike they are around a pixel says how far it is to
be trusted. What was hidden and comes back is thereby found again.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.configs import check
from impasto.errors import PictureError, SettingsError, warn
from impasto.files import absent
from impasto.media import clip as clips
from impasto.media.clip.frames import frames_in
from impasto.media.picture import Picture, PictureLike, fit, opened, spread
from impasto.perception.flow import LONG_SIDE, consistent, dense, inside, is_cut, looked_up, steepness, warp
from impasto.style import regions
from impasto.style.cloud import GRID, on_grid
from impasto.style.settings import Seconds

WINDOW = 5  # pixels, side of the square within which a frame and the key's frame are compared
DETAIL = 0.02  # difference from pixel to pixel by which motion is seen well
LIGHT = 64  # pixels: where what is known all became lighter or darker within so many, that is the light
DARK = 0.05  # a value below which it hardly is
BRIGHTER = 2.0  # times, at most; a frame that has faded away is no longer the key's
LOST = 0.1  # mean trust below which a key does not show, until it is found again
STRANGE = 0.06  # difference in a window at which trust has fallen to 1/e
GAIN = 0.004  # by which a difference must become smaller, for what is known to be given up
MIRROR = 0.1  # of the longer side: so far beyond its border a key goes on as in a mirror
SOFT = 7  # pixels, over which what is followed goes over into what is not
CHUNK = 128  # frames before a key that are followed at a time, and held
STEPS, MOST = 32, 32_767  # of a pixel, in which their ways are held, and the most of them
SHAPE = 0.02  # by which sides of a painting may be in another proportion than those of the clip
FADE = 0.5  # share of the way from key to key on which one goes over into the other
SHARP = 3  # power of what counts for keys there: else two strokes are seen, one through the other
LEAST = 1e-2  # share of a key there that counts for little: it shows where the other does not


@dataclass(frozen=True)
class KeyFrame:
    """A frame, painted over. What is transparent in the painting, or black in the mask, is not painted."""

    painting: PictureLike
    at: Seconds | None = None  # of the clip; None: the painting's file has the number of a file of the clip's folder
    mask: PictureLike | None = None  # white where the painting counts

    def __post_init__(self) -> None:
        check(self)

    def __str__(self) -> str:
        return "the key frame" if isinstance(self.painting, Picture) else Path(self.painting).name


def keys_of(named: Sequence[tuple[PictureLike, float | None]], masks: Sequence[PictureLike] = ()) -> list[KeyFrame]:
    """Key frames, each a painting and its second. A folder is all that has a number in it.

    Args:
        masks: one for all, or one for each.

    Raises:
        SettingsError: another number of masks.
        ClipError: a folder without any.
    """
    found: list[tuple[PictureLike, float | None]] = []
    for painting, at in named:
        if painting == "":
            raise SettingsError("a key frame has no name")  # whose path would be this folder
        if isinstance(painting, Picture) or not Path(painting).is_dir():
            found.append((painting, at))
        elif at is None:
            found += [(file, None) for file in frames_in(Path(painting))]
        else:
            raise SettingsError(f"{painting} is a folder: the numbers of its pictures say which frames they are of")
    if masks and not found:
        raise SettingsError("a mask of key frames goes with key frames")
    if len(masks) not in (0, 1, len(found)):
        raise SettingsError(f"give one mask for all key frames, or {len(found)}, one for each")
    every = [None] * len(found) if not masks else list(masks) * (len(found) if len(masks) == 1 else 1)
    return [KeyFrame(painting, at, mask) for (painting, at), mask in zip(found, every, strict=True)]


@dataclass(frozen=True)
class Key:
    """A key frame beside the clip's own."""

    name: str
    number: int  # of the frame, from 1
    frame: Tensor  # [1, 3, H, W]
    painting: Tensor  # [1, 4, H, W]: its colours, and how far each pixel is painted


@dataclass(frozen=True)
class Trace:
    """Where the things of a frame are in a key's frame. All is of frames reduced to LONG_SIDE pixels at most."""

    key: Tensor  # [1, 3, h, w], its frame
    seen: Tensor  # [1, 3, h, w], the frame
    way: Tensor  # [1, 2, h, w], pixels right and down from there to the key's
    trust: Tensor  # [1, 1, h, w] in [0, 1], in that

    def follow(self, frame: Tensor) -> "Trace":
        """The same of a `frame` [1, 3, h, w] that comes before or after."""
        back = dense(frame, self.seen)
        sure = looked_up(self.trust, back) * consistent(dense(self.seen, frame), back)
        detailed = _detailed(frame)
        carried = back + looked_up(self.way, back)
        way = spread(carried, sure * inside(carried) * detailed)
        difference = self._difference(frame, way, sure)
        way, difference = self._better(frame, way, carried, sure, difference)
        rest = dense(frame, looked_up(self.key, folded(way))) * inside(way)
        way, difference = self._better(frame, way, rest + looked_up(way, rest), sure, difference)
        trust = torch.exp(-((difference / STRANGE) ** 2)) * inside(folded(way))
        return Trace(self.key, frame, spread(way, trust * inside(way) * detailed), trust)

    def found(self, frame: Tensor) -> "Trace | None":
        """The same; None if the `frame` is of another shot, or shows next to nothing of the key."""
        if torch.equal(frame, self.seen):
            return self
        trace = None if is_cut(self.seen, frame) else self.follow(frame)
        return None if trace is None or trace.trust.mean() < LOST else trace

    def _better(
        self, frame: Tensor, way: Tensor, other: Tensor, sure: Tensor, difference: Tensor
    ) -> tuple[Tensor, Tensor]:
        """At each pixel the `way` with the `difference`, or the `other` with its own, if that is smaller."""
        new = self._difference(frame, other, sure)
        gained = new + GAIN < difference
        return torch.where(gained, other, way), torch.where(gained, new, difference)

    def _difference(self, frame: Tensor, way: Tensor, sure: Tensor) -> Tensor:
        """Between `frame` and the key's frame along the `way`, around each pixel [1, 1, h, w]; 1 far beyond its border.

        Args:
            sure: [1, 1, h, w], how far pixels are known to show the same, and so tell how the light has changed.
        """
        way = folded(way)
        known, laid = inside(way), looked_up(self.key, way)
        weight = sure * known
        bright = torch.cat(
            [(frame.mean(1, keepdim=True) + DARK) * weight, (laid.mean(1, keepdim=True) + DARK) * weight], 1
        )
        sums = F.avg_pool2d(torch.cat([bright, weight], 1), LIGHT, ceil_mode=True)
        light = (sums[:, :1] + 1e-6) / (sums[:, 1:2] + 1e-6)
        light = spread(light.clamp(1 / BRIGHTER, BRIGHTER), sums[:, 2:])
        light = F.interpolate(light, frame.shape[2:], mode="bilinear")
        found = frame - light * laid
        around = F.avg_pool2d(found.square().mean(1, keepdim=True), WINDOW, 1, WINDOW // 2, count_include_pad=False)
        return torch.where(known > 0, around.sqrt(), 1.0)


def folded(way: Tensor) -> Tensor:
    """A `way` [1, 2, h, w] that leads a little beyond the border of the key, led back as a mirror there would.

    So strokes go on where the camera moves on, if what is there is as what was.
    """
    height, width = way.shape[2:]
    reach, sides = MIRROR * max(height, width), (width, height)
    here = torch.meshgrid(*(torch.arange(side, device=way.device, dtype=way.dtype) for side in sides), indexing="xy")
    parts = []
    for along, grid, side in zip(way.unbind(1), here, sides, strict=True):
        at = along + grid
        before, behind = (at < 0) & (at >= -reach), (at > side - 1) & (at <= side - 1 + reach)
        parts.append(torch.where(before, -at, torch.where(behind, 2 * (side - 1) - at, at)) - grid)
    return torch.stack(parts, 1)


def _detailed(frame: Tensor) -> Tensor:
    """How far there is something around each pixel to see motion by, [1, 1, h, w] in [0, 1]."""
    grey = F.avg_pool2d(frame.mean(1, keepdim=True), 3, 1, 1, count_include_pad=False)
    energy = F.avg_pool2d(steepness(grey), WINDOW, 1, WINDOW // 2, count_include_pad=False)
    return 1 - torch.exp(-energy / DETAIL**2)


def begun(frame: Tensor) -> Trace:
    """The trace of a key at its own `frame` [1, 3, h, w]."""
    return Trace(frame, frame, torch.zeros_like(frame[:, :2]), torch.ones_like(frame[:, :1]))


def reduced(frame: Tensor) -> Tensor:
    """`frame` [1, 3, H, W] as traces take it."""
    return fit(frame, LONG_SIDE) if max(frame.shape[2:]) > LONG_SIDE else frame


@dataclass(frozen=True)
class Shown:
    """A key that shows in a frame, with a share, by which it counts where it and another are trusted."""

    key: Key
    way: Tensor  # as of a Trace
    trust: Tensor
    share: float


def laid(shown: Sequence[Shown], height: int, width: int) -> tuple[Tensor, Tensor]:
    """What keys show in a frame.

    Returns:
        colours, and how far each pixel is painted, [1, 4, height, width]; and how far that is to be trusted, [1, 1,
        height, width].
    """
    found = torch.zeros(1, 4, height, width, device=shown[0].way.device)
    weights = torch.full_like(found[:, :1], 1e-12)
    unknown = torch.ones_like(weights)
    for one in shown:
        way, trust = one.way * (max(height, width) / max(one.way.shape[2:])), one.trust
        trust = torch.minimum(trust, F.avg_pool2d(trust, SOFT, 1, SOFT // 2, count_include_pad=False))
        if way.shape[2:] != (height, width):
            way, trust = (F.interpolate(part, (height, width), mode="bilinear") for part in (way, trust))
        weight = (one.share * trust) ** SHARP
        found += weight * warp(one.key.painting, folded(way)).clamp(0, 1)
        weights += weight
        unknown *= 1 - trust
    return found / weights, 1 - unknown


def painted(keys: Sequence[Key], spots: Tensor, height: int, width: int) -> Tensor | None:
    """How far pixels are painted [1, 1, height, width] that look like such `spots` of the keys; None: all are, wholly.

    Args:
        spots: [1, 3, h, w], as strokes.py has them.
    """
    if all(bool((key.painting[:, 3:] == 1).all()) for key in keys):
        return None
    table = torch.cat([on_grid(key.painting[:, 3:]) for key in keys])
    number, row, column = (spots[0] / spots.new_tensor([1, GRID, GRID])[:, None, None]).round().long()
    rows, columns = row.clamp(0, table.shape[2] - 1), column.clamp(0, table.shape[3] - 1)
    found = table[number.clamp(0, len(keys) - 1), 0, rows, columns][None, None]
    return F.interpolate(found, scale_factor=GRID, mode="bilinear")[..., :height, :width]


class Keys:
    """All keys of a clip, and which of them show in its frames, which are asked for in their order."""

    def __init__(self, keys: Sequence[Key], clip: clips.Clip) -> None:
        self.keys, self.clip = keys, clip
        self.last: tuple[Key, Trace] | None = None  # the key before, at the last frame
        self.coming: dict[int, tuple[Tensor, Tensor]] = {}  # way and trust of the key after, by the frame's number
        self.held: tuple[int, int] | None = None  # the number of that key, and of the chunk that `coming` is of
        self.marks: dict[tuple[int, int], Trace] = {}  # of a key's number, where chunks before it begin

    def state(self) -> dict[str, Tensor]:
        """What goes on from frame to frame, for `restore`."""
        if self.last is None:
            return {}
        key, trace = self.last
        parts = {"seen": trace.seen, "way": trace.way, "trust": trace.trust}
        return {"key": torch.tensor(key.number)} | {f"key {name}": part for name, part in parts.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """As after the frame that `state` was taken of."""
        self.last = None
        for key in self.keys:
            if "key" in state and key.number == int(state["key"]):
                parts = (state[f"key {name}"] for name in ("seen", "way", "trust"))
                self.last = key, Trace(reduced(key.frame), *parts)

    def following(self, number: int) -> Iterator[tuple[str, int]]:
        """Follow the next key back to the frame with this `number`, where that is still to be done.

        That is done for `CHUNK` frames at once.

        Yields:
            after each frame the name of the key, and the number of the frame.
        """
        key = self._after(number)
        first = max((each.number for each in self.keys if each.number <= number), default=0)
        if key is None or number == first:
            return
        chunk = (key.number - 1 - number) // CHUNK
        if self.held == (key.number, chunk):
            return
        self.held = key.number, chunk
        self.marks = {mark: trace for mark, trace in self.marks.items() if mark[0] == key.number}
        self.marks.setdefault((key.number, 0), begun(reduced(key.frame)))
        for each in range(max(mark for _, mark in self.marks if mark <= chunk), chunk + 1):
            trace, self.coming = self.marks[key.number, each], {}
            last = key.number - 1 - each * CHUNK
            frames = self._frames(max(first, last - CHUNK), last)
            for back, frame in enumerate(reversed(frames)):
                found = trace.found(frame.to(key.frame) / 255)
                if found is not None:
                    trace = found
                    way = (trace.way * STEPS).round().clamp(-MOST, MOST).short()
                    self.coming[last - back] = way, (trace.trust * 255).round().byte()
                yield key.name, last - back
            self.marks[key.number, each + 1] = trace

    def shown(self, number: int, frame: Tensor) -> list[Shown]:
        """The keys that show in the frame [1, 3, H, W] with this `number`, which they were followed to."""
        frame = reduced(frame)
        after, found = self._after(number), []
        for key in self.keys:
            if key.number == number:
                self.last = key, begun(reduced(key.frame))
        before = self.last
        if before is not None:
            trace = before[1].found(frame)
            before = None if trace is None else (before[0], trace)
            self.last = before or self.last
        share = 0.0 if before else 1.0
        if after is not None and number in self.coming:
            way, trust = self.coming[number]
            if before is not None:
                along = (number - before[0].number) / (after.number - before[0].number)
                share = min(1 - LEAST, max(LEAST, (along - 0.5) / FADE + 0.5))
            found.append(Shown(after, way / STEPS, trust / 255, share))
        if before is not None:
            found.append(Shown(before[0], before[1].way, before[1].trust, 1 - share))
        return found

    def _after(self, number: int) -> Key | None:
        return next((key for key in self.keys if key.number > number), None)

    def _frames(self, first: int, last: int) -> list[Tensor]:
        """Those behind number `first` up to number `last`, reduced, in bytes."""
        frames = islice(self.clip, first, last)
        seen = (reduced(regions.opaque(frame.pixels, frame.alpha)) for frame in frames)
        return [frame.mul(255).round().byte() for frame in seen]


def placed(
    keys: Sequence[KeyFrame], clip: clips.Clip, rate: float, ticks: Fraction | None, device: torch.device
) -> list[Key]:
    """The `keys` of a clip beside its frames, in their order.

    Args:
        clip: or a cut of it, with all its frames.
        rate: frames per second of a folder.
        ticks: frames per second that are painted, if not all are. Then a key has the number of the first one that is
            not before it.

    Raises:
        SettingsError: a key beside the clip or its cut, two of one frame, a painting of another shape, or an empty one.
        ClipError, PictureError: what cannot be read.
    """
    timed = sorted(((_second(key, clip, rate) - clip.start, key) for key in keys), key=lambda pair: pair[0])
    waiting, found = deque(timed), []
    while waiting and waiting[0][0] < -clip.jitter:
        _leave_out(*waiting.popleft(), f"before the cut, which begins at {_said(clip.start)}", clip)
    seen: tuple[int, clips.Frame] | None = None  # the frame before
    for number, frame in enumerate(clip, 1):
        if ticks is not None:
            number = ceil((frame.time - clip.jitter) * ticks) + 1
        while seen is not None and waiting and waiting[0][0] + clip.jitter < frame.time:
            found.append(_beside(waiting.popleft()[1], *seen, device))
        if not waiting:
            break
        seen = number, frame
    for second, key in waiting:
        assert seen is not None
        end = seen[1].time + (seen[1].duration or 1 / clip.info.rate)
        if second < end:
            found.append(_beside(key, *seen, device))
        else:
            what = str(clip.path) if clip.length is None else "the cut"
            _leave_out(second, key, f"and {what} ends at {_said(end + clip.start)}", clip)
    if not found:
        raise SettingsError("none of the key frames lies in the cut")
    for one, other in pairwise(found):
        if one.number == other.number:
            raise SettingsError(f"{one.name} and {other.name} are of one frame, the one with the number {one.number}")
    return found


def _leave_out(second: Fraction, key: KeyFrame, why: str, clip: clips.Clip) -> None:
    """Say that a key does not lie in the cut; one whose second was given has to.

    Raises:
        SettingsError: it was given.
    """
    said = f"{key} is of {_said(second + clip.start)}, {why}"
    if key.at is not None:
        raise SettingsError(said)
    warn(f"{said}: it is left out")


def _second(key: KeyFrame, clip: clips.Clip, rate: float) -> Fraction:
    """When the frame that was painted over is on screen, in seconds of the whole clip."""
    if key.at is not None:
        return Fraction(key.at).limit_denominator(1_000_000)
    if isinstance(key.painting, Picture) or not clip.path.is_dir():
        raise SettingsError(f"say which frame was painted over, by its second: {key}@2.5s")
    if not Path(key.painting).exists():
        raise PictureError(absent(Path(key.painting)))
    names, painted = [file.stem for file in frames_in(clip.path)], Path(key.painting).stem
    digits = [re.findall(r"\d+", name) for name in names]
    running = next((column for column in zip(*digits, strict=False) if len({*map(int, column)}) == len(names)), ())
    ways: list[list[int]] = [  # from the surest on: the very name, the digits of a number, the number
        [i for i, name in enumerate(names) if name == painted],
        [i for i, number in enumerate(running) if number in re.findall(r"\d+", painted)],
        [i for i, number in enumerate(running) if int(number) in map(int, re.findall(r"\d+", painted))],
    ]
    found = next((way for way in ways if way), [])
    if len(found) != 1:
        said = f"the numbers of {len(found)} frames" if found else "the number of no frame"
        raise SettingsError(f"{key} has {said} in {clip.path}; say which it is of, by its second: {key}@2.5s")
    return found[0] / Fraction(rate).limit_denominator(1_000_000)


def _said(second: Fraction) -> str:
    return f"{float(second):.4g} s"


def _beside(key: KeyFrame, number: int, frame: clips.Frame, device: torch.device) -> Key:
    """A key beside the frame that was painted over."""
    painting, (height, width) = opened(key.painting), frame.pixels.shape[2:]
    tall, wide = painting.pixels.shape[2:]
    if abs(tall * width / (wide * height) - 1) > SHAPE:
        raise SettingsError(
            f"{key} is {wide} × {tall} pixels, and the frames are {width} × {height}: paint over a frame as it is"
        )
    painting = painting.resized(height, width)
    share = painting.pixels.new_ones(1, 1, height, width) if painting.alpha is None else painting.alpha
    if key.mask is not None:
        share = share * regions.mask(opened(key.mask), height, width)
    if share.mean() < regions.NOTHING:
        raise SettingsError(f"nothing of {key} is painted: white in its mask marks what is")
    own = regions.opaque(frame.pixels, frame.alpha)
    colours = regions.opaque(painting.pixels, share)
    return Key(str(key), number, own.to(device), torch.cat([colours, share], 1).to(device))
