"""How to train, and for how long: the settings of the trainer."""

import math
from dataclasses import astuple, dataclass

from impasto.configs import nearest
from impasto.data.augment import KINDS
from impasto.errors import SettingsError
from impasto.training.optimisers import OPTIMISERS

CHOICES = {
    "optimiser": OPTIMISERS,
    "decay": ("cosine", "linear", "constant"),
    "augment": KINDS,
    "precision": ("auto", "float32", "bf16"),
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train. Every family's preset may change any of these.

    Raises:
        SettingsError: a value that makes no sense.
    """

    steps: int = 10_000  # where no Limit says otherwise
    batch: int = 64  # pictures a step, over all processes
    rate: float = 1e-3  # the highest learning rate
    betas: tuple[float, ...] = (0.9, 0.999)  # of AdamW
    weight_decay: float = 0.0
    optimiser: str = "adamw"  # "adamw" | "muon" | "sgd" (Nesterov momentum 0.9)
    warmup: int = 100  # steps over which the rate rises
    decay: str = "cosine"  # of the rate, to zero at the end: "cosine" | "linear" | "constant" (none)
    clip: float = 1.0  # the gradient's norm is cut to this; 0: it is not
    ema: float = 0.999  # decay of the exponential moving average of the weights; 0: there is none
    augment: str = "none"  # "none" | "flip" | "flip+crop" | "shift"
    seed: int = 0
    precision: str = "auto"  # "auto": bf16 where the processor has it | "float32" | "bf16"
    log_every: int = 50  # steps between lines in metrics.jsonl
    report_every: int = 500  # steps between validations, sample grids and curves

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise nearest(getattr(self, name), known, name)
        for name in ("steps", "batch", "log_every", "report_every"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("rate", "weight_decay", "warmup", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if len(self.betas) != 2 or not all(0 <= value < 1 for value in (*self.betas, self.ema)):
            raise SettingsError("betas are two numbers from 0 to less than 1, and ema is one such")
        if not 0 <= self.seed < 2**32:
            raise SettingsError(f"the seed {self.seed} is out of range; take one from 0 to {2**32 - 1}")

    def rate_at(self, step: int, done: float) -> float:
        """The learning rate of step number `step`, when the share `done` of the training is over."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        falling = {"cosine": 0.5 + 0.5 * math.cos(math.pi * done), "linear": 1 - done, "constant": 1.0}
        return self.rate * warm * falling[self.decay]


@dataclass(frozen=True)
class Limit:
    """When training ends: one of these, or by none of them after `Training.steps`.

    Raises:
        SettingsError: two of them, or one that is not above 0.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None  # of wall clock, over all resumed parts; the rate falls with time, not with steps

    def __post_init__(self) -> None:
        given = [value for value in astuple(self) if value is not None]
        if len(given) > 1 or not all(0 < value < math.inf for value in given):
            raise SettingsError("give one of steps, epochs and minutes, and more than 0")

    def total(self, pictures: int, settings: Training) -> int | None:
        """The number of steps in all; None where time decides."""
        if self.minutes is not None:
            return None
        if self.epochs is not None:
            return math.ceil(self.epochs * pictures / settings.batch)
        return self.steps or settings.steps
