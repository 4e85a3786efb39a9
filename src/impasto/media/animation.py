"""Pictures that take shape, as a GIF or an MP4."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from impasto.errors import ClipError
from impasto.files import locked
from impasto.media import clip
from impasto.media.clip.writing import VideoWriter

FORMATS = (".gif", ".mp4")
MOST = 120  # frames, without those of the last one held; of more, every second, third ... is taken
HOLD = 1.5  # seconds on the last frame, which is the result


def save(frames: Sequence[Tensor], path: Path, recipe: dict[str, Any], fps: float = 12) -> None:
    """Write `frames` [1, 3, H, W] in [0, 1] as the extension says, holding the last one for a moment.

    Args:
        recipe: what drew them, as `provenance` makes it: no animation goes without its recipe and its labels.

    Raises:
        ClipError: another extension.
        OutputError: a place that cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise ClipError(f"{path}: an animation is {' or '.join(FORMATS)}")
    clip.check_writable(path)
    every = -(-len(frames) // MOST)
    shown = frames if every == 1 else [*frames[::every], frames[-1]]
    height, width = frames[0].shape[2:]
    info = clip.Info(width, height, Fraction(fps).limit_denominator(1000))
    with locked(path):
        writer = VideoWriter(path, info, of=None, crf=None, recipe=recipe, label_cn=False, resume=False)
        try:
            with writer as out:
                for index, frame in enumerate([*shown, *[frames[-1]] * round(HOLD * fps)]):
                    out.add(frame, index / info.rate)
        finally:
            writer.clear()  # nobody goes on with an animation: after an error nothing of it is left
