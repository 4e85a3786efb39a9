"""Convolutional classifiers: a textbook network, and one after airbench94 (Jordan 2024, arXiv:2404.00498).

Beside classes they give *features*, the space in which `evaluation.samples` compares pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.configs import OneOf, Within
from impasto.data.dataset import Batch
from impasto.errors import ModelError, SettingsError
from impasto.training.contract import Config, Model, Update

NOISE = 5e-4  # variance added to that of the patches, or whitening would blow up what hardly varies (Jordan 2024)


@dataclass(frozen=True, kw_only=True)
class CNNConfig(Config):
    """Settings of a classifier."""

    network: Annotated[str, OneOf(("airbench", "classic"))] = "airbench"
    # airbench: channels of the blocks, each half as large as the one before.
    widths: tuple[Annotated[int, Within(1, 4096)], ...] = (64, 128, 128)
    patch: Annotated[int, Within(1, 64)] = 2  # airbench: side of the patches that are whitened, pixels
    learned_bias: bool = True  # airbench: of what is whitened; without, a step takes a tenth less time
    # Share of each label that is spread evenly over all classes.
    smoothing: Annotated[float, Within(0, 1, open=True)] = 0.2
    mirror: bool = False  # classify by the mean over a picture, its mirror image, and both moved; not for digits

    @property
    def smallest_batch(self) -> int:
        return 2 if self.network == "airbench" else 1  # batch norm compares pictures

    @property
    def smallest_size(self) -> int:
        return self.patch - 1 + 2 ** len(self.widths) if self.network == "airbench" else self.size


class Whitening(nn.Module):
    """A convolution after which the values of a small patch are uncorrelated, with variance 1; and their negatives.

    Its filters are the eigenvectors of the patches' covariance, each over the root of its eigenvalue. They come from
    the first batch seen in training and stay: [N, C, S, S] -> [N, 2 C P^2, S - P + 1, S - P + 1], patches of side P.

    Args:
        learned: whether there is a bias that learns; else it stays 0.
    """

    mean: Tensor
    filters: Tensor
    ready: Tensor

    def __init__(self, channels: int, patch: int, learned: bool = True):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2 * channels * patch**2), requires_grad=learned)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("filters", torch.zeros(len(self.bias), channels, patch, patch))
        self.register_buffer("ready", torch.tensor(False))
        self.known_ready = False  # spares a GPU the wait for the buffer's value at each step

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Take mean and filters from `images` [N, C, S, S]."""
        self.mean.copy_(images.mean((0, 2, 3), keepdim=True))
        patches = F.unfold(images - self.mean, self.filters.shape[2]).movedim(1, 2).flatten(0, 1)  # [..., C P^2]
        with torch.autocast(images.device.type, enabled=False):  # bf16 would leave variances below zero
            variances, directions = torch.linalg.eigh(patches.T.cov(correction=0))
        filters = (directions / (variances.clamp(min=0) + NOISE).sqrt()).T.reshape(-1, *self.filters.shape[1:])
        self.filters.copy_(torch.cat([filters, -filters]))
        self.ready.fill_(True)

    def forward(self, images: Tensor) -> Tensor:
        if self.training and not self.known_ready:
            if not self.ready:
                self.fit(images)
            self.known_ready = True
        return F.conv2d(images - self.mean, self.filters, self.bias)


class Largest(nn.Module):
    """The largest value of each channel: [N, C, H, W] -> [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


def airbench(config: CNNConfig) -> tuple[nn.Module, int]:
    """Whitening, then blocks of two convolutions, each at half the size; and the number of features.

    Each convolution begins by handing on what it is given, and its further channels at random.
    """
    if not config.widths:
        raise SettingsError("widths need at least one number, the channels of the first block")
    first = 2 * config.channels * config.patch**2
    layers: list[nn.Module] = [Whitening(config.channels, config.patch, config.learned_bias), nn.GELU()]
    for before, width in pairwise((first, *config.widths)):
        layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.MaxPool2d(2)]
        layers += [nn.BatchNorm2d(width), nn.GELU()]
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.GELU()]
    if config.size < (least := config.smallest_size):
        raise SettingsError(f"with these widths a picture has at least {least} pixels a side, not {config.size}")
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight[: layer.in_channels])
    return nn.Sequential(*layers, Largest()), config.widths[-1]


def classic(config: CNNConfig) -> tuple[nn.Module, int]:
    """The network of TensorFlow's tutorial "Convolutional Neural Network (CNN)"; and the number of features."""
    side = ((config.size - 2) // 2 - 2) // 2 - 2  # after three convolutions without padding and two poolings
    if side < 1:
        raise SettingsError(f"the classic network takes pictures of 18 pixels and more, not {config.size}")
    network = nn.Sequential(
        *(nn.Conv2d(config.channels, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(64 * side**2, 64), nn.ReLU()),
    )
    return network, 64


NETWORKS = {"airbench": airbench, "classic": classic}


class CNN(Model):
    """A classifier of pictures."""

    config_class = CNNConfig
    _FAST: ClassVar[dict[str, Any]] = {
        "optimiser": "muon",
        "rate": 0.005,
        "betas": (0.9, 0.99),
        "batch": 256,
        "steps": 2000,
        "decay": "linear",
        "clip": 0.0,
        "ema": 0.0,  # the falling rate averages as much, and the statistics of batch norm fit the last weights
    }
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # For ten minutes of CPU. In validation (5,000 pictures of CIFAR-10, n = 1) it had 88.9 %; without weight decay
        # 88.4 %; so, in batches of 128 and with the bias learned 87.9 %, and 87.7 % with channels of 48, 96 and 128.
        "fast": {
            **_FAST,
            "widths": (64, 128, 160),
            "learned_bias": False,
            "mirror": True,
            "augment": "flip+crop2",
            "small": 0.6,
            "rate": 0.03,
            "momentum": 0.85,
            "weight_decay": 0.2,
        },
        "digits": {**_FAST, "widths": (32, 64, 128), "augment": "shift"},
        "quick": {**_FAST, "widths": (16, 32, 64), "batch": 128},
        "classic": {  # as the tutorial trains it: ten epochs of CIFAR-10 in batches of 32
            "network": "classic",
            "smoothing": 0.0,
            "steps": 15_625,
            "batch": 32,
            "rate": 1e-3,
            "warmup": 0,
            "decay": "constant",
            "clip": 0.0,
            "ema": 0.0,
        },
    }

    @classmethod
    def preset_for(cls, config: Config) -> str:
        """Grey pictures are taken for digits, which no mirror may turn round."""
        return "digits" if config.channels == 1 else "fast"

    def __init__(self, config: CNNConfig):
        super().__init__(config)
        if not config.classes:
            raise ModelError("a CNN learns to tell classes apart; take data that have some")
        self.body, features = NETWORKS[config.network](config)
        self.head = nn.Linear(features, config.classes)
        # Convolutions are twice as fast so on a CPU. (The annotations of torch do not know this argument.)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, images: Tensor) -> Tensor:
        """What the last layer sees of `images` [N, C, S, S] in [0, 1]: [N, D], float32."""
        features: Tensor = self.body(images.contiguous(memory_format=torch.channels_last))
        return features.float()

    def classify(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of `images` [N, C, S, S] in [0, 1].

        With `mirror` the mean over six views, much as airbench takes it: the picture and its mirror image, and each
        moved by a pixel up and down, which count half.
        """
        if not self.config.mirror:
            logits: Tensor = self.head(self.features(images))
            return logits.float()
        size = images.shape[3]
        around = F.pad(images, (1, 1, 1, 1), mode="reflect")
        moved = [images, around[..., :size, 1:-1], around[..., 2:, 1:-1]]
        views = torch.cat([*moved, *[view.flip(3) for view in moved]])
        logits = self.head(self.features(views)).float().unflatten(0, (6, -1))
        weights = logits.new_tensor([2.0, 1.0, 1.0, 2.0, 1.0, 1.0])[:, None, None]
        return (weights * logits).sum(0) / weights.sum()

    def probabilities(self, images: Tensor) -> Tensor:
        """Probabilities [N, classes] of the classes of `images` [N, C, S, S] in [0, 1].

        The network was trained on smoothed labels, and so learned (1 - smoothing) p + smoothing / classes; p is what
        is wanted.
        """
        learned = self.classify(images).softmax(1)
        p = (learned - self.config.smoothing / self.config.classes).clamp(min=0)
        return p / p.sum(1, keepdim=True)

    def forward(self, images: Tensor) -> Tensor:
        """The same as `probabilities`."""
        return self.probabilities(images)

    def onnx_module(self) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """Images [N, C, S, S] in [0, 1] -> probabilities [N, classes]; as `training.export.network` takes it."""
        config = self.config
        images = torch.rand(2, config.channels, config.size, config.size, device=self.device)
        return self, (images,), ["images"], ["probabilities"]

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Cross entropy with the smoothed labels, in nats."""
        assert batch.labels is not None, "data with classes have labels"
        logits = self.head(self.features(batch.images)).float()
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self.config.smoothing)
        yield Update("model", loss, {"accuracy": (logits.argmax(1) == batch.labels).float().mean()})
