"""What a worker does, on this machine or on another: paint one picture, and say what came of it."""

import os
import platform
import time
import warnings
from dataclasses import replace

from impasto.batch.manifest import Record
from impasto.batch.tasks import Task
from impasto.errors import ImpastoError, ImpastoWarning, out_of_memory


def paint(task: Task, memory: float) -> Record:
    """Do `task` and write its picture. What goes wrong with it becomes a record of status "failed".

    Args:
        memory: GB that it may use, where its settings do not say.
    """
    from impasto import provenance
    from impasto.style.stylize import Job, running

    begun, said = time.perf_counter(), []
    settings = replace(task.settings, memory=task.settings.memory or memory)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            task.output.parent.mkdir(parents=True, exist_ok=True)
            *_, last = running(Job(task.content, task.styles, task.masks, task.protect), settings)
            result = last.result()
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


def failure(why: str) -> Record:
    """What the manifest says of a picture that could not be made."""
    return {"status": "failed", "error": why}
