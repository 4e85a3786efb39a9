"""Between the pixel formats of codecs and tensors: matrix and range as tagged (ITU-T H.273, section 8.3).

libswscale only unpacks, resizes and brings chroma to full size. The matrix is ours, in floating point: libswscale's own
makes the white of 10-bit clips 4/1023 too dark.
"""

import numpy as np
import torch
from av import VideoFrame
from av.video.reformatter import Interpolation
from torch import Tensor

from impasto.errors import ClipError
from impasto.media.clip import hdr
from impasto.media.clip.info import Info
from impasto.media.picture import Picture

SCALER = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
WEIGHTS = {  # of red and blue in luma, by the code point of the matrix
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601
    6: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
YCGCO, DERIVED = 8, 12  # the latter follows from the primaries
UNREAD = {  # matrices that are none, or that belong to decoders of their own
    10: "bt2020c (constant luminance)",
    11: "SMPTE 2085",
    13: "chroma-derived-c (constant luminance)",
    14: "ICtCp",
    15: "IPT-C2 (Dolby Vision)",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
HD_HEIGHT = 720  # pixels: from here on an untagged clip is taken for BT.709, below for BT.601
LIMITED, FULL = 1, 2  # AVColorRange


def is_yuv(frame: VideoFrame) -> bool:
    """Whether the frame is of luma and chroma, and has a matrix."""
    return len(frame.format.components) >= 3 and not frame.format.is_rgb


def has_alpha(frame: VideoFrame) -> bool:
    """Whether the frame has an alpha channel, or a palette, which may have one."""
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


def matrix_of(frame: VideoFrame) -> int:
    """The matrix to read a frame with, as tagged or, if it is not, as its height says.

    Raises:
        ClipError: its colours are coded in a way that is not read.
    """
    if not is_yuv(frame):
        return 1
    if frame.colorspace in UNREAD:
        raise ClipError(
            f"its colours are coded as {UNREAD[frame.colorspace]}, which is not read; convert it to BT.709 first, "
            "for example with FFmpeg's filter libplacebo=colorspace=bt709"
        )
    if frame.colorspace in WEIGHTS or frame.colorspace in (YCGCO, DERIVED):
        return frame.colorspace
    return 1 if frame.height >= HD_HEIGHT else 6


def to_tensors(frame: VideoFrame, info: Info, width: int, height: int) -> tuple[Tensor, Tensor | None]:
    """Give pixels [1, 3, height, width] and alpha [1, 1, height, width] of a decoded frame."""
    if has_alpha(frame) and (frame.width, frame.height) != (width, height):  # libswscale does not multiply alpha in
        shown = Picture(*to_tensors(frame, info, frame.width, frame.height)).resized(height, width)
        return shown.pixels, shown.alpha
    bits = frame.format.components[0].bits
    if is_yuv(frame):
        channels = _samples(frame, width, height, "yuva444p16le" if has_alpha(frame) else "yuv444p16le", info)
        pixels = _rgb(channels[:, :3], info, bits)
        alpha = channels[:, 3:] / _top(bits)
    else:
        deep = "rgba64le" if has_alpha(frame) else "rgb48le"
        plain = "rgba" if has_alpha(frame) else "rgb24"
        channels = _samples(frame, width, height, deep if bits > 8 else plain, info)
        channels /= 65535 if bits > 8 else 255
        pixels, alpha = channels[:, :3], channels[:, 3:]
    return pixels, alpha.clamp(0, 1) if has_alpha(frame) else None


def to_frame(channels: Tensor, pixel_format: str, info: Info) -> VideoFrame:
    """Convert [1, C, H, W] in [0, 1], RGB or RGBA as the pixel format needs, and tag it."""
    channels = channels.detach().float().cpu().clamp(0, 1)
    if not pixel_format.startswith("yuv"):
        return VideoFrame.from_ndarray(_packed(channels * 255, np.uint8), format=pixel_format)
    bits = 10 if "10" in pixel_format else 8
    codes = torch.cat([_yuv(channels[:, :3], info, bits), channels[:, 3:] * _top(bits)], 1)
    same = FULL if info.full_range else LIMITED
    full_size = "yuva444p16le" if channels.shape[1] == 4 else "yuv444p16le"
    frame = VideoFrame.from_ndarray(_packed(codes, np.uint16), format=full_size).reformat(
        format=pixel_format, src_color_range=same, dst_color_range=same, interpolation=SCALER
    )
    frame.colorspace, frame.color_range = info.matrix, same
    frame.color_primaries, frame.color_trc = info.primaries, info.transfer
    return frame


def _samples(frame: VideoFrame, width: int, height: int, layout: str, info: Info) -> Tensor:
    """Samples as they are, [1, C, height, width] float32."""
    source = FULL if info.full_range or frame.format.is_rgb else LIMITED
    target = source if layout.startswith("yuv") else FULL
    frame.colorspace = 2  # libswscale refuses tags that it does not know, though it has nothing to do with them here
    unpacked = frame.reformat(
        width, height, layout, src_color_range=source, dst_color_range=target, interpolation=SCALER
    )
    return torch.from_numpy(unpacked.to_ndarray().astype(np.float32)).permute(2, 0, 1)[None].contiguous()


def _packed(channels: Tensor, kind: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    samples = channels.round().clamp(0, np.iinfo(kind).max)[0].permute(1, 2, 0)
    return np.ascontiguousarray(samples.numpy().astype(kind))


def _top(bits: int) -> int:
    """The largest code of so many bits, in the upper bits of 16, where libswscale puts them."""
    return (2**bits - 1) << (16 - bits)


def _rgb(codes: Tensor, info: Info, bits: int) -> Tensor:
    """Y, Cb, Cr in the upper bits of 16, [1, 3, H, W], to RGB in [0, 1]."""
    offset, scale = _range(info, bits)
    matrix = torch.linalg.inv(_matrix(info))
    return torch.einsum("ij,njhw->nihw", matrix, (codes - offset) / scale).clamp(0, 1)


def _yuv(pixels: Tensor, info: Info, bits: int) -> Tensor:
    """The inverse of `_rgb`, with codes rounded to so many bits."""
    offset, scale = _range(info, bits)
    step = 1 << (16 - bits)
    codes = torch.einsum("ij,njhw->nihw", _matrix(info), pixels) * scale + offset
    return (codes / step).round().clamp(0, 2**bits - 1) * step


def _range(info: Info, bits: int) -> tuple[Tensor, Tensor]:
    """Where Y, Cb and Cr have their zero and how far apart 0 and 1 are, [3, 1, 1] each."""
    zero = (0, 128, 128) if info.full_range else (16, 128, 128)
    one = (_top(bits),) * 3 if info.full_range else (219 * 256, 224 * 256, 224 * 256)
    return 256.0 * torch.tensor(zero)[:, None, None], torch.tensor(one, dtype=torch.float32)[:, None, None]


def _matrix(info: Info) -> Tensor:
    """RGB to Y in [0, 1], Cb and Cr in [-0.5, 0.5], [3, 3]."""
    if info.matrix == YCGCO:
        return torch.tensor([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    if info.matrix == DERIVED:
        known = info.primaries if info.primaries in hdr.PRIMARIES else hdr.BT709
        red, _, blue = hdr.to_xyz(known)[1].tolist()  # what each adds to the luminance
    else:
        red, blue = WEIGHTS[info.matrix]
    luma = torch.tensor([red, 1 - red - blue, blue])
    chroma_blue = (torch.tensor([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    chroma_red = (torch.tensor([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    return torch.stack([luma, chroma_blue, chroma_red])
