"""What the site is built from, in build/docs: the pages of docs/, and pages that are made, so that none goes stale.

The front page is the README, in both languages; every option comes from the command line itself; and the cards of the
weights are shown beside what links to them. `make docs` runs this, then builds the site.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

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


if __name__ == "__main__":
    main()
