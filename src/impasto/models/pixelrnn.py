"""PixelRNN: a picture drawn pixel by pixel by LSTMs; exact likelihood (van den Oord et al. 2016, arXiv:1601.06759).

Pixels follow each other in raster order, and in a pixel channel by channel: red, green, blue. A masked convolution lets
in only what is earlier, then LSTMs carry it on. Pixels whose states do not need each other are a *front*, computed at
once: a row (Row LSTM) or a diagonal (Diagonal BiLSTM).

Where we depart from the paper: it skews the map so that diagonals become columns, half of them padding, and we sort the
pixels by diagonal, so that nothing is computed for padding; the LSTM's candidate is tanh(a / 2), because one sigmoid
then serves all four gates; and the padding left of a row holds the last pixel of the row above, which the paper's
network does not see from most of the row (only the rows further down see it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.configs import OneOf, Within
from impasto.errors import SettingsError
from impasto.models.autoregressive import Autoregressive, ranks
from impasto.training.contract import Config


class Kind(NamedTuple):
    """Which earlier pixels the LSTMs of a layer see."""

    directions: int  # 2: another LSTM goes over the mirrored picture
    inputs: int  # pixels of its row whose features an LSTM sees: 1 is its own, 2 also the one to its left
    states: tuple[
        tuple[int, int], ...
    ]  # pixels (rows down, columns right) whose outputs it sees; of the first the cell


KINDS = {
    "row": Kind(1, 2, ((-1, 0), (-1, -1), (-1, 1))),
    "diagonal": Kind(2, 1, ((0, -1), (-1, 0))),
}


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(Config):
    """How wide and deep a PixelRNN is."""

    kind: Annotated[str, OneOf(tuple(KINDS))] = "diagonal"  # sees all earlier pixels; "row": a triangle above
    levels: Annotated[int, Within(2, 256)] = 2  # of brightness
    layers: Annotated[int, Within(1, 1000)] = 2
    # Features of an LSTM's state; between the layers there are twice as many.
    hidden: Annotated[int, Within(1, 4096)] = 32


class Front(NamedTuple):
    """Pixels `start` to `end` in the order of `skewing`."""

    start: int
    end: int
    moves: list[
        tuple[slice, slice]
    ]  # for each of `Kind.states`: pixels of the front before -> those here that see them


def skewing(kind: str, size: int) -> tuple[Tensor, list[Front]]:
    """Raster numbers [P] of a picture's pixels, front after front, and the fronts."""
    fronts: dict[int, list[tuple[int, int]]] = {}
    for row in range(size):
        for column in range(size):
            fronts.setdefault(row + column if kind == "diagonal" else row, []).append((row, column))
    pixels = [pixel for number in sorted(fronts) for pixel in fronts[number]]
    place = {pixel: number for number, pixel in enumerate(pixels)}
    found = []
    for number in sorted(fronts):
        front, moves = fronts[number], []
        for down, right in KINDS[kind].states:
            targets = [(row, column) for row, column in front if (row + down, column + right) in place]
            start = place[targets[0]] if targets else 0
            source = place[targets[0][0] + down, targets[0][1] + right] if targets else 0
            moves.append((slice(source, source + len(targets)), slice(start, start + len(targets))))
        found.append(Front(place[front[0]], place[front[-1]] + 1, moves))
    return torch.tensor([row * size + column for row, column in pixels]), found


class Recurrence(torch.autograd.Function):
    """LSTMs over fronts. The backward pass is by hand, and two to three times as fast as autograd's.

    Features [D, P, N, F] (directions, pixels in the order of `skewing`, pictures), weight [D, places * H + F, 4H] and
    bias [D, 1, 4H] -> outputs [D, P, N, H]. The gates are input, forget, output and candidate.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, fronts: list[Front]) -> Tensor:
        hidden, states = bias.shape[-1] // 4, weight.shape[1] - x.shape[-1]
        seen = x.new_zeros(*x.shape[:3], weight.shape[1])  # by each pixel's LSTM: outputs of others, then its features
        seen[..., states:] = x
        gates = x.new_empty(*x.shape[:3], 4 * hidden)
        cells, squashed, outputs = (x.new_empty(*x.shape[:3], hidden) for _ in range(3))
        for start, end, moves in fronts:
            for state, (source, target) in zip(seen[..., :states].split(hidden, -1), moves, strict=True):
                state[:, target] = outputs[:, source]
            gate = gates[:, start:end]
            torch.baddbmm(bias, seen[:, start:end].flatten(1, 2), weight, out=gate.flatten(1, 2))
            enter, _, leave, value = gate.sigmoid_().chunk(4, -1)
            cell = torch.addcmul(-enter, enter, value, value=2, out=cells[:, start:end])
            source, target = moves[0]
            cells[:, target].addcmul_(gates[:, target, :, hidden : 2 * hidden], cells[:, source])
            # tanh(a) = 2 σ(2a) - 1, and torch's sigmoid is six times as fast as its tanh on a CPU.
            squash = torch.mul(cell, 2, out=squashed[:, start:end]).sigmoid_().mul_(2).sub_(1)
            torch.mul(leave, squash, out=outputs[:, start:end])
        ctx.save_for_backward(seen, weight, gates, cells, squashed)
        ctx.fronts = fronts
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        seen, weight, gates, cells, squashed = ctx.saved_tensors
        hidden = cells.shape[-1]
        states = hidden * len(ctx.fronts[0].moves)
        to_seen = weight.transpose(1, 2)
        of_outputs = grads[0].clone()  # later fronts add to it
        of_cells = torch.zeros_like(cells)
        of_gates = torch.zeros_like(gates)
        for start, end, moves in reversed(ctx.fronts):
            enter, _, leave, value = gates[:, start:end].chunk(4, -1)
            of_gate = of_gates[:, start:end]
            of_enter, _, of_leave, of_value = of_gate.chunk(4, -1)
            of_output, of_cell, squash = of_outputs[:, start:end], of_cells[:, start:end], squashed[:, start:end]
            of_cell += torch.ops.aten.tanh_backward(of_output * leave, squash)
            torch.mul(of_output, squash, out=of_leave)
            torch.mul(of_cell, enter, out=of_value).mul_(2)
            torch.addcmul(-of_cell, of_cell, value, value=2, out=of_enter)
            source, target = moves[0]
            keep = slice(hidden, 2 * hidden)
            torch.mul(of_cells[:, target], cells[:, source], out=of_gates[:, target, :, keep])
            torch.mul(of_cells[:, target], gates[:, target, :, keep], out=of_cells[:, source])
            torch.ops.aten.sigmoid_backward(of_gate, gates[:, start:end], grad_input=of_gate)
            of_seen = (of_gate.flatten(1, 2) @ to_seen[..., :states]).unflatten(1, (end - start, -1))
            for state, (source, target) in zip(of_seen.split(hidden, -1), moves, strict=True):
                of_outputs[:, source] += state[:, target.start - start : target.stop - start]
        flat = of_gates.flatten(1, 2)
        of_x = (flat @ to_seen[..., states:]).view(*seen.shape[:3], -1)
        return of_x, seen.flatten(1, 2).transpose(1, 2) @ flat, flat.sum(1, keepdim=True), None


class Masked(nn.Linear):
    """A linear layer at each pixel, with mask B: an output sees the inputs of its own rank and of lower ones.

    Args:
        inputs, outputs: the rank of each feature, which is the channel that it helps to predict.
        free: how many features come before the inputs that belong to earlier pixels: all outputs see them.
    """

    mask: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor, free: int = 0):
        super().__init__(free + len(inputs), len(outputs))
        inputs = torch.cat([inputs.new_full((free,), -1), inputs])
        self.register_buffer("mask", (inputs <= outputs[:, None]).float(), persistent=False)

    def masked(self) -> Tensor:
        """The weights [outputs, inputs], 0 where an output must not see an input."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.masked(), self.bias)


class First(nn.Conv2d):
    """The 7x7 convolution that reads the pixels, with mask A: of its own pixel only channels below the rank.

    Of the kernel's rows there are four, as nothing below the pixel is seen.
    """

    mask: Tensor

    def __init__(self, channels: int, outputs: Tensor):
        super().__init__(channels, len(outputs), (4, 7))
        mask = torch.ones_like(self.weight)
        mask[:, :, 3, 3] = (torch.arange(channels) < outputs[:, None]).float()
        mask[:, :, 3, 4:] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, window: Tensor) -> Tensor:
        """Features [R * W, N, F] of pixels [N, C, 3 + R, 3 + W + 3]."""
        return F.conv2d(window, self.weight * self.mask, self.bias).flatten(2).permute(2, 0, 1)


class Layer(nn.Module):
    """A residual layer of one LSTM (row) or two (diagonal)."""

    order: Tensor
    raster: Tensor
    lstms: Any  # of Masked: nn.ModuleList does not say what it holds

    def __init__(self, config: PixelRNNConfig):
        super().__init__()
        self.kind, self.size = KINDS[config.kind], config.size
        order, self.fronts = skewing(config.kind, config.size)
        mirrored = torch.arange(config.size**2).view(config.size, -1).flip(1).flatten()
        orders = torch.stack([order, mirrored[order]])[: self.kind.directions]
        self.register_buffer("order", orders, persistent=False)  # [D, P]
        self.register_buffer("raster", orders.argsort(1), persistent=False)  # [D, P], the way back
        outer, inner = ranks(2 * config.hidden, config.channels), ranks(config.hidden, config.channels)
        free = len(self.kind.states) * len(inner) + (self.kind.inputs - 1) * len(outer)
        self.lstms = nn.ModuleList(Masked(outer, inner.repeat(4), free) for _ in range(self.kind.directions))
        self.up = Masked(inner, outer)

    def forward(self, x: Tensor) -> Tensor:
        """Features [P, N, F] of all pixels in raster order -> the same."""
        features = x
        if self.kind.inputs == 2:
            left = F.pad(x.unflatten(0, (self.size, self.size)), (0, 0, 0, 0, 1, 0))[:, :-1].flatten(0, 1)
            features = torch.cat([left, x], -1)
        features = features.index_select(0, self.order.flatten()).unflatten(0, self.order.shape)
        weight = torch.stack([lstm.masked().T for lstm in self.lstms])
        bias = torch.stack([lstm.bias[None] for lstm in self.lstms])
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 all but the products is slower
            outputs = Recurrence.apply(features.to(weight.dtype), weight, bias, self.fronts)
        total = outputs[0].index_select(0, self.raster[0])
        if self.kind.directions == 2:  # the mirrored one has seen its whole row, so it serves the row below
            later = outputs[1].index_select(0, self.raster[1])
            total = total + F.pad(later, (0, 0, 0, 0, self.size, 0))[: -self.size]
        return x + self.up(total)

    def pixel(self, memory: "Memory", x: Tensor, i: int, j: int) -> Tensor:
        """Features [N, F] of pixel `j` of row `i` -> the same. All pixels before it are in the memory."""
        memory.inputs[j + 1] = x
        self.step(memory, 0, torch.cat(list(memory.inputs[j + 2 - self.kind.inputs : j + 2]), -1), i, j)
        total = memory.outputs[0, i % 2, j + 1]
        if self.kind.directions == 2:
            total = total + memory.outputs[1, (i - 1) % 2, self.size - j]
        return x + self.up(total)

    def end_row(self, memory: "Memory", i: int) -> None:
        """Take the mirrored LSTM over row `i`, which is complete."""
        if self.kind.directions == 2:
            for j in range(self.size):
                self.step(memory, 1, memory.inputs[self.size - j], i, j)

    def step(self, memory: "Memory", direction: int, features: Tensor, i: int, j: int) -> None:
        """An LSTM's state of the pixel that is `j`-th of row `i` from where it starts."""
        outputs, cells = memory.outputs[direction], memory.cells[direction]
        places = [((i + down) % 2, j + right + 1) for down, right in self.kind.states]
        gates = self.lstms[direction](torch.cat([*(outputs[place] for place in places), features], -1))
        enter, keep, leave, value = torch.sigmoid(gates).chunk(4, -1)
        cell = keep * cells[places[0]] + enter * (2 * value - 1)
        cells[i % 2, j + 1], outputs[i % 2, j + 1] = cell, leave * torch.tanh(cell)


class Memory:
    """What a layer must know to draw the next pixel: its features of this row, its states of this row and the last.

    Columns are counted from 1; 0 and the last are the nothing beside the picture. Rows take turns in two places.
    """

    def __init__(self, config: PixelRNNConfig, n: int, like: Tensor):
        columns, directions = config.size + 2, KINDS[config.kind].directions
        self.inputs = like.new_zeros(columns, n, 2 * config.hidden)
        self.outputs = like.new_zeros(directions, 2, columns, n, config.hidden)
        self.cells = torch.zeros_like(self.outputs)


BINARY = {
    "conditional": False,
    "steps": 20_000,
    "batch": 16,
    "rate": 6e-3,  # at 2e-2 the loss rises again after 500 steps
    "optimiser": "muon",
    "clip": 100.0,  # the loss is a sum over pixels, and so are its gradients
    "precision": "float32",  # the recurrence always is, and little is left beside it
}


class PixelRNN(Autoregressive):
    """PixelRNN (van den Oord et al. 2016, arXiv:1601.06759): each pixel from earlier ones, seen by LSTMs."""

    layers: Any  # of Layer
    config_class = PixelRNNConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # The figures of the literature are of black and white pixels and do not know the class.
        "diagonal": BINARY,
        "row": {**BINARY, "kind": "row", "layers": 4},
        "quick": {**BINARY, "conditional": True, "hidden": 16, "ema": 0.98, "log_every": 10, "report_every": 100},
    }

    def __init__(self, config: PixelRNNConfig):
        super().__init__(config)
        if config.hidden < config.channels:
            raise SettingsError(f"hidden needs at least one feature for each of {config.channels} channels")
        config = self.config
        features = ranks(2 * config.hidden, config.channels)
        self.first = First(config.channels, features)
        self.label = nn.Embedding(config.classes, len(features)) if config.classes else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.head = Masked(features, features)
        self.logits = Masked(features, torch.arange(config.channels).repeat_interleave(config.levels))
        nn.init.zeros_(self.logits.weight)  # the first guess: all levels alike

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits [N, C, levels, S, S] of each pixel, given those before it, of `pictures` [N, C, S, S] in [0, 1]."""
        x = self.inputs(self.padded(pictures), labels)
        for layer in self.layers:
            x = layer(x)
        return self.outputs(x).unflatten(0, pictures.shape[2:]).permute(2, 3, 4, 0, 1)

    def padded(self, pictures: Tensor) -> Tensor:
        """What `first` sees [N, C, 3 + S, 3 + S + 3]: black is -1 and white 1, so that 0 is no pixel at all."""
        x = pictures * 2 - 1
        before = F.pad(x[:, :, :-1, -1:], (0, 0, 1, 0))  # the last pixel of the row above
        return F.pad(torch.cat([before, x], -1), (2, 3, 3, 0))

    def inputs(self, window: Tensor, labels: Tensor | None) -> Tensor:
        """The first layer's features [P, N, F]; the class is the same for all pixels."""
        x = self.first(window)
        return x if self.label is None else x + self.label(labels)

    def outputs(self, x: Tensor) -> Tensor:
        """Logits [..., N, C, levels] from the last layer's features [..., N, F]."""
        logits = self.logits(F.relu(self.head(F.relu(x))))
        return logits.unflatten(-1, (self.config.channels, self.config.levels))

    def cached(self, n: int, labels: Tensor | None) -> Callable[[Tensor, int, int], Tensor]:
        """The logits of a pixel of `n` pictures that are being drawn, by what is known of them, row and column."""
        return Cache(self, n, labels).pixel


class Cache:
    """The states of a picture that is being drawn, each computed once."""

    def __init__(self, network: PixelRNN, n: int, labels: Tensor | None):
        self.network, self.labels, self.i = network, labels, 0
        self.memories = [Memory(network.config, n, network.head.weight) for _ in network.layers]

    def pixel(self, pictures: Tensor, i: int, j: int) -> Tensor:
        """Logits [N, C, levels] of pixel `j` of row `i`, as `Autoregressive.cached` says."""
        network = self.network
        if i > self.i:
            for layer, memory in zip(network.layers, self.memories, strict=True):
                layer.end_row(memory, self.i)
            self.i = i
        x = network.inputs(network.padded(pictures)[:, :, i : i + 4, j : j + 7], self.labels)[0]
        for layer, memory in zip(network.layers, self.memories, strict=True):
            x = layer.pixel(memory, x, i, j)
        return network.outputs(x)
