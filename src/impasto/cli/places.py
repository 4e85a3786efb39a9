"""Where a command writes: said at its option, checked before its work, kept apart from what it reads, and cleared of
what a killed one left half-written beside it.
"""

import functools
import glob
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto import files
from impasto.bundled import STYLES

RUN = ("config.json", "model.safetensors", "state.pt")  # what is read of a run folder

Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Let OUT be one of the files that are read.", rich_help_panel="Output"),
]


@dataclass(frozen=True)
class Writes:
    """Stands beside an option in `Annotated`: what is written there.

    Raises, where `places` is called:
        ImpastoError: it cannot be written there, or not in the format that the extension names.
    """

    places: Callable[[Path], Iterable[Path]]  # checks that it can be, and gives what would be written over


def checked(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, which begins with a check of every place that it writes to.

    An option that none of its `Writes` stands at names something to read, if it names a file at all.
    """
    marks = {
        name: mark
        for name, hint in typing.get_type_hints(command, include_extras=True).items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, Writes)
    }

    @functools.wraps(command)
    def run(**given: Any) -> None:
        read = [file for name, value in given.items() if name not in marks for file in _named(value)]
        for name, mark in marks.items():
            if (output := given[name]) is not None:
                places = list(mark.places(output))
                for place in places:
                    files.check_apart(place, read, overwrite=given.get("overwrite"))
                for folder in {place.parent for place in places}:
                    files.remove_abandoned(folder, below=False)
        command(**given)

    return run


def _named(value: Any) -> Iterator[Path]:
    """The files that the value of an option may name."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _named(one)
    elif isinstance(value, str):
        yield from _named(STYLES.get(value, Path(value.removeprefix("folder:"))))  # as data sets are named
        if "@" in value:  # a style of a clip, and the second it begins at
            yield Path(value.rpartition("@")[0])
    elif isinstance(value, Path):
        yield from (value / name for name in RUN) if files.identity(value / RUN[0]) else (value,)


def numbered(path: Path, ending: str) -> Iterator[Path]:
    """The files there are that are named as `path` with a number and an `ending` behind it."""
    for file in path.parent.glob(f"{glob.escape(path.name)}*{glob.escape(ending)}"):
        if re.fullmatch(r"\d+", file.name.removeprefix(path.name).removesuffix(ending)):
            yield file


def _picture(path: Path) -> Iterable[Path]:
    from impasto.media import picture

    picture.check_writable(path)
    return [path]


def _clip(path: Path) -> Iterable[Path]:
    from impasto.media import clip
    from impasto.media.clip.frames import pattern_of

    clip.check_writable(path)
    if (pattern := pattern_of(path)) is None:
        return [path]
    files.check_folder(pattern.parent)
    return [pattern.parent]  # what is a frame there already is never written over


def _sound(path: Path) -> Iterable[Path]:
    from impasto.media import sound

    sound.check_writable(path)
    return [path]


def _drawing(path: Path) -> Iterable[Path]:
    from impasto.media import animation

    if path.suffix == "":
        files.check_folder(path)
        return [path, *(file for file in path.glob("*.png") if re.fullmatch(r"\d{5,}", file.stem))]
    return (_clip if path.suffix.lower() in animation.FORMATS else _picture)(path)


def _graded(path: Path) -> Iterable[Path]:
    from impasto.media import picture

    return (_picture if path.suffix.lower() in picture.FORMATS else _clip)(path)


def _look(path: Path) -> Iterable[Path]:
    from impasto.media import lut

    lut.check_writable(path)
    return [path]


def _style(path: Path) -> Iterable[Path]:
    from impasto.style import source

    source.check_writable(path)
    return [path]


def _file(path: Path) -> Iterable[Path]:
    files.check_place(path)
    return [path]


def _folder(path: Path) -> Iterable[Path]:
    files.check_folder(path)
    return [path]


PICTURE, CLIP, SOUND = Writes(_picture), Writes(_clip), Writes(_sound)
DRAWING = Writes(_drawing)  # of a model: a picture, an animation, or a folder of pictures
GRADED, LOOK = Writes(_graded), Writes(_look)  # a picture or a clip; a table of colours
STYLE, FILE, FOLDER = Writes(_style), Writes(_file), Writes(_folder)
