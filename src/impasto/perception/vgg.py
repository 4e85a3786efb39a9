"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015, arXiv:1409.1556) as feature extractors, with ImageNet weights.

Two files of each network are read: Keras' no-top HDF5 file, whose weights are the authors' own, made with Caffe, and
torchvision's state dict (.pth, .pt or .safetensors), which torchvision trained anew. They expect differently scaled
pixels, which the reader sees to: what is computed has the scale of Caffe's, which the weights of the classic losses are
for. Layers have Keras' names in both.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import h5py
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from impasto.errors import WeightsError

WIDTHS = (64, 128, 256, 512, 512)  # channels of the five blocks
Convolutions = dict[str, nn.Conv2d]  # by layer name

# What is taken from RGB pixels in [0, 1], and what they are then divided by.
CAFFE = (123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)  # that is, 0-255 minus the mean
LARGER = 255 * 0.226  # times the pixels of torchvision, whose deviations are about 0.226: so large are Caffe's
TORCHVISION = (0.485, 0.456, 0.406), (0.229 / LARGER, 0.224 / LARGER, 0.225 / LARGER)


class VGG(nn.Module):
    """The convolutions of a VGG; `forward` returns activations after the ReLU, by Keras' layer names.

    Args:
        weights: a file of Keras or torchvision. It may stop after any layer: `layers` lists what it holds.
            None draws random weights (He 2015) of the full network, which serves for timing.
        pooling: "max" as trained, or "average", which Gatys et al. (2015, section 2) prefer for synthesis.
        padding: "zeros" as trained, "replicate" (no dark border in the statistics), or "circular" (seamless tiles).

    Raises:
        WeightsError: the file is missing or is not such a file.
    """

    title: ClassVar[str]
    counts: ClassVar[tuple[int, ...]]  # convolutions in each of the five blocks
    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path | None, pooling: str = "max", padding: str = "zeros"):
        super().__init__()
        self.pool = F.avg_pool2d if pooling == "average" else F.max_pool2d
        self.padding = padding
        convolutions, scale = (self._random(), CAFFE) if weights is None else self._read(Path(weights))
        self.convolutions = nn.ModuleDict(convolutions)
        self.layers = tuple(convolutions)
        for name, values in zip(("mean", "deviation"), scale, strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def all_layers(cls) -> tuple[str, ...]:
        """Names of the layers that the full network has."""
        return tuple(f"block{b}_conv{i}" for b, count in enumerate(cls.counts, 1) for i in range(1, count + 1))

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Map `image` [N, 3, H, W], sRGB in [0, 1], to the activations [N, C, H', W'] of `layers`.

        Raises:
            WeightsError: a layer that the weight file does not hold; the message names those it holds.
        """
        missing = [layer for layer in layers if layer not in self.convolutions]
        if missing:
            has = ", ".join(self.layers)
            raise WeightsError(f"these {self.title} weights hold no layer {', '.join(missing)}; they hold {has}")
        x = (image - self.mean) / self.deviation
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

    @classmethod
    def _random(cls) -> Convolutions:
        convolutions, channels = {}, 3
        for name in cls.all_layers():
            width = WIDTHS[int(name[5]) - 1]
            convolution = nn.Conv2d(channels, width, 3)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            convolutions[name], channels = convolution, width
        return convolutions

    @classmethod
    def _read(cls, path: Path) -> tuple[Convolutions, tuple[tuple[float, ...], tuple[float, ...]]]:
        if not path.is_file():
            raise WeightsError(f"no {cls.title} weights at {path}")
        torchvision = path.suffix in {".pth", ".pt", ".safetensors"}
        try:
            arrays, more = _torchvision(path, cls.counts) if torchvision else _keras(path, cls.all_layers())
            if not arrays:
                raise WeightsError(f"{path} holds no {cls.title} layers")
            if more:
                raise WeightsError(f"{path} is not of {cls.title}: it also holds {more[0]}")
            convolutions, channels = {}, 3
            for name, (kernel, bias) in arrays.items():
                convolution = nn.Conv2d(channels, len(bias), 3)
                if torchvision:
                    bias = bias * LARGER  # as all that this layer adds it to is
                convolution.load_state_dict({"weight": kernel, "bias": bias})  # which checks the shapes
                convolutions[name], channels = convolution, len(bias)
        except (OSError, SafetensorError, pickle.UnpicklingError, EOFError, LookupError,
                RuntimeError, TypeError, ValueError, AttributeError) as error:  # fmt: skip
            reason = (str(error) or type(error).__name__).splitlines()[0]  # torch goes on for many lines
            kind = "torchvision" if torchvision else "Keras"
            raise WeightsError(f"{path} is not a readable {kind} {cls.title} weight file: {reason}") from error
        return convolutions, TORCHVISION if torchvision else CAFFE


class VGG16(VGG):
    """VGG-16: two, two, three, three and three convolutions."""

    title, counts = "VGG-16", (2, 2, 3, 3, 3)


class VGG19(VGG):
    """VGG-19: two, two, four, four and four convolutions."""

    title, counts = "VGG-19", (2, 2, 4, 4, 4)


def pad(x: Tensor, mode: str) -> Tensor:
    """Surround `x` [N, C, H, W] with one pixel for a 3x3 convolution."""
    return F.pad(x, (1, 1, 1, 1), mode="constant" if mode == "zeros" else mode)


Arrays = dict[str, tuple[Tensor, Tensor]]  # layer: kernel (OIHW, RGB) and bias


def _keras(path: Path, layers: Sequence[str]) -> tuple[Arrays, list[str]]:
    """The layers up to the first one that the file lacks, and the names of those that are left over."""
    arrays = {}
    with h5py.File(path) as file:
        for name in layers:
            if name not in file:
                break
            kernel = torch.from_numpy(file[f"{name}/{name}_W_1:0"][()]).permute(3, 2, 0, 1)  # from HWIO
            arrays[name] = kernel, torch.from_numpy(file[f"{name}/{name}_b_1:0"][()])
        more = [name for name in file if "conv" in name and name not in arrays]
    if layers[0] in arrays:
        kernel, bias = arrays[layers[0]]
        arrays[layers[0]] = kernel.flip(1), bias  # Caffe's pixels are BGR
    return arrays, more


def _torchvision(path: Path, counts: Sequence[int]) -> tuple[Arrays, list[str]]:
    """As `_keras`. The keys count every layer: a convolution and its ReLU each, and a pool after each block."""
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    state = {key: value for key, value in state.items() if key.startswith("features.")}
    arrays: Arrays = {}
    index = 0
    for block, count in enumerate(counts, 1):
        for i in range(1, count + 1):
            if f"features.{index}.weight" not in state:
                return arrays, sorted(state)
            arrays[f"block{block}_conv{i}"] = state.pop(f"features.{index}.weight"), state.pop(f"features.{index}.bias")
            index += 2
        index += 1
    return arrays, sorted(state)
