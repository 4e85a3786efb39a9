"""Settings as frozen dataclasses: changed by name, read from text, written as JSON, and checked against their ranges.

The range of a value stands at its field and nowhere else: `strength: Annotated[float, Within(0, 1000)] = 1.0`. So does
what it means, as `Help`, which the commands show. A class
checks itself with `check` in its `__post_init__`; functions whose arguments a user can name (samplers) go through
`arguments`.
"""

import dataclasses
import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from impasto.errors import SettingsError

T = TypeVar("T")


def nearest(name: str, choices: Collection[str], kind: str) -> SettingsError:
    """The error for a name that does not exist: it offers the nearest one, or all."""
    near = difflib.get_close_matches(name, choices, 1)
    offer = f"did you mean {near[0]}?" if near else f"there is {', '.join(choices)}"
    return SettingsError(f"there is no {kind} {name!r}; {offer}")


@dataclass(frozen=True)
class Within:
    """The range of a number, ends included. NaN and infinity are in none, not even in one that ends at infinity."""

    lowest: float
    highest: float = math.inf
    open: bool = False  # the highest itself is not in it

    def __contains__(self, value: float) -> bool:
        within = self.lowest <= value <= self.highest  # NaN is not
        return within and value != math.inf and not (self.open and value == self.highest)

    def __str__(self) -> str:
        if self.highest == math.inf:
            return f"from {self.lowest} up"
        return f"from {self.lowest} to {'less than ' if self.open else ''}{self.highest}"


@dataclass(frozen=True)
class OneOf:
    """The values that a text can have."""

    choices: tuple[str, ...]

    def __contains__(self, value: str) -> bool:
        return value in self.choices


@dataclass(frozen=True)
class Help:
    """What a setting does, in a line; in `Annotated`, at its field. Range and default stand beside it, not in it."""

    text: str
    unset: str = ""  # what a default of None stands for


def helped(kind: Any) -> Help | None:
    """The `Help` in an `Annotated` type, if there is one."""
    return next((part for part in getattr(kind, "__metadata__", ()) if isinstance(part, Help)), None)


def limit(kind: Any) -> Within | OneOf | None:
    """What a type with `Annotated` in it, outside or inside, lets through; None: everything."""
    for part in typing.get_args(kind):
        if found := part if isinstance(part, Within | OneOf) else limit(part):
            return found
    return None


def check(settings: Any) -> None:
    """Hold every field of a dataclass to its type and to the range that stands at it.

    Raises:
        SettingsError: the first that does not; the message names it and what it takes.
    """
    hints = typing.get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        found = read(field.name, value, hints[field.name])
        if found is not value and found != (tuple(value) if isinstance(value, list) else value):  # "64" for a number
            raise SettingsError(f"{field.name} takes {found!r}, not {value!r}")


def changed(settings: T, values: Mapping[str, Any]) -> T:
    """`settings` (a dataclass) with `values`; those that are text are read as the field's type.

    Raises:
        SettingsError: an unknown name, text that does not read as the field's type, or a value out of its range.
    """
    hints = typing.get_type_hints(type(settings), include_extras=True)
    return dataclasses.replace(settings, **_read_all(values, hints, "setting"))  # type: ignore[type-var]


def arguments(function: Callable[..., Any], values: Mapping[str, Any], kind: str = "setting") -> dict[str, Any]:
    """Keyword arguments of `function` that a user can name, read and checked as `changed` does with fields.

    Those are the ones that have a default and are numbers, text or the like: no tensors.

    Raises:
        SettingsError: as `changed`.
    """
    return _read_all(values, nameable(function), kind)


def nameable(function: Callable[..., Any]) -> dict[str, Any]:
    """The type of each argument that `arguments` takes, by its name."""
    defaults = {p.name for p in inspect.signature(function).parameters.values() if p.default is not p.empty}
    hints = typing.get_type_hints(function, include_extras=True)
    return {name: hint for name, hint in hints.items() if name in defaults and _plain(hint)}


def _plain(kind: Any) -> bool:
    """Whether `read` reads text as this type."""
    inside = [each for each in typing.get_args(kind) if each not in (types.NoneType, ...)]
    return kind in (int, float, bool, str) if not inside else _plain(inside[0])


def _read_all(values: Mapping[str, Any], hints: Mapping[str, Any], kind: str) -> dict[str, Any]:
    for name in values:
        if name not in hints:
            raise nearest(name, hints, kind)
    return {name: read(name, value, hints[name]) for name, value in values.items()}


def read(name: str, value: Any, kind: Any) -> Any:
    """`value`, perhaps text, as `kind`: int, float, bool, str, a tuple of these, or one of these or None.

    `Annotated` with `Within` or `OneOf`, outside or inside of a tuple or a union, it must also be in there.

    Raises:
        SettingsError: it does not read as that, or is out of range; the message names the setting.
    """
    if typing.get_origin(kind) is Annotated:
        inner, *limits = typing.get_args(kind)
        result = read(name, value, inner)
        for limit in limits:
            if isinstance(limit, Within) and result not in limit:
                raise SettingsError(f"{name} goes {limit}, not {_short(value)}")
            if isinstance(limit, OneOf) and result not in limit:
                raise nearest(str(result), limit.choices, name)
        return result
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None or value == "none":
            return None
        kinds = [k for k in typing.get_args(kind) if k is not types.NoneType]
        return read(name, value, kinds[0]) if len(kinds) == 1 else value  # a path or a picture: no setting
    if typing.get_origin(kind) is tuple:
        parts = [p for p in value.split(",") if p] if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise SettingsError(f"{name} takes several values, not {value!r}")
        return tuple(read(name, part, typing.get_args(kind)[0]) for part in parts)
    if kind not in (int, float, bool, str):  # what no user names: tensors, paths, dictionaries
        return value
    return _read_plain(name, value, kind)


def _short(value: Any) -> Any:
    """What a message shows of a value: a line is to be read."""
    return value if len(str(value)) <= 80 else f"{str(value)[:60]}..."


def _read_plain(name: str, value: Any, kind: type) -> Any:
    wrong = SettingsError(f"{name} takes {'true or false' if kind is bool else kind.__name__}, not {_short(value)!r}")
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise wrong
        return str(value).lower() == "true"
    if kind is str and not isinstance(value, str):
        raise wrong
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):  # Python would convert it silently
        raise wrong
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
