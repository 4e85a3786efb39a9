"""What a run says of itself: metrics.jsonl, TensorBoard events, curves.png, and sheets of samples."""

import json
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from impasto.errors import OutputError
from impasto.files import replacing
from impasto.media.grids import grid
from impasto.media.picture import Picture
from impasto.provenance import drawn_recipe
from impasto.training.contract import Draws, Model

ROWS, COLUMNS = 5, 10  # of a sheet; a model with fewer classes has a column for each
SEED = 0  # of the samples, so that sheets of different steps can be compared
IN_LINE = ("step", "epoch", "seconds", "rate", "speed", "train", "validation")
TRAIN, VALIDATION, INK, FAINT = "#3b6ea8", "#d1662b", "#333333", "#e4e4e4"


class Reports:
    """The reports of one run; those of a resumed one go on where its checkpoint stands."""

    def __init__(self, run: Path, step: int) -> None:
        self.run = run
        metrics, events = run / "metrics.jsonl", run / "tensorboard"
        self.lines = [line for line in read_metrics(run) if line["step"] <= step]
        with _named(metrics), replacing(metrics) as part:  # what came after the checkpoint comes again
            part.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
        with _named(metrics):
            self.metrics = metrics.open("a", encoding="utf-8", buffering=1)  # every line at once
        with _named(events):
            events.mkdir(exist_ok=True)
            # Not tensorboardX's SummaryWriter: its thread would die of a full disk, and the training wait for it.
            self.events = EventsWriter(str(events / "events"), f".{step}")
            self._event(step=step + 1, session_log=SessionLog(status=SessionLog.START))  # later ones are void

    def add(self, progress: dict[str, Any]) -> None:
        """Write a line: the fields of `trainer.Progress`, as JSON values."""
        line = {name: progress[name] for name in IN_LINE if progress[name] != {}}
        self.lines.append(line)
        with _named(self.run / "metrics.jsonl"):
            self.metrics.write(json.dumps(line) + "\n")
        with _named(self.run / "tensorboard"):
            self._event(step=line["step"], summary=scalar("rate", line["rate"]))
            for split in ("train", "validation"):
                for name, value in line.get(split, {}).items():
                    self._event(step=line["step"], summary=scalar(f"{name}/{split}", value))

    def _event(self, **what: Any) -> None:
        self.events.write_event(Event(wall_time=time.time(), **what))

    def draw(self, model: Model) -> None:
        """Draw curves.png anew, and a sheet of samples where the family draws pictures."""
        with _named(self.run / "curves.png"):
            draw_curves(self.lines, self.run / "curves.png")
        with _named(self.run / "tensorboard"):
            self.events.flush()
        columns = min(model.config.classes, COLUMNS) or COLUMNS
        labels = torch.arange(ROWS * columns) % columns if model.config.classes else None
        generator, step = torch.Generator().manual_seed(SEED), self.lines[-1]["step"]
        drawer: Any = model
        steps = drawer.sampling(ROWS * columns, labels=labels, generator=generator) if isinstance(model, Draws) else ()
        for samples in deque(steps, maxlen=1):  # the last, if there is any
            with _named(self.run / "samples"):
                (self.run / "samples").mkdir(exist_ok=True)
            recipe = drawn_recipe("train", {"run": self.run.name, "step": step, "seed": SEED}, {})
            Picture(grid(samples, columns), recipe=recipe).save(self.run / "samples" / f"step-{step:06}.png")

    def close(self) -> None:
        """Close the files."""
        with suppress(OSError):  # a full disk has been said already
            self.metrics.close()
        with suppress(OSError):
            self.events.close()


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say which file it is that the disk has no room for."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{file} cannot be written ({error.strerror or error}); the last checkpoint stays") from error


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; those are left out that a kill cut short, or that somebody damaged."""
    lines = []
    with suppress(OSError):
        for text in (run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                line = json.loads(text)
                if _is_line(line):
                    lines.append(line)
    return lines


def _is_line(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and isinstance(line.get("step"), int)
        and "train" in line
        and all(
            isinstance(line.get(split, {}), dict)
            and all(isinstance(value, int | float) for value in line.get(split, {}).values())
            for split in ("train", "validation")
        )
    )


def draw_curves(lines: list[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each loss and metric in `lines`, over the steps, as a picture at `path`."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for line in lines for name in (*line["train"], *line.get("validation", {}))))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for name, panel in zip(names, panels, strict=False):
        shown: list[float] = []
        for split, colour in (("train", TRAIN), ("validation", VALIDATION)):
            points = [
                (line["step"], line[split][name])
                for line in lines
                if math.isfinite(line.get(split, {}).get(name, math.nan))
            ]
            if not points:
                continue
            steps, values = zip(*points, strict=True)
            smooth = _smoothed(values) if split == "train" else list(values)
            if split == "train":
                panel.plot(steps, values, color=colour, linewidth=0.8, alpha=0.3)
            marker = {"marker": "o", "markersize": 3.5} if split == "validation" or len(points) == 1 else {}
            panel.plot(steps, smooth, color=colour, linewidth=1.8, label=split, **marker)
            shown += smooth[len(smooth) // 20 :]  # the fall of the first steps may leave the frame
        shown = shown or [0.0]
        if min(shown) > 0 and max(shown) > 10 * min(shown):
            panel.set_yscale("log")
        else:
            margin = 0.08 * (max(shown) - min(shown)) or 0.05
            panel.set_ylim(min(shown) - margin, max(shown) + margin)
        panel.set_title(name, loc="left", fontsize=11, color=INK)
        panel.set_xlabel("steps", color=INK)
        panel.grid(color=FAINT, linewidth=0.8)
        panel.tick_params(which="both", colors=INK, length=0)
        panel.spines[:].set_visible(False)
        if panel.lines:
            panel.legend(frameon=False, labelcolor=INK)
    for panel in panels:  # left over in the last row
        panel.remove()
    with replacing(path) as part:
        figure.savefig(part, dpi=120)


def _smoothed(values: tuple[float, ...]) -> list[float]:
    """Exponential moving average over about a thirtieth of the curve, without lag at the start."""
    keep = 1 - 1 / max(1, len(values) / 30)
    smooth, mean, weight = [], 0.0, 0.0
    for value in values:
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + 1 - keep
        smooth.append(mean / weight)
    return smooth
