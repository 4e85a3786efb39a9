"""Run a job while somebody watches: the bar, the JSON lines, Ctrl-C, and the picture at the end."""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.terminal import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from impasto.media.picture import Picture
    from impasto.style.stylize import Progress

LOSS_LINE_EVERY = 100  # steps; the tutorials of the classic recipe print as much


@dataclasses.dataclass(frozen=True)
class Painted:
    """A finished run."""

    picture: "Picture"
    loss: float
    seconds: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.picture.pixels.shape[2:]
        return width, height

    def __str__(self) -> str:
        return "{} × {} pixels in {:.1f} s".format(*self.size, self.seconds)


def paint(
    run: "Iterable[Progress]",
    output: Path,
    *,
    long_side: int = 1,
    loss_lines: bool = False,
    saving: dict[str, Any] | None = None,
    save_every: int | None = None,
    as_json: bool = False,
) -> Painted:
    """Do a `run` and write its picture.

    Args:
        long_side: of the picture, pixels, as far as it is known.
        loss_lines: also print the loss now and then.
        saving: arguments of `Picture.save`.
        save_every: also write the picture so far, every so many steps.
        as_json: a line per step, and one at the end, on standard output; otherwise a bar where a person is watching.

    Raises:
        ImpastoError: as the run and `Picture.save`; what can be known of the output is said before the work.
        Stopped: Ctrl-C, after the picture so far was written.
    """
    from impasto.media import picture

    saving = saving or {}
    bits = {name: value for name, value in saving.items() if name == "bits"}
    picture.check_writable(output, long_side=long_side, **bits)
    start = time.perf_counter()
    so_far: Progress | None = None
    bar = _Bar(loss_lines, shown=sys.stderr.isatty() and not as_json)
    stopped = False
    try:
        for number, so_far in enumerate(run, 1):
            bar.show(so_far)
            if as_json:
                print(json.dumps(_record(so_far)), flush=True)
            if save_every and number % save_every == 0:
                so_far.result().save(output.with_stem(f"{output.stem}-{number:04}"), **saving)
    except KeyboardInterrupt:
        if so_far is None:
            raise
        stopped = True
    finally:
        bar.stop()
    assert so_far is not None, "a run has one step at least"

    painted = Painted(so_far.result(), so_far.loss, time.perf_counter() - start)
    painted.picture.save(output, **saving)
    if as_json:
        width, height = painted.size
        end = {"output": str(output), "seconds": round(painted.seconds, 3), "width": width, "height": height}
        print(json.dumps({**end, "loss": painted.loss, "stopped": stopped}), flush=True)
    if stopped:
        width, height = so_far.size
        reached = f"step {so_far.step} of {so_far.steps} at {width} × {height} pixels"
        raise Stopped(f"{output} is the picture so far ({reached}, scale {so_far.scale} of {so_far.scales})")
    return painted


def _record(progress: "Progress") -> dict[str, Any]:
    names = [f.name for f in dataclasses.fields(progress) if f.name != "result"]
    return {**{name: getattr(progress, name) for name in names}, "loss": progress.loss}


class _Bar:
    """A bar on standard error. It appears with the first step, for a download before it draws a bar of its own."""

    def __init__(self, loss_lines: bool, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.loss_lines = loss_lines
        self.bar = Progress(
            TextColumn("scale {task.fields[at].scale}/{task.fields[at].scales}"),
            TextColumn("step {task.fields[at].step}/{task.fields[at].steps}"),
            BarColumn(),
            TextColumn("loss {task.fields[at].loss:.4g}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )

    def show(self, at: "Progress") -> None:
        if self.bar.disable:
            return
        if not self.bar.tasks:
            self.bar.add_task("", total=1, at=at)
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=at.done, at=at)
        if self.loss_lines and at.step % LOSS_LINE_EVERY == 0:
            self.bar.console.print(f"step {at.step}: loss {at.loss:.6g}", highlight=False)

    def stop(self) -> None:
        self.bar.stop()
