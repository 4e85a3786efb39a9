"""Recipes of what a style made: what goes in, and what `impasto style --recipe FILE` reads out of FILE.

A picture can come from anyone, so nothing in its recipe is believed: settings must be known and of the right type,
and an input counts only with the right SHA-256.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from impasto import provenance
from impasto.bundled import STYLES
from impasto.errors import PictureError, SettingsError
from impasto.media.inspect import inspect
from impasto.media.picture import Picture, PictureLike
from impasto.style.settings import Settings

RENAMED = {"start": "init"}  # settings and roles of version 0.2


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The recipe in a picture, as far as it is sound."""

    file: Path
    content: dict[str, Any]  # all of it
    settings: dict[str, Any]  # arguments of Settings
    sources: dict[str, tuple[str, str]]  # name and SHA-256 by role: content, style 1, mask 1, protect, init
    label_cn: bool

    def files(self, given: Mapping[str, Path], without: str = "") -> dict[str, Path]:
        """Find the input for each role but `without`: the given file, or one of its name beside FILE or here.

        Raises:
            PictureError: no such file, or only others of its name.
        """
        found = {role: self._file(role, given.get(role)) for role in self.sources if role != without}
        return {**given, **found}

    def changed(self, now: Mapping[str, Any] | None) -> list[str]:
        """Name what differs in the recipe `now` and is not for the user to choose."""
        return [name for name in ("impasto", "versions", "weights") if now and now[name] != self.content.get(name)]

    def _file(self, role: str, given: Path | None) -> Path:
        name, sha256 = self.sources[role]
        places = (self.file.with_name(name), Path(name), STYLES.get(Path(name).stem, Path(name)))
        candidates = [given] if given else [place for place in places if place.is_file()]
        for candidate in candidates:
            if provenance.sha256(candidate) == sha256:
                return candidate
        if candidates:
            raise PictureError(f"{role}: {candidates[0]} is not the file that made {self.file} (its SHA-256 differs)")
        raise PictureError(
            f"{role}: {name} is neither beside {self.file} nor in this folder; name it on the command line"
        )


def read(file: Path) -> Recipe:
    """Read the recipe in a picture.

    Raises:
        PictureError: not a picture, or one without a sound recipe.
        SettingsError: the recipe has a setting that Impasto does not know.
    """
    found = inspect(file)
    content = found["recipe"]
    if content is None:
        raise PictureError(f"{file} carries no recipe: Impasto did not make it, or something removed its metadata")
    if "command" in content:
        made = f"{file} was made by impasto {content['command']}"
        raise SettingsError(f"{made}: only what impasto style made is repeated so; impasto inspect shows its settings")
    try:
        styles = {f"style {i}": style for i, style in enumerate(content["styles"], 1)}
        inputs = {"content": content["content"], **styles, **content["masks"]}
        # The last part only: a name must not lead into another folder.
        sources = {_now(role): (Path(source["name"]).name, source["sha256"]) for role, source in inputs.items()}
        settings = {_now(name): value for name, value in dict(content["settings"]).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise PictureError(f"the recipe in {file} is damaged") from error
    hints = get_type_hints(Settings)
    for name, value in settings.items():
        if name not in hints:
            raise SettingsError(f"the recipe in {file} has a setting {name!r}, which Impasto does not know")
        settings[name] = tuple(value) if isinstance(value, list) else value
        if not _is(settings[name], hints[name]):
            raise SettingsError(f"the recipe in {file} sets {name} to {value!r}, which is of the wrong type")
    return Recipe(file, content, settings, sources, label_cn="AIGC" in found["labels"])


def _now(name: str) -> str:
    return RENAMED.get(name, name)


def _is(value: Any, hint: Any) -> bool:
    """Whether `value` is of a type as Settings has them: str, int, float, a tuple of one of these, or None."""
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is(item, get_args(hint)[0]) for item in value)
    if get_args(hint):  # a union
        return any(_is(value, kind) for kind in get_args(hint))
    return type(value) is hint or (hint is float and type(value) is int)


def source(given: PictureLike) -> dict[str, str]:
    """Name and hash of a file for a recipe; a picture from memory has no name, and the hash of its pixels.

    A folder of frames has no hash: of thousands it would take minutes.
    """
    if isinstance(given, Picture):
        return provenance.unnamed(given.pixels.cpu().numpy().tobytes())
    return {"name": Path(given).name, "sha256": ""} if Path(given).is_dir() else provenance.source(given)
