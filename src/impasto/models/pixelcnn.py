"""Gated PixelCNN: draws pixel by pixel, and knows its exact likelihood (van den Oord et al. 2016, arXiv:1606.05328).

Two stacks of convolutions share the work. The vertical one sees the rows above a pixel; the horizontal one sees the
pixels to its left and what the vertical one found, so no earlier pixel is out of sight. Of several channels each also
sees those before it in its own pixel (red, green, blue: arXiv:1601.06759).

Where we depart from the paper: kernels end at the pixel itself in place of being masked beyond it, so that nothing is
computed for zeros; there are fewer gated units than features, to which they are added; the vertical stack is residual
too, and gives the horizontal one its features after the gates; and the network sees where in the picture it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.configs import Within
from impasto.errors import SettingsError
from impasto.models.autoregressive import Autoregressive, ranks
from impasto.training.contract import Config

REACH = 3  # pixels that the first layer sees to each side; each further layer adds one


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(Config):
    """How wide and deep a PixelCNN is."""

    levels: Annotated[int, Within(2, 256)] = 2  # of brightness
    width: Annotated[int, Within(1, 4096)] = 32  # features of each stack
    gates: Annotated[int, Within(1, 4096)] = 16  # gated units of each layer
    layers: Annotated[int, Within(1, 1000)] = 12
    head: Annotated[int, Within(1, 4096)] = 64  # features between the stacks and the logits


class Masked(nn.Conv2d):
    """A convolution over a pixel and `reach` pixels to its left.

    Args:
        inputs, outputs: for each feature how many channels of the pixel itself it knows (its rank). An output is joined
            with the inputs in the same pixel that know no more than it may, and with all those to the left.
    """

    mask: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor, reach: int = 0):
        super().__init__(len(inputs), len(outputs), (1, 1 + reach))
        mask = torch.ones_like(self.weight)
        mask[:, :, 0, reach] = (inputs <= outputs[:, None]).float()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, window: Tensor) -> Tensor:
        """Features [N, out, R, W] of `window` [N, in, R, reach + W]."""
        weight = self.weight * self.mask
        if window.shape[2:] == self.kernel_size:  # one pixel: a product of matrices is far quicker than a convolution
            return F.linear(window.flatten(1), weight.flatten(1), self.bias)[:, :, None, None]
        return F.conv2d(window, weight, self.bias)


class Layer(nn.Module):
    """A gated residual layer of both stacks."""

    def __init__(self, config: PixelCNNConfig):
        super().__init__()
        width, gates = config.width, config.gates
        features, gated = ranks(width, config.channels), ranks(gates, config.channels)
        self.vertical = nn.Conv2d(width, 2 * gates, (2, 3))
        self.vertical_out = nn.Conv2d(gates, width, 1)
        self.link = nn.Conv2d(width, 2 * gates, 1)
        self.horizontal = Masked(features, gated.repeat(2), reach=1)
        self.horizontal_out = Masked(gated, features)
        if config.classes:
            self.label = nn.Embedding(config.classes, 4 * gates)
            nn.init.zeros_(self.label.weight)

    def rows(self, v: Tensor, window: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """The vertical stack's next features of whole rows, and what they tell the horizontal stack.

        `window` is `v` [N, width, R, S] with the row above it and a column more at both sides.
        """
        x = self.vertical(window)
        if labels is None:
            v = v + self.vertical_out(gate(x))
            return v, self.link(v)
        for_rows, for_pixels = self.label(labels)[:, :, None, None].chunk(2, 1)
        v = v + self.vertical_out(gate(x + for_rows))
        return v, self.link(v) + for_pixels

    def pixels(self, h: Tensor, window: Tensor, link: Tensor) -> Tensor:
        """The horizontal stack's next features. `window` is `h` [N, width, R, W] with the column left of it."""
        return h + self.horizontal_out(gate(self.horizontal(window) + link))


def gate(x: Tensor) -> Tensor:
    """tanh(a / 2) σ(b) [N, gates, ...] of the halves `a` and `b` of `x` [N, 2 * gates, ...].

    tanh(a / 2) = 2 σ(a) - 1, and one sigmoid of everything is several times faster on a CPU in bfloat16 than a tanh and
    a sigmoid of the halves, forward and backward. The network learns the factor 1/2.
    """
    a, b = torch.sigmoid(x).chunk(2, 1)
    return torch.addcmul(-b, a, b, value=2)


class PixelCNN(Autoregressive):
    """Gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328): each pixel from those above and to its left."""

    config_class = PixelCNNConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # The figures of the literature are of black and white pixels and do not know the class.
        "binary": {
            "conditional": False,
            "steps": 3_000,
            "batch": 32,
            "rate": 5e-3,  # Muon is ahead for some hundred steps and then stalls
            "betas": (0.9, 0.99),
            "ema": 0.995,
            "clip": 100.0,  # the loss is a sum over pixels, and so are its gradients
        },
        "quick": {"layers": 6, "batch": 32, "rate": 5e-3, "betas": (0.9, 0.99), "ema": 0.99, "clip": 100.0},
    }
    position: Tensor
    layers: Any  # of Layer: nn.ModuleList does not say what it holds

    def __init__(self, config: PixelCNNConfig):
        super().__init__(config)
        if min(config.width, config.gates, config.head) < config.channels:
            raise SettingsError(
                f"width, gates and head need at least one feature for each of {config.channels} channels"
            )
        config = self.config
        channels, width = config.channels, config.width
        inputs = torch.cat([torch.arange(channels) + 1, torch.zeros(3).long()])  # the position gives nothing away
        features, head = ranks(width, channels), ranks(config.head, channels)
        self.vertical = nn.Conv2d(len(inputs), width, (REACH, 2 * REACH + 1))
        self.horizontal = Masked(inputs, features, REACH)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.head = Masked(features, head)
        self.logits = Masked(head, torch.arange(channels).repeat_interleave(config.levels))
        for parameter in self.logits.parameters():
            nn.init.zeros_(parameter)  # the first guess: all levels alike
        steps = torch.linspace(-1, 1, config.size)
        row, column = torch.meshgrid(steps, steps, indexing="ij")
        self.register_buffer("position", torch.stack([torch.ones_like(row), row, column])[None], persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits [N, C, levels, S, S] of each pixel, given those before it, of `pictures` [N, C, S, S] in [0, 1]."""
        x = self.inputs(pictures)
        v = self.vertical(x[:, :, :-1])
        h = self.horizontal(x[:, :, REACH:, :-REACH]) + v
        for layer in self.layers:
            v, link = layer.rows(v, F.pad(v, (1, 1, 1, 0)), labels)
            h = layer.pixels(h, F.pad(h, (1, 0, 0, 0)), link)
        return self.outputs(h)

    def onnx_module(self) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """One pass over whole pictures, as `training.export.network` takes it; drawing asks for it pixel by pixel.

        Pictures [N, C, S, S] of the model's levels in [0, 1] and, with classes, labels [N] (int64) -> logits
        [N, C, levels, S, S].
        """
        config = self.config
        inputs = {"pictures": torch.rand(2, config.channels, config.size, config.size, device=self.device)}
        return self.exported(inputs, "logits")

    def inputs(self, pictures: Tensor) -> Tensor:
        """What the first layer sees [N, C + 3, REACH + S, S + 2 * REACH]: levels in [-1, 1], position, and a border."""
        position = self.position.expand(pictures.shape[0], -1, -1, -1)  # len() would fix their number in ONNX
        x = torch.cat([pictures * 2 - 1, position], 1)
        return F.pad(x.contiguous(memory_format=torch.channels_last), (REACH, REACH, REACH, 0))

    def outputs(self, h: Tensor) -> Tensor:
        """Logits [N, C, levels, R, W] from the horizontal stack's features [N, width, R, W]."""
        logits = self.logits(F.relu(self.head(F.relu(h))))
        return logits.unflatten(1, (self.config.channels, self.config.levels))

    def cached(self, n: int, labels: Tensor | None) -> Callable[[Tensor, int, int], Tensor]:
        """The logits of a pixel of `n` pictures that are being drawn, by what is known of them, row and column."""
        return Cache(self, n, labels).pixel


class Cache:
    """The features of a picture that is being drawn, each computed once (Ramachandran et al. 2017, arXiv:1704.06001).

    A new row needs the vertical stack's features of the row above, a new pixel the horizontal ones of the pixel to its
    left. All this costs as much as one pass over the whole picture.
    """

    def __init__(self, network: PixelCNN, n: int, labels: Tensor | None):
        self.network, self.labels, self.i = network, labels, -1
        like = network.position
        size, width, layers = network.config.size, network.config.width, network.config.layers
        self.above = [like.new_zeros(n, width, 1, size) for _ in range(layers)]  # the vertical features, by layer
        self.beside = [like.new_zeros(n, width, 1, 1 + size) for _ in range(layers)]  # the horizontal ones of this row

    def row(self, pictures: Tensor, i: int) -> None:
        """Go on to row `i`, which is the next."""
        self.i = i
        v = self.network.vertical(self.seen(pictures, i)[:, :, :-1])
        self.first, self.links = v, []
        for k, layer in enumerate(self.network.layers):
            window = F.pad(torch.cat([self.above[k], v], 2), (1, 1))
            self.above[k] = v
            v, link = layer.rows(v, window, self.labels)
            self.links.append(link)

    def pixel(self, pictures: Tensor, i: int, j: int) -> Tensor:
        """Logits [N, C, levels] of pixel `j` of row `i`, as `Autoregressive.cached` says."""
        if i > self.i:
            self.row(pictures, i)
        window = self.seen(pictures, i)[:, :, REACH:, j : j + REACH + 1]
        h = self.network.horizontal(window) + self.first[..., j : j + 1]
        for k, layer in enumerate(self.network.layers):
            self.beside[k][..., j + 1 : j + 2] = h
            h = layer.pixels(h, self.beside[k][..., j : j + 2], self.links[k][..., j : j + 1])
        return self.network.outputs(h)[..., 0, 0]

    def seen(self, pictures: Tensor, i: int) -> Tensor:
        """The first layer's window of row `i` [N, C + 3, REACH + 1, S + 2 * REACH]."""
        return self.network.inputs(pictures.to(self.above[0]))[:, :, i : i + REACH + 1]
