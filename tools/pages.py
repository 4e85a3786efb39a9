"""What the site is built from, in build/docs: the pages of docs/, and pages that are made, so that none goes stale.

The front page is the README, in both languages; every option comes from the command line itself; the cards of the
weights are shown beside what links to them; and a notebook becomes a page, with its formulas as MathML and its pictures
beside it. `make docs` runs this, then builds the site.
"""

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from latex2mathml.converter import convert

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "build" / "docs"  # mkdocs.yml names it
FRONT = {"README.md": "index.md", "README.zh-CN.md": "index.zh-CN.md"}


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    for page in PAGES.glob("*.md"):  # as a page of docs/ says it, so that it is right on GitHub
        page.write_text(page.read_text(encoding="utf-8").replace("](../src/", "](src/"), encoding="utf-8")
    for name in (*FRONT, "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        (PAGES / FRONT.get(name, name)).write_text(moved(text), encoding="utf-8")
    for card in sorted((ROOT / "src").rglob("*.md")):
        place = PAGES / card.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(card, place)
    (PAGES / "commands.md").write_text(commands(), encoding="utf-8")
    lessons = PAGES / "learn" / "index.md"
    lessons.write_text(lessons.read_text(encoding="utf-8").replace(".ipynb)", ".md)"), encoding="utf-8")
    for notebook in lessons.parent.glob("*.ipynb"):
        notebook.with_suffix(".md").write_text(lesson(notebook), encoding="utf-8")


def moved(text: str) -> str:
    """A page of the root folder as one of docs/: its links lead to the same places."""
    for name, page in FRONT.items():
        text = text.replace(f"]({name})", f"]({page})")
    return text.replace("](docs/", "](")


def commands() -> str:
    """A reference of every command and its options, as typer writes it, with the examples set as code."""
    words = ["-m", "typer", "impasto.cli", "utils", "docs", "--name", "impasto", "--title", "Every option"]
    text = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"^(impasto .+)\n\n(?=impasto )", r"\1\n", text, flags=re.MULTILINE)
    return re.sub(r"^(impasto .+)$", r"    \1", text, flags=re.MULTILINE)


def lesson(notebook: Path) -> str:
    """A lesson with all that its code printed and drew; its pictures are written beside it."""
    parts = []
    for number, cell in enumerate(nbformat.read(notebook, 4).cells):
        if cell.cell_type == "markdown":
            parts.append(with_formulas(cell.source))
            continue
        language = "sh" if cell.source.startswith("%%bash") else "python"
        parts.append(fenced(cell.source.removeprefix("%%bash\n"), language))
        for index, output in enumerate(cell.outputs):
            shown = output.get("data", {})
            if kind := next((kind for kind in shown if kind.startswith("image/")), None):
                picture = notebook.with_name(f"{notebook.stem}-{number}-{index}.{kind.removeprefix('image/')}")
                picture.write_bytes(base64.b64decode(shown[kind]))
                parts.append(f"![what it drew]({picture.name})")
            else:
                parts.append(fenced(output.get("text", shown.get("text/plain", "")).rstrip(), "text"))
    return "\n\n".join(parts)


def with_formulas(text: str) -> str:
    """`text` with MathML, which browsers draw without a script, where it has TeX between dollars."""
    text = re.sub(r"\$\$(.+?)\$\$", lambda found: convert(found[1].strip(), display="block"), text, flags=re.DOTALL)
    text = re.sub(r"\$(.+?)\$", lambda found: convert(found[1]), text, flags=re.DOTALL)
    return text.replace("<mi>log</mi>", '<mi>log</mi><mspace width="0.17em" />')  # TeX leaves room there


def fenced(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```"


if __name__ == "__main__":
    main()
