"""How to train, and for how long: the settings of the trainer."""

import math
from dataclasses import astuple, dataclass
from typing import Annotated

from impasto.configs import OneOf, Within, check
from impasto.data.augment import KINDS
from impasto.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train. Every family's preset may change any of these.

    Raises:
        SettingsError: a value that makes no sense.
    """

    steps: Annotated[int, Within(1, 10**9)] = 10_000  # where no Limit says otherwise
    batch: Annotated[int, Within(1, 10**6)] = 64  # pictures a step, over all processes
    rate: Annotated[float, Within(0, 1e6)] = 1e-3  # the highest learning rate
    betas: tuple[Annotated[float, Within(0, 1, open=True)], ...] = (0.9, 0.999)  # of AdamW
    momentum: Annotated[float, Within(0, 1, open=True)] = 0.95  # of Muon
    weight_decay: Annotated[float, Within(0, 1e6)] = 0.0
    optimiser: Annotated[str, OneOf(("adamw", "muon", "sgd"))] = "adamw"  # "sgd" is with Nesterov momentum 0.9
    warmup: Annotated[int, Within(0, 10**9)] = 100  # steps over which the rate rises
    decay: Annotated[str, OneOf(("cosine", "linear", "constant"))] = (
        "cosine"  # of the rate, to zero at the end, or none
    )
    clip: Annotated[float, Within(0, 1e12)] = 1.0  # the gradient's norm is cut to this; 0: it is not
    ema: Annotated[float, Within(0, 1, open=True)] = 0.999  # decay of the moving average of the weights; 0: none
    augment: Annotated[str, OneOf(tuple(KINDS))] = "none"
    # Share of the training, at its beginning, with pictures of three quarters of their side, which take about half the
    # time (progressive resizing); for networks that take any size.
    small: Annotated[float, Within(0, 1)] = 0.0
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    precision: Annotated[str, OneOf(("auto", "float32", "bf16"))] = "auto"  # "auto": bf16 where that is quicker
    log_every: Annotated[int, Within(1, 10**9)] = 50  # steps between lines in metrics.jsonl
    report_every: Annotated[int, Within(1, 10**9)] = 500  # steps between validations, sample grids and curves

    def __post_init__(self) -> None:
        check(self)
        if len(self.betas) != 2:
            raise SettingsError(f"betas are two numbers, not {len(self.betas)}")

    def rate_at(self, step: int, done: float) -> float:
        """The learning rate of step number `step`, when the share `done` of the training is over."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        falling = {"cosine": 0.5 + 0.5 * math.cos(math.pi * done), "linear": 1 - done, "constant": 1.0}
        return self.rate * warm * falling[self.decay]


@dataclass(frozen=True)
class Limit:
    """When training ends: one of these, or by none of them after `Training.steps`.

    Raises:
        SettingsError: two of them, or one out of its range.
    """

    steps: Annotated[int, Within(1, 10**9)] | None = None
    epochs: Annotated[float, Within(1e-6, 1e9)] | None = None
    # Of wall clock, over all resumed parts; the rate falls with time, not with steps.
    minutes: Annotated[float, Within(1e-6, 1e9)] | None = None

    def __post_init__(self) -> None:
        check(self)
        if len([value for value in astuple(self) if value is not None]) > 1:
            raise SettingsError("give one of steps, epochs and minutes")

    def total(self, pictures: int, settings: Training, step: int = 0, seen: int = 0) -> int | None:
        """The number of steps in all, of which `step` are done, with `seen` pictures; None where time decides."""
        if self.minutes is not None:
            return None
        if self.epochs is not None:
            return step + math.ceil(max(0, math.ceil(self.epochs * pictures) - seen) / settings.batch)
        return self.steps or settings.steps
