"""As a script: `kills.py JOB FOLDER [EVERY]` does a job whole, then kills it at every (or every so many) moments,
before, in the middle of and after each of its writes, goes on each time, and compares what there is in the end.

Each run is a fork of this process, which imports everything once and computes nothing itself.
"""

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which an optimiser would import in each fork

from impasto.batch import manifest, run, sheet
from impasto.batch.tasks import crossed
from impasto.batch.work import paint
from impasto.bundled import STYLES
from impasto.media import clip, picture
from impasto.media.clip.frames import FrameWriter
from impasto.media.clip.writing import VideoWriter
from impasto.style import grade, stylize, video
from impasto.style.keyframes import KeyFrame
from impasto.style.settings import Settings
from impasto.training import trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import tiny

FRAMES = 16  # more than the encoder holds back
SMALL = Settings(quality="draft", size=32)
WRITES = (
    (Path, "replace"), (Path, "unlink"), (manifest.Manifest, "add"), (VideoWriter, "add"), (FrameWriter, "add"),
)  # fmt: skip


def kill_at(moment: int) -> None:
    """Make this process kill itself there."""
    left = itertools.count(moment, -1)

    def tick() -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hooked(write: Callable[..., Any]) -> Callable[..., Any]:
        def hooking(*words: Any, **options: Any) -> Any:
            if write.__name__ == "unlink" and not words[0].exists():  # as after each file that was put into place
                return write(*words, **options)
            tick()
            done = write(*words, **options)
            tick()
            return done

        return hooking

    def in_halves(self: Path, data: bytes) -> None:
        with self.open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            tick()
            file.write(data[len(data) // 2 :])

    for owner, name in WRITES:
        setattr(owner, name, hooked(getattr(owner, name)))
    Path.write_bytes = in_halves  # type: ignore[method-assign, assignment]


def died(work: Callable[[], None], moment: int | None = None) -> bool:
    """Do `work` in a process of its own, and say whether it was killed."""
    if not (child := os.fork()):
        code = 1
        try:
            if moment is not None:
                kill_at(moment)
            work()
            code = 0
        finally:
            sys.excepthook(*sys.exc_info()) if code else None  # type: ignore[arg-type]
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"it failed at moment {moment}"
    return os.WIFSIGNALED(status)


def train(folder: Path, resume: bool) -> None:
    trainer.SAVE_EVERY = trainer.SHOW_EVERY = 0  # a checkpoint at each step
    trainer.Reports.draw = lambda self, model: None  # type: ignore[method-assign]  # most of the time, and no state
    resume = resume and (folder / "run" / "state.pt").exists()  # else there is nothing to go on from
    settings = replace(tiny.SETTINGS, steps=2, log_every=1, report_every=2)
    for _ in trainer.train(tiny.tiny(), tiny.pictures(), None, settings, folder / "run", resume=resume):
        pass


def style(folder: Path, resume: bool) -> None:
    *_, last = stylize.running(stylize.Job(folder.parent / "0.png", [STYLES["swirl"]]), SMALL)
    last.result().save(folder / "out.png")


def batch(folder: Path, resume: bool) -> None:
    contents = [folder.parent / f"{i}.png" for i in range(2)]
    tasks = crossed(contents, [STYLES["wave"]], folder / "out", SMALL, ".png")
    for _ in run.running(tasks, folder / "out", lambda left: ((task, paint(task, 1.0)) for task in left)):
        pass
    sheet.draw(tasks, folder / "out")


def _video(output: Path, resume: bool, crf: int | None = None) -> None:
    video.KEPT_EVERY = 3
    job = video.Job(output.parent.parent / "clip", [video.TimedStyle(STYLES["wave"])], output, resume=resume, crf=crf)
    for _ in video.stylizing(job, SMALL):
        pass


def frames(folder: Path, resume: bool) -> None:
    _video(folder / "frames", resume)


def keyed(folder: Path, resume: bool) -> None:
    """One key is followed forwards, another one back."""
    video.KEPT_EVERY = 3
    keys = [KeyFrame(folder.parent / f"{i}.png", at) for i, at in enumerate((0, (FRAMES - 1) / 24))]
    job = video.Job(folder.parent / "clip", [], folder / "frames", keys=keys, resume=resume)
    for _ in video.stylizing(job, SMALL):
        pass


def film(folder: Path, resume: bool) -> None:
    _video(folder / "out.mp4", resume, crf=0)  # without loss, for what is coded anew from another frame on differs


def graded(folder: Path, resume: bool) -> None:
    job = grade.Job(source=folder.parent / "clip", reference=STYLES["wave"], method="monge")
    for _ in grade.grading(job, folder / "out.mp4", crf=0, resume=resume):
        pass


JOBS = {job.__name__: job for job in (train, style, batch, frames, keyed, film, graded)}


def inputs(folder: Path) -> None:
    """Pictures in `folder`, and a clip of a picture that moves."""
    ground = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    whole = picture.resize(ground, 48, 64)
    (folder / "clip").mkdir()
    for i in range(FRAMES):
        shown = picture.Picture(whole.roll((i, 2 * i), (2, 3))[..., :32, :32])
        shown.save(folder / "clip" / f"{i:02}.png")
        shown.save(folder / f"{i}.png")


def result(folder: Path) -> dict[str, Any]:
    """What is in the end: of films the pixels, of metrics and manifests what is not time, of the rest the bytes."""
    found: dict[str, Any] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and "tensorboard" not in path.parts):
        name = str(file.relative_to(folder))
        if name.endswith(".jsonl"):
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            lines = [{k: v for k, v in line.items() if k not in ("seconds", "speed", "worker")} for line in lines]
            found[name] = {json.dumps(line, sort_keys=True) for line in lines}  # a picture may be painted twice
        elif name.endswith("state.pt"):
            state = torch.load(file, weights_only=True)
            found[name] = repr([state[part] for part in ("step", "seen", "model", "average", "sums", "counts")])
            found[name] += repr([one["state"] for one in state["optimisers"]["model"]])  # the rate is said at each step
        elif name.endswith(".mp4"):
            found[name] = torch.cat([frame.pixels for frame in clip.read(file)])
        else:
            found[name] = file.read_bytes()
    return found


def seen(folder: Path) -> dict[str, Any]:
    """The `result` there, read in a process of its own: readers of clips keep threads, which a fork would miss."""
    file = folder.with_suffix(".result")
    assert not died(lambda: torch.save(result(folder), file))
    return torch.load(file, weights_only=False)  # type: ignore[no-any-return]


def compare(whole: dict[str, Any], parts: dict[str, Any]) -> None:
    assert whole.keys() == parts.keys(), whole.keys() ^ parts.keys()
    for name, value in whole.items():
        same = torch.equal(value, parts[name]) if isinstance(value, torch.Tensor) else value == parts[name]
        assert same, name


def main(name: str, folder: Path, every: int = 1) -> None:
    torch.set_num_threads(1)
    inputs(folder)

    def fresh(kind: str) -> Path:
        place = folder / kind
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place

    job = JOBS[name]
    whole_folder = fresh("whole")
    assert not died(lambda: job(whole_folder, False))
    whole = seen(whole_folder)
    assert whole
    count = 0
    for moment in itertools.count(0, every):
        place = fresh("parts")
        if not died(lambda: job(place, False), moment):  # noqa: B023
            break
        assert not died(lambda: job(place, True))  # noqa: B023
        for left in place.glob(".impasto-*"):  # which no process is left to clear away beside a single file
            assert name in ("style", "film", "graded"), left
            left.unlink()
        compare(whole, seen(place))
        count += 1
    print(count)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
