"""The recipe of Ulyanov and Lebedev (2016, "Audio texture synthesis and style transfer"), to compare with.

A spectrogram is optimised from noise until the Gram matrix of one wide layer of random filters is the style's, and its
features are, a little, the content's. Phases are then invented, by Griffin and Lim's (1984) algorithm as Perraudin,
Balazs and Sondergaard (2013) made it faster.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.device import autocast_dtype

SIZE, HOP = 2048, 512  # samples
FILTERS, WIDTH = 4096, 11
CONTENT_WEIGHT = 0.01
PHASE_STEPS, MOMENTUM = 200, 0.99


def optimise(
    content: Tensor, style: Tensor, steps: int, strength: float, seed: int
) -> Iterator[tuple[float, dict[str, float], Callable[[], Tensor]]]:
    """Yield after each step of L-BFGS the share of the work, the loss terms, and what gives the sound so far.

    Args:
        content, style: [channels, T].
    """
    generator = torch.Generator().manual_seed(seed)
    wanted, target = spectrogram(content), spectrogram(style)
    scale = math.sqrt(2) * math.sqrt(2 / ((wanted.shape[1] + FILTERS) * WIDTH))
    filters = scale * torch.randn(FILTERS, wanted.shape[1], WIDTH, generator=generator).to(content.device)

    kernel, dtype = filters.flatten(1), autocast_dtype(content.device)

    def features(spectra: Tensor) -> tuple[Tensor, Tensor]:
        """The filters' answers [channels * frames, FILTERS] and their Gram matrix."""
        columns = spectra.unfold(2, WIDTH, 1).transpose(1, 2).flatten(0, 1).flatten(1)
        with torch.autocast(content.device.type, dtype, enabled=dtype is not None):
            found = F.relu(columns @ kernel.T).float()  # a convolution; PyTorch's own is three times as slow
        return found, found.T @ found / len(found)

    with torch.no_grad():
        contents, gram = features(wanted)[0], features(target)[1]
    current = (1e-3 * torch.randn(wanted.shape, generator=generator)).to(content.device).requires_grad_()
    descent = torch.optim.LBFGS([current], max_iter=1, max_eval=10, history_size=10, tolerance_grad=0,
                                tolerance_change=0, line_search_fn="strong_wolfe")  # fmt: skip
    terms: dict[str, float] = {}

    def closure() -> Tensor:
        descent.zero_grad()
        found, second = features(current)
        kept = CONTENT_WEIGHT * (found - contents).square().sum()
        far = strength * (second - gram).square().sum()
        terms.update(style=far.item(), content=kept.item())
        (far + kept).backward()
        assert current.grad is not None
        current.grad = current.grad.contiguous()  # as L-BFGS wants it
        return far + kept

    for step in range(1, steps + 1):
        descent.step(closure)
        magnitude = current.detach().clone().clamp_min(0).expm1()
        yield step / steps, dict(terms), partial(with_phases, magnitude, content.shape[1], seed)


def spectrogram(samples: Tensor) -> Tensor:
    """log(1 + magnitude) [channels, SIZE / 2 + 1, frames] of `samples` [channels, T]."""
    return torch.log1p(_transform(samples).abs())


def with_phases(magnitude: Tensor, length: int, seed: int) -> Tensor:
    """Samples [channels, length] with a spectrogram as near to `magnitude` as fast Griffin-Lim comes."""
    angle = 2 * math.pi * torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(seed))
    current = torch.polar(magnitude, angle.to(magnitude.device))
    window, previous = torch.hann_window(SIZE, device=magnitude.device), torch.zeros_like(current)
    for _ in range(PHASE_STEPS):
        consistent = _transform(torch.istft(current, SIZE, HOP, window=window, length=length))
        led = consistent + MOMENTUM * (consistent - previous)
        current, previous = magnitude * led / led.abs().clamp_min(1e-9), consistent
    return torch.istft(current, SIZE, HOP, window=window, length=length)


def _transform(samples: Tensor) -> Tensor:
    window = torch.hann_window(SIZE, device=samples.device)
    return torch.stft(samples, SIZE, HOP, window=window, return_complex=True)
