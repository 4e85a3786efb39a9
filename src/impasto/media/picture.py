"""Reading and writing pictures: any common file in, sRGB tensors out, and back.

TIFF is read by tifffile, JPEG XL and what has 16 bits by imagecodecs (Pillow would keep 8 of them, and of JPEG 2000
turn white to black), all else by Pillow, to which pi-heif adds HEIC, and pillow-jxl-plugin the profiles of JPEG XL.
Colour profiles go through Little CMS in imagecodecs, because Pillow's binding of it has no 16-bit RGB.
"""

import io
import logging
import math
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pi_heif
import pillow_jxl  # noqa: F401  # teaches Pillow to read JPEG XL
import tifffile
import torch
import torch.nn.functional as F
from PIL import Image, ImageFile
from torch import Tensor

from impasto.errors import ImpastoWarning, PictureError, warn
from impasto.files import absent, check_place, replacing, writing
from impasto.media import jxl
from impasto.media.formats import MAX_PIXELS, READ, what_it_is
from impasto.provenance import packet

SHOWN = 1024  # pixels: the long side of a picture in a notebook, which keeps in its own file what it shows
SHORTEST_SIDE = 16  # pixels; what is narrower has nothing to paint, and no style
PILLOW_READS = {  # by our names of the formats; Pillow also knows some that start other programs
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WebP": "WEBP",
    "GIF": "GIF",
    "BMP": "BMP",
    "AVIF": "AVIF",
    "HEIC": "HEIF",
    "JPEG XL": "JXL",
    "JPEG 2000": "JPEG2000",
    "PPM": "PPM",
    "TGA": "TGA",
}
SEVERAL = ("MPO", "HEIF")  # formats whose further pictures are previews, depth maps or a burst; phones write them
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WebP", ".tif": "TIFF", ".tiff": "TIFF"}
LONGEST_SIDE = {"JPEG": 65_500, "WebP": 16_383}  # pixels: libjpeg's limit, and 14 bits in the header
JPEG_XMP_BYTES = 65_504  # an APP1 segment less its length and the XMP name (XMP part 3)
ORIENTATION, XMP, ICC, DNG = 274, 700, 34_675, 50_706  # TIFF and Exif tags
SRGB = imagecodecs.cms_profile("srgb")
_LEVELS = np.linspace(0, 1, 4096, dtype=np.float32)
SRGB_CURVE = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
SDR_AS_SRGB, HDR = (1, 6, 13, 14, 15), (16, 18)  # transfer characteristics (ITU-T H.273): PQ and HLG are HDR
WIDE = {9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), 12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))}

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # or its warnings reach the user's screen
pi_heif.register_heif_opener()
_pillow_limit = threading.Lock()


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A picture in memory."""

    pixels: Tensor  # [1, 3, H, W] float32, sRGB in [0, 1]
    alpha: Tensor | None = None  # [1, 1, H, W] in [0, 1], not multiplied into the pixels
    recipe: dict[str, Any] | None = None  # what made it (provenance.make_recipe); None for what Impasto did not make
    dpi: float | None = None  # pixels per inch, for print; None where the file does not say

    def resized(self, height: int, width: int) -> "Picture":
        """Resampled with alpha multiplied in: what is transparent gives no colour to what is seen, at no size.

        Under what is fully transparent are then the colours of what is seen around it (`spread`).
        """
        if self.alpha is None or bool((self.alpha == 1).all()):
            pixels = resize(self.pixels, height, width)
            return replace(self, pixels=pixels, alpha=None if self.alpha is None else torch.ones_like(pixels[:, :1]))
        if self.pixels.shape[2:] == (height, width):
            return replace(self, pixels=spread(self.pixels, (self.alpha > 0).float()))
        channels = _resampled(torch.cat([self.pixels * self.alpha, self.alpha], 1), height, width)
        alpha = channels[:, 3:]
        pixels = channels[:, :3] / alpha.clamp_min(1e-6)
        sure = (16 * alpha - 0.03).clamp(0, 1)  # the filter has negative lobes: the quotient of two small sums is noise
        return replace(self, pixels=spread(pixels.clamp(0, 1), sure), alpha=alpha.clamp(0, 1))

    def fitted(self, long_side: int) -> "Picture":
        """Resampled so that its longer side has `long_side` pixels, as `fit` and `resized` do."""
        return self.resized(*_fitting(self.pixels, long_side))

    def on_white(self) -> Tensor:
        """Pixels [1, 3, H, W] of the picture laid on white."""
        return self.pixels if self.alpha is None else self.pixels * self.alpha + (1 - self.alpha)

    def _repr_png_(self) -> bytes:
        """The picture as a notebook shows it, which asks for it by this name: PNG, `SHOWN` pixels a side at most."""
        shown = self if max(self.pixels.shape[2:]) <= SHOWN else self.fitted(SHOWN)
        return _encode(shown, "PNG", 8, b"")

    def __repr__(self) -> str:
        height, width = self.pixels.shape[2:]
        return f"<Picture of {width} x {height} pixels{'' if self.alpha is None else ' with alpha'}>"

    def save(
        self, path: str | os.PathLike[str], *, bits: int = 8, metadata: bool = True, label_cn: bool = False
    ) -> None:
        """Write the picture in the format that the extension names. The same picture gives the same bytes.

        JPEG (quality 95, 4:4:4) has no alpha: the picture is laid on white. The file appears whole or not at all.

        Args:
            bits: per channel; 16 for PNG and TIFF only.
            metadata: carry the recipe and the AI-content labels, if there is a recipe.
            label_cn: carry the label of GB 45438-2025 as well.

        Raises:
            PictureError: the format cannot hold it.
            OutputError: the file cannot be written there.

        Examples:
            >>> impasto.read("photo.jpg").fitted(64).save("small.png", bits=16)
        """
        path = Path(path)
        check_writable(path, bits=bits, long_side=max(self.pixels.shape[-2:]))
        xmp = packet(self.recipe, label_cn=label_cn) if metadata and self.recipe is not None else b""
        data = _encode(self, FORMATS[path.suffix.lower()], bits, xmp)
        with writing(path), replacing(path) as part:
            part.write_bytes(data)


PictureLike = str | os.PathLike[str] | Picture


def read(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture: upright (Exif orientation), in sRGB (profile or gamma converted), with alpha and all its bits.

    JPEG, PNG, WebP, TIFF (first page), GIF, BMP, AVIF, HEIC, JPEG XL, JPEG 2000, PPM and TGA; grey, RGB, CMYK or
    palette; 8 or 16 bits per channel.

    Args:
        max_pixels: larger pictures are refused by their header, before anything is decoded.

    Raises:
        PictureError: no such file, not a picture, damaged, animated, too large.

    Examples:
        >>> picture = impasto.read("photo.jpg")
        >>> picture.pixels.shape
        torch.Size([1, 3, 64, 96])
    """
    path = Path(path)
    with _reading(path):
        kind = _kind(path)
        decoded = _decode_tiff(path, max_pixels) if kind == "TIFF" else _decode(path, kind, max_pixels)
        pixels = _to_tensor(_orient(_to_srgb(decoded.colour, decoded.icc, decoded.gamma), decoded.orientation))
        alpha = None if decoded.alpha is None else _to_tensor(_orient(_to_unit(decoded.alpha), decoded.orientation))
        return Picture(pixels, alpha, dpi=decoded.dpi)


def opened(given: PictureLike, max_pixels: int = MAX_PIXELS) -> Picture:
    """A picture that is given as such, or as a path to `read`."""
    return given if isinstance(given, Picture) else read(given, max_pixels)


def read_xmp(path: str | os.PathLike[str]) -> bytes:
    """Read the XMP packet of a picture file, without decoding the picture; empty if there is none.

    Raises:
        PictureError: no such file, or not a picture.
    """
    path = Path(path)
    with _reading(path):
        kind = _kind(path)
        if kind == "TIFF":
            with tifffile.TiffFile(path) as file:
                xmp = file.pages.first.tags.valueof(XMP)
        else:
            with _pillow_unlimited(), Image.open(path, formats=[PILLOW_READS[kind]]) as image:
                xmp = image.info.get("xmp")
    return xmp if isinstance(xmp, bytes) else b""


def check_writable(path: str | os.PathLike[str], *, bits: int = 8, long_side: int = 1) -> None:
    """Say at the start of a long run whether its picture can be written at the end.

    Args:
        bits: per channel.
        long_side: of the picture, pixels.

    Raises:
        PictureError: unknown extension, a format without 16 bits or of shorter sides.
        OutputError: a missing or locked place.
    """
    path = Path(path)
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise PictureError(f"{path}: the extension must be one of {', '.join(FORMATS)}")
    if bits not in (8, 16):
        raise PictureError(f"{path}: a picture has 8 or 16 bits per channel, not {bits}")
    if bits == 16 and file_format not in ("PNG", "TIFF"):
        raise PictureError(f"{path}: {file_format} has 8 bits per channel; use .png or .tif for 16")
    limit = LONGEST_SIDE.get(file_format, long_side)
    if long_side > limit:
        raise PictureError(f"{path}: {file_format} ends at {limit} pixels a side, not {long_side}; use .png or .tif")
    check_place(path)


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resample [N, C, H, W] in [0, 1] to [N, C, height, width] in [0, 1]: bicubic, anti-aliased."""
    if pixels.shape[-2:] == (height, width):
        return pixels
    return _resampled(pixels, height, width).clamp(0, 1)


def fit(pixels: Tensor, long_side: int) -> Tensor:
    """Resample [N, C, H, W] in [0, 1] so that its longer side has `long_side` pixels, the other at least one."""
    return resize(pixels, *_fitting(pixels, long_side))


def spread(pixels: Tensor, weight: Tensor) -> Tensor:
    """`pixels` [1, 3, H, W] where `weight` [1, 1, H, W] in [0, 1] is 1, and where it is 0 what is around them.

    Means of 2x2 pixels by weight, and of those again, until no gap is left; then back, each size filling the gaps of
    the next (pull-push, Gortler et al. 1996, "The Lumigraph", section 3.4). Pixels of no weight change nothing.
    """
    if bool((weight == 1).all()) or weight.numel() == 1:
        return pixels
    sums = F.avg_pool2d(torch.cat([pixels * weight, weight], 1), 2, ceil_mode=True)
    colours, weights = sums[:, :-1], sums[:, -1:]
    around = spread(colours / weights.clamp_min(1e-9), (4 * weights).clamp(max=1))
    return torch.lerp(F.interpolate(around, pixels.shape[2:], mode="bilinear"), pixels, weight)


def to_integers(channels: Tensor, bits: int = 8) -> np.ndarray:
    """[1, C, H, W] in [0, 1] to [H, W, C] uint8 or uint16, rounded to the nearest."""
    samples = channels.detach().float().clamp(0, 1).mul(2**bits - 1).round()[0].permute(1, 2, 0)
    return np.ascontiguousarray(samples.cpu().numpy().astype(np.uint8 if bits == 8 else np.uint16))


def _resampled(pixels: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(pixels, (height, width), mode="bicubic", antialias=True)


def _fitting(pixels: Tensor, long_side: int) -> tuple[int, int]:
    """Height and width of [N, C, H, W] at another long side."""
    height, width = pixels.shape[-2:]
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


class _Decoded(NamedTuple):
    """A picture as its file holds it: samples are uint8 or uint16 over their full range."""

    colour: np.ndarray  # [H, W, 1] grey, [H, W, 3] RGB or [H, W, 4] CMYK (0 is no ink)
    alpha: np.ndarray | None  # [H, W, 1]
    icc: bytes | None
    orientation: int  # Exif: 1 to 8
    gamma: float | None = None  # exponent from light to samples (PNG), where no profile says more
    dpi: float | None = None


def _decode(path: Path, kind: str, max_pixels: int) -> _Decoded:
    if kind == "JPEG XL":  # which the plugin decodes when it is opened
        header = jxl.header(path)
        _check_still(path, header.animated)
        _check_size(path, header.width, header.height, max_pixels)
    with _pillow_unlimited(), Image.open(path, formats=[PILLOW_READS[kind]]) as image:
        _check_still(path, getattr(image, "is_animated", False) and image.format not in SEVERAL)
        _check_size(path, image.width, image.height, max_pixels)
        icc = _hdr_refused(path, image.info.get("icc_profile") or _coded_profile(path, kind))
        turned = kind == "JPEG XL" and header.orientation > 1  # by its decoder
        samples = _samples(image, path, kind)
        samples = samples.reshape(*samples.shape[:2], -1)
        has_alpha = samples.shape[-1] in (2, 4) and image.mode != "CMYK"
        alpha = samples[..., -1:] if has_alpha else None
        if kind == "TGA" and alpha is not None and not (_at(path, 17, 1)[0] & 15 and alpha.any()):
            alpha = None  # a fourth byte that means nothing: many programs write it so
        return _Decoded(
            colour=samples[..., :-1] if has_alpha else samples,
            alpha=alpha,
            icc=icc,
            orientation=1 if turned else _exif_orientation(image),
            gamma=None if "srgb" in image.info else image.info.get("gamma"),
            dpi=_dpi(image.info.get("dpi", (0, 0))[0]),
        )


def _samples(image: ImageFile.ImageFile, path: Path, kind: str) -> np.ndarray:
    """[H, W] or [H, W, C] uint8 or uint16 over their full range."""
    if kind == "PNG":
        data = _checked_png(path)
        if ";16" in str(image.tile):  # what Pillow would unpack it from
            return imagecodecs.png_decode(data)
    if kind == "JPEG XL":
        samples = imagecodecs.jpegxl_decode(path.read_bytes())
        if samples.dtype.kind == "f":
            samples = np.round(samples.astype(np.float32).clip(0, 1) * 65535).astype(np.uint16)
        return samples
    if kind == "JPEG 2000":
        data = path.read_bytes()
        bits = 1 + (data[data.index(b"\xff\x4f\xff\x51") + 42] & 127)  # of the first channel (ISO 15444-1, A.5.1)
        if bits > 8:
            samples = imagecodecs.jpeg2k_decode(data)
            return np.round(samples * np.float32(65535 / (2**bits - 1))).astype(np.uint16)
    return _plain(_loaded(image, path), path)


def _at(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)


def _check_still(path: Path, animated: bool) -> None:
    if animated:
        raise PictureError(f"{path} is animated; save one frame of it as a picture, and use that")


def _coded_profile(path: Path, kind: str) -> bytes | None:
    """A profile for the colours that a file names by numbers (ITU-T H.273): AVIF, HEIC and PNG can. None for sRGB.

    Raises:
        PictureError: it is HDR.
    """
    mark = {"AVIF": b"colrnclx", "HEIC": b"colrnclx", "PNG": b"cICP"}.get(kind)
    if mark is None:
        return None
    before, found, numbers = _at(path, 0, 65536).partition(mark)
    if not found or (kind == "PNG" and b"IDAT" in before):
        return None
    primaries, transfer = struct.unpack_from(">BB" if kind == "PNG" else ">HH", numbers)
    if transfer in HDR:
        raise _hdr(path)
    if primaries not in WIDE or transfer not in SDR_AS_SRGB:
        return None
    return imagecodecs.cms_profile(
        "rgb",
        whitepoint=(0.3127, 0.3290, 1.0),
        primaries=[number for corner in WIDE[primaries] for number in (*corner, 1.0)],
        transferfunction=SRGB_CURVE,
    )


def _hdr_refused(path: Path, icc: bytes | None) -> bytes | None:
    """`icc`, unless it says that the picture is HDR in its tag "cicp" (ICC.1:2022, 9.2.17), as JPEG XL's do."""
    at = (icc or b"").find(b"cicp", 128)
    if icc and at >= 0:
        data = int.from_bytes(icc[at + 4 : at + 8])
        if icc[data : data + 4] == b"cicp" and icc[data + 9] in HDR:
            raise _hdr(path)
    return icc


def _hdr(path: Path) -> PictureError:
    return PictureError(f"{path} is an HDR picture; save it as SDR, in sRGB")


def _checked_png(path: Path) -> bytes:
    """The bytes of a PNG file, after a look at every checksum: Pillow skips those of the pixels.

    Raises:
        ValueError: one is wrong, or the file is cut off before its end.
    """
    data, at, name = path.read_bytes(), 8, b""
    while at < len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if zlib.crc32(memoryview(data)[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ValueError(f"the checksum of {name!r} is wrong")
        at = end + 4
    if name != b"IEND":
        warn(f"{path} lacks its last bytes; nothing of the picture is missing")
        data += b"\0\0\0\0IEND\xaeB`\x82"
    return data


def _loaded(image: Image.Image, path: Path) -> Image.Image:
    """The picture, decoded. A JPEG that lacks but the mark of its end is read, with a warning.

    What else is missing libjpeg would fill with grey. Whether something is shows when more data are put there: they
    change the picture, or come after its end.
    """
    try:
        image.load()
        return image
    except OSError:
        if image.format != "JPEG":
            raise
        data, end = path.read_bytes().removesuffix(b"\xff"), b"\xff\xd9"
        ended, longer = (Image.open(io.BytesIO(data + more + end)) for more in (b"", b"\x55" * 64))
        if not np.array_equal(np.asarray(ended), np.asarray(longer)):
            raise
        warn(f"{path} lacks its last bytes; nothing of the picture is missing")
        return ended


def _plain(image: Image.Image, path: Path) -> np.ndarray:
    """Samples that are plainly grey, RGB or CMYK: no palettes, no one transparent colour, no single bits."""
    if image.mode == "F":
        raise PictureError(f"{path} holds floating-point numbers; save it with 8 or 16 bits per channel")
    if image.mode.startswith("I"):  # grey of 16 bits
        return np.asarray(image).astype(np.uint16)
    if image.has_transparency_data and image.mode not in ("LA", "RGBA"):
        image = image.convert("RGBA")
    return np.asarray(image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else image.convert("RGB"))


def _dpi(value: Any) -> float | None:
    """Pixels per inch as the file has it; None where that is none."""
    return float(value) if math.isfinite(value) and value > 1 else None  # 1: some programs' "unknown"


def _exif_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow raises many kinds on broken Exif, which is no reason to refuse a sound picture
        return 1


def _decode_tiff(path: Path, max_pixels: int) -> _Decoded:
    colours = {"MINISWHITE": 1, "MINISBLACK": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "SEPARATED": 4}
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages.first  # further pages are previews, or other pictures
        # A tile larger than the picture is decoded whole, so it counts. A broken size, a tuple, fails here.
        width, height = int(max(page.imagewidth, page.tilewidth)), int(max(page.imagelength, page.tilelength))
        _check_size(path, width, height, max_pixels)
        kind = getattr(page.photometric, "name", "unknown")
        if DNG in page.tags or (page.is_reduced and page.subifds):  # a preview, with the picture behind it
            raise PictureError(f"{path} is a camera's raw picture, which is not read here; save it as one of {READ}")
        if (
            kind not in colours
            or page.dtype not in (np.bool_, np.uint8, np.uint16)
            or (kind == "YCBCR" and page.compression != tifffile.COMPRESSION.JPEG)  # the JPEG decoder gives RGB
            or page.samplesperpixel > 8  # colour, alpha and a few masks; more is a measurement, or a bomb
            or page.imagedepth > 1
        ):
            what = f"{page.samplesperpixel} {kind} samples of type {page.dtype} per pixel, depth {page.imagedepth}"
            raise PictureError(f"{path} holds {what}; save it as a flat RGB picture with 8 or 16 bits")
        # tifffile takes a missing tag for its default and missing data for zeros: a truncated file would pass.
        missing_depth = page.dtype == np.bool_ and colours[kind] > 1
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if missing_depth or max(ends) > path.stat().st_size:
            raise ValueError("truncated")

        samples = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, -1)
        samples = samples.reshape(page.imagelength, page.imagewidth, -1)
        if kind == "PALETTE":
            palette = (page.colormap >> 8).astype(np.uint8)  # written as 256 or 257 times the 8-bit value
            return _Decoded(np.moveaxis(palette[:, samples[..., 0]], 0, -1), None, *_tiff_tags(page))
        top = 2**page.bitspersample - 1
        if top not in (255, 65535):  # 1, 4, 12 bits
            samples = np.round(samples * np.float32(65535 / top)).astype(np.uint16)
            top = 65535
        colour, extra = np.split(samples, [colours[kind]], axis=-1)
        if kind == "MINISWHITE":
            colour = top - colour
        alpha = None
        for index, meaning in enumerate(page.extrasamples):
            if meaning in (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA):
                alpha = extra[..., index : index + 1]
                if meaning == tifffile.EXTRASAMPLE.ASSOCALPHA:  # multiplied into the colour
                    colour = np.round(np.minimum(colour / np.maximum(alpha, 1) * top, top)).astype(colour.dtype)
                break
        return _Decoded(colour, alpha, *_tiff_tags(page))


def _tiff_tags(page: Any) -> tuple[bytes | None, int, None, float | None]:
    """ICC profile, orientation, no gamma, dpi."""
    dots = page.get_resolution("INCH")[0] if page.resolutionunit != tifffile.RESUNIT.NONE else 0
    return page.tags.valueof(ICC), page.tags.valueof(ORIENTATION, default=1), None, _dpi(dots)


def _to_srgb(colour: np.ndarray, icc: bytes | None, gamma: float | None = None) -> np.ndarray:
    """Convert [H, W, 1, 3 or 4] integers to [H, W, 3] sRGB in [0, 1]; a broken or unfit profile is ignored.

    A gamma is taken as screens of 2.2 do (PNG 3rd edition, 13.13), so that the usual 1/2.2 changes nothing.
    """
    channels = colour.shape[-1]
    if icc:
        space = {1: "gray", 3: "rgb", 4: "cmyk"}[channels]
        samples = np.ascontiguousarray(colour[..., 0] if channels == 1 else colour)
        try:
            return _to_unit(
                imagecodecs.cms_transform(samples, icc, SRGB, colorspace=space, outcolorspace="rgb", outdtype="uint16")
            )
        except imagecodecs.CmsError:
            pass
    unit = _to_unit(colour)
    if not icc and gamma and 0.1 < gamma < 10 and abs(gamma * 2.2 - 1) > 0.01:
        unit = unit ** np.float32(1 / (2.2 * gamma))
    if channels == 4:
        return (1 - unit[..., :3]) * (1 - unit[..., 3:])
    return unit if channels == 3 else np.repeat(unit, 3, axis=-1)


def _to_unit(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)


def _orient(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Turn [H, W, C] upright (Exif 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _to_tensor(samples: np.ndarray) -> Tensor:
    """[H, W, C] to [1, C, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1)[None]))


def _kind(path: Path) -> str:
    """The format of a picture that can be read.

    Raises:
        PictureError: it is none; the message says what it is.
    """
    if path.exists() and not path.is_file():
        raise PictureError(f"{path} is {_what_it_is(path)}, not a picture file")
    kind = what_it_is(path)
    if kind == "TIFF" or kind in PILLOW_READS:
        return kind
    if path.stat().st_size == 0:
        raise PictureError(f"{path} is empty; was it copied or downloaded in full?")
    if kind:
        raise PictureError(f"{path} is {kind}, which is not read here; save it as one of {READ}")
    raise PictureError(f"{path} is not a picture of a known kind ({READ})")


def _what_it_is(path: Path) -> str:
    return "a directory" if path.is_dir() else "a device"


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height == 0:
        raise PictureError(f"{path} has no pixels ({width} × {height})")
    if width * height > max_pixels:
        raise PictureError(
            f"{path} has {width} × {height} pixels, more than the limit of {max_pixels}; "
            f"if you trust it, raise the limit: --max-pixels {width * height}"
        )


@contextmanager
def _pillow_unlimited() -> Iterator[None]:
    """Lift Pillow's own limit, which is one number for the whole process, so that `max_pixels` may be above it."""
    with _pillow_limit, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of small faults in metadata
        warnings.simplefilter("default", ImpastoWarning)
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say in one line what keeps a file from being read."""
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(absent(path)) from error
    except MemoryError as error:
        raise PictureError(f"{path} does not fit into memory; make a smaller copy of it first") from error
    except Exception as error:  # on damaged files the decoders raise nearly every kind there is
        why = getattr(error, "strerror", None)  # set where the system refused, not the decoder
        why = why or "it is damaged"
        raise PictureError(f"{path} cannot be read: {why}") from error


def _encode(picture: Picture, file_format: str, bits: int, xmp: bytes) -> bytes:
    """Give the bytes of the file."""
    pixels, alpha = picture.pixels, picture.alpha
    if file_format == "JPEG":
        pixels, alpha = picture.on_white(), None
    samples = to_integers(pixels if alpha is None else torch.cat([pixels, alpha], dim=1), bits)
    file = io.BytesIO()
    if file_format == "PNG":
        # Level 3 takes a third of the time of the usual 6, for files 7 % larger (photograph of 1024 × 768).
        return _add_png_chunks(bytes(imagecodecs.png_encode(samples, level=3)), xmp, picture.dpi)
    if file_format == "TIFF":
        tifffile.imwrite(
            file,
            samples,
            byteorder="<",
            photometric="rgb",
            extrasamples=None if alpha is None else ["unassalpha"],
            compression="adobe_deflate",
            predictor=True,
            metadata=None,  # tifffile's own description
            software=False,
            resolution=None if picture.dpi is None else (picture.dpi, picture.dpi),
            resolutionunit=None if picture.dpi is None else "INCH",
            extratags=[(XMP, "B", len(xmp), xmp, True)] if xmp else [],
        )
    elif file_format == "JPEG":
        if len(xmp) > JPEG_XMP_BYTES:
            raise PictureError("the recipe is too long for a JPEG; use .png or .tif, or leave the metadata out")
        dots = {} if picture.dpi is None else {"dpi": (round(picture.dpi), round(picture.dpi))}
        Image.fromarray(samples).save(file, "JPEG", quality=95, subsampling="4:4:4", xmp=xmp, **dots)
    else:
        Image.fromarray(samples).save(file, "WebP", quality=95, xmp=xmp)
    return file.getvalue()


def _add_png_chunks(png: bytes, xmp: bytes, dpi: float | None) -> bytes:
    """Put metadata behind IHDR, where readers look (XMP part 3, PNG 3rd edition 11.3.3.4 and 11.3.4.3)."""
    chunks = b""
    if dpi is not None:
        chunks += _png_chunk(b"pHYs", struct.pack(">IIB", *[round(dpi / 0.0254)] * 2, 1))  # pixels per metre
    if xmp:
        chunks += _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)  # not compressed, no language
    return png[:33] + chunks + png[33:]  # 8 bytes of signature, 25 of IHDR


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
