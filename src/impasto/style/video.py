"""Clips in the manner of pictures, without flicker.

Three things keep a painted clip steady. The statistics of the style are taken once, those of the content run along
smoothly from frame to frame. What the frame before became is moved along the optical flow, and where the flow can be
trusted it goes into the next (after Ruder, Dosovitskiy and Brox 2016, arXiv:1604.08610): into the draft as a running
mean along each thing's path, into `fine` as its start and as a term of its loss. At a cut all that begins anew.
"""

import dataclasses
import json
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto import device, provenance, weights
from impasto.ahead import ahead
from impasto.configs import check
from impasto.errors import ClipError, PictureError, SettingsError, warn
from impasto.files import locked, replacing, writing
from impasto.gaussian import PARTS, Moments, as_tensors
from impasto.media import clip as clips
from impasto.media import picture
from impasto.media.picture import SHORTEST_SIDE, Picture, PictureLike, fit, resize
from impasto.perception.flow import consistent, dense, is_cut, warp
from impasto.style import colour, draft, keyframes, optimise, regions
from impasto.style.anystyle import Features, columns_for
from impasto.style.cloud import LARGEST, PIXELS, Cloud, averages_of, on_grid, union
from impasto.style.keyframes import Key, KeyFrame, Keys, Shown, placed
from impasto.style.objective import (
    Anchor,
    Extractor,
    LayerMoments,
    Objective,
    Region,
    dtype_for,
    extractor_for,
    objective_for,
    total,
    within,
)
from impasto.style.recipe import source
from impasto.style.settings import ClipSettings, Seconds, Settings, shares_of
from impasto.style.source import region_of, style_of
from impasto.style.strokes import COLUMNS, Sheet, likeness, moved_on, sheets_of, shown_at, spots_of
from impasto.style.tiles import tile_for
from impasto.training.checkpoint import plain

QUALITIES = ("draft", "fine")
UNUSED = ("init", "network", "optimiser", "steps")  # of `Settings`
KEYS_HAVE = ("colour", "strength", "style_scale", "style_weights")  # no use for these of `Settings`
COLOURS = ("style", "luminance")  # the others look at the content as a whole, and would flicker with it
CONTENT_PACE = 0.1  # share of a new frame in the running statistics of the content
KEPT_EVERY = 10  # frames, after which all that goes from one to the next is written down, to resume from
STRANGE = 0.1  # difference of a frame from the one before, moved to match, at which trust has fallen to 1/e
REFINING = 12  # steps of `fine` on a frame that has one before it
RATE = 0.02  # of those, in units of the pixel range
ANCHOR = 300.0  # weight of the temporal loss
TRUSTED = 0.5  # of the flow within a place, for it to keep its spots
MATCHED_EVERY = 3  # frames: in those between, places show what they did, moved on
FAITH = 0.1  # cosine by which others must be nearer to what is looked for, to take their place
PREVIEWED = 5  # frames of a preview


@dataclass(frozen=True)
class TimedStyle:
    """A picture that shows how, and from which second on; None: all along."""

    picture: PictureLike
    since: Seconds | None = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Job(ClipSettings):
    """The files of a run, and what is wanted of the clip."""

    clip: str | PathLike[str]
    styles: Sequence[TimedStyle]  # none where there are keys
    output: Path
    keys: Sequence[KeyFrame] = ()  # frames that somebody has painted over
    mask: str | PathLike[str] | None = None  # where the style goes (white): a picture, or a clip of its own
    weights: str | PathLike[str] | None = None  # of the any-style network, instead of the bundled ones
    label_cn: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Progress:
    """A frame that is done; or one that a key frame was followed back to, which shows in those before it."""

    number: int  # from 1
    frames: int | None  # of all, as far as the clip says
    pixels: Tensor | None  # [1, 3, H, W], what it became; None if a key was only followed
    speed: float  # frames per second
    left: float | None  # seconds
    keys: tuple[str, ...] = ()  # names of the key frames that show in it


def stylizing(job: Job, settings: Settings) -> Iterator[Progress]:
    """Do `job`, yielding after each frame that is written. Whatever ends it early leaves what `resume` goes on from.

    Raises:
        ImpastoError: what a user can mend, as `stylize.stylizing` and `clip.read` and `clip.write` say it.
    """
    clips.check_writable(job.output, crf=job.crf, bits=job.bits)
    with locked(job.output):
        yield from _painting(job, settings)


def _painting(job: Job, settings: Settings) -> Iterator[Progress]:
    clip = _opened(job, settings)
    painter = _Painter(job, settings, clip)
    recipe = _recipe(job, settings, painter)
    count = clip.info.frames
    begun, done = time.perf_counter(), 0
    with clips.write(
        job.output, clip.info, of=clip, crf=job.crf, bits=job.bits, recipe=recipe, label_cn=job.label_cn,
        resume=job.resume,
    ) as out:  # fmt: skip
        there, known, state = out.done, 0, None
        if there and next(islice(clip, there, None), None) is None:
            return  # there is no frame left
        if there:
            known = _recall(painter, out.state, recipe, there)
        frames = enumerate(_masked(job, clip), 1)
        plans = _plans(painter, ((number, *pair) for number, pair in frames if number > known))
        # The steps of `fine` take so much longer than a plan that they have all threads.
        for number, frame, plan in ahead(plans) if painter.extractor is None else plans:
            if isinstance(plan, str):
                yield Progress(number, count, None, 0, None, (plan,))
                continue
            pixels = painter.paint(plan)
            if number <= there:
                continue  # it was painted for what comes
            out.add(pixels.cpu(), frame.time, frame.alpha, frame.duration)
            if state is None and number % KEPT_EVERY == 0:
                state = number, painter.state(plan)
            if state is not None and state[0] <= out.kept:
                _keep(out.state, recipe, *state)
                state = None
            done += 1
            speed = done / (time.perf_counter() - begun)
            left = None if count is None else max(0, count - number) / speed
            yield Progress(number, count, pixels, speed, left, tuple(each.key.name for each in plan.keys))


def _plans(
    painter: "_Painter", frames: Iterable[tuple[int, clips.Frame, Tensor | None]]
) -> Iterator[tuple[int, clips.Frame, "_Plan | str"]]:
    """The plan of each frame; before it the name of a key with each frame that it had to be followed to for that."""
    for number, frame, mask in frames:
        if painter.keys is not None:
            yield from ((earlier, frame, name) for name, earlier in painter.keys.following(number))
        yield number, frame, painter.plan(frame, mask, number)


def _keep(file: Path, recipe: dict[str, Any], frames: int, state: dict[str, Tensor]) -> None:
    """Write down the `state` of the painter after so many `frames`.

    Raises:
        OutputError: the disk is full, say.
    """
    with writing(file), replacing(file) as part:
        try:
            save_file(state, part, {"recipe": json.dumps(recipe), "frames": str(frames)})
        except SafetensorError as error:  # its word for a full disk
            raise OSError(error) from error


def _recall(painter: "_Painter", file: Path, recipe: dict[str, Any], there: int) -> int:
    """Bring the `painter` to the state that was kept, and say after how many frames of those that are there that was.

    Without a state that fits, 0: it begins before the first frame, and paints all that are there once more.
    """
    if not file.exists():
        return 0
    try:
        with safe_open(file, "pt") as kept:
            about = kept.metadata()
            if json.loads(about["recipe"]) != json.loads(json.dumps(recipe)) or int(about["frames"]) > there:
                return 0
            painter.restore({name: kept.get_tensor(name) for name in kept.keys()})  # noqa: SIM118
            return int(about["frames"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        painter.forget()
        warn(f"{file} is damaged ({error}): the {there} frames that are there are painted once more, to go on from")
        return 0


def preview(job: Job, settings: Settings) -> Picture:
    """A strip of a few frames of the clip, each above what it would become."""
    clip = _opened(job, settings)
    painter = _Painter(job, settings, clip)
    length = Fraction(clip.info.frames or 1) / clip.info.rate if clip.length is None else clip.length
    last = max(0.0, float(length - 1 / clip.info.rate))
    wanted = [last * i / PREVIEWED for i in range(PREVIEWED)]
    columns: list[Tensor] = []
    shown = (
        _seen_at(job, settings, painter, clip, wanted) if painter.keys is None else _come_to(job, painter, clip, wanted)
    )
    for frame, painted in shown:
        pair = [Picture(pixels.cpu(), frame.alpha).on_white() for pixels in (frame.pixels, painted)]
        columns.append(torch.cat(pair, 2))
    return Picture(torch.cat(columns, 3), recipe=_recipe(job, settings, painter))


def _seen_at(
    job: Job, settings: Settings, painter: "_Painter", clip: clips.Clip, wanted: Sequence[float]
) -> Iterator[tuple[clips.Frame, Tensor]]:
    """The frames on screen at the `wanted` seconds of the cut, each painted as the first one of a clip."""
    for number, second in enumerate(wanted):
        here = replace(job, start=float(clip.start) + second)
        at = clips.read(job.clip, start=here.start, size=settings.size, rate=job.rate)
        try:
            frame, mask = next(_masked(here, at))
        except ClipError:
            if number == 0:
                raise
            return  # the file says that it is longer, as its sound may be
        painter.forget()
        yield frame, painter.paint(painter.plan(replace(frame, time=Fraction(second)), mask))


def _come_to(
    job: Job, painter: "_Painter", clip: clips.Clip, wanted: Sequence[float]
) -> Iterator[tuple[clips.Frame, Tensor]]:
    """The same frames, to which keys have to be followed through all that are between."""
    seconds = deque(wanted)
    for _, frame, plan in _plans(painter, ((number, *pair) for number, pair in enumerate(_masked(job, clip), 1))):
        if not isinstance(plan, str) and seconds and frame.time + clip.jitter >= seconds[0]:
            seconds.popleft()
            painter.became = None  # which was painted long ago
            yield frame, painter.paint(plan)
        if not seconds:
            return


def _opened(job: Job, settings: Settings) -> clips.Clip:
    if settings.quality not in QUALITIES:
        raise SettingsError(f"a clip is painted with quality {' or '.join(QUALITIES)}, not {settings.quality!r}")
    if settings.colour not in COLOURS:
        raise SettingsError(f"the colour of a clip is {' or '.join(COLOURS)}, not {settings.colour!r}")
    settings.check_unused("a clip has a method of its own", UNUSED)
    settings.resolved()
    if job.keys:
        if job.styles:
            raise SettingsError("give key frames or styles: what no key shows is painted in the manner of all keys")
        settings.check_unused("key frames are shown as they are", KEYS_HAVE)
    times = [style.since for style in job.styles if style.since is not None]
    if times and (len(times) < len(job.styles) or settings.style_weights):
        raise SettingsError("give every style its second, or none; styles that take turns have no weights")
    return _clip(job, settings)


def _clip(job: Job, settings: Settings) -> clips.Clip:
    """What is painted of the job's clip."""
    return clips.read(job.clip, start=job.start, end=job.end, size=settings.size, fps=job.fps, rate=job.rate)


def _masked(job: Job, clip: clips.Clip) -> Iterator[tuple[clips.Frame, Tensor | None]]:
    """Each frame with its mask [1, 1, H, W]: of one picture, or of a clip the frame on screen then; its last one stays.

    A folder of masks has no times of its own: its frames follow each other as those of a clip with a varying rate do.
    """
    size = (clip.info.height, clip.info.width)
    if job.mask is None or Path(job.mask).suffix.lower() in picture.FORMATS:
        mask = None if job.mask is None else regions.mask(picture.read(job.mask), *size)
        yield from ((frame, mask) for frame in clip)
        return
    masks = clips.read(job.mask, rate=clip.info.rate)
    in_step = clip.info.variable and Path(job.mask).is_dir() and not job.start
    # A frame earlier, for what is on screen at the start; and if the masks are over by then, their last one.
    latest = math.inf if masks.info.frames is None else (masks.info.frames - 1) / masks.info.rate
    early = max(0.0, float(min((job.start or 0) - 1 / masks.info.rate, latest)))
    masks = clips.read(job.mask, start=early, rate=clip.info.rate)
    ahead, slack, coming = clip.start - masks.start, max(clip.jitter, masks.jitter), iter(masks)
    shown, following = next(coming), next(coming, None)
    mask = regions.mask(Picture(shown.pixels, shown.alpha), *size)
    for number, frame in enumerate(clip):
        before, time = shown, number / clip.info.rate if in_step else frame.time + ahead
        while following is not None and following.time <= time + slack:
            shown, following = following, next(coming, None)
        if shown is not before:
            mask = regions.mask(Picture(shown.pixels, shown.alpha), *size)
        yield frame, mask


@dataclass(frozen=True)
class _Motion:
    """How the frame before became this one."""

    back: Tensor  # [1, 2, H, W], optical flow from now to then
    trust: Tensor  # [1, 1, H, W], how far each pixel of that is to be trusted


@dataclass(frozen=True)
class _Plan:
    """A frame, and all of its painting that does not ask what the frames before became."""

    whole: Tensor  # [1, 3, H, W], the frame as it is
    mask: Tensor | None  # [1, 1, H, W]
    visible: Tensor | None  # [1, 1, H, W]
    shares: tuple[float, ...]  # of the styles
    canvas: draft.Canvas | None = None  # None for a frame that stays as it is, and so has nothing of what follows
    region: Region | None = None
    moves: draft.Maps | None = None
    guide: draft.Guide | None = None
    motion: _Motion | None = None  # None at the beginning, and after a cut
    keys: list[Shown] = field(default_factory=list)  # that show in it
    painted: Tensor | None = None  # [1, 1, H, W], how far, where none does: as is what is alike in a key
    state: dict[str, Tensor] = field(default_factory=dict)  # what goes on from here to the next


class _Painter:
    """What is known all along a clip (the networks, the styles), and what goes from a frame to the next."""

    def __init__(self, job: Job, settings: Settings, clip: clips.Clip) -> None:
        self.job, self.method = job, settings.resolved()
        device.configure_cpu()
        self.device = device.pick_device(settings.device)
        whole = torch.empty(1, 3, clip.info.height, clip.info.width, device=self.device)
        if min(whole.shape[2:]) < SHORTEST_SIDE:
            raise PictureError(f"the clip is too narrow: {SHORTEST_SIDE} pixels at least")
        self.size, self.side = whole.shape[2:], max(whole.shape[2:])
        self.keys: Keys | None = None
        pictures: list[PictureLike] = [style.picture for style in job.styles]
        if job.keys:
            every, ticks = (
                (clip, None) if job.fps is None else (_clip(replace(job, fps=None), settings), clip.info.rate)
            )
            self.keys = Keys(placed(job.keys, every, job.rate, ticks, self.device), clip)
            pictures = [Picture(key.painting[:, :3], key.painting[:, 3:]) for key in self.keys.keys]
        self.shares = shares_of(len(pictures), settings.style_weights)
        self.styles = [style_of(style, self.method, whole).reduced(self.side) for style in pictures]
        if not all(style.has_points for style in self.styles):
            self.method = settings.resolved(matched=False)
        self.tile = settings.tile or tile_for(self.method.network, settings.memory, whole)
        self.dtype = dtype_for(self.method, whole)
        self.network = draft.load(None if job.weights is None else Path(job.weights)).to(self.device)
        self.drafted = [
            style.drafted(self.network, self.side, self.side, self.dtype, self.tile) for style in self.styles
        ]
        self.averages: list[Features] = []  # over places of the styles, where all have points
        self.sheets: dict[int, Sheet] = {}  # and all features of them
        self.originals: tuple[Cloud, LayerMoments] | None = None  # of the frames that keys were painted over
        if self.keys is not None:
            self.originals = self._paired(self.keys.keys)
        elif all(style.has_points for style in self.styles):
            visible = [style.shown(self.side, self.side)[0] for style in self.styles]
            shown = [draft.Canvas(self.network, p, self.dtype, self.tile).features() for p in visible]
            self.averages, self.sheets = list(map(averages_of, shown)), sheets_of(shown)
        self.columns: tuple[Cloud, dict[int, Sheet]] | None = None
        self.extractor: Extractor | None = None
        if settings.quality == "fine":
            self.extractor = extractor_for(self.method, whole, self.tile)
        self.regions: dict[int, Region] = {}  # by long side, of the styles with `mixed` shares; 0: for the network
        self.mixed = self.shares
        self.became: Tensor | None = None  # what the frame before, whose plan has a motion, became
        self.forget()

    def _paired(self, keys: Sequence[Key]) -> tuple[Cloud, LayerMoments]:
        """Let places of frames be compared with those that keys were painted over, and show what those became."""
        frames = [draft.Canvas(self.network, key.frame, self.dtype, self.tile) for key in keys]
        paintings = [draft.Canvas(self.network, key.painting[:, :3], self.dtype, self.tile) for key in keys]
        self.averages = [averages_of(frame.features()) for frame in frames]
        self.sheets = sheets_of([painting.features() for painting in paintings])
        painted = [frame.moments(key.painting[:, 3:]) for frame, key in zip(frames, keys, strict=True)]
        points = union([seen for frame in frames if (seen := frame.seen().points) is not None])
        return Cloud(points.drawn(LARGEST), self.dtype), total(painted)

    def forget(self) -> None:
        """As before the first frame, and after a cut."""
        self.seen: Tensor | None = None  # the frame before
        self.content: LayerMoments | None = None  # running statistics
        self.spots: Tensor | None = None  # of the styles, that the frame before shows
        self.age = 0  # frames since places were matched

    def state(self, plan: _Plan) -> dict[str, Tensor]:
        """All that goes to the next frame from that of the `plan`, once it is painted, for `restore`."""
        return plain(plan.state if self.became is None else plan.state | {"became": self.became})

    def restore(self, state: dict[str, Tensor]) -> None:
        """As after the frame that `state` was taken of.

        Raises:
            KeyError: something is missing in it.
            ValueError: it is of frames of another size.
        """
        if "seen" in state and state["seen"].shape[2:] != self.size:
            raise ValueError("it is of frames of another size")
        state = {name: value.to(self.device) for name, value in state.items()}
        self.mixed, self.age = tuple(state["shares"].tolist()), int(state["age"])
        self.seen, self.became, self.spots = (state.get(name) for name in ("seen", "became", "spots"))
        features = {name.removesuffix("/mean") for name in state if name.endswith("/mean")}
        self.content = {name: Moments(*(state[f"{name}/{part}"] for part in PARTS)) for name in features} or None
        if self.keys is not None:
            self.keys.restore(state)

    def plan(self, shown: clips.Frame, mask: Tensor | None = None, number: int = 0) -> _Plan:
        """What can be said of the next frame before the last is painted; `paint` does the rest.

        Args:
            mask: [1, 1, H, W], where the style goes.
            number: of the frame, from 1, for what keys show in it.
        """
        pixels, alpha, second = shown.pixels, shown.alpha, float(shown.time)
        whole = Picture(pixels, alpha).resized(pixels.shape[2], pixels.shape[3]).pixels.to(self.device)
        visible = self._visible(alpha)
        mask = None if mask is None else mask.to(self.device)
        plan = _Plan(whole, mask, visible, self._shares_at(second))
        if self.method.strength == 0 or (visible is not None and visible.mean() < regions.NOTHING):
            return replace(plan, state=self._state())
        frame = self._prepared(pixels, visible)
        canvas = self._follow(frame, within(mask, visible))
        assert self.content is not None
        motion, region = self._motion(frame), self._region(0, plan.shares)
        moves = draft.maps(region, self.content if self.originals is None else self.originals[1])
        guide = self._guide(canvas, region, moves, motion)
        plan = replace(plan, canvas=canvas, region=region, moves=moves, guide=guide, motion=motion)
        if self.keys is not None and self.spots is not None:
            painted = keyframes.painted(self.keys.keys, self.spots, *self.size)
            plan = replace(plan, keys=self.keys.shown(number, frame), painted=painted)
        self.seen = frame
        return replace(plan, state=self._state())

    def paint(self, plan: _Plan) -> Tensor:
        """What the frame of the `plan` becomes, [1, 3, H, W]; where its alpha is 0 it counts for nothing.

        A frame of which nothing can be seen is not painted.
        """
        if plan.canvas is None or plan.region is None or plan.moves is None:
            return plan.whole
        result = plan.canvas.painted(
            [plan.region], self.method.strength, self.method.freedom, [plan.moves], [plan.guide]
        )
        motion, before = plan.motion, None
        if motion is not None and self.became is not None:
            before = warp(self.became, motion.back).clamp(0, 1)
        if self.extractor is not None:
            result = self._refined(plan, result, before)
        elif motion is not None and before is not None:
            result = torch.lerp(result, before, self.job.steadiness * motion.trust)
        painted = plan.painted
        if plan.keys:
            laid, trust = keyframes.laid(plan.keys, *self.size)
            result = torch.lerp(result, laid[:, :3], trust)
            painted = None if painted is None else torch.lerp(painted, laid[:, 3:], trust)
        self.became = result
        if self.method.colour == "luminance":
            result = colour.with_colours_of(result, plan.whole)
        mask = within(plan.mask, painted)
        return result if mask is None else torch.lerp(plan.whole, result, mask)

    def _state(self) -> dict[str, Tensor]:
        found = {"shares": torch.tensor(self.mixed, dtype=torch.float64), "age": torch.tensor(self.age)}
        for name in ("seen", "spots"):
            if (value := getattr(self, name)) is not None:
                found[name] = value
        return found | ({} if self.keys is None else self.keys.state()) | as_tensors(self.content or {})

    def _visible(self, alpha: Tensor | None) -> Tensor | None:
        visible = regions.visible(alpha)
        return None if visible is None else visible.to(self.device)

    def _prepared(self, frame: Tensor, visible: Tensor | None) -> Tensor:
        frame = regions.opaque(frame.to(self.device), visible)
        return colour.lightness(frame) if self.method.colour == "luminance" else frame

    def _follow(self, frame: Tensor, mask: Tensor | None) -> draft.Canvas:
        """Take `frame` into the running statistics of the content; after a cut nothing else is in them."""
        if self.seen is not None and is_cut(self.seen, frame):
            self.forget()
        canvas = draft.Canvas(self.network, frame, self.dtype, self.tile, mask)
        found = canvas.moments()
        if self.content is not None and self.job.steadiness:
            mean = total([self.content, found], (1 - CONTENT_PACE, CONTENT_PACE))
            found = {name: replace(mean[name], weight=now.weight) for name, now in found.items()}
        self.content = found
        return canvas

    def _guide(
        self, canvas: draft.Canvas, region: Region, moves: draft.Maps, motion: _Motion | None
    ) -> draft.Guide | None:
        """What the frame's places show of the styles: what their things showed before, where that is known."""
        if region.cloud is None:
            return None
        cloud, maps = (region.cloud, moves) if self.originals is None else (self.originals[0], None)
        if motion is None or self.spots is None:
            self.age, self.spots = 0, self._matched(cloud, canvas.queries(cloud, maps))
        else:
            self.age, self.spots = (self.age + 1) % MATCHED_EVERY, moved_on(self.spots, motion.back)
            if self.age == 0:
                queries, columns = canvas.queries(cloud, maps), self._columns(cloud)
                others = self._matched(cloud, queries)
                nearer = likeness(others, queries, columns) - likeness(self.spots, queries, columns)
                nearer = F.avg_pool2d(nearer, 3, 1, 1, count_include_pad=False)  # so that no patchwork comes of it
                known = on_grid(draft.padded(motion.trust)) >= TRUSTED
                self.spots = torch.where((nearer <= FAITH) & known, self.spots, others)
        colours = region.statistics[0][PIXELS] if self.originals is None else None
        return draft.Guide(self.spots, partial(shown_at, sheets=self.sheets), colours)

    def _matched(self, cloud: Cloud, queries: Tensor) -> Tensor:
        """The spots of the points that are found for `queries`."""
        return spots_of(cloud.match(queries, quick=True), cloud.points)

    def _columns(self, cloud: Cloud) -> dict[int, Sheet]:
        """What places of the styles are compared by, as `likeness` takes it."""
        if self.columns is None or self.columns[0] is not cloud:
            self.columns = cloud, sheets_of([{COLUMNS: columns_for(cloud, each)} for each in self.averages])
        return self.columns[1]

    def _motion(self, frame: Tensor) -> _Motion | None:
        """How the frame before became `frame`, and how far that is to be trusted."""
        if self.seen is None or not self.job.steadiness:
            return None
        back = dense(frame, self.seen)
        trust = consistent(dense(self.seen, frame), back)
        strange = (warp(self.seen, back) - frame).square().mean(1, keepdim=True)
        return _Motion(back, trust * torch.exp(-strange / STRANGE**2))

    def _refined(self, plan: _Plan, drafted: Tensor, moved: Tensor | None) -> Tensor:
        """The frame after all steps of `fine`, or after a few at full size where one was before it.

        Args:
            drafted: the frame as a draft.
            moved: what the one before became, moved to where its things are now.
        """
        extractor, canvas = self.extractor, plan.canvas
        assert extractor is not None and canvas is not None
        frame = canvas.picture

        def objective(height: int, width: int) -> Objective:
            masks = [None if m is None else resize(m, height, width) for m in (plan.mask, plan.visible)]
            region = replace(self._region(max(height, width), plan.shares), mask=masks[0])
            return objective_for(extractor, [region], resize(frame, height, width), self.method, masks[1])

        def begin(height: int, width: int, before: Tensor | None) -> Tensor:
            start = drafted if self.method.init == "draft" else frame
            return resize(start if before is None else before, height, width)

        if moved is not None and plan.motion is not None:
            trust = plan.motion.trust
            anchored = replace(objective(*frame.shape[2:]), anchor=Anchor(moved, trust, ANCHOR))
            refining = {**self.method.adam, "rate": RATE}
            *_, last = optimise.adam(torch.lerp(drafted, moved, trust), anchored, REFINING, **refining)
            return last.picture
        scaled = [fit(frame, side) for side in optimise.scale_sides(frame, self.method)]
        sizes = [(small.shape[2], small.shape[3]) for small in scaled]
        counts = optimise.steps_at(self.method, len(sizes))
        *_, stage = optimise.coarse_to_fine(sizes, counts, objective, begin, **self.method.adam)
        return stage.now.picture

    def _region(self, side: int, shares: tuple[float, ...]) -> Region:
        """What a frame of so long a side shall look like; of 0, what the any-style network aims at."""
        if shares != self.mixed:
            self.regions.clear()
            self.mixed, self.spots = shares, None  # what shows a style that goes would stay
        if side not in self.regions and side == 0:
            self.regions[side] = draft.region_of(self.drafted, shares, dtype=self.dtype)
        elif side not in self.regions:
            assert self.extractor is not None
            self.regions[side] = region_of(self.styles, shares, self.extractor, side, self.side)
        return self.regions[side]

    def _shares_at(self, second: float) -> tuple[float, ...]:
        """Of each style at a time: those with a second of their own take turns, fading over."""
        times = [style.since for style in self.job.styles]
        if None in times or not times:
            return self.shares
        order = sorted(range(len(times)), key=lambda i: times[i] or 0)
        shares = [0.0] * len(times)
        shares[order[0]] = 1.0
        for index in order[1:]:
            since = times[index] or 0
            part = float(second >= since) if self.job.fade == 0 else min(1, max(0, (second - since) / self.job.fade))
            shares = [share * (1 - part) for share in shares]
            shares[index] += part
        return tuple(shares)


def _recipe(job: Job, settings: Settings, painter: _Painter) -> dict[str, Any]:
    chosen = {name: value for name, value in dataclasses.asdict(settings).items() if value is not None}
    cut = {name: getattr(job, name) for name in ("start", "end", "fps", "steadiness", "fade")}
    since = {f"style {i} since": style.since for i, style in enumerate(job.styles, 1) if style.since is not None}
    keys = {} if painter.keys is None else {f"key {i} frame": key.number for i, key in enumerate(painter.keys.keys, 1)}
    masks = {f"key mask {i}": source(key.mask) for i, key in enumerate(job.keys, 1) if key.mask is not None}
    used = {name: weights.sha256_of(name) for name in sorted({"anystyle", painter.method.network, "compact"})}
    if job.weights is not None:
        used["anystyle"] = provenance.sha256(job.weights)
    return provenance.make_recipe(
        source(job.clip),
        [source(picture) for picture in (*(s.picture for s in job.styles), *(key.painting for key in job.keys))],
        {
            **chosen,
            "tile": painter.tile,
            **{name: value for name, value in cut.items() if value is not None},
            **since,
            **keys,
        },
        used,
        masks if job.mask is None else masks | {"mask 1": source(job.mask)},
    )
