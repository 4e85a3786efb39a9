"""What a batch has to paint: every content with every style, or the lines of a CSV file."""

import csv
import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from impasto import configs
from impasto.batch import names
from impasto.errors import OutputError, SettingsError, warn
from impasto.files import absent, identity, is_hidden
from impasto.media.formats import PICTURES
from impasto.style.settings import GradeSettings, Settings, TextureSettings

CONTENT_TYPES = tuple(PICTURES)
STYLE_TYPES = (*CONTENT_TYPES, ".style")
OUTPUT_TYPES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")  # as picture.py writes, which brings torch, too
COLUMNS = ("command", "content", "style", "mask", "protect", "output")  # of a CSV file; all others are settings
COMMANDS = ("style", "grade", "texture")  # what a line of it may ask for; style where it says nothing
SEVERAL = ";"  # between styles, and between masks, in a CSV file
MACHINE = ("device", "memory", "tile")  # settings that a result does not depend on


@dataclass(frozen=True)
class Task:
    """One picture to paint, to grade, or to make of a texture."""

    content: Path | None  # None for a texture
    styles: tuple[Path, ...]
    output: Path
    settings: Settings
    masks: tuple[Path, ...] = ()  # where each style goes
    protect: Path | None = None  # what stays as it is
    label_cn: bool = False  # carry the label of GB 45438-2025
    own: GradeSettings | TextureSettings | None = None  # of a look, or of a texture; None: it is painted

    @property
    def inputs(self) -> list[Path]:
        """Every file that the result follows from."""
        return [file for file in (self.content, *self.styles, *self.masks, self.protect) if file is not None]

    def key(self, hashes: Mapping[Path, str]) -> str:
        """What the result follows from, as one SHA-256: the inputs' `hashes`, not their names, and the settings."""
        chosen = {name: value for name, value in dataclasses.asdict(self.settings).items() if name not in MACHINE}
        files = [hashes[file] for file in self.inputs]
        parts = [files, len(self.styles), len(self.masks), chosen, self.label_cn]
        if self.own is not None:
            parts += [type(self.own).__name__, dataclasses.asdict(self.own)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def pictures(given: str, types: Sequence[str], without: Path) -> list[Path]:
    """The files that a folder (with those below it), a pattern such as "photos/*.jpg", or a file name means, sorted.

    Hidden files in a folder do not count. Whatever else does not is said in a warning.

    Args:
        types: extensions, of what counts in a folder.
        without: a folder that does not count, for the results go there.

    Raises:
        SettingsError: there is none.
        OutputError: they are all in `without`.
    """
    path = Path(given)
    if path.is_dir():
        inside = [*_below(path)]
    elif has_magic(given) and not path.exists():
        inside = [file for name in glob(given, recursive=True) if (file := Path(name)).is_file()]  # noqa: PTH207  # absolute, too
    elif path.is_file():
        return [path]
    else:
        raise SettingsError(absent(given) if "://" in given else f"{given}: no pictures there ({', '.join(types)})")
    results = without.resolve()
    others = [file for file in inside if not file.resolve().is_relative_to(results)]
    if inside and not others:
        raise OutputError(f"{given} lies in {without}, where the results go: choose another OUT")
    found = [file for file in others if not path.is_dir() or (file.suffix.lower() in types and file.is_file())]
    if kinds := Counter(file.suffix.lower() or "without extension" for file in {*others} - {*found}):
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        warn(f"{given}: left out what is no picture that can be read: {listed}")
    if not found:
        raise SettingsError(f"{given}: no pictures there ({', '.join(types)})")
    return sorted(found)


def _below(folder: Path) -> Iterator[Path]:
    """What is not hidden below a folder and is none, through links, too; each folder once, for links may go round."""
    seen = {identity(folder)}
    for where, folders, files in os.walk(folder, followlinks=True):
        here, below = Path(where), []
        for name in sorted(folders):
            if not is_hidden(here / name) and (found := identity(here / name)) not in seen:
                seen.add(found)
                below.append(name)
        folders[:] = below
        yield from (here / name for name in files if not is_hidden(here / name))


def crossed(
    contents: Sequence[Path], styles: Sequence[Path], folder: Path, settings: Settings, suffix: str = ".png"
) -> list[Task]:
    """Every content with every style. What is `photo.jpg` in the style of `sea.png` becomes `photo--sea.png`.

    Where two contents or two styles have the same name, more of their paths is in the names of their results. Whatever
    has a name in the manifest of `folder` keeps it.
    """
    settings.resolved()  # says what makes no sense
    known_contents, known_styles = names.earlier(folder)
    called, named = names.given(contents, known_contents), names.given(styles, known_styles)
    tasks = [
        Task(content, (style,), folder / f"{called[content]}{names.BETWEEN}{named[style]}{suffix}", settings)
        for content in contents
        for style in styles
    ]
    return _distinct(tasks)


def read_csv(
    file: Path, folder: Path, settings: Settings, suffix: str = ".png", named: Mapping[str, Path] | None = None
) -> list[Task]:
    """A task of each line: columns content and style, perhaps mask, protect and output, and any setting by its name.

    A column command may say grade, which gives the content the style's colours, or texture, which has no content.
    Several styles or masks have ";" between them. Paths are relative to the file. An empty cell leaves a setting as
    `settings` has it.

    Args:
        named: styles that need no path.

    Raises:
        SettingsError: the file cannot be read, lacks a column or has an unknown one, or a value makes no sense.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restkey="")
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{file} cannot be read as CSV: {error}") from error
    if not {"content", "style"} <= set(columns):
        raise SettingsError(f"{file}: the first line names the columns; content and style must be among them")
    if twice := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise SettingsError(f"{file}: there are two columns {twice[0]}")
    tasks = []
    for number, row in enumerate(rows, 2):
        try:
            tasks.append(_task(row, file.parent, folder, settings, suffix, named or {}))
        except SettingsError as error:
            raise SettingsError(f"{file}, line {number}: {error}") from error
    if not tasks:
        raise SettingsError(f"{file} has no lines after the first")
    return _distinct(tasks)


def _task(
    row: Mapping[str, Any], here: Path, folder: Path, settings: Settings, suffix: str, named: Mapping[str, Path]
) -> Task:
    if "".join(row.get("", "")).strip():  # of a column without a name, or beyond the last
        raise SettingsError("there are more cells than columns")
    cells = {name: (value or "").strip() for name, value in row.items() if name}
    if any("\0" in cell for cell in cells.values()):
        raise SettingsError("a cell holds what no name can")
    command = cells.get("command") or COMMANDS[0]
    if command not in COMMANDS:
        raise configs.nearest(command, COMMANDS, "command of a line")
    if not cells["style"] or not (cells["content"] or command == "texture"):
        raise SettingsError("content and style are needed")
    content = here / cells["content"] if cells["content"] else None
    styles = tuple(named.get(name, here / name) for name in _parts(cells["style"]))
    masks = tuple(here / name for name in _parts(cells.get("mask", "")))
    protect = here / cells["protect"] if cells.get("protect") else None
    shown = "+".join(style.stem for style in styles)
    name = f"{shown}-texture" if content is None else f"{content.stem}--{shown}"
    output = folder / (cells.get("output") or f"{name}{suffix}")
    if not output.resolve().is_relative_to(folder.resolve()):
        raise SettingsError(f"the output {cells['output']} is outside of {folder}")
    if output.suffix.lower() not in OUTPUT_TYPES:
        raise SettingsError(f"the output {cells['output']} must end in one of {', '.join(OUTPUT_TYPES)}")
    values = {name: v for name, v in cells.items() if v and name not in COLUMNS}
    if command == "grade":
        if len(styles) > 1 or len(masks) > 1 or protect:
            raise SettingsError("a look has one style, its reference, one mask at most, and no protect")
        return Task(content, styles, output, settings, masks, own=configs.changed(GradeSettings(), values))
    if command == "texture":
        if content or masks or protect:
            raise SettingsError("a texture has no content, mask or protect: leave them empty")
        of_textures = {field.name for field in dataclasses.fields(TextureSettings)}
        own = configs.changed(TextureSettings(), {name: v for name, v in values.items() if name in of_textures})
        rest = {name: v for name, v in values.items() if name not in of_textures}
        return Task(None, styles, output, configs.changed(settings, rest), own=own)
    chosen = configs.changed(settings, values)
    chosen.resolved()
    return Task(content, styles, output, chosen, masks, protect)


def _parts(cell: str) -> list[str]:
    return [part for text in cell.split(SEVERAL) if (part := text.strip())]


def _distinct(tasks: list[Task]) -> list[Task]:
    first: dict[str, Task] = {}
    for task in tasks:
        if first.setdefault(names.folded(str(task.output.resolve())), task) is not task:
            raise SettingsError(
                f"{task.output} would be written twice; name the outputs in a CSV file, in a column output"
            )
    return tasks
