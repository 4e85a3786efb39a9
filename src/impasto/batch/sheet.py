"""The contact sheet of a batch: contents down, styles across, what came of them where they meet."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from impasto import provenance
from impasto.batch.tasks import CONTENT_TYPES, Task
from impasto.errors import PictureError
from impasto.files import replacing, writing

NAME = "contact-sheet.jpg"
CELL, GAP = 192, 6  # pixels
ROWS, COLUMNS = 24, 12  # at most


def draw(tasks: Sequence[Task], folder: Path) -> Path | None:
    """Write the sheet of the first contents and styles; None where nothing is done yet."""
    done = {(task.content, task.styles): task.output for task in tasks if task.content and task.output.is_file()}
    contents = list(dict.fromkeys(content for content, _ in done))[:ROWS]
    styles = list(dict.fromkeys(blend for _, blend in done))[:COLUMNS]
    if not done:
        return None
    step = CELL + GAP
    sheet = Image.new("RGB", ((len(styles) + 1) * step + GAP, (len(contents) + 1) * step + GAP), "white")

    def put(file: Path, row: int, column: int) -> None:
        cell = _small(file)
        left, top = ((CELL - side) // 2 + GAP for side in cell.size)
        sheet.paste(cell, (column * step + left, row * step + top))

    for column, blend in enumerate(styles, 1):
        put(blend[0], 0, column)
    for row, content in enumerate(contents, 1):
        put(content, row, 0)
        for column, blend in enumerate(styles, 1):
            if (content, blend) in done:
                put(done[content, blend], row, column)
    label_cn = any(task.label_cn for task in tasks)
    with writing(folder / NAME), replacing(folder / NAME) as part:
        sheet.save(part, quality=85, xmp=provenance.packet(_recipe(tasks, contents, styles), label_cn=label_cn))
    return folder / NAME


def _recipe(tasks: Sequence[Task], contents: Sequence[Path], styles: Sequence[tuple[Path, ...]]) -> dict[str, Any]:
    """What the sheet shows. The pictures that it was put together from carry their own recipes."""
    settings = asdict(tasks[0].settings) if len({task.settings for task in tasks}) == 1 else {}
    made = {name: value for name, value in settings.items() if value is not None}
    recipe = provenance.drawn_recipe("batch", made, {})
    recipe["content"] = [provenance.source(content) for content in contents]
    return recipe | {"styles": [provenance.source(style) for blend in styles for style in blend]}


def _small(file: Path) -> Image.Image:
    """The picture within CELL x CELL pixels, on white; grey where there is none to be read, as of a saved style."""
    from impasto.media import picture  # here, for it brings torch, which the main process of a batch does without

    if file.suffix.lower() in CONTENT_TYPES:
        try:
            small = picture.read(file).fitted(CELL)
            return Image.fromarray(picture.to_integers(small.on_white()))
        except PictureError:
            pass
    return Image.new("RGB", (CELL, CELL), "lightgrey")
