"""The compact network: a small student of VGG-19 and VGG-16 that ships with Impasto (tools/distil_compact.py).

Each tap gives the leading principal components of one layer: of VGG-19 in blocks 1 to 3, of VGG-16 in block 4. So a
Gram matrix of its features is a small, rotated copy of the teacher's own, and a distance of two features nearly theirs.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import WeightsError
from impasto.perception.vgg import pad

TAPS = {  # teacher layer: components
    "block1_conv1": 24,
    "block2_conv1": 48,
    "block3_conv1": 96,
    "block3_conv4": 128,
    "block4_conv1": 128,
    "block4_conv3": 128,
}
WIDTHS = ((32, 32), (64, 64), (128, 128), (128, 128, 128), (160, 160), (160,))  # convolutions before each tap
REDUCED = (1, 2, 4)  # taps, counted from 0, with a reduction before their convolutions


class Compact(nn.Module):
    """A trunk of 3x3 convolutions with a 1x1 head per tap.

    The reductions are low-pass filtered (binomial 1-3-3-1, Zhang 2019, arXiv:1904.11486) rather than 2x2
    averages: their gradient is smooth, so pixels optimised through them show no 2- or 4-pixel weave.

    Args:
        padding: "replicate" as trained, or "circular" for seamless tiles.
    """

    layers = tuple(TAPS)

    def __init__(self, padding: str = "replicate"):
        super().__init__()
        self.padding = padding
        self.stages, self.heads = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for widths, components in zip(WIDTHS, TAPS.values(), strict=True):
            stage = nn.ModuleList()
            for width in widths:
                stage.append(nn.Conv2d(channels, width, 3))
                channels = width
            self.stages.append(stage)
            self.heads.append(nn.Conv2d(channels, components, 1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Map `image` [N, 3, H, W], sRGB in [0, 1], to the components [N, C, H', W'] of `layers`.

        Raises:
            WeightsError: a layer that the network has no tap for; the message names those it has.
        """
        missing = [layer for layer in layers if layer not in self.layers]
        if missing:
            has = ", ".join(self.layers)
            raise WeightsError(f"the compact network has no layer {', '.join(missing)}; it has {has}")
        x = (image * 4 - 2).contiguous(memory_format=torch.channels_last)
        features: dict[str, Tensor] = {}
        for index, (name, stage, head) in enumerate(zip(TAPS, self.stages, self.heads, strict=True)):
            if index in REDUCED:
                x = halve(x, self.padding)
            for convolution in stage:  # type: ignore[attr-defined]
                x = F.relu(convolution(pad(x, self.padding)), inplace=True)
            if name in layers:
                features[name] = head(x)
            if len(features) == len(set(layers)):
                break
        return features


def halve(x: Tensor, padding: str = "replicate") -> Tensor:
    """Halve height and width of `x` [N, C, H, W] after the binomial low-pass filter 1-3-3-1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device) / 8
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
    with torch.autocast(x.device.type, enabled=False):  # depthwise gradients in bf16 are ten times slower on CPUs
        return F.conv2d(pad(x.float(), padding), kernel, stride=2, groups=x.shape[1])
