"""What the results of a batch are called: as an earlier run called them, and no two alike."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto import provenance
from impasto.batch import manifest
from impasto.errors import ImpastoError

BETWEEN = "--"  # the content's part of a name and the style's


@dataclass(frozen=True)
class Known:
    """An input as an earlier run called it."""

    name: str  # in the names of results
    file: str  # its own, without folders
    sha256: str | None  # None of what could not be painted


Names = dict[str, Known]  # by the name, folded; the last that had it


def earlier(folder: Path) -> tuple[Names, Names]:
    """The names of contents and of styles in the manifest of `folder`, in the order of their last records."""
    contents: Names = {}
    styles: Names = {}
    for record in manifest.records(folder):
        for known, names in zip(_parts(record), (contents, styles), strict=False):
            names.pop(folded(known.name), None)
            names[folded(known.name)] = known
    return contents, styles


def given(files: Sequence[Path], known: Names) -> dict[Path, str]:
    """A name for each file: that of an earlier run, or its stem.

    Files whose stems are alike, or belong to others by now, are called by their file names, or else by their whole
    paths with dashes. Alike are names, too, that differ in case or in how an accent is written: to some file systems
    they are.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()

    def give(file: Path, name: str) -> None:
        names[file] = name
        taken.add(folded(name))

    def free(file: Path, name: str) -> bool:
        before = known.get(folded(name))
        return folded(name) not in taken and (before is None or before.file == file.name)

    of_file: defaultdict[str, list[Known]] = defaultdict(list)
    for one in known.values():
        of_file[one.file].insert(0, one)
    alike = Counter(file.name for file in files)
    for file in files:
        mine = [one for one in of_file[file.name] if folded(one.name) not in taken]
        if len(mine) > 1 or (mine and alike[file.name] > 1):  # which is which
            sha256, path = _sha256(file), f"-{_whole(file.absolute())}"
            mine = [one for one in mine if one.sha256 == sha256] or [
                one for one in mine if path.endswith(f"-{one.name}") and one.name != file.name
            ]
        if mine:
            give(file, mine[0].name)
    for way in (_stem, _name, _whole):
        left = [file for file in files if file not in names]
        count = Counter(folded(way(file)) for file in left)
        for file in left:
            if count[folded(way(file))] == 1 and free(file, way(file)):
                give(file, way(file))
    for file in files:
        if file not in names:
            number, name = 1, _whole(file)
            while not free(file, name):
                number += 1
                name = f"{_whole(file)}-{number}"
            give(file, name)
    return names


def folded(name: str) -> str:
    """The name as file systems see it that know no case."""
    return unicodedata.normalize("NFC", name).casefold()


def _parts(record: manifest.Record) -> Iterator[Known]:
    """The content and the style of a result, if `given` named them; nothing of what a CSV file names."""
    content, styles, recipe = (record.get(name) for name in ("content", "styles", "recipe"))
    if not (isinstance(content, str) and isinstance(styles, list) and len(styles) == 1 and isinstance(styles[0], str)):
        return
    recipe = recipe if isinstance(recipe, dict) else {}
    found = recipe.get("styles")
    parts = Path(record["output"]).stem.split(BETWEEN)
    for cut in range(1, len(parts)):
        left, right = BETWEEN.join(parts[:cut]), BETWEEN.join(parts[cut:])
        if _may_be(left, content) and _may_be(right, styles[0]):
            yield Known(left, content, _hash_in(recipe.get("content")))
            yield Known(right, styles[0], _hash_in(found[0] if isinstance(found, list) and found else None))
            return


def _may_be(name: str, file: str) -> bool:
    """Whether `given` may have called a file of that name so."""
    wholes = (name, re.sub(r"-\d+$", "", name))
    return name in (Path(file).stem, file) or any(whole == file or whole.endswith(f"-{file}") for whole in wholes)


def _hash_in(source: Any) -> str | None:
    found = source.get("sha256") if isinstance(source, dict) else None
    return found if isinstance(found, str) else None


def _sha256(file: Path) -> str:
    try:
        return provenance.sha256(file)
    except ImpastoError:  # whoever paints it will say so
        return ""


def _stem(file: Path) -> str:
    return file.stem


def _name(file: Path) -> str:
    return file.name


def _whole(file: Path) -> str:
    return "-".join(part for part in file.parts if part not in (file.anchor, ".", ".."))
