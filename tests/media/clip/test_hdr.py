"""HDR clips and wide colours come as the sRGB picture that they were graded from, and are written as that."""

from fractions import Fraction

import av
import numpy as np
import pytest

from impasto.media import clip

LOSSLESS = {"codec": "ffv1", "options": {}}
PQ, HLG = 16, 18
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087


def linear(srgb):  # IEC 61966-2-1
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def srgb(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def pq(nits):  # SMPTE ST 2084
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(nits):  # BT.2100: inverse OOTF for a screen of 1000 cd/m2, then OETF
    shown = nits / 1000
    luminance = (shown @ [0.2627, 0.6780, 0.0593])[..., None]
    scene = shown * np.maximum(luminance, 1e-9) ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


CURVES = {PQ: pq, HLG: hlg}


def ycbcr(rgb, full, bits, kr=0.2627, kb=0.0593):
    """H.273, equations 38 to 43, [H, W, 3], in the upper bits of 16."""
    luma = rgb @ [kr, 1 - kr - kb, kb]
    chroma = [(rgb[..., 2] - luma) / (2 * (1 - kb)), (rgb[..., 0] - luma) / (2 * (1 - kr))]
    if full:
        codes = [luma * (2**bits - 1), *(c * (2**bits - 1) + 2 ** (bits - 1) for c in chroma)]
    else:
        codes = [(219 * luma + 16) * 2 ** (bits - 8), *((224 * c + 128) * 2 ** (bits - 8) for c in chroma)]
    return np.stack(codes, -1).round().astype(np.uint16) << (16 - bits)


@pytest.fixture
def picture():
    """Colours from dark to white, [32, 48, 3] sRGB in [0.2, 1]; ten bits are coarse where a channel is nearly 0."""
    x, y = np.meshgrid(np.linspace(0, 1, 48), np.linspace(0, 1, 32))
    return 0.2 + 0.8 * np.stack([x, y, 0.5 + 0.5 * np.cos(5 * x + 3 * y)], -1)


@pytest.fixture
def hdr_film(film):
    def make(name, light, curve, *, bits=10, full=False, kind=None, **options):
        codes = CURVES[curve](light)
        tags = {"colorspace": 9, "color_range": 2 if full else 1, "color_primaries": 9, "color_trc": curve}
        if kind:
            layout, pixels, tags["colorspace"] = kind, kind, 0
            samples = (codes * (2**bits - 1)).round().astype(np.uint16)
        else:
            layout, pixels = "yuv444p16le", f"yuv444p{bits}le"
            samples = ycbcr(codes, full, bits)
        return film(name, [samples] * 2, layout=layout, pixels=pixels, **tags, **{**LOSSLESS, **options})

    return make


LAYOUTS = {
    "ten bits": {},
    "twelve bits": {"bits": 12},
    "full range": {"full": True},
    "RGB": {"bits": 12, "kind": "gbrp12le"},
    "turned": {"codec": "libx264", "options": {"qp": "0"}, "rotation": (90, False)},
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_graded_at_203_nits_comes_back_as_it_was(hdr_film, picture, curve, layout):
    about = LAYOUTS[layout]
    name = "a.mp4" if layout == "turned" else "a.mkv"
    path = hdr_film(name, 203 * linear(picture) @ TO_2020.T, curve, **about)
    with pytest.warns(UserWarning, match=rf"is HDR \({'PQ' if curve == PQ else 'HLG'}\); painted in SDR") as said:
        frame = next(iter(clip.read(path)))
    assert len(said) == 1
    wanted = np.rot90(picture) if layout == "turned" else picture
    difference = 255 * np.abs(frame.pixels[0].permute(1, 2, 0).numpy() - wanted)
    dark = wanted.max(-1) < 0.9
    assert difference[dark].mean() < 1
    assert difference[dark].max() < 4  # ten bits are coarser than eight of a gentler curve
    assert difference.max() < 12  # white makes a little room for highlights


@pytest.mark.parametrize("curve", CURVES)
def test_highlights_are_rolled_off_smoothly(hdr_film, curve):
    nits = np.geomspace(100, 1000 if curve == HLG else 10_000, 48)
    light = np.broadcast_to(nits[None, :, None], (32, 48, 3))
    with pytest.warns(UserWarning, match="HDR"):
        frame = next(iter(clip.read(hdr_film("a.mkv", light, curve, bits=12))))
    grey = frame.pixels[0, :, 16].numpy()
    assert np.ptp(grey, 0).max() < 0.01  # stays grey
    steps = np.diff(grey[1])
    assert steps.min() > 0 and grey.max() <= 1  # brighter is brighter, and nothing is cut off
    assert steps.max() < 0.05
    assert grey[1, nits < 170] == pytest.approx(srgb(nits[nits < 170] / 203), abs=0.01)


def test_a_saturated_highlight_keeps_its_hue(hdr_film):
    light = np.broadcast_to(800 * np.array([1.0, 0.25, 0.05]) @ TO_2020.T, (32, 48, 3))
    with pytest.warns(UserWarning, match="HDR"):
        frame = next(iter(clip.read(hdr_film("a.mkv", light, PQ))))
    red, green, blue = linear(frame.pixels[0, :, 16, 24].numpy())
    assert red > 0.9
    assert green / red == pytest.approx(0.25, abs=0.02) and blue / red == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.webm", "b.mov"])
def test_what_is_written_says_that_it_is_sdr(hdr_film, picture, tmp_path, name):
    read = clip.read(hdr_film("a.mkv", 203 * linear(picture) @ TO_2020.T, PQ))
    with pytest.warns(UserWarning, match="HDR"), clip.write(tmp_path / name, read.info) as out:
        for frame in read:
            out.add(frame.pixels, frame.time)
    with av.open(str(tmp_path / name)) as container:
        made = next(container.decode(video=0))
    assert (made.color_trc, made.color_primaries, made.colorspace) == (1, 1, 1)
    again = next(iter(clip.read(tmp_path / name)))
    assert 255 * np.abs(again.pixels[0].permute(1, 2, 0).numpy() - picture).mean() < 6  # chroma of half the size


def test_wide_colours_without_hdr_are_converted_too(film, picture):
    codes = ycbcr(srgb(linear(0.9 * picture) @ TO_2020.T), False, 10)
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 14}
    path = film("a.mkv", [codes], layout="yuv444p16le", pixels="yuv444p10le", **tags, **LOSSLESS)
    (frame,) = read = list(clip.read(path))
    assert np.abs(frame.pixels[0].permute(1, 2, 0).numpy() - 0.9 * picture).max() < 0.02
    assert len(read) == 1 and clip.read(path).info.primaries == 1
    assert clip.read(path).info.rate == Fraction(24)
