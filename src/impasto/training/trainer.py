"""The one trainer: it knows the contract of training/contract.py, and nothing of any family."""

import atexit
import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast

from impasto._version import __version__
from impasto.data.augment import augment, reduced
from impasto.data.dataset import Dataset, Stored, order
from impasto.device import configure_cpu
from impasto.errors import DataError, ModelError, SettingsError
from impasto.files import remove_abandoned
from impasto.training import checkpoint
from impasto.training.learner import Learner, seed_step
from impasto.training.reports import Reports
from impasto.training.resume import before, described
from impasto.training.settings import Limit, Training

if TYPE_CHECKING:  # models stand above this floor; here one is handed in
    from impasto.training.contract import Model

__all__ = ["Limit", "Progress", "Training", "train"]

SAVE_EVERY = 60  # seconds: what a kill -9 may cost
SHOW_EVERY = 0.5  # seconds between two records, so that a bar moves and Ctrl-C is heard


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    step: int  # steps done
    steps: int  # of all; an estimate where time decides
    epoch: float  # how often the data were seen
    done: float  # share of the whole, 0 to 1
    rate: float  # the learning rate of this step
    train: dict[str, float]  # losses and metrics, mean since the last line of metrics.jsonl
    validation: dict[str, float]  # empty where none was made
    speed: float  # pictures per second
    seconds: float  # used so far, over all resumed parts
    left: float  # seconds


def train(
    model: "Model",
    data: Dataset,
    validation: Dataset | None,
    settings: Training,
    run: Path,
    *,
    resume: bool = False,
    data_changed: bool = False,
    stop: Limit | None = None,
    preset: str | None = None,
) -> Iterator[Progress]:
    """Train `model` in place on its device, and keep everything in the folder `run`. Closing it saves a checkpoint.

    Two trainings of the same model, data and settings give the same numbers, interrupted or not: what is random in a
    step follows from the seed and the step's number. Only `Limit.minutes` depends on the machine.
    Under `torchrun` or `accelerate launch` each process takes its part of every batch, and the first one writes.

    Args:
        validation: pictures whose loss is reported, with the averaged weights.
        resume: go on from the checkpoint in `run`, under `settings` as they are now; of them the optimiser and the
            seed must be those it was begun with, as the model must.
        data_changed: go on with pictures that are not those the run was begun with.
        preset: its name, for config.json.

    Raises:
        ModelError: the loss or a weight is no number any more, or the folder does not fit `resume`.
        DataError: there are no pictures, or they are not what the model is for, or not those of the run.
        SettingsError: fewer pictures in a batch than processes, or settings that cannot change in a run.
        OutputError: the folder cannot be written.
    """
    configure_cpu()
    processes = PartialState(cpu=model.device.type == "cpu")
    atexit.register(processes.destroy_process_group)  # else its threads may outlive Python, which then aborts
    device = processes.device if processes.num_processes > 1 else model.device
    stop = stop or Limit()
    saved = None
    if resume:
        then = before(run, type(model.config))
        then.check(model.config, settings)
        data = then.labelled(data, data_changed)
        if not data_changed:
            then.check_data(data, validation)
        if validation is not None:
            validation = then.labelled(validation, data_changed)
        saved = checkpoint.read_state(run)
        saved.setdefault("seen", saved["step"] * then.training.batch)  # version 0.2 did not count
    else:
        checkpoint.check_empty(run)
    _check(model, data, settings, processes)
    if isinstance(data, Stored) and device.type == "cuda":  # as bytes they fit, and no batch waits for the bus
        labels = None if data.labels is None else data.labels.to(device)
        data = dataclasses.replace(data, images=data.images.to(device), labels=labels)
    learner = Learner(model, settings, device)
    if saved is not None:
        try:
            learner.restore(saved)
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"{run / checkpoint.STATE} is of another model or optimiser") from error
    processes.wait_for_everyone()  # nobody writes before all have looked

    steps = stop.total(len(data), settings, learner.step, learner.seen)
    used = 0.0 if saved is None else float(saved["seconds"])
    begun = saved_at = shown_at = line_at = time.perf_counter()
    line_step = learner.step

    def seconds() -> float:
        return used + time.perf_counter() - begun

    def done() -> float:
        if steps is not None:
            return min(1.0, learner.step / steps)
        passed = seconds() / (60 * (stop.minutes or 0))
        if processes.num_processes > 1:  # the clock of the first one counts for all
            passed = float(broadcast(torch.tensor(passed, device=device)))
        return min(1.0, passed)

    def save() -> None:
        nonlocal saved_at
        if not learner.finite():
            raise _diverged("a weight", learner.step, run)
        if processes.is_main_process:
            checkpoint.save(run, config, learner.average, {**learner.state(), "seconds": seconds()})
        saved_at = time.perf_counter()

    config = _config(model, data, validation, settings, stop, preset)
    reports = None
    try:
        save()  # also of a resumed run: a kill may have come between the state and the weights
        if processes.is_main_process:
            remove_abandoned(run)
            reports = Reports(run, learner.step)
        share = done()
        while share < 1:
            rate = settings.rate_at(learner.step, share)
            seed_step(settings.seed, learner.step, processes.process_index, device)
            indices = order(len(data), settings.batch, learner.seen, settings.seed)[learner.part]
            batch = learner.moved(data.batch(indices))
            images = augment(batch.images, settings.augment)
            images = reduced(images, model.config.smallest_size) if share < settings.small else images
            learner.learn(dataclasses.replace(batch, images=images), rate)

            step, share, now = learner.step, done(), time.perf_counter()
            report = step % settings.report_every == 0 or share == 1
            line = report or step % settings.log_every == 0
            if not line and now - shown_at < SHOW_EVERY:
                continue
            speed = (step - line_step) * settings.batch / (now - line_at)
            progress = Progress(
                step=step,
                steps=steps or round(step / share),
                epoch=learner.seen / len(data),
                done=share,
                rate=rate,
                train=learner.scores() if line else learner.means.read(),
                validation=learner.validate(validation) if report and reports and validation else {},
                speed=speed,
                seconds=seconds(),
                left=(steps - step) * settings.batch / speed if steps else seconds() / share - seconds(),
            )
            if line:
                if bad := [
                    name for name, x in progress.train.items() if name.endswith("loss") and not math.isfinite(x)
                ]:
                    raise _diverged(f"the {bad[0]}", step, run)
                if reports:
                    reports.add(dataclasses.asdict(progress))
                if reports and report:
                    seed_step(settings.seed, 0, 0, device)
                    reports.draw(learner.average.eval())
                    learner.model.train()  # the same network where no average is kept
                line_at, line_step = time.perf_counter(), step
            if share == 1 or now - saved_at > SAVE_EVERY:
                save()
            yield progress
            shown_at = time.perf_counter()
    except GeneratorExit:
        save()
        raise
    finally:
        if reports:
            reports.close()


def _check(model: "Model", data: Dataset, settings: Training, processes: PartialState) -> None:
    """Say what does not fit together, before anything is written."""
    if len(data) == 0:
        raise DataError(f"{data.name} has no pictures to train on")
    if (data.channels, data.size) != (model.config.channels, model.config.size):
        raise DataError(
            f"{data.name} has pictures of {data.channels} channels and {data.size} pixels a side; "
            f"the model is for {model.config.channels} and {model.config.size}"
        )
    if model.config.classes not in (0, len(data.class_names)):
        raise DataError(f"{data.name} has {len(data.class_names)} classes; the model is for {model.config.classes}")
    if settings.small and getattr(model.config, "smallest_size", model.config.size) == model.config.size:  # as anystyle
        raise SettingsError("this network takes pictures of one size: --set small=0")
    if settings.batch < processes.num_processes:
        raise SettingsError(f"a batch of {settings.batch} is too small for {processes.num_processes} processes")


def _config(
    model: "Model", data: Dataset, validation: Dataset | None, settings: Training, stop: Limit, preset: str | None
) -> dict[str, Any]:
    """What `config.json` says of a run."""
    return {
        "family": type(model).__module__.rpartition(".")[2],  # one file each, so the file's name is the family's
        "preset": preset,
        "config": dataclasses.asdict(model.config),
        "training": dataclasses.asdict(settings),
        "limit": dataclasses.asdict(stop),
        "data": described(data, validation),
        "parameters": sum(p.numel() for p in model.parameters()),
        "class_names": list(data.class_names),
        "versions": {"impasto": __version__, "torch": torch.__version__},
    }


def _diverged(what: str, step: int, run: Path) -> ModelError:
    return ModelError(
        f"{what} was no number any more by step {step}; {run} holds the last good checkpoint. "
        "Try a lower rate (--set rate=...), or a longer warm-up"
    )
