"""A field of a class of settings as an option of a command: type, range and default stand at the field alone."""

import dataclasses
import typing
from typing import Any

import typer

from impasto.configs import Help, OneOf, Within, helped, limit

ENDLESS = 1e6  # the end of a range from here on is there for the machine, not for the help


def option(panel: str | None, text: str, *names: str, **more: Any) -> Any:
    """An option. Not given, it is None, and whoever it is for has the default."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


def setting(panel: str | None, field: str, *names: str, of: type, text: str = "", unset: str = "", **more: Any) -> Any:
    """An option for a field of the dataclass `of`; its help is the field's own `Help`, range and default.

    Args:
        text, unset: instead of those of its `Help`.
    """
    hint = typing.get_type_hints(of, include_extras=True)[field]
    said, allowed = helped(hint) or Help(""), limit(hint)
    default = {f.name: f.default for f in dataclasses.fields(of)}[field]
    text, unset = text or said.text, unset or said.unset
    if isinstance(allowed, OneOf):
        text = f"{text}: {', '.join(allowed.choices)}"
        more["autocompletion"] = lambda: list(allowed.choices)
    elif isinstance(allowed, Within):
        text += f", {Within(allowed.lowest) if allowed.highest >= ENDLESS else allowed}"
    if default is not None:
        text += f" (default {default})"
    elif unset:
        text += f" (default {unset})"
    return option(panel, text, *names, **more)


def given(parameters: dict[str, Any], of: type) -> dict[str, Any]:
    """Arguments of the dataclass `of` out of the parameters of a command: those that were given."""
    fields = {field.name for field in dataclasses.fields(of)}
    return {name: value for name, value in parameters.items() if name in fields and value not in (None, [], ())}
