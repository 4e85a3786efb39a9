"""Pages of the documentation that are made while mkdocs builds it (a hook of mkdocs.yml), so that they cannot go stale.

The front page is the README, in both languages; every option comes from the command line itself; and the cards of the
weights are shown where they lie.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
FRONT = {"README.md": "index.md", "README.zh-CN.md": "index.zh-CN.md"}


def on_files(files: Files, config: Any) -> Files:
    for name in (*FRONT, "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, FRONT.get(name, name), content=moved(text)))
    for card in sorted((ROOT / "src").rglob("*.md")):
        files.append(File.generated(config, card.relative_to(ROOT).as_posix(), abs_src_path=str(card)))
    files.append(File.generated(config, "commands.md", content=commands()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return markdown.replace("](../src/", "](src/")  # as a page of docs/ says it, so that it is right on GitHub


def moved(text: str) -> str:
    """A page of the root folder as one of docs/: its links lead to the same places."""
    for name, page in FRONT.items():
        text = text.replace(f"]({name})", f"]({page})")
    return text.replace("](docs/", "](")


def commands() -> str:
    """A reference of every command and its options, as typer writes it, with the examples set as code."""
    words = [
        sys.executable,
        "-m",
        "typer",
        "impasto.cli",
        "utils",
        "docs",
        "--name",
        "impasto",
        "--title",
        "Every option",
    ]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    text = re.sub(r"^(impasto .+)\n\n(?=impasto )", r"\1\n", text, flags=re.MULTILINE)
    return re.sub(r"^(impasto .+)$", r"    \1", text, flags=re.MULTILINE)
