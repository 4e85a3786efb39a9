"""A model while it learns: one step, the moving average of its weights, and what it scored."""

import copy
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast, reduce
from torch import Tensor, nn

from impasto.data.dataset import Batch, Dataset, drawn
from impasto.device import autocast_dtype
from impasto.training.optimisers import build, restore
from impasto.training.settings import Training

if TYPE_CHECKING:  # models stand above this floor; here one is handed in
    from impasto.training.contract import Model

VALIDATION_PICTURES = 2000  # at most; more would cost slow families much of their time


def seed_step(seed: int, step: int, process: int, device: torch.device) -> None:
    """Seed every random generator from these numbers alone.

    Done before each step, so no generator has a state that a checkpoint must keep. (`torch.manual_seed` would also
    queue a call for each absent kind of device: half a millisecond.)
    """
    mixed = int(np.random.SeedSequence((seed, step, process)).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)
    torch.default_generator.manual_seed(mixed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(mixed)


class Means:
    """Running means of losses and metrics. They stay on the device until somebody reads them."""

    def __init__(self, sums: dict[str, Tensor] | None = None, counts: dict[str, float] | None = None) -> None:
        self.sums, self.counts = sums or {}, counts or {}

    def add(self, name: str, value: Tensor | float, weight: float = 1.0) -> None:
        """Take in a value, scalar, that counts `weight` times."""
        value = torch.as_tensor(value, dtype=torch.float32).detach() * weight
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0.0) + weight

    def read(self) -> dict[str, float]:
        """The means of this process."""
        if not self.sums:
            return {}
        sums = torch.stack([value.float() for value in self.sums.values()]).tolist()
        return {name: value / self.counts[name] for name, value in zip(self.sums, sums, strict=True)}


class Learner:
    """The model, its average, its optimisers, and the means of what they were told.

    Under several processes each sees its `share` of a batch, and gradients are averaged: a step is the same however
    many they are. Buffers (the statistics of batch norm) are those of the first process, as in PyTorch's own DDP.
    """

    def __init__(self, model: "Model", settings: Training, device: torch.device) -> None:
        self.settings, self.device, self.processes = settings, device, PartialState()
        self.model = model.to(device).train()
        self.average = copy.deepcopy(model).eval().requires_grad_(False) if settings.ema else model
        self.groups = {name: [p for p in parameters if p.requires_grad] for name, parameters in model.groups().items()}
        self.optimisers = {name: build(settings, parameters) for name, parameters in self.groups.items()}
        dtype = {"auto": autocast_dtype(device), "float32": None, "bf16": torch.bfloat16}[settings.precision]
        self.autocast = torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)
        self.weights: tuple[list[Tensor], list[Tensor]] = list(model.parameters()), list(self.average.parameters())
        self.means = Means()
        self.step = self.seen = 0  # steps, and pictures in all of them
        broadcast([*self.model.state_dict().values(), *self.average.state_dict().values()])

    @property
    def part(self) -> slice:
        """Of a batch, for this process."""
        first, end = (self.settings.batch * (self.processes.process_index + i) for i in (0, 1))
        return slice(first // self.processes.num_processes, end // self.processes.num_processes)

    def learn(self, batch: Batch, rate: float) -> None:
        """One step on this process's part of a batch."""
        n, several = len(batch.images), self.processes.num_processes > 1
        share = n * self.processes.num_processes / self.settings.batch  # the weight of its mean among the others'
        updates = self.model.updates(batch)
        while True:
            with self.autocast:
                update = next(updates, None)
            if update is None:
                break
            parameters = self.groups[update.group]
            for parameter in parameters:
                parameter.grad = None
            (update.loss * share if several else update.loss).backward()
            if several:
                _average_gradients(parameters)
            if self.settings.clip:
                nn.utils.clip_grad_norm_(parameters, self.settings.clip)
            for optimiser in self.optimisers[update.group]:
                for options in optimiser.param_groups:
                    options["lr"] = rate
                optimiser.step()
            prefix = f"{update.group} " if len(self.groups) > 1 else ""
            for name, value in {"loss": update.loss, **update.metrics}.items():
                self.means.add(prefix + name, value)
        if several:
            broadcast(list(self.model.buffers()))
        self.step += 1
        self.seen += self.settings.batch
        self._average()

    def scores(self) -> dict[str, float]:
        """Means since the last call, over all processes."""
        means, self.means = self.means.read(), Means()
        if self.processes.num_processes > 1:
            part = self.part
            share = (part.stop - part.start) * self.processes.num_processes / self.settings.batch
            shared = torch.tensor(list(means.values()), device=self.device) * share
            means = dict(zip(means, reduce(shared, "mean").tolist(), strict=True))
        return means

    @torch.no_grad()
    def validate(self, data: Dataset) -> dict[str, float]:
        """Mean losses and metrics of the averaged weights, always on the same pictures with the same seed.

        Empty for families of several groups: what a discriminator loses says nothing of the pictures.
        """
        if len(self.groups) > 1:
            return {}
        buffers = [buffer.clone() for buffer in self.average.buffers()]  # a model may count what it is shown
        self.average.eval()
        seed_step(0, 0, 0, self.device)
        means = Means()
        for indices in drawn(data, VALIDATION_PICTURES).split(self.settings.batch):
            with self.autocast:
                for update in self.average.updates(self.moved(data.batch(indices))):
                    for name, value in {"loss": update.loss, **update.metrics}.items():
                        means.add(name, value, len(indices))
        for buffer, before in zip(self.average.buffers(), buffers, strict=True):
            buffer.copy_(before)
        self.model.train()
        return means.read()

    def moved(self, batch: Batch) -> Batch:
        """The batch on the model's device."""
        labels = None if batch.labels is None else batch.labels.to(self.device, non_blocking=True)
        return Batch(batch.images.to(self.device, non_blocking=True), labels)

    def finite(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(p.isfinite().all()) for p in self.model.parameters())

    def state(self) -> dict[str, Any]:
        """Everything that the next steps depend on, as tensors and plain values."""
        return {
            "step": self.step,
            "seen": self.seen,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {name: [o.state_dict() for o in built] for name, built in self.optimisers.items()},
            "sums": self.means.sums,
            "counts": self.means.counts,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state up again, under the settings that are now.

        Raises:
            KeyError, RuntimeError, ValueError, TypeError, AttributeError: it is of another model or optimiser.
        """
        self.model.load_state_dict(state["model"])
        if self.average is not self.model:  # of a run without an average it is the weights themselves
            self.average.load_state_dict(state["average"])
        for name, built in self.optimisers.items():
            for optimiser, saved in zip(built, state["optimisers"][name], strict=True):
                restore(optimiser, saved)
        sums = {name: value.to(self.device) for name, value in state["sums"].items()}
        self.means = Means(sums, dict(state["counts"]))
        self.step, self.seen = state["step"], state["seen"]

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average towards the weights: quickly at first, when they still run away; buffers are copied."""
        if self.average is self.model:
            return
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        weights, averages = self.weights
        torch._foreach_lerp_(averages, weights, 1 - decay)
        buffers = list(self.model.buffers())
        if buffers:
            torch._foreach_copy_(list(self.average.buffers()), buffers)


def _average_gradients(parameters: list[nn.Parameter]) -> None:
    """Make the gradients their means over all processes, in one message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    means = reduce(torch.cat([g.flatten() for g in gradients]), "mean")
    for gradient, mean in zip(gradients, means.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))
