"""The README and the documentation: what they link to is there, what they say to type works, both languages agree."""

import ast
import doctest
import functools
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from PIL import Image
from typer.main import get_command

import impasto
from impasto import gaussian
from impasto.__main__ import app
from impasto.media.inspect import inspect
from impasto.style.grade import graded

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
COURSE = ROOT / "docs" / "learn"
PAGES = [ENGLISH, CHINESE, ROOT / "CHANGELOG.md", *GUIDES, COURSE / "index.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def leaves(group: Any, name: str = "impasto") -> Iterator[tuple[str, Any]]:
    """Every command below `group`, by what is typed for it."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


COMMANDS = dict(leaves(get_command(app)))


def typed(text: str) -> Iterator[str]:
    """The command lines in a page or a docstring: in blocks of code and between backticks."""
    for line in text.splitlines():
        if re.match(r" *(> )?impasto [a-z]", line):
            yield line.strip(" >")
    yield from (found.replace("\n", " ") for found in re.findall(r"`(impasto [a-z][^`]*)`", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if not link.startswith("http")]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_every_page_of_docs_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    made = ["index.md", "index.zh-CN.md", "CHANGELOG.md", "commands.md"]  # by tools/pages.py
    lessons = ["learn/index.md", *(f"learn/{notebook.stem}.md" for notebook in COURSE.glob("*.ipynb"))]
    assert sorted(listed) == sorted([*made, *lessons, *(page.name for page in GUIDES)])


def test_every_command_has_its_place_in_the_docs() -> None:
    text = " ".join(" ".join(page.read_text().split()) for page in GUIDES)
    assert [name for name in COMMANDS if not re.search(rf"{name}\b", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    wrong = [line for line in typed(page.read_text()) if not exists(line)]
    assert wrong == []


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_the_help_exist(name: str) -> None:
    command = COMMANDS[name]
    examples = [*typed(command.help)]
    assert all(exists(line) for line in examples)
    assert any(line.startswith(name) for line in examples) or not any(p.required for p in command.params)


def exists(line: str) -> bool:
    """Whether there is such a command, with all the options of the line."""
    words = shlex.split(line.replace("'", ""), comments=True)
    if words[1].startswith("-"):
        return True
    name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in COMMANDS), None)
    if name is None:
        return any(known.startswith(f"{' '.join(words[:2])} ") for known in COMMANDS) and len(words) == 2
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
    return all(word in options for word in words if re.match(r"--?[a-z]", word))


def test_the_messages_in_troubleshooting_are_those_of_the_code() -> None:
    quoted = re.findall(r"^> (.+)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(quoted) > 10
    assert [line for line in quoted if not (is_said(line) or is_said(line.partition(": ")[2]))] == []


@pytest.mark.parametrize(
    "invented",
    [
        "photo.jpg is too beautiful; make it uglier",
        "photo.jpg cannot be read: it is a full moon",  # a message of ours with a reason that is none
        "photo.jpg is empty; was it copied or downloaded by hand?",
        "there is not enough memory; try a smaller --size or --memory, or buy more",
        "there is no device 'cuda' on this machine; there is one elsewhere",
    ],
)
def test_a_message_that_nothing_says_is_found(invented: str) -> None:
    assert not is_said(invented)


def is_said(line: str) -> bool:
    """Whether the source has this message, as a whole.

    What fills a message in is a single word, "..." where the page leaves it out, or again something that is said.
    """
    for template in messages():
        if (found := template.fullmatch(line)) and all(
            filling == "..." or " " not in filling or is_said(filling) or all(map(is_word, filling.split(", ")))
            for filling in found.groups()
        ):
            return True
    return False


def is_word(text: str) -> bool:
    return " " not in text


@functools.cache
def messages() -> list[re.Pattern[str]]:
    """Every string of the source but docstrings, as a pattern with a group for each part that is filled in."""
    found = set()
    for file in (ROOT / "src" / "impasto").rglob("*.py"):
        tree = ast.parse(file.read_text())
        docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        found |= {pattern(node) for node in ast.walk(tree) if node not in docstrings | parts}
    return [re.compile(text) for text in found if len(text.replace("(.+?)", "")) > 12 or "(" not in text]


def pattern(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(pattern, node.values))
    return "(.+?)"


def test_both_readmes_say_the_same() -> None:
    pages = [page.read_text() for page in (ENGLISH, CHINESE)]
    headings, code, links, numbers = zip(*map(bones, pages), strict=True)
    assert headings[0] == headings[1]
    assert code[0] == code[1]
    assert links[0] == links[1]
    assert numbers[0] == numbers[1]


def bones(page: str) -> tuple[list[str], list[str], list[str], list[list[str]]]:
    """What does not depend on the language: levels of headings, commands, targets of links, numbers of table rows."""
    prose = FENCED.sub("", page)
    headings = re.findall(r"^#+", prose, re.MULTILINE)
    code = [line.partition("#")[0].rstrip() for block in FENCED.findall(page) for line in block.splitlines()]
    links = [link for link in LINK.findall(prose) if not link.startswith("README")]
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    return headings, code, links, [sorted(re.findall(r"\d[\d.,]*(?<=\d)", row)) for row in rows]


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(\S+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == impasto.__version__
    assert versions == sorted(versions, key=lambda v: [int(part) for part in v.split(".")], reverse=True)


def test_packages_of_every_extra_are_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()]
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {re.split(r"[^\w-]", line)[0].lower().replace("_", "-") for line in asked} - {"impasto"}
    pythons = [line.rpartition(" ")[2] for line in project["classifiers"] if ":: Python :: 3." in line]
    assert len(pythons) == 3
    for python in pythons:
        here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate({"python_version": python})]
        pinned = [pin.name.lower().replace("_", "-") for pin in here]
        assert names <= set(pinned) and len(set(pinned)) == len(pinned)
        assert all(str(pin.specifier).startswith("==") for pin in here)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the examples of the docs run in."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo", "painting", "fabric"):
        Image.effect_mandelbrot((96, 64), (-2, -1, 1, len(name) / 5), 20).convert("RGB").save(f"{name}.jpg")
    for name, box in (("left", (0, 0, 48, 64)), ("right", (48, 0, 96, 64)), ("face", (30, 20, 60, 50))):
        mask = Image.new("L", (96, 64))
        mask.paste(255, box)
        mask.save(f"{name}.png")


def test_the_page_on_python_runs(pictures: None, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 8
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
        out = capsys.readouterr().out
        for said in re.findall(r"print\(error\)  # (.+)", block):
            assert said in out
    assert names["frames"].shape == (8, 1, 28, 28)


DOCUMENTED = {
    "stylize": impasto.stylize, "draw": impasto.draw, "read": impasto.read, "Picture.save": impasto.Picture.save,
    "inspect": inspect, "monge": gaussian.monge, "graded": graded,
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_in_docstrings_run(name: str, pictures: None) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(DOCUMENTED[name], name, globs={"impasto": impasto})
    said: list[str] = []
    assert example.examples
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)


def test_the_drawing_of_the_house_is_true() -> None:
    (drawing,) = re.findall(r"^```\n(src/impasto/.*?)^```", (ROOT / "docs" / "design.md").read_text(), re.M | re.S)
    named = set(re.findall(r"[\w-]+\.py|[\w-]+(?=/)", drawing.partition("tests/")[0])) - {"src", "impasto"}
    package = ROOT / "src" / "impasto"
    there = {path.name for path in package.rglob("*")}
    assert named <= there
    rooms = {path.name for path in package.iterdir() if not path.name.startswith("_")}
    assert rooms <= named | {"py.typed"}
