"""A family that trains in milliseconds, and random pictures for it. As a script: train it, in one or more processes."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from impasto.data.dataset import Batch, Stored
from impasto.training.contract import Config, Model, Update
from impasto.training.trainer import Limit, Training, train


@dataclass(frozen=True, kw_only=True)
class TinyConfig(Config):
    width: int = 4
    noise: float = 0.0  # added to the pictures, from torch's global generator
    drawing: bool = True


class Tiny(Model):
    """Two layers that give a picture back."""

    config_class = TinyConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "plain": {"batch": 8, "steps": 10},
        "wide": {"width": 6},
        "quick": {"batch": 4},
    }
    seen: Tensor

    def __init__(self, config: TinyConfig):
        super().__init__(config)
        self.first = nn.Conv2d(config.channels, config.width, 3, padding=1)
        self.last = nn.Conv2d(config.width, config.channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.first(images).relu())

    def updates(self, batch: Batch) -> Iterator[Update]:
        self.seen += len(batch.images)
        images = batch.images
        error = (self(images + self.config.noise * torch.randn_like(images)).float() - images).square().mean()
        yield Update("model", error, {"rms": error.sqrt()})

    def sampling(self, n: int, **options: Any) -> Iterator[Tensor]:
        if not self.config.drawing:
            return iter(())
        return iter([torch.rand(n, 1, self.config.size, self.config.size, generator=options["generator"])])


def pictures(n: int = 50) -> Stored:
    """Random pictures of 6 pixels a side, in two classes."""
    images = torch.randint(256, (n, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Stored("noise", images, torch.arange(n) % 2, ("even", "odd"))


def tiny(**values: Any) -> Tiny:
    """A new model for `pictures`, always the same."""
    torch.manual_seed(0)
    return Tiny(TinyConfig(size=6, **values))


SETTINGS = Training(steps=40, batch=8, log_every=5, report_every=20, ema=0.9, warmup=4, rate=1e-2, precision="float32")

if __name__ == "__main__":
    run, until = Path(sys.argv[1]), int(sys.argv[2])
    progress = train(tiny(), pictures(), pictures(9), SETTINGS, run, stop=Limit(steps=40 if until < 1000 else until))
    for at in progress:
        print(at.step, flush=True)
        if at.step >= until:
            break
    progress.close()  # type: ignore[attr-defined]
