"""Pictures: read from files made here by other hands (struct, Pillow, tifffile), written, and read back."""

import errno
import io
import logging
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, JpegImagePlugin

from impasto.errors import ImpastoWarning, OutputError, PictureError
from impasto.media import jxl, picture
from impasto.media.picture import Picture, check_writable, fit, read, resize

RANDOM = np.random.default_rng(0)
RGB8 = RANDOM.integers(0, 256, (12, 20, 3), dtype=np.uint8)
RGBA8 = RANDOM.integers(0, 256, (12, 20, 4), dtype=np.uint8)
RGB16 = RANDOM.integers(0, 65536, (12, 20, 3), dtype=np.uint16)
RGBA16 = RANDOM.integers(0, 65536, (12, 20, 4), dtype=np.uint16)
SMOOTH8 = np.stack([*np.meshgrid(np.linspace(0, 255, 40), np.linspace(0, 255, 24)), np.full((24, 40), 99.0)], -1)
SMOOTH8 = SMOOTH8.round().astype(np.uint8)
LOSSLESS = [".png", ".tif"]
WRITABLE = [".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"]
pillow_heif.register_heif_opener()  # which writes, too


def pillow_bytes(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def tiff_bytes(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16_bytes(samples: np.ndarray, extra: bytes = b"") -> bytes:
    """A 16-bit PNG from [H, W, 1 to 4], by the specification: every row is filter 0 and big-endian samples."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


def exif_bytes(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


def profile_bytes(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile (ICC.1:2001-04, clauses 6.1 and 6.2)."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, b"prtr", space, connection)
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    header += struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)  # the D50 white
    return header.ljust(128, b"\0") + table + body


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """An sRGB whose red and green primaries have changed places."""
    return srgb_profile().replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)


def inks_profile() -> bytes:
    """A press whose inks are all the same neutral grey: each one takes a quarter of the lightness."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).sum(0)
    lab = np.stack([255 - 255 * inks / 4, np.full(16, 128), np.full(16, 128)], -1).round().astype(np.uint8)
    ramp = bytes(range(256))
    lut = b"mft1" + struct.pack(">4xBBBx9i", 4, 3, 2, 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    return profile_bytes(b"CMYK", b"Lab ", {b"A2B0": lut + ramp * 4 + lab.tobytes() + ramp * 3})


def linear_grey_profile() -> bytes:
    white = b"XYZ " + struct.pack(">4x3i", 0xF6D6, 0x10000, 0xD32D)
    return profile_bytes(b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": b"curv" + struct.pack(">4xI", 0)})


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def put(data: bytes, name: str = "picture") -> Path:
        path = tmp_path / name  # no extension: what a file is, its bytes say
        path.write_bytes(data)
        return path

    return put


def pixels_of(path: Path) -> np.ndarray:
    """[H, W, 3]"""
    pixels = read(path).pixels
    assert pixels.dtype == torch.float32
    assert pixels.shape[:2] == (1, 3)
    return pixels[0].permute(1, 2, 0).numpy()


def alpha_of(path: Path) -> np.ndarray:
    """[H, W]"""
    alpha = read(path).alpha
    assert alpha is not None
    assert alpha.dtype == torch.float32
    return alpha[0, 0].numpy()


def as_picture(samples: np.ndarray) -> Picture:
    """[H, W, 3 or 4] integers to a picture."""
    unit = torch.from_numpy(samples / np.iinfo(samples.dtype).max).float().permute(2, 0, 1)[None]
    return Picture(unit[:, :3], unit[:, 3:] if samples.shape[-1] == 4 else None)


# What a picture file may be


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_eight_bits_are_read_exactly(put: Callable[..., Path], file_format: str) -> None:
    path = put(pillow_bytes(Image.fromarray(RGB8), file_format))
    np.testing.assert_array_equal(pixels_of(path), RGB8.astype(np.float32) / 255)
    assert read(path).alpha is None
    assert read(path).recipe is None


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_lossy_pictures_are_read_nearly(put: Callable[..., Path], file_format: str) -> None:
    path = put(pillow_bytes(Image.fromarray(SMOOTH8), file_format, quality=95))
    assert np.abs(pixels_of(path) - SMOOTH8 / 255).mean() < 0.01


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_of_a_png_are_all_kept(put: Callable[..., Path], channels: int) -> None:
    path = put(png16_bytes(RGBA16[..., :channels]))
    truth = RGBA16[..., :channels].astype(np.float32) / np.float32(65535)
    colours = channels - 1 + channels % 2
    np.testing.assert_array_equal(pixels_of(path), np.broadcast_to(truth[..., :colours], (12, 20, 3)))
    if channels % 2 == 0:
        np.testing.assert_array_equal(alpha_of(path), truth[..., -1])
    else:
        assert read(path).alpha is None


def test_the_transparent_colour_of_a_16_bit_png_is_transparent(put: Callable[..., Path]) -> None:
    key = chunk(b"tRNS", struct.pack(">3H", *(int(value) for value in RGB16[3, 4])))
    alpha = alpha_of(put(png16_bytes(RGB16, key)))
    assert alpha[3, 4] == 0
    assert alpha.sum() == alpha.size - 1


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb"},
        {"photometric": "rgb", "byteorder": ">"},
        {"photometric": "rgb", "bigtiff": True},
        {"photometric": "rgb", "compression": "lzw", "predictor": True},
        {"photometric": "rgb", "compression": "adobe_deflate", "rowsperstrip": 5},
        {"photometric": "rgb", "tile": (16, 16)},
    ],
    ids=str,
)
def test_sixteen_bits_of_a_tiff_are_all_kept(put: Callable[..., Path], options: dict[str, Any]) -> None:
    path = put(tiff_bytes(RGB16, **options))
    np.testing.assert_array_equal(pixels_of(path), RGB16.astype(np.float32) / np.float32(65535))


@pytest.mark.parametrize("samples", [RGB8, RGB16], ids=["8 bits", "16 bits"])
def test_tiff_planes_may_lie_apart(put: Callable[..., Path], samples: np.ndarray) -> None:
    path = put(tiff_bytes(np.moveaxis(samples, -1, 0), photometric="rgb", planarconfig="separate"))
    np.testing.assert_array_equal(pixels_of(path), samples.astype(np.float32) / np.iinfo(samples.dtype).max)


@pytest.mark.parametrize("samples", [RGB8[..., 0], RGB16[..., 0]], ids=["8 bits", "16 bits"])
def test_white_may_be_zero_in_a_tiff(put: Callable[..., Path], samples: np.ndarray) -> None:
    top = np.iinfo(samples.dtype).max
    path = put(tiff_bytes(samples, photometric="miniswhite"))
    np.testing.assert_array_equal(pixels_of(path)[..., 1], (top - samples).astype(np.float32) / top)


def test_grey_tiff_with_alpha_keeps_both(put: Callable[..., Path]) -> None:
    path = put(
        tiff_bytes(RGBA16[..., :2], photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    )
    np.testing.assert_array_equal(pixels_of(path)[..., 2], RGBA16[..., 0].astype(np.float32) / 65535)
    np.testing.assert_array_equal(alpha_of(path), RGBA16[..., 1].astype(np.float32) / 65535)


def test_alpha_multiplied_into_a_tiff_is_divided_out(put: Callable[..., Path]) -> None:
    alpha = np.maximum(RGBA16[..., 3:], 20_000)
    multiplied = (RGBA16[..., :3] * (alpha / 65535)).round().astype(np.uint16)
    path = put(tiff_bytes(np.concatenate([multiplied, alpha], -1), photometric="rgb", extrasamples=["assocalpha"]))
    np.testing.assert_allclose(pixels_of(path), RGBA16[..., :3] / 65535, atol=3 / 65535)


def test_a_further_tiff_channel_that_is_not_alpha_is_left_out(put: Callable[..., Path]) -> None:
    path = put(tiff_bytes(RGBA8, photometric="rgb", extrasamples=["unspecified"]))
    np.testing.assert_array_equal(pixels_of(path), RGBA8[..., :3].astype(np.float32) / 255)
    assert read(path).alpha is None


def test_the_first_page_of_a_tiff_is_the_picture(put: Callable[..., Path]) -> None:
    first, second = Image.fromarray(RGB8), Image.new("RGB", (3, 3))
    assert pixels_of(put(pillow_bytes(first, "TIFF", save_all=True, append_images=[second]))).shape == RGB8.shape


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "jpeg"])
def test_tiff_compressions_are_read(put: Callable[..., Path], compression: str) -> None:
    path = put(pillow_bytes(Image.fromarray(SMOOTH8), "TIFF", compression=compression))
    assert np.abs(pixels_of(path) - SMOOTH8 / 255).max() < (0.05 if compression == "jpeg" else 1e-6)


def test_a_jpeg_in_a_tiff_is_rgb_after_decoding(put: Callable[..., Path]) -> None:
    image = Image.fromarray(SMOOTH8).convert("YCbCr")
    assert np.abs(pixels_of(put(pillow_bytes(image, "TIFF", compression="jpeg"))) - SMOOTH8 / 255).mean() < 0.02


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_palette_and_one_bit_are_the_colours_they_show(
    put: Callable[..., Path], mode: str, file_format: str
) -> None:
    image = Image.fromarray(SMOOTH8).convert(mode)
    truth = np.asarray(image.convert("RGB")).astype(np.float32) / 255
    np.testing.assert_array_equal(pixels_of(put(pillow_bytes(image, file_format))), truth)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept(put: Callable[..., Path], mode: str, file_format: str) -> None:
    image = Image.fromarray(RGBA8).convert(mode)
    path = put(pillow_bytes(image, file_format))
    np.testing.assert_array_equal(alpha_of(path), RGBA8[..., 3].astype(np.float32) / 255)
    truth = np.asarray(image.getchannel(0)).astype(np.float32) / 255
    np.testing.assert_array_equal(pixels_of(path)[..., 0], truth)


def test_alpha_of_a_webp_is_kept(put: Callable[..., Path]) -> None:
    path = put(pillow_bytes(Image.fromarray(RGBA8), "WEBP", lossless=True, exact=True))
    np.testing.assert_array_equal(alpha_of(path), RGBA8[..., 3].astype(np.float32) / 255)
    np.testing.assert_array_equal(pixels_of(path), RGBA8[..., :3].astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("file_format", "transparency"), [("PNG", 1), ("PNG", b"\xff\x00"), ("GIF", 1)], ids=["PNG", "PNG, a table", "GIF"]
)
def test_a_transparent_palette_entry_is_transparent(
    put: Callable[..., Path], file_format: str, transparency: int | bytes
) -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((2, 1), 1)
    path = put(pillow_bytes(image, file_format, transparency=transparency))
    assert alpha_of(path)[1, 2] == 0
    assert alpha_of(path).sum() == 7
    np.testing.assert_array_equal(pixels_of(path)[0, 0], np.array([10, 20, 30], np.float32) / 255)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_the_transparent_colour_of_a_png_is_transparent(put: Callable[..., Path], mode: str) -> None:
    image = Image.new(mode, (4, 2), "white")
    image.putpixel((2, 1), (0, 0, 0) if mode == "RGB" else 0)
    alpha = alpha_of(put(pillow_bytes(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)))
    assert alpha[1, 2] == 0
    assert alpha.sum() == 7


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_may_be_one_pixel_wide(put: Callable[..., Path], file_format: str, size: tuple[int, int]) -> None:
    path = put(pillow_bytes(Image.new("RGB", size, (255, 0, 0)), file_format))
    assert pixels_of(path).shape == (size[1], size[0], 3)
    assert pixels_of(path)[0, 0, 0] > 0.9


def test_a_phone_jpeg_with_a_preview_behind_it_is_one_picture(put: Callable[..., Path]) -> None:
    preview = Image.new("RGB", (4, 4))
    path = put(pillow_bytes(Image.fromarray(SMOOTH8), "MPO", save_all=True, append_images=[preview]))
    assert pixels_of(path).shape == SMOOTH8.shape


# Upright

# Exif 2.32, tag 0x0112: the visual sides on which the stored row 0 and the stored column 0 lie.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["PNG", "PNG of 16 bits", "JPEG", "WEBP", "TIFF", "TIFF of 16 bits"])
def test_the_exif_orientation_is_applied(put: Callable[..., Path], kind: str, orientation: int) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:8, :, 0] = 255  # row 0 is red
    stored[:, :8, 1] = 255  # column 0 is green
    stored[:8, :8, 2] = 255
    exif = exif_bytes(orientation)
    data = {
        "PNG": lambda: pillow_bytes(Image.fromarray(stored), "PNG", exif=exif),
        "PNG of 16 bits": lambda: png16_bytes(stored.astype(np.uint16) * 257, chunk(b"eXIf", exif[6:])),
        "JPEG": lambda: pillow_bytes(Image.fromarray(stored), "JPEG", exif=exif, subsampling=0),
        "WEBP": lambda: pillow_bytes(Image.fromarray(stored), "WEBP", exif=exif, lossless=True),
        "TIFF": lambda: pillow_bytes(Image.fromarray(stored), "TIFF", exif=exif),
        "TIFF of 16 bits": lambda: tiff_bytes(
            stored.astype(np.uint16) * 257, photometric="rgb", extratags=[(274, "H", 1, orientation, True)]
        ),
    }[kind]()
    upright = pixels_of(put(data))
    assert upright.shape == ((48, 32, 3) if orientation >= 5 else (32, 48, 3))
    sides = {"top": upright[2], "bottom": upright[-3], "left": upright[:, 2], "right": upright[:, -3]}
    row_side, column_side = SIDES[orientation]
    for name, side in sides.items():
        assert (side[..., 0].min() > 0.9) == (name == row_side)
        assert (side[..., 1].min() > 0.9) == (name == column_side)


def test_alpha_turns_with_its_picture(put: Callable[..., Path]) -> None:
    path = put(pillow_bytes(Image.fromarray(RGBA8), "PNG", exif=exif_bytes(6)))
    np.testing.assert_array_equal(alpha_of(path), np.rot90(RGBA8[..., 3], -1).astype(np.float32) / 255)


@pytest.mark.parametrize("exif", [exif_bytes(9), exif_bytes(0), b"Exif\0\0II*\0\xff\xff\xff\xff", b"nonsense"])
def test_nonsense_in_exif_changes_nothing(put: Callable[..., Path], exif: bytes) -> None:
    path = put(pillow_bytes(Image.fromarray(RGB8), "PNG", exif=exif))
    np.testing.assert_array_equal(pixels_of(path), RGB8.astype(np.float32) / 255)


# Colour


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_embedded_profile_is_converted_to_srgb(put: Callable[..., Path], file_format: str) -> None:
    lossy: dict[str, dict[str, Any]] = {"JPEG": {"subsampling": 0, "quality": 95}, "WEBP": {"lossless": True}}
    options = lossy.get(file_format, {})
    path = put(pillow_bytes(Image.fromarray(SMOOTH8), file_format, icc_profile=swapped_profile(), **options))
    truth = SMOOTH8[..., [1, 0, 2]] / 255
    assert np.abs(pixels_of(path) - truth).max() < (0.03 if file_format == "JPEG" else 0.002)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_survive_the_profile(put: Callable[..., Path], kind: str) -> None:
    ramp = np.repeat(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64, 1), 3, -1)
    icc = swapped_profile()
    if kind == "PNG":
        data = png16_bytes(ramp, chunk(b"iCCP", b"swapped\0\0" + zlib.compress(icc)))
    else:
        data = tiff_bytes(ramp, photometric="rgb", iccprofile=icc)
    pixels = pixels_of(put(data))
    assert np.abs(pixels - ramp / 65535).max() < 2e-4  # grey is grey whatever the order of the primaries
    assert len(np.unique(pixels[..., 0])) > 4000


def test_an_srgb_profile_changes_no_value(put: Callable[..., Path]) -> None:
    path = put(tiff_bytes(RGB16, photometric="rgb", iccprofile=srgb_profile()))
    np.testing.assert_allclose(pixels_of(path), RGB16 / 65535, atol=2 / 65535)


def test_a_grey_profile_is_converted(put: Callable[..., Path]) -> None:
    image = Image.new("LA", (4, 4), (128, 77))
    path = put(pillow_bytes(image, "PNG", icc_profile=linear_grey_profile()))
    light = 128 / 255
    np.testing.assert_allclose(pixels_of(path), 1.055 * light ** (1 / 2.4) - 0.055, atol=0.003)  # IEC 61966-2-1
    np.testing.assert_array_equal(alpha_of(path), np.full((4, 4), np.float32(77) / 255))


@pytest.mark.parametrize("icc", [b"", b"nonsense", srgb_profile()[:200], inks_profile(), linear_grey_profile()])
def test_a_profile_that_is_broken_or_unfit_is_ignored(put: Callable[..., Path], icc: bytes) -> None:
    path = put(pillow_bytes(Image.fromarray(RGB8), "TIFF", icc_profile=icc))
    np.testing.assert_array_equal(pixels_of(path), RGB8.astype(np.float32) / 255)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "TIFF of 16 bits"])
def test_inks_take_light_away(put: Callable[..., Path], kind: str) -> None:
    inks = {(0, 0, 0, 0): (1, 1, 1), (255, 0, 0, 0): (0, 1, 1), (0, 255, 255, 0): (1, 0, 0), (0, 0, 0, 255): (0, 0, 0)}
    for ink, truth in inks.items():
        image = Image.new("CMYK", (16, 16), ink)
        if kind == "TIFF of 16 bits":
            data = tiff_bytes(np.asarray(image).astype(np.uint16) * 257, photometric="separated")
        else:
            data = pillow_bytes(image, kind)
        np.testing.assert_allclose(pixels_of(put(data))[8, 8], truth, atol=0.02)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "TIFF of 16 bits"])
def test_inks_with_a_profile_are_what_the_press_shows(put: Callable[..., Path], kind: str) -> None:
    image, icc = Image.new("CMYK", (16, 16), (255, 255, 0, 0)), inks_profile()
    if kind == "TIFF of 16 bits":
        data = tiff_bytes(np.asarray(image).astype(np.uint16) * 257, photometric="separated", iccprofile=icc)
    else:
        data = pillow_bytes(image, kind, icc_profile=icc)
    # Two of four inks leave half the lightness: L* = 50 is Y = ((50 + 16) / 116)^3 (CIE 1976), then IEC 61966-2-1.
    luminance = (66 / 116) ** 3
    np.testing.assert_allclose(pixels_of(put(data))[8, 8], 1.055 * luminance ** (1 / 2.4) - 0.055, atol=0.02)


# What cannot be read


def animation(file_format: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    return pillow_bytes(frames[0], file_format, save_all=True, append_images=frames[1:])


BIG = Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8))
WHOLE = {
    "JPEG": pillow_bytes(BIG, "JPEG"),
    "PNG": pillow_bytes(BIG, "PNG"),
    "PNG of 16 bits": png16_bytes(RGB16),
    "WEBP": pillow_bytes(BIG, "WEBP"),
    "GIF": pillow_bytes(BIG, "GIF"),
    "BMP": pillow_bytes(BIG, "BMP"),
    "TIFF": pillow_bytes(BIG, "TIFF"),
    "TIFF with LZW": pillow_bytes(BIG, "TIFF", compression="tiff_lzw"),
    "TIFF with JPEG": tiff_bytes(np.asarray(BIG), photometric="ycbcr", compression="jpeg"),
    "TIFF of 16 bits": tiff_bytes(RGB16, photometric="rgb", compression="adobe_deflate"),
}


def assert_one_line(caught: pytest.ExceptionInfo[PictureError], path: Path, says: str) -> None:
    message = str(caught.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused(put: Callable[..., Path], file_format: str) -> None:
    path = put(animation(file_format))
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, "is animated")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_file_is_refused_in_one_line(
    put: Callable[..., Path], capfd: pytest.CaptureFixture[str], kind: str, share: float
) -> None:
    path = put(WHOLE[kind][: int(len(WHOLE[kind]) * share)])
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, "cannot be read: it is damaged")
    assert capfd.readouterr() == ("", "")  # no word from the C libraries either


def test_a_tiff_that_lost_its_last_byte_is_refused_without_a_word_on_the_screen(
    put: Callable[..., Path], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's, which catch what a user would see
    with pytest.raises(PictureError, match="damaged"):  # the last byte is of BitsPerSample, which has a default
        read(put(WHOLE["TIFF with LZW"][:-1]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", WHOLE)
def test_random_damage_never_gives_a_traceback(
    put: Callable[..., Path], capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    random = np.random.default_rng(1)
    for _ in range(30):
        data = bytearray(WHOLE[kind])
        for at in random.integers(0, min(len(data), 600), 4):
            data[at] = random.integers(256)
        path = put(bytes(data))
        try:
            read(path, max_pixels=100_000)
        except PictureError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr().out == ""


# Pillow knows many more formats, and would start Ghostscript for some of them.
@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"Dear reader,\n", "letter.png", "is a text"),
        (b"<!DOCTYPE html><title>404</title>", "photo.jpg", "is a web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "logo.svg", "is an SVG drawing"),
        (b"%PDF-1.7\n", "poster.pdf", "is a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "logo.png", "is a PostScript drawing"),
        (b"8BPS\0\1", "art.psd", "is a Photoshop document"),
        (b"\0\0\0\x18ftypisom", "clip.mp4", "is an MP4 or MOV clip"),
        (b"RIFF\0\0\0\0WAVEfmt ", "song.png", "is a WAV sound"),
        (tiff_bytes(RGB8, photometric="rgb"), "shot.nef", "is a camera's raw picture"),
        (b"\0" * 100, "zeros.png", "not a picture of a known kind"),
    ],
)
def test_what_is_not_one_of_our_formats_is_named_for_what_it_is(
    put: Callable[..., Path], data: bytes, name: str, says: str
) -> None:
    path = put(data, name)
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, says)
    assert "damaged" not in str(caught.value)


SMOOTH = Image.fromarray(SMOOTH8)
PHONES_AND_GAMES = {
    "photo.avif": pillow_bytes(SMOOTH, "AVIF", quality=95),
    "photo.heic": pillow_bytes(SMOOTH, "HEIF", quality=95),
    "photo.jxl": pillow_bytes(SMOOTH, "JXL", lossless=True),
    "photo.jp2": pillow_bytes(SMOOTH, "JPEG2000"),
    "photo.ppm": pillow_bytes(SMOOTH, "PPM"),
    "photo.tga": pillow_bytes(SMOOTH, "TGA", compression="tga_rle"),
}


@pytest.mark.parametrize("name", PHONES_AND_GAMES)
def test_formats_of_phones_and_games_are_read_whatever_they_are_called(put: Callable[..., Path], name: str) -> None:
    for given in (name, "other.png") if name != "photo.tga" else (name,):  # a TGA has no mark but its name
        found = picture.to_integers(read(put(PHONES_AND_GAMES[name], given)).pixels)
        assert np.abs(found.astype(int) - SMOOTH8).mean() < (4 if name[-4:] in ("avif", "heic") else 0.5)


@pytest.mark.parametrize("name", ["photo.avif", "photo.heic", "photo.jxl", "photo.jp2", "photo.ppm"])
def test_of_formats_of_phones_and_games_too_a_part_is_damaged(put: Callable[..., Path], name: str) -> None:
    path = put(PHONES_AND_GAMES[name][: len(PHONES_AND_GAMES[name]) // 2], name)
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, "damaged")


@pytest.mark.parametrize("file_format", ["AVIF", "JXL", "HEIF"])
def test_phones_pictures_are_set_upright_once(put: Callable[..., Path], file_format: str) -> None:
    lying = np.zeros((40, 60, 3), np.uint8)
    lying[:20] = 255  # its top, which orientation 6 puts to the right
    upright = read(put(pillow_bytes(Image.fromarray(lying), file_format, exif=exif_bytes(6), quality=95))).pixels
    assert upright.shape == (1, 3, 60, 40)
    assert upright[..., 25:].mean() > 0.95
    assert upright[..., :15].mean() < 0.05


def test_a_jpeg_inside_of_jpeg_xl_is_set_upright_once(put: Callable[..., Path]) -> None:
    lying = np.zeros((40, 60, 3), np.uint8)
    lying[:20] = 255
    with Image.open(put(pillow_bytes(Image.fromarray(lying), "JPEG", exif=exif_bytes(6)), "a.jpg")) as jpeg:
        upright = read(put(pillow_bytes(jpeg, "JXL", lossless_jpeg=True))).pixels
    assert upright.shape == (1, 3, 60, 40)
    assert upright[..., 25:].mean() > 0.95
    assert upright[..., :15].mean() < 0.05


@pytest.mark.parametrize("channels", [3, 4])
def test_jpeg_2000_and_jpeg_xl_keep_16_bits(put: Callable[..., Path], channels: int) -> None:
    deep = RGBA16[..., :channels].copy()
    deep[:2] = 65535  # white stays white
    twelve = imagecodecs.jpeg2k_encode(deep >> 4, level=0, reversible=True, bitspersample=12)
    for data in (imagecodecs.jpeg2k_encode(deep, level=0, reversible=True), twelve):
        found = read(put(data))
        whole = found.pixels if channels == 3 else torch.cat([found.pixels, found.alpha], 1)
        tolerance = 16 if data is twelve else 0
        assert np.abs(picture.to_integers(whole, 16).astype(int) - deep).max() <= tolerance
        assert whole[..., :2, :].min() == 1
    light = deep[..., :3] / 65535  # imagecodecs writes 16 bits as linear light
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found = read(put(imagecodecs.jpegxl_encode(deep, lossless=True)))
    assert np.abs(picture.to_integers(found.pixels, 16) / 65535 - srgb).max() < 2e-3
    assert found.alpha is None or np.array_equal(picture.to_integers(found.alpha, 16), deep[..., 3:])


@pytest.mark.parametrize("size", [(1, 1), (16, 512), (257, 16), (120, 160), (300, 7)])
def test_the_size_of_a_jpeg_xl_picture_is_known_before_it_is_decoded(
    put: Callable[..., Path], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(imagecodecs.jpegxl_encode(np.zeros((*size, 3), np.uint8)))
    assert jxl.header(path)[:3] == (size[1], size[0], False)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(PictureError, match=f"{size[1]} × {size[0]} pixels, more than"):
        read(path, size[0] * size[1] - 1)


def test_an_animated_jpeg_xl_is_named(put: Callable[..., Path]) -> None:
    with pytest.raises(PictureError, match="animated"):
        read(put(imagecodecs.jpegxl_encode(np.stack([SMOOTH8, SMOOTH8[::-1]]))))


def test_a_fourth_byte_of_tga_that_means_nothing_is_no_alpha(put: Callable[..., Path]) -> None:
    bgra = np.dstack([SMOOTH8[..., ::-1], np.zeros((24, 40), np.uint8)])
    for attributes, fourth, alpha in ((0, 0, False), (0, 9, False), (8, 0, False), (8, 9, True)):
        bgra[..., 3] = fourth
        header = bytes([0, 0, 2, *[0] * 9, 40, 0, 24, 0, 32, 0x20 | attributes])
        found = read(put(header + bgra.tobytes(), "cut.tga"))
        assert np.array_equal(picture.to_integers(found.pixels), SMOOTH8)
        assert (found.alpha is not None) == alpha


@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (12, 13), (9, 1), (1, 13)])
@pytest.mark.parametrize("file_format", ["avif", "heic", "png"])
def test_colours_named_by_numbers_are_honoured_and_hdr_is_refused(
    put: Callable[..., Path], file_format: str, primaries: int, transfer: int
) -> None:
    if file_format == "avif":
        data = imagecodecs.avif_encode(SMOOTH8, level=95, primaries=primaries, transfer=transfer, matrix=6)
    elif file_format == "png":
        data = pillow_bytes(SMOOTH, "PNG")
        data = data[:33] + chunk(b"cICP", bytes([primaries, transfer, 0, 1])) + data[33:]
    else:
        named = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
        data = pillow_bytes(SMOOTH, "HEIF", quality=95, **named)
    if transfer in (16, 18):
        with pytest.raises(PictureError, match="HDR"):
            read(put(data))
        return
    found = read(put(data)).pixels[0].permute(1, 2, 0).numpy()
    to_xyz = {  # ITU-R BT.709-6, BT.2020-2 and SMPTE EG 432-1, each with D65
        1: [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
        9: [[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0.0000, 0.0281, 1.0610]],
        12: [[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0.0000, 0.0451, 1.0439]],
    }
    unit = SMOOTH8 / 255
    light = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    light = (light @ np.array(to_xyz[primaries]).T @ np.linalg.inv(to_xyz[1]).T).clip(0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(found - srgb).mean() < 0.015
    assert primaries == 1 or np.abs(found - unit).mean() > 0.02


def test_a_profile_that_says_hdr_is_refused(put: Callable[..., Path]) -> None:
    tag = b"cicp" + bytes([0, 0, 0, 0, 9, 16, 0, 1])
    with pytest.raises(PictureError, match="HDR"):
        read(put(pillow_bytes(SMOOTH, "PNG", icc_profile=profile_bytes(b"RGB ", b"XYZ ", {b"cicp": tag}))))


RAW = {
    "CR2": b"II*\0\x10\0\0\0CR\2\0",
    "CRW": b"II\x1a\0\0\0HEAPCCDR",
    "ORF": b"IIRO\x08\0\0\0",
    "RW2": b"IIU\0\x18\0\0\0",
    "RAF": b"FUJIFILMCCD-RAW 0201",
    "X3F": b"FOVb\0\0\2\0",
}


@pytest.mark.parametrize("kind", [*RAW, "DNG", "NEF"])
def test_raw_files_of_cameras_are_known_by_their_content(put: Callable[..., Path], kind: str) -> None:
    data = RAW.get(kind, b"") + bytes(400)
    if kind not in RAW:
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as tiff:
            version = [(50706, "B", 4, b"\1\4\0\0", True)] if kind == "DNG" else []
            tiff.write(RGB8, photometric="rgb", subfiletype=1, subifds=1, extratags=version, metadata=None)
            tiff.write(RGB16[..., 0], photometric="cfa", metadata=None)
        data = file.getvalue()
    with pytest.raises(PictureError, match="a camera's raw picture"):
        read(put(data))


def test_avif_is_known_by_any_of_its_brands(put: Callable[..., Path]) -> None:
    data = bytearray(PHONES_AND_GAMES["photo.avif"])
    data[8:12] = b"mif1"
    assert torch.equal(read(put(bytes(data))).pixels, read(put(PHONES_AND_GAMES["photo.avif"])).pixels)


def test_grey_of_16_bits_keeps_them_in_every_format(put: Callable[..., Path]) -> None:
    deep = RGB16[..., :1]
    pgm = b"P5 20 12 65535\n" + deep.astype(">u2").tobytes()
    jp2 = pillow_bytes(Image.fromarray(deep[..., 0]), "JPEG2000")
    for data in (pgm, jp2):
        assert np.array_equal(picture.to_integers(read(put(data)).pixels, 16), np.repeat(deep, 3, -1))


def test_one_wrong_byte_anywhere_in_a_png_is_damage(put: Callable[..., Path]) -> None:
    whole = pillow_bytes(SMOOTH, "PNG")
    for at in range(8, len(whole), 13):
        wrong = bytearray(whole)
        wrong[at] ^= 0xFF
        with pytest.raises(PictureError, match=r"damaged|pixels"):  # a length that became enormous is too large
            read(put(bytes(wrong)))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_only_its_end_is_read_with_a_warning(put: Callable[..., Path], progressive: bool) -> None:
    whole = pillow_bytes(BIG, "JPEG", progressive=progressive)
    expected = read(put(whole)).pixels
    for missing in (1, 2):
        with pytest.warns(ImpastoWarning, match="lacks its last bytes"):
            assert torch.equal(read(put(whole[:-missing])).pixels, expected)
    for missing in (6, 60, len(whole) // 2):
        with pytest.raises(PictureError, match="damaged"):
            read(put(whole[:-missing]))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_that_lacks_only_its_end_is_read_with_a_warning(put: Callable[..., Path], bits: int) -> None:
    whole = pillow_bytes(SMOOTH, "PNG") if bits == 8 else png16_bytes(RGB16)
    expected = read(put(whole)).pixels
    with pytest.warns(ImpastoWarning, match="lacks its last bytes"):
        assert torch.equal(read(put(whole[:-12])).pixels, expected)


def test_the_gamma_of_a_png_is_honoured_where_no_profile_says_more(put: Callable[..., Path]) -> None:
    def png(gamma: float, extra: bytes = b"") -> bytes:
        return png16_bytes(RGB16, chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000))) + extra)

    as_it_is = read(put(png16_bytes(RGB16))).pixels
    assert torch.equal(read(put(png(1 / 2.2))).pixels, as_it_is)
    linear = read(put(png(1.0))).pixels
    assert torch.allclose(linear, as_it_is ** (1 / 2.2), atol=1e-5)
    assert torch.equal(read(put(png(1.0, chunk(b"sRGB", b"\0")))).pixels, as_it_is)
    assert torch.equal(read(put(png(0.0))).pixels, as_it_is)  # nonsense is no reason for black


def test_an_hdr_png_is_named(put: Callable[..., Path]) -> None:
    with pytest.raises(PictureError, match="HDR"):
        read(put(png16_bytes(RGB16, chunk(b"cICP", bytes([9, 16, 0, 1])))))


def test_the_resolution_for_print_is_kept(put: Callable[..., Path], tmp_path: Path) -> None:
    for data in (pillow_bytes(SMOOTH, "JPEG", dpi=(300, 300)), pillow_bytes(SMOOTH, "PNG", dpi=(300, 300)),
                 tiff_bytes(SMOOTH8, photometric="rgb", resolution=(300, 300), resolutionunit="INCH")):  # fmt: skip
        found = read(put(data))
        assert found.dpi == pytest.approx(300, rel=1e-3)
        for extension in (".png", ".jpg", ".tif"):
            found.save(tmp_path / f"out{extension}")
            with Image.open(tmp_path / f"out{extension}") as written:
                assert written.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    assert read(put(pillow_bytes(SMOOTH, "PNG"))).dpi is None


def test_an_empty_file_is_refused(put: Callable[..., Path]) -> None:
    path = put(b"")
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, "is empty")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError) as caught:
        read(tmp_path / "no.png")
    assert_one_line(caught, tmp_path / "no.png", "does not exist")


def test_a_directory_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError) as caught:
        read(tmp_path)
    assert_one_line(caught, tmp_path, "is a directory")


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")
def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError) as caught:
        read(tmp_path / "pipe.png")  # opening it would wait for ever
    assert_one_line(caught, tmp_path, "is a device")


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 300 + ".png"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PictureError):
        read(tmp_path / name)
    with pytest.raises(OutputError):
        as_picture(RGB8).save(tmp_path / name)


def test_a_locked_file_is_named(put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(WHOLE["PNG"])

    def refuse(*_: Any) -> None:  # root, who runs many test machines, may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, os.strerror(errno.EACCES))


def test_a_picture_that_memory_cannot_hold_is_named(put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(picture, "_to_srgb", refuse)
    path = put(WHOLE["PNG"])
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, "memory")


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(put: Callable[..., Path], size: tuple[int, int]) -> None:
    with pytest.raises(PictureError):
        read(put(png_header(*size)))
    tiff = bytearray(tiff_bytes(np.zeros((4, 4, 3), np.uint8), photometric="rgb", byteorder="<"))
    at = tiff.index(struct.pack("<HHII", 256, 4, 1, 4))  # ImageWidth, LONG, one value
    tiff[at + 8 : at + 12] = bytes(4)
    with pytest.raises(PictureError):
        read(put(bytes(tiff)))


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32])
def test_tiff_samples_without_a_known_white_are_refused(put: Callable[..., Path], dtype: type) -> None:
    path = put(tiff_bytes(np.zeros((8, 8, 3), dtype), photometric="rgb"))
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, np.dtype(dtype).name)


def test_a_tiff_that_is_no_flat_picture_is_refused(put: Callable[..., Path]) -> None:
    many = tiff_bytes(np.zeros((8, 8, 9), np.uint8), photometric="minisblack", planarconfig="contig")
    deep = tiff_bytes(np.zeros((16, 16, 16), np.uint8), photometric="minisblack", volumetric=True, tile=(16, 16, 16))
    for data in (many, deep):
        with pytest.raises(PictureError, match="flat RGB picture"):
            read(put(data))


@pytest.mark.parametrize("mode", ["LAB", "YCbCr"])
def test_tiff_colours_that_are_not_rgb_are_refused(put: Callable[..., Path], mode: str) -> None:
    with pytest.raises(PictureError, match="flat RGB picture"):
        read(put(pillow_bytes(Image.fromarray(SMOOTH8).convert(mode), "TIFF")))


# The limit


def test_a_decompression_bomb_is_refused_by_its_header(put: Callable[..., Path]) -> None:
    path = put(png_header(100_000, 100_000))
    with pytest.raises(PictureError) as caught:
        read(path)
    assert_one_line(caught, path, "--max-pixels")
    assert "100000 × 100000" in str(caught.value)


def test_a_tile_larger_than_the_picture_counts_as_its_size(put: Callable[..., Path]) -> None:
    tiff = tiff_bytes(RGB8, photometric="rgb", tile=(16, 32), byteorder="<")
    for tag, size in ((322, 32), (323, 16)):  # TileWidth, TileLength
        for kind, code in ((3, "<HHIHH"), (4, "<HHII")):  # SHORT, LONG
            old = struct.pack(code, *(tag, kind, 1, size, 0)[: len(code) - 1])
            tiff = tiff.replace(old, struct.pack("<HHII", tag, 4, 1, 100_000))
    with pytest.raises(PictureError, match="100000 × 100000"):
        read(put(tiff))


@pytest.mark.parametrize("kind", WHOLE)
def test_the_limit_is_the_largest_number_of_pixels(put: Callable[..., Path], kind: str) -> None:
    path = put(WHOLE[kind])
    pixels = read(path).pixels[0, 0].numel()
    read(path, max_pixels=pixels)
    with pytest.raises(PictureError, match=f"--max-pixels {pixels}"):
        read(path, max_pixels=pixels - 1)


def test_our_limit_replaces_that_of_pillow_only_for_us(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    read(put(WHOLE["PNG"]))
    with pytest.raises(PictureError):
        read(put(b"no picture"))
    assert Image.MAX_IMAGE_PIXELS == 10


# Writing


@pytest.mark.parametrize("extension", LOSSLESS)
def test_every_one_of_65536_values_comes_back(tmp_path: Path, extension: str) -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    samples = np.stack([every, every[::-1], every.T, every[:, ::-1]], -1)
    path = tmp_path / f"out{extension}"
    as_picture(samples).save(path, bits=16)
    truth = samples.astype(np.float32) / np.float32(65535)
    np.testing.assert_array_equal(pixels_of(path), truth[..., :3])
    np.testing.assert_array_equal(alpha_of(path), truth[..., 3])


def test_sixteen_bits_in_a_tiff_are_what_others_read(tmp_path: Path) -> None:
    as_picture(RGBA16).save(tmp_path / "out.tif", bits=16)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), RGBA16)


def test_sixteen_bits_in_a_png_are_what_others_read(tmp_path: Path) -> None:
    as_picture(RGBA16).save(tmp_path / "out.png", bits=16)
    with Image.open(tmp_path / "out.png") as image:
        assert ";16" in str(image.tile)
        np.testing.assert_array_equal(np.asarray(image), RGBA16 >> 8)  # Pillow gives the high bytes


@pytest.mark.parametrize("extension", LOSSLESS)
def test_eight_bits_are_rounded_to_the_nearest(tmp_path: Path, extension: str) -> None:
    steps = torch.arange(255).repeat(3).reshape(1, 3, 15, 17)
    for offset, truth in ((0.49, steps), (0.51, steps + 1)):
        Picture((steps + offset) / 255).save(tmp_path / f"out{extension}")
        with Image.open(tmp_path / f"out{extension}") as image:
            np.testing.assert_array_equal(np.asarray(image), truth[0].permute(1, 2, 0).numpy())


def test_values_beyond_the_range_are_clipped(tmp_path: Path) -> None:
    Picture(torch.tensor([-0.5, 1.5, 0.5]).reshape(1, 3, 1, 1)).save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.getpixel((0, 0)) == (0, 255, 128)


def test_a_picture_with_gradients_is_saved(tmp_path: Path) -> None:
    Picture(torch.rand(1, 3, 4, 4, requires_grad=True)).save(tmp_path / "out.png")
    assert (tmp_path / "out.png").exists()


@pytest.mark.parametrize("extension", [*WRITABLE, ".PNG"])
def test_the_extension_names_the_format(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out{extension}"
    as_picture(SMOOTH8).save(path)
    with Image.open(path) as image:
        expected = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}.get(extension.lower(), "TIFF")
        assert image.format == expected
        assert np.abs(np.asarray(image).astype(float) - SMOOTH8).mean() < 2.5


def test_a_jpeg_keeps_colour_at_full_resolution(tmp_path: Path) -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255  # red, blue, red, blue
    as_picture(stripes).save(tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0
        assert np.abs(np.asarray(image).astype(float) - stripes).mean() < 10


@pytest.mark.parametrize("extension", [".png", ".tif", ".webp"])
def test_alpha_is_written(tmp_path: Path, extension: str) -> None:
    as_picture(RGBA8).save(tmp_path / f"out{extension}")
    with Image.open(tmp_path / f"out{extension}") as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image)[..., 3], RGBA8[..., 3])


def test_a_jpeg_lies_on_white(tmp_path: Path) -> None:
    red = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1).expand(1, 3, 32, 16)
    alpha = torch.cat([torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), 0.5)], 2)
    Picture(red, alpha).save(tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        colours = np.asarray(image)
    np.testing.assert_allclose(colours[4, 8], (255, 255, 255), atol=3)
    np.testing.assert_allclose(colours[28, 8], (255, 128, 128), atol=3)


@pytest.mark.parametrize("extension", WRITABLE)
def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, extension: str) -> None:
    made = Picture(as_picture(RGBA8).pixels, as_picture(RGBA8).alpha, {"settings": {"seed": 1}})
    first, second = tmp_path / f"first{extension}", tmp_path / f"second{extension}"
    made.save(first, label_cn=True)
    made.save(second, label_cn=True)
    assert first.read_bytes() == second.read_bytes()


def test_a_saved_picture_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    as_picture(RGB8).save(tmp_path / "out.png")
    (tmp_path / "plain").touch()
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    as_picture(RGB8).save(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert pixels_of(tmp_path / "real.png").shape == RGB8.shape


# What cannot be written


@pytest.mark.parametrize("name", ["out.gif", "out", "out.png.txt", ".png"])
def test_an_unknown_extension_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(PictureError) as caught:
        as_picture(RGB8).save(tmp_path / name)
    assert_one_line(caught, tmp_path, ".jpg, .jpeg, .png, .webp, .tif, .tiff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_sixteen_bits_need_png_or_tiff(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out{extension}"
    for write in (lambda: as_picture(RGB16).save(path, bits=16), lambda: check_writable(path, bits=16)):
        with pytest.raises(PictureError) as caught:
            write()
        assert_one_line(caught, path, "use .png or .tif")


def test_twelve_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="8 or 16 bits"):
        as_picture(RGB8).save(tmp_path / "out.png", bits=12)


@pytest.mark.parametrize(("extension", "limit"), [(".jpg", 65_500), (".webp", 16_383)])
def test_a_side_too_long_for_the_format_is_refused(tmp_path: Path, extension: str, limit: int) -> None:
    path = tmp_path / f"out{extension}"
    Picture(torch.zeros(1, 3, 1, limit)).save(path)
    with pytest.raises(PictureError) as caught:
        Picture(torch.zeros(1, 3, 1, limit + 1)).save(path)
    assert_one_line(caught, path, str(limit))
    assert pixels_of(path).shape == (1, limit, 3)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for write in (as_picture(RGB8).save, check_writable):
        with pytest.raises(OutputError) as caught:
            write(tmp_path / "no" / "out.png")
        assert_one_line(caught, tmp_path / "no", "there is no folder")


def test_a_directory_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    for write in (as_picture(RGB8).save, check_writable):
        with pytest.raises(OutputError) as caught:
            write(tmp_path / "out.png")
        assert_one_line(caught, tmp_path, "is a folder")


@pytest.mark.parametrize("locked", ["the folder", "the file"])
def test_a_locked_place_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    # Root may write everywhere, so the answer of the system is played.
    monkeypatch.setattr(os, "access", lambda place, _: Path(place) != (path if locked == "the file" else tmp_path))
    for write in (as_picture(RGB8).save, check_writable):
        with pytest.raises(OutputError) as caught:
            write(path)
        assert_one_line(caught, path, "no permission")
    assert path.read_bytes() == b"old"


def test_what_can_be_written_passes_the_early_check(tmp_path: Path) -> None:
    check_writable(tmp_path / "out.jpg", long_side=5000)
    check_writable(tmp_path / "out.tif", bits=16, long_side=100_000)
    check_writable(os.fspath(tmp_path / "out.png"))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    write_bytes = Path.write_bytes

    def fill_up(self: Path, data: bytes) -> int:
        write_bytes(self, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OutputError) as caught:
        as_picture(RGB8).save(path)
    assert_one_line(caught, path, os.strerror(errno.ENOSPC))
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_write_that_the_system_cuts_off_leaves_nothing(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))  # bytes: as near to a full disk as a test can go
    try:
        with pytest.raises(OutputError) as caught:
            as_picture(RGB16).save(tmp_path / "out.tif", bits=16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_one_line(caught, tmp_path, "cannot be written")
    assert not list(tmp_path.iterdir())


# Sizes


@pytest.mark.parametrize(
    ("size", "long_side", "truth"),
    [
        ((200, 300), 150, (100, 150)),
        ((300, 200), 150, (150, 100)),
        ((100, 100), 130, (130, 130)),
        ((1, 5000), 100, (1, 100)),
        ((5000, 1), 100, (100, 1)),
        ((667, 1000), 512, (342, 512)),
    ],
)
def test_fit_keeps_the_aspect_ratio(size: tuple[int, int], long_side: int, truth: tuple[int, int]) -> None:
    assert fit(torch.rand(1, 1, *size), long_side).shape == (1, 1, *truth)


def test_reduction_averages_instead_of_skipping() -> None:
    noise = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    small = resize(noise, 32, 32)  # 64 pixels become one: an average has an eighth of their spread
    assert small.std() < noise.std() / 5
    assert abs(small.mean() - noise.mean()) < 0.01


def test_enlargement_stays_in_range_and_keeps_flat_colours() -> None:
    edge = torch.cat([torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)], 3)
    large = resize(edge, 40, 80)
    assert large.shape == (1, 3, 40, 80)
    assert large.min() == 0
    assert large.max() == 1
    torch.testing.assert_close(resize(torch.full((1, 3, 5, 7), 0.3), 9, 20), torch.full((1, 3, 9, 20), 0.3))


def test_resizing_to_the_same_size_changes_nothing() -> None:
    pixels = torch.rand(1, 3, 13, 17)
    torch.testing.assert_close(resize(pixels, 13, 17), pixels)


# Alpha


def test_a_white_disc_on_transparent_black_stays_white_to_its_edge() -> None:
    y, x = np.mgrid[0:200, 0:300]
    alpha = torch.from_numpy(((x - 150) ** 2 + (y - 100) ** 2 < 80**2).astype(np.float32))[None, None]
    small = Picture(alpha.expand(1, 3, 200, 300), alpha).fitted(41)
    assert small.alpha is not None and small.pixels.shape == (1, 3, 27, 41)
    assert small.pixels.min() > 1 - 1e-5
    torch.testing.assert_close(small.alpha, fit(alpha, 41))
    assert 0 < ((small.alpha > 0) & (small.alpha < 1)).sum() < 400


@pytest.mark.parametrize("size", [(12, 20), (5, 9), (31, 50)])
def test_hidden_colours_are_in_no_resized_picture(size: tuple[int, int]) -> None:
    shown = as_picture(RGBA8)
    assert shown.alpha is not None
    alpha = (shown.alpha > 0.5) * shown.alpha
    results = [Picture(torch.where(alpha > 0, shown.pixels, hidden), alpha).resized(*size) for hidden in (0.0, 1.0)]
    assert torch.equal(results[0].pixels, results[1].pixels)
    # What resizing multiplied colours means: the picture laid on white is the laid one resized.
    assert (results[0].on_white() - resize(shown.pixels * alpha + 1 - alpha, *size)).abs().mean() < 0.005


def test_what_can_be_seen_stays_to_the_last_bit_at_its_own_size() -> None:
    shown = as_picture(RGBA8)
    assert shown.alpha is not None
    alpha = (shown.alpha > 0.3) * shown.alpha
    same = Picture(shown.pixels, alpha).resized(12, 20)
    seen = (alpha > 0).expand_as(shown.pixels)
    assert torch.equal(same.pixels[seen], shown.pixels[seen])


def test_an_alpha_of_one_everywhere_is_no_alpha() -> None:
    pixels = as_picture(RGB8).pixels
    with_alpha = Picture(pixels, torch.ones_like(pixels[:, :1])).resized(7, 9)
    assert torch.equal(with_alpha.pixels, resize(pixels, 7, 9))
    assert with_alpha.alpha is not None and bool((with_alpha.alpha == 1).all())


def test_gaps_take_the_colours_around_them() -> None:
    pixels = torch.zeros(1, 3, 21, 33)
    pixels[:, 0, :, :16], pixels[:, 2, :, 16:] = 1, 1  # red on the left, blue on the right
    weight = torch.ones(1, 1, 21, 33)
    weight[..., 5:16, 4:30] = 0
    filled = picture.spread(torch.where(weight > 0, pixels, torch.tensor(0.5)), weight)
    assert torch.equal(filled * weight, pixels * weight)
    assert filled[0, 1].abs().max() < 1e-6  # no grey of the gap
    assert filled[0, 0, 10, 6] > 0.8 and filled[0, 2, 10, 28] > 0.8


@pytest.mark.parametrize("alpha", [False, True])
def test_a_notebook_shows_a_small_picture_as_it_is(alpha: bool) -> None:
    channels = torch.rand(1, 4, 5, 7, generator=torch.Generator().manual_seed(0))
    shown = Picture(channels[:, :3], channels[:, 3:] if alpha else None, recipe={})._repr_png_()
    found = np.asarray(Image.open(io.BytesIO(shown)))
    assert np.array_equal(found, (channels[0, : 3 + alpha] * 255).round().byte().permute(1, 2, 0).numpy())


def test_a_notebook_shows_a_large_picture_smaller() -> None:
    alpha = torch.cat([torch.zeros(1, 1, 3000, 600), torch.ones(1, 1, 3000, 600)], 3)
    shown = Image.open(io.BytesIO(Picture(torch.full((1, 3, 3000, 1200), 0.4), alpha)._repr_png_()))
    assert (shown.format, shown.mode, shown.size) == ("PNG", "RGBA", (410, 1024))
    assert shown.getpixel((100, 500))[3] == 0
    assert shown.getpixel((400, 500)) == (102, 102, 102, 255)


def test_a_picture_names_its_size_where_only_text_is_shown() -> None:
    assert repr(Picture(torch.zeros(1, 3, 4, 6))) == "<Picture of 6 x 4 pixels>"
    assert repr(Picture(torch.zeros(1, 3, 4, 6), torch.ones(1, 1, 4, 6))) == "<Picture of 6 x 4 pixels with alpha>"
