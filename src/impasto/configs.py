"""Settings as frozen dataclasses: changed by name, read from text, written as JSON. An unknown name is an error."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from impasto.errors import SettingsError

T = TypeVar("T")


def nearest(name: str, choices: Collection[str], kind: str) -> SettingsError:
    """The error for a name that does not exist: it offers the nearest one, or all."""
    near = difflib.get_close_matches(name, choices, 1)
    offer = f"did you mean {near[0]}?" if near else f"there is {', '.join(choices)}"
    return SettingsError(f"there is no {kind} {name!r}; {offer}")


def changed(settings: T, values: Mapping[str, Any]) -> T:
    """`settings` (a dataclass) with `values`; those that are text are read as the field's type.

    Raises:
        SettingsError: an unknown name, or text that does not read as the field's type.
    """
    hints = typing.get_type_hints(type(settings))
    new = {}
    for name, value in values.items():
        if name not in hints:
            raise nearest(name, hints, "setting")
        new[name] = read(name, value, hints[name])
    return dataclasses.replace(settings, **new)  # type: ignore[type-var]


def read(name: str, value: Any, kind: Any) -> Any:
    """`value` as `kind`, which is int, float, bool, str, a tuple of these, or one of these or None.

    Raises:
        SettingsError: it does not read as that; the message names the setting.
    """
    if isinstance(kind, types.UnionType):
        if value is None or value == "none":
            return None
        kind = next(k for k in typing.get_args(kind) if k is not types.NoneType)
    if typing.get_origin(kind) is tuple:
        parts = [p for p in value.split(",") if p] if isinstance(value, str) else list(value)
        return tuple(read(name, part, typing.get_args(kind)[0]) for part in parts)
    wrong = SettingsError(f"{name} takes {'true or false' if kind is bool else kind.__name__}, not {value!r}")
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise wrong
        return str(value).lower() == "true"
    if kind is int and isinstance(value, float):  # JSON and Python would round it silently
        raise wrong
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise wrong from None
