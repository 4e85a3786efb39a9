"""The course: notebooks hold what came of the sources beside them, in both languages; a lesson runs, in short."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "docs" / "learn").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "docs" / "learn").glob("*.ipynb"))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lessons", ROOT / "tools" / "lessons.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_seven_lessons_in_two_languages() -> None:
    assert len(SOURCES) == 7 and len(NOTEBOOKS) == 14


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_notebooks_are_made_of_the_source_as_it_is(tool: ModuleType, source: Path) -> None:
    assert tool.is_made(source), f"run: python tools/lessons.py {source.stem}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_explanation_is_there_in_both_languages(source: Path) -> None:
    words = [cell for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    english, chinese = words[::2], words[1::2]
    assert {cell.metadata["lang"] for cell in english} == {"en"}
    assert {cell.metadata["lang"] for cell in chinese} == {"zh-CN"}
    for one, other in zip(english, chinese, strict=True):
        assert bones(one.source) == bones(other.source)
        assert re.search("[一-鿿]", other.source) and not re.search("[一-鿿]", one.source)


def bones(text: str) -> tuple[list[str], set[str], set[str]]:
    """What does not depend on the language: levels of headings, numbers of questions, code, the formulas set apart."""
    formulas = {re.sub(r"\\text\{[^}]*\}", "", formula) for formula in re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)}
    return re.findall(r"^(?:#+|\d\.)", text, re.MULTILINE), set(re.findall(r"`[^`]+`", text)), formulas


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_what_its_code_printed_and_drew(notebook: Path) -> None:
    found = nbformat.read(notebook, 4)
    nbformat.validate(found)
    outputs = [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum(drawn(output) for output in outputs) >= 3
    said = " ".join(output.get("text", "") for output in outputs)
    assert not re.search(r"Traceback|Warning|error:|/tmp/|/home/", said)
    assert all(output.output_type != "error" for output in outputs)
    assert notebook.stat().st_size < 1.5e6


@pytest.mark.parametrize("name", ["cnn", "vae"])
def test_a_lesson_runs_from_top_to_bottom(tool: ModuleType, name: str) -> None:
    """In few steps; `make docs` runs all of a lesson that has changed."""
    lesson = jupytext.read(ROOT / "docs" / "learn" / f"{name}.py")
    for cell in lesson.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"STEPS = \d+", "STEPS = 20", cell.source)
            cell.source = re.sub(r"--minutes [\d.]+", "--steps 2", cell.source)
    done = tool.run(lesson)
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum(drawn(output) for output in outputs) >= 3


def drawn(output: Any) -> bool:
    """Whether it is a picture."""
    return any(kind.startswith("image/") for kind in output.get("data", {}))
