"""What a worker does, on this machine or on another: paint one picture, and say what came of it."""

import os
import platform
import time
import warnings
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from impasto.batch.manifest import Record
from impasto.batch.tasks import Task
from impasto.errors import ImpastoError, ImpastoWarning, out_of_memory
from impasto.style.settings import GradeSettings, Settings, TextureSettings

if TYPE_CHECKING:  # it brings torch, which the main process of a batch does without
    from impasto.media.picture import Picture


def paint(task: Task, memory: float) -> Record:
    """Do `task` and write its picture. What goes wrong becomes a record of status "failed".

    Args:
        memory: GB that it may use, where its settings do not say.
    """
    from impasto import provenance

    begun, said = time.perf_counter(), []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            task.output.parent.mkdir(parents=True, exist_ok=True)
            result = _made(task, replace(task.settings, memory=task.settings.memory or memory))
            result.save(task.output, label_cn=task.label_cn)
        record: Record = {"status": "done", "sha256": provenance.sha256(task.output), "recipe": result.recipe}
    except ImpastoError as error:
        record = failure(str(error))
    except Exception as error:  # whatever one picture brings, the others go on
        full = "there is not enough memory; try a smaller --size or --memory"
        record = failure(full if out_of_memory(error) else f"{type(error).__name__}: {error}")
    ours = dict.fromkeys(str(one.message) for one in said if issubclass(one.category, ImpastoWarning))
    if ours:
        record["warnings"] = list(ours)
    return record | {"seconds": round(time.perf_counter() - begun, 3), "worker": f"{platform.node()}:{os.getpid()}"}


def _made(task: Task, settings: Settings) -> "Picture":
    """What the task asks for."""
    if task.content is None:
        from impasto.style import texture

        assert isinstance(task.own, TextureSettings)
        *_, end = texture.synthesising(texture.Job(exemplars=task.styles, **asdict(task.own)), settings)
        return end.result()
    if isinstance(task.own, GradeSettings):
        from impasto.style import grade

        (reference,), mask = task.styles, task.masks[0] if task.masks else None
        return grade.graded(grade.Job(source=task.content, reference=reference, mask=mask, **asdict(task.own)))[0]
    from impasto.style.stylize import Job, running

    *_, last = running(Job(task.content, task.styles, task.masks, task.protect), settings)
    return last.result()


def failure(why: str) -> Record:
    """What the manifest says of a picture that could not be made."""
    return {"status": "failed", "error": why}
