"""Pictures that take shape, as a GIF or an MP4."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from impasto.errors import PictureError
from impasto.files import replacing

FORMATS = (".gif", ".mp4")
HOLD = 1.5  # seconds on the last frame, which is the result


def save(frames: Sequence[Tensor], path: Path, fps: float = 12) -> None:
    """Write `frames` [1, 3, H, W] in [0, 1] as the extension says, holding the last one for a moment.

    Raises:
        PictureError: another extension, or a place that cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise PictureError(f"{path}: an animation is {' or '.join(FORMATS)}")
    frames = [*frames, *[frames[-1]] * round(HOLD * fps)]
    try:
        with replacing(path) as part:
            (_gif if path.suffix.lower() == ".gif" else _mp4)(frames, part, fps)
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}") from error


def _bytes(frame: Tensor) -> "Image.Image":
    return Image.fromarray(frame[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy())


def _gif(frames: Sequence[Tensor], path: Path, fps: float) -> None:
    first, *others = [_bytes(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=round(1000 / fps), loop=0)


def _mp4(frames: Sequence[Tensor], path: Path, fps: float) -> None:
    import av

    height, width = frames[0].shape[2:]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=Fraction(fps).limit_denominator(1000), options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        for frame in frames:
            even = F.pad(frame, (0, width % 2, 0, height % 2), mode="replicate")  # as the pixel format wants
            container.mux(stream.encode(av.VideoFrame.from_image(_bytes(even))))
        container.mux(stream.encode())
