"""The floors of docs/design.md: imports run downward only, the rooms of wings and faces keep apart, no circles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "impasto"
FLOORS = (  # from the ground up: modules and packages of the package
    "errors files configs options device ahead bundled weights download provenance gaussian _version",
    "media",
    "perception data training",
    "style models evaluation",
    "batch",
    "cli web",
    "__init__ __main__",
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
APART = {"style", "models", "evaluation", "cli", "web"}


def imports(package: Path) -> dict[str, set[str]]:
    """Which modules of `package` each imports, inside functions and for type checkers, too: "media.picture", ..."""
    files = {".".join(f.relative_to(package).with_suffix("").parts): f for f in package.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): file for name, file in files.items()}
    found: dict[str, set[str]] = {name: set() for name in modules}
    for name, file in modules.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name} imports relatively"
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for root, _, target in (each.partition(".") for each in targets):
                if root == package.name:  # "media.picture.read" is of media.picture, "read" of the root
                    own = next((m for m in (target, target.rpartition(".")[0]) if m in modules), "__init__")
                    found[name] |= {own} - {name}
    return found


def complaints(package: Path) -> list[str]:
    """Every import upward or sideways, and a circle, if there is one."""
    arrows, wrong = imports(package), []
    for name, targets in arrows.items():
        for target in sorted(targets):
            here, there = name.partition(".")[0], target.partition(".")[0]
            if FLOOR[here] < FLOOR[there]:
                wrong.append(f"{name} imports upward: {target}")
            elif FLOOR[here] == FLOOR[there] and here != there and here in APART:
                wrong.append(f"{name} imports sideways: {target}")
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        wrong.append(f"circle: {' -> '.join(reversed(error.args[1]))}")
    return wrong


def test_the_house_stands() -> None:
    assert complaints(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("media/picture.py", "def f():\n    import impasto.style.draft", "media.picture imports upward: style.draft"),
        ("media/picture.py", "from impasto import draw", "media.picture imports upward: __init__"),
        ("style/stylize.py", "import impasto.models.gan", "style.stylize imports sideways: models.gan"),
        ("errors.py", "from impasto.files import locked", "circle: errors -> files -> errors"),
    ],
)  # fmt: skip
def test_a_crack_is_found(file: str, line: str, complaint: str, tmp_path: Path) -> None:
    house = {
        "__init__.py": "from impasto.style.stylize import stylize", "errors.py": "", "media/__init__.py": "",
        "files.py": "import os\nfrom impasto import errors", "media/picture.py": "from impasto.files import locked",
        "style/stylize.py": "from impasto.media import picture", "style/draft.py": "", "models/gan.py": "",
    }  # fmt: skip
    for name, text in house.items():
        (tmp_path / "impasto" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "impasto" / name).write_text(text)
    assert complaints(tmp_path / "impasto") == []
    (tmp_path / "impasto" / file).write_text(f"{house[file]}\n{line}\n")
    assert complaint in complaints(tmp_path / "impasto")
