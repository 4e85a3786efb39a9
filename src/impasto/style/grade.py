"""The colours of a reference on a picture or a clip, without its texture: a look, as a table of colours.

Colours are moved in Oklab (Ottosson 2020), where equal distances look equal, and in one of two ways:

- `monge`: the affine map between the two clouds of colours that moves them least (Pitie and Kokaram 2007).
- `transport`: all of the distribution (Pitie, Kokaram and Dahyot 2007). Along the axes of one random rotation after the
  other, colours move so that their distribution becomes the reference's. What comes of it is rough, so no pixel is
  moved by it: a smooth field is fitted to it, which keeps grain and bands out.

Either ends as a table of 33 points a side (media/lut.py), so a picture gets what an editing program will show. A clip
has one table for each scene, so nothing flickers.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.linalg import cg
from torch import Tensor

from impasto import provenance
from impasto.device import seeded
from impasto.errors import SettingsError
from impasto.files import locked
from impasto.gaussian import measure, monge, rows
from impasto.media import clip as clips
from impasto.media import lut, picture
from impasto.media.lut import POINTS, Lut, identity
from impasto.media.picture import Picture, PictureLike
from impasto.perception.flow import is_cut
from impasto.style import regions
from impasto.style.colour import from_oklab, oklab
from impasto.style.recipe import source
from impasto.style.settings import GradeSettings

SAMPLES = 20_000  # colours of a picture or a scene that are looked at
OF_A_FRAME, FRAMES = 2_000, 128  # colours of one frame, and frames of a scene at most, evenly spread
SEEN = 256  # pixels of a frame's longer side, where its colours are looked at
ROTATIONS = 30  # after some 20 nothing changes any more
COARSE = 17  # points a side of the field that is fitted
SMOOTHNESS = 20.0  # weight of the field's bends beside its distance to what the transport wants
FIRMNESS = 1e-4  # weight of the affine map, which decides where there is no colour
ITERATIONS = 300  # of the solver, at most
SKIN_HUE, SKIN_WIDTH = 0.95, 0.45  # radians in Oklab: hues of skin, from deep to light, and how far they reach


@dataclass(frozen=True, kw_only=True)
class Job(GradeSettings):
    """What is to be graded, and after what: a `reference`, or a `look` that is there."""

    source: PictureLike  # a picture, or the file of a clip or its folder
    reference: PictureLike | None = None
    look: str | PathLike[str] | None = None  # a .cube, or a picture that is a HaldCLUT
    mask: PictureLike | None = None  # white where the colours change, and are looked at
    reference_mask: PictureLike | None = None  # white where the reference is looked at

    def check_after_what(self) -> None:
        """Refuse a job that does not say after what, or says it twice.

        Raises:
            SettingsError: neither a reference nor a look, both, or what only a reference has.
        """
        if (self.reference is None) == (self.look is None):
            raise SettingsError("name a reference, or a look with --apply")
        if self.look is not None and (self.skin or self.method != "transport" or self.reference_mask is not None):
            raise SettingsError("a look that is there has no method, skin or reference mask; leave them out")


@dataclass(frozen=True)
class Progress:
    """A frame that is done."""

    number: int  # from 1
    frames: int | None  # of all, as far as the clip says
    speed: float  # frames per second


def graded(job: Job) -> tuple[Picture, Lut]:
    """The picture of a job, and its look.

    Raises:
        ImpastoError: what a user can mend: a file that cannot be read, a mask that is empty.

    Examples:
        >>> from impasto.style.grade import Job, graded
        >>> result, look = graded(Job(source="photo.jpg", reference="painting.jpg", method="monge"))
        >>> look.table.shape
        torch.Size([33, 33, 33, 3])
    """
    job.check_after_what()
    photo = picture.opened(job.source)
    mask = _mask(job.mask, photo.pixels)
    look = _looks(job)(colours_of(photo.pixels, _visible(photo, mask)))
    pixels = _applied(look, photo.pixels, mask)
    return replace(photo, pixels=pixels, recipe=_recipe(job)), look


def grading(
    job: Job, output: Path, *, one_look: bool = False, crf: int | None = None, bits: int = 8, resume: bool = False
) -> Iterator["Progress | Lut"]:
    """Grade the clip of a job: first its looks come, one for each scene, then a `Progress` for each frame written.

    Args:
        one_look: for all scenes together, so that there is one to keep.
        crf: as of `media.clip.write`.
        bits: as there.
        resume: as there.

    Raises:
        ImpastoError: as `graded`, and `media.clip.read` and `write`.
    """
    job.check_after_what()
    clips.check_writable(output, crf=crf, bits=bits)
    assert not isinstance(job.source, Picture)
    with locked(output):
        scenes = _scenes(job, one_look)
        for _, look in scenes:
            yield look
        clip, begun = clips.read(job.source), time.perf_counter()
        recipe = _recipe(job)
        with clips.write(output, clip.info, of=clip, crf=crf, bits=bits, recipe=recipe, resume=resume) as out:
            there, mask = out.done, None
            for number, frame in enumerate(clip, 1):
                if len(scenes) > 1 and scenes[1][0] < number:
                    scenes = scenes[1:]
                if number <= there:
                    continue
                mask = _mask(job.mask, frame.pixels) if mask is None else mask
                pixels = _applied(scenes[0][1], frame.pixels, mask)
                out.add(pixels, frame.time, frame.alpha, frame.duration)
                speed = (number - there) / (time.perf_counter() - begun)
                yield Progress(number, clip.info.frames, speed)


def colours_of(pixels: Tensor, mask: Tensor | None = None, count: int = SAMPLES) -> Tensor:
    """So many colours [count, 3] in Oklab of `pixels` [1, 3, H, W], drawn evenly, or by `mask` [1, 1, H, W]."""
    found = rows(pixels.cpu())
    at = (torch.arange(count, dtype=torch.float64) + torch.rand(count, generator=seeded(0))) / count
    if mask is None:
        chosen = (at * len(found)).long()
    else:
        upto = mask.cpu().flatten().double().cumsum(0)
        chosen = torch.searchsorted(upto, at * upto[-1]).clamp(max=len(found) - 1)
    return rows(oklab(_line(found[chosen])))


def look_of(found: Tensor, wanted: Tensor, settings: GradeSettings) -> Lut:
    """The table that makes colours like `found` look like `wanted`, both as `colours_of` gives them."""
    affine = monge(measure(_line(found)), measure(_line(wanted)))

    def moved(colours: Tensor) -> Tensor:
        return rows(affine(_line(colours))) - colours

    nodes = _nodes(POINTS)
    field = moved(nodes)
    if settings.method == "transport":
        coarse = smooth(found, transported(found + moved(found), wanted) - found, moved(_nodes(COARSE)))
        cube = coarse.T.view(1, 3, COARSE, COARSE, COARSE)
        field = F.interpolate(cube, (POINTS,) * 3, mode="trilinear", align_corners=True).flatten(2)[0].T
    share = settings.strength * (1 - settings.skin * skin(nodes))
    table = from_oklab(_line(nodes + share[:, None] * field))
    return Lut(rows(table).reshape(POINTS, POINTS, POINTS, 3))


def transported(found: Tensor, wanted: Tensor) -> Tensor:
    """Where the colours `found` [N, 3] go, that their distribution may be that of `wanted` [N, 3].

    Along each axis of a random rotation, the n-th smallest goes to the n-th smallest (Pitie et al. 2007).
    """
    generator = seeded(0)
    for _ in range(ROTATIONS):
        axes = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
        ours, theirs = found @ axes, (wanted @ axes).sort(0).values
        order = ours.argsort(0)
        found = found + (torch.zeros_like(ours).scatter(0, order, theirs) - ours) @ axes.T
    return found


def smooth(colours: Tensor, wanted: Tensor, otherwise: Tensor) -> Tensor:
    """A smooth field [COARSE³, 3] over the cube of sRGB that has about the values `wanted` at `colours`, both [N, 3].

    It minimises the mean squared distance to `wanted`, plus SMOOTHNESS times its mean squared Laplacian, plus FIRMNESS
    times its mean squared distance to `otherwise` [COARSE³, 3].
    """
    inside = rows(from_oklab(_line(colours)))
    weights = _corners(inside)
    line = sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], (COARSE, COARSE), format="lil")
    line[0, :2], line[-1, -2:] = 0, 0  # straight on at the ends
    one, bend = sparse.identity(COARSE), line.tocsr()
    bends = sum(
        sparse.kron(sparse.kron(*pair[:2]), pair[2]) for pair in ((bend, one, one), (one, bend, one), (one, one, bend))
    )
    count = len(colours)
    system = weights.T @ weights / count + SMOOTHNESS / COARSE**3 * bends.T @ bends
    system = (system + FIRMNESS / COARSE**3 * sparse.identity(COARSE**3)).tocsr()
    right = weights.T @ wanted.double().numpy() / count + FIRMNESS / COARSE**3 * otherwise.double().numpy()
    scale = sparse.diags(1 / system.diagonal())
    columns = [
        cg(system, right[:, c], x0=otherwise[:, c].double().numpy(), rtol=1e-5, maxiter=ITERATIONS, M=scale)[0]
        for c in range(3)
    ]
    return torch.from_numpy(np.stack(columns, 1)).float()


def skin(colours: Tensor) -> Tensor:
    """How much colours [N, 3] in Oklab may be skin, [N] in [0, 1]: by hue and chroma, for skin of every depth."""
    lightness, a, b = colours.unbind(1)
    hue, chroma = torch.atan2(b, a), torch.hypot(a, b)
    near = (1 - ((hue - SKIN_HUE) / SKIN_WIDTH).abs()).clamp_min(0) * 2
    strong = ((chroma - 0.015) / 0.03).clamp(0, 1) * ((0.22 - chroma) / 0.06).clamp(0, 1)
    seen = ((lightness - 0.15) / 0.1).clamp(0, 1)
    return near.clamp(max=1) * strong * seen


def _looks(job: Job) -> Callable[[Tensor], Lut]:
    """What gives the look for a picture or a scene of such colours [N, 3]; files are read here, once."""
    if job.look is not None:
        given = lut.read(job.look)
        weakened = given if job.strength == 1 else given.weakened(job.strength)
        return lambda _: weakened
    assert job.reference is not None
    reference = picture.opened(job.reference)
    wanted = colours_of(reference.pixels, _visible(reference, _mask(job.reference_mask, reference.pixels)))
    return lambda found: look_of(found, wanted, job)


def _scenes(job: Job, one_look: bool) -> list[tuple[int, Lut]]:
    """The frame after which each scene begins, and its look."""
    assert not isinstance(job.source, Picture)
    look_for = _looks(job)  # before the clip is looked at: what cannot be read is said at once
    if job.look is not None:
        return [(0, look_for(torch.empty(0, 3)))]
    begins: list[int] = []
    colours: list[list[Tensor]] = []
    before, every, mask = None, 1, None
    for number, frame in enumerate(clips.read(job.source, size=SEEN)):
        if before is None or (not one_look and is_cut(before, frame.pixels)):
            begins.append(number)
            colours.append([])
            every = 1
        before = frame.pixels
        if (number - begins[-1]) % every == 0:
            mask = _mask(job.mask, frame.pixels) if mask is None else mask
            seen = _visible(Picture(frame.pixels, frame.alpha), mask)
            colours[-1].append(colours_of(frame.pixels, seen, OF_A_FRAME))
        if len(colours[-1]) == 2 * FRAMES:
            colours[-1], every = colours[-1][::2], 2 * every
    return [(begin, look_for(_drawn(torch.cat(found)))) for begin, found in zip(begins, colours, strict=True)]


def _drawn(colours: Tensor) -> Tensor:
    """SAMPLES of the `colours` [N, 3], or some of them several times."""
    return colours[torch.linspace(0, len(colours) - 1, SAMPLES).round().long()]


def _mask(given: PictureLike | None, pixels: Tensor) -> Tensor | None:
    """The mask [1, 1, H, W] for `pixels` [1, 3, H, W].

    Raises:
        SettingsError: there is nothing inside.
    """
    if given is None:
        return None
    mask = regions.mask(picture.opened(given), *pixels.shape[2:])
    if mask.mean() < regions.NOTHING:
        raise SettingsError("the mask is (nearly) empty: white marks the inside")
    return mask


def _visible(shown: Picture, mask: Tensor | None) -> Tensor | None:
    """How much each pixel counts."""
    visible = regions.visible(shown.alpha)
    if visible is None or visible.mean() < regions.NOTHING:
        return mask
    return visible if mask is None else visible * mask


def _applied(look: Lut, pixels: Tensor, mask: Tensor | None) -> Tensor:
    found = look(pixels)
    return found if mask is None else torch.lerp(pixels, found, mask)


def _recipe(job: Job) -> dict[str, Any]:
    """What made it: no network had a part in it."""
    names = ("source", "reference", "look", "mask", "reference_mask")
    inputs = {name: source(given) for name in names if (given := getattr(job, name)) is not None}
    settings = {"method": job.method, "strength": job.strength, "skin": job.skin}
    return provenance.enhanced_recipe("grade", settings, inputs)


def _nodes(points: int) -> Tensor:
    """The colours [points³, 3] of a table in which every colour stays, in Oklab."""
    return rows(oklab(_line(identity(points).reshape(-1, 3))))


def _line(colours: Tensor) -> Tensor:
    """Colours [N, 3] as a picture [1, 3, 1, N], whose `rows` they are."""
    return colours.T[None, :, None]


def _corners(colours: Tensor) -> sparse.csr_matrix:
    """[N, COARSE³]: how much each point of the cube counts at `colours` [N, 3] in sRGB, trilinear."""
    at = colours.double().clamp(0, 1).numpy() * (COARSE - 1)
    low = np.minimum(at.astype(int), COARSE - 2)
    share = at - low
    index, value = [], []
    for corner in np.ndindex(2, 2, 2):
        place = low + corner  # red, green, blue
        index.append((place[:, 2] * COARSE + place[:, 1]) * COARSE + place[:, 0])
        value.append(np.prod(np.where(corner, share, 1 - share), 1))
    row = np.tile(np.arange(len(at)), 8)
    return sparse.csr_matrix((np.concatenate(value), (row, np.concatenate(index))), (len(at), COARSE**3))
