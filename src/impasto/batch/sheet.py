"""The contact sheet of a batch: contents down, styles across, what came of them where they meet."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from impasto.batch.tasks import CONTENT_TYPES, Task
from impasto.files import replacing

NAME = "contact-sheet.jpg"
CELL, GAP = 192, 6  # pixels
ROWS, COLUMNS = 24, 12  # at most


def draw(tasks: Sequence[Task], folder: Path) -> Path | None:
    """Write the sheet of the first contents and styles; None where nothing is done yet."""
    done = {(task.content, task.styles): task.output for task in tasks if task.output.is_file()}
    contents = list(dict.fromkeys(content for content, _ in done))[:ROWS]
    styles = list(dict.fromkeys(manner for _, manner in done))[:COLUMNS]
    if not done:
        return None
    step = CELL + GAP
    sheet = Image.new("RGB", ((len(styles) + 1) * step + GAP, (len(contents) + 1) * step + GAP), "white")

    def put(file: Path, row: int, column: int) -> None:
        cell = _small(file)
        left, top = ((CELL - side) // 2 + GAP for side in cell.size)
        sheet.paste(cell, (column * step + left, row * step + top))

    for column, manner in enumerate(styles, 1):
        put(manner[0], 0, column)
    for row, content in enumerate(contents, 1):
        put(content, row, 0)
        for column, manner in enumerate(styles, 1):
            if (content, manner) in done:
                put(done[content, manner], row, column)
    with replacing(folder / NAME) as part:
        sheet.save(part, quality=85)
    return folder / NAME


def _small(file: Path) -> Image.Image:
    """The picture within CELL x CELL pixels; grey where Pillow cannot read it."""
    grey = Image.new("RGB", (CELL, CELL), "lightgrey")
    if file.suffix.lower() not in CONTENT_TYPES:
        return grey
    try:
        with Image.open(file) as image:
            image.draft("RGB", (2 * CELL, 2 * CELL))  # a JPEG is decoded small
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError):
        return grey
    upright.thumbnail((CELL, CELL))
    return upright
