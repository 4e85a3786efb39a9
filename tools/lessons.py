"""The course: notebooks in English and Chinese from the sources of the lessons, with what their code printed and drew.

    python tools/lessons.py [NAME ...]

docs/learn/NAME.py is text as jupytext reads it: code, and before it each explanation twice, in cells with lang="en" and
with lang="zh-CN". Its code runs once, in an empty folder; NAME.ipynb and NAME.zh-CN.ipynb keep what came of it. Without
names, that is done for the lessons whose source is another than that of their notebooks.
"""

import copy
import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

LESSONS = Path(__file__).parent.parent / "docs" / "learn"
LANGUAGES = {"en": "", "zh-CN": ".zh-CN"}  # and what the names of their notebooks have before the ending
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal
SECONDS = 600  # that a lesson may take on a slow machine, before it is given up


def main() -> None:
    for source in sorted(LESSONS.glob("*.py")):
        if source.stem in sys.argv[1:] or (not sys.argv[1:] and not is_made(source)):
            begun = time.perf_counter()
            done = run(jupytext.read(source))
            done.metadata["source"] = digest(source)
            for language, suffix in LANGUAGES.items():
                nbformat.write(only(done, language), source.with_name(f"{source.stem}{suffix}.ipynb"))
            print(f"{source.stem}: {time.perf_counter() - begun:.0f} s")


def run(lesson: NotebookNode) -> NotebookNode:
    """The lesson, with what its code printed and drew."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where `impasto` lies
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        # Not a port, which others on the machine could talk to.
        ours = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        client = NotebookClient(lesson, timeout=SECONDS, kernel_name="python3", resources=place, config=ours)
        client.coalesce_streams = True
        done = client.execute()
    for cell in (cell for cell in done.cells if cell.cell_type == "code"):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in (output for output in cell.outputs if "text" in output):
            output.text = COLOUR.sub("", output.text)
    return done


def only(lesson: NotebookNode, language: str) -> NotebookNode:
    """What readers of one language see of it."""
    found = copy.deepcopy(lesson)
    found.cells = [cell for cell in found.cells if cell.metadata.pop("lang", language) == language]
    for number, cell in enumerate(found.cells):
        cell.id = str(number)  # else a random one: the same lesson would be another file each time
        cell.metadata = {}
    return found


def is_made(source: Path) -> bool:
    """Whether both notebooks are there, of this very source."""
    notebooks = [source.with_name(f"{source.stem}{suffix}.ipynb") for suffix in LANGUAGES.values()]
    return all(path.exists() and nbformat.read(path, 4).metadata.get("source") == digest(source) for path in notebooks)


def digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
