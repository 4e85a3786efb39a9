"""HDR and wide colours to what the engine paints and every screen shows: sRGB.

Diffuse white lies at 203 cd/m2 (BT.2408). What is darker keeps its place, so a picture that was graded in SDR comes
back as it was. What is brighter is rolled off into the last steps below white.
"""

from dataclasses import replace

import torch
from torch import Tensor

from impasto.media import srgb
from impasto.media.clip.info import Info

PQ, HLG = 16, 18  # transfer functions (ITU-T H.273)
NAMES = {PQ: "PQ", HLG: "HLG"}
WHITE = 203.0  # cd/m2, diffuse white (BT.2408)
HLG_PEAK = 1000.0  # cd/m2, of the screen that HLG is shown on, with a system gamma of 1.2 (BT.2100)
KNEE = 0.85  # of white, in linear light, from where highlights are rolled off; up to there nothing changes
BT709, BT2020 = 1, 9
PRIMARIES = {  # chromaticities of red, green and blue, white being D65 (H.273, table 2)
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
D65 = (0.3127, 0.3290)


def to_xyz(primaries: int) -> Tensor:
    """Linear RGB of these primaries to XYZ, with white at Y = 1, [3, 3]."""
    colours = torch.tensor(
        [(x / y, 1, (1 - x - y) / y) for x, y in (*PRIMARIES[primaries], D65)], dtype=torch.float64
    ).T
    return colours[:, :3] * torch.linalg.solve(colours[:, :3], colours[:, 3])


def is_hdr(info: Info) -> bool:
    """Whether its transfer characteristic is PQ or HLG."""
    return info.transfer in NAMES


def is_foreign(info: Info) -> bool:
    """Whether its colours have to be converted."""
    return is_hdr(info) or (info.primaries in PRIMARIES and info.primaries != BT709)


def converted(info: Info) -> Info:
    """What is to be said of a clip after `to_srgb`."""
    if not is_foreign(info):
        return info
    transfer = info.transfer if info.transfer in (1, 6, 13) else 1
    return replace(info, matrix=1, primaries=BT709, transfer=transfer, full_range=False)


def to_srgb(pixels: Tensor, info: Info) -> Tensor:
    """Pixels [1, 3, H, W] in [0, 1], as they are coded in the clip, to sRGB in [0, 1]."""
    if not is_foreign(info):
        return pixels
    light = _light(pixels, info.transfer)
    primaries = info.primaries if info.primaries in PRIMARIES else BT2020  # no HDR says it has others
    matrix = (torch.linalg.inv(to_xyz(BT709)) @ to_xyz(primaries)).float()
    light = torch.einsum("ij,njhw->nihw", matrix, light).clamp(min=0)
    if is_hdr(info):
        light = _rolled_off(light)
    return srgb.from_light(light).clamp(0, 1)


def _light(pixels: Tensor, transfer: int) -> Tensor:
    """Linear light as a screen shows it, with diffuse white at 1."""
    if transfer == PQ:  # SMPTE ST 2084
        root = pixels ** (1 / 78.84375)
        return (
            10_000 / WHITE * ((root - 0.8359375).clamp(min=0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        )
    if transfer == HLG:  # BT.2100: inverse OETF, then OOTF
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = torch.where(pixels <= 0.5, pixels**2 / 3, (((pixels - c) / a).exp() + b) / 12)
        luminance = (scene * torch.tensor([0.2627, 0.6780, 0.0593])[:, None, None]).sum(1, keepdim=True)
        return HLG_PEAK / WHITE * luminance**0.2 * scene
    return srgb.to_light(pixels)


def _rolled_off(light: Tensor) -> Tensor:
    """Bring highlights below 1, smoothly and without end (Reinhard et al. 2002, above the knee); hues stay."""
    brightest = light.amax(1, keepdim=True)
    above = (brightest - KNEE).clamp(min=0) / (1 - KNEE)
    wanted = KNEE + (1 - KNEE) * above / (1 + above)
    return torch.where(brightest > KNEE, light * wanted / brightest.clamp(min=KNEE), light)
