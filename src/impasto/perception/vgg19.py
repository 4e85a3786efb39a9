"""VGG-19 (Simonyan and Zisserman 2015, arXiv:1409.1556) as a feature extractor, with Keras' ImageNet weights."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import WeightsError

BLOCKS = ((1, 2, 64), (2, 2, 128), (3, 4, 256), (4, 4, 512), (5, 4, 512))  # block, convolutions, channels
LAYERS = tuple(f"block{b}_conv{i}" for b, n, _ in BLOCKS for i in range(1, n + 1))

# The weights came from Caffe: BGR pixels on the 0-255 scale minus ImageNet's mean, no division.
MEAN_BGR = (103.939, 116.779, 123.68)


class VGG19(nn.Module):
    """The convolutions of VGG-19; `forward` returns activations after the ReLU, by Keras' layer names.

    Args:
        weights: Keras' no-top HDF5 file. It may stop after any block: `layers` lists what it holds.
            None draws random weights (He 2015) of the full network, which serves for timing.
        pooling: "max" as trained, or "average", which Gatys et al. (2015, section 2) prefer for synthesis.
        padding: "zeros" as trained, "replicate" (no dark border in the statistics), or "circular" (seamless tiles).

    Raises:
        WeightsError: the file is missing or is not such a file.
    """

    mean: Tensor

    def __init__(self, weights: Path | None, pooling: str = "max", padding: str = "zeros"):
        super().__init__()
        self.pool = F.avg_pool2d if pooling == "average" else F.max_pool2d
        self.padding = padding
        self.convolutions = nn.ModuleDict(_random() if weights is None else _read(Path(weights)))
        self.layers = tuple(self.convolutions)
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1))
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Map `image` [N, 3, H, W], sRGB in [0, 1], to the activations [N, C, H', W'] of `layers`.

        Raises:
            WeightsError: a layer that the weight file does not hold; the message names those it holds.
        """
        missing = [layer for layer in layers if layer not in self.convolutions]
        if missing:
            raise WeightsError(
                f"these VGG-19 weights hold no layer {', '.join(missing)}; they hold {', '.join(self.layers)}"
            )
        x = image.flip(1) * 255 - self.mean
        x = x.contiguous(memory_format=torch.channels_last)
        features: dict[str, Tensor] = {}
        for name, convolution in self.convolutions.items():
            if name.endswith("conv1") and name != "block1_conv1":
                x = self.pool(x, 2)
            x = F.relu(convolution(pad(x, self.padding)))
            if name in layers:
                features[name] = x
            if len(features) == len(set(layers)):
                break
        return features


def pad(x: Tensor, mode: str) -> Tensor:
    """Surround `x` [N, C, H, W] with one pixel for a 3x3 convolution."""
    return F.pad(x, (1, 1, 1, 1), mode="constant" if mode == "zeros" else mode)


def _random() -> dict[str, nn.Conv2d]:
    convolutions, channels = {}, 3
    for block, count, width in BLOCKS:
        for i in range(1, count + 1):
            convolution = nn.Conv2d(channels, width, 3)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            convolutions[f"block{block}_conv{i}"], channels = convolution, width
    return convolutions


def _read(path: Path) -> dict[str, nn.Conv2d]:
    if not path.is_file():
        raise WeightsError(f"no VGG-19 weights at {path}")
    convolutions, channels = {}, 3
    try:
        with h5py.File(path) as file:
            for name in LAYERS:
                if name not in file:
                    break
                kernel = torch.from_numpy(file[f"{name}/{name}_W_1:0"][()]).permute(3, 2, 0, 1)  # from HWIO
                bias = torch.from_numpy(file[f"{name}/{name}_b_1:0"][()])
                convolution = nn.Conv2d(channels, len(bias), 3)
                convolution.load_state_dict({"weight": kernel, "bias": bias})  # which checks the shapes
                convolutions[name], channels = convolution, len(bias)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} is not a readable Keras VGG-19 weight file: {error}") from error
    if not convolutions:
        raise WeightsError(f"{path} holds no VGG-19 layers (looked for {LAYERS[0]}, ...)")
    return convolutions
