"""Options that the commands of style transfer share: of their panels in the help, of the settings behind them."""

import dataclasses
import typing
from typing import Annotated, Any, Literal

import typer

from impasto.configs import OneOf, Within, limit
from impasto.style.settings import DEFAULT_MEMORY, QUALITIES, Settings

EVERYDAY, REGIONS, METHOD, OUTPUT, MACHINE = "Everyday", "Colour and regions", "Method", "Output", "Machine"
CHOSEN, OF_QUALITY = {field.name for field in dataclasses.fields(QUALITIES["fine"])}, "the quality's own"
ENDLESS = 1e6  # the end of a range from here on is there for the machine, not for the help


def option(panel: str | None, text: str, *names: str, **more: Any) -> Any:
    """An option. Not given, it is None, and whoever it is for has the default."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


def setting(
    panel: str | None, field: str, text: str, *names: str, of: type = Settings, unset: str = "", **more: Any
) -> Any:
    """An option for a field of a class of settings; its help ends with the field's own range and default.

    Args:
        unset: what a default of None stands for.
    """
    allowed = limit(typing.get_type_hints(of, include_extras=True)[field])
    default = {f.name: f.default for f in dataclasses.fields(of)}[field]
    if isinstance(allowed, OneOf):
        text = f"{text}: {', '.join(allowed.choices)}"
        more["autocompletion"] = lambda: list(allowed.choices)
    elif isinstance(allowed, Within):
        text += f", {Within(allowed.lowest) if allowed.highest >= ENDLESS else allowed}"
    if default is not None:
        text += f" (default {default})"
    elif unset or (of is Settings and field in CHOSEN):
        text += f" (default {unset or OF_QUALITY})"
    return option(panel, text, *names, **more)


Quality = Annotated[str | None, setting(EVERYDAY, "quality", "How much work", metavar="NAME")]
Size = Annotated[
    int | None,
    setting(EVERYDAY, "size", "Long side in pixels", unset="the content's own, at most 1024", metavar="PX"),
]
Colour = Annotated[
    str | None,
    setting(
        REGIONS,
        "colour",
        "The style's colours, or in one of three ways the content's",
        "--colour",
        "--color",
        metavar="MODE",
    ),
]
Seed = Annotated[int | None, setting(METHOD, "seed", "Of the noise that the optimiser starts with", metavar="N")]
Strength = Annotated[
    float | None,
    setting(EVERYDAY, "strength", "How hard the style presses; 0 gives the content back", metavar="X"),
]
StyleScale = Annotated[float | None, setting(EVERYDAY, "style_scale", "Brush size; 2 is twice as broad", metavar="X")]
StyleWeights = Annotated[
    list[float] | None,
    setting(
        EVERYDAY,
        "style_weights",
        "Share of a style when several blend, once per STYLE",
        "--style-weight",
        unset="equal",
        metavar="W",
    ),
]
Label = Annotated[
    Literal["cn"] | None, option(OUTPUT, "Also carry the implicit label of China's GB 45438-2025", metavar="cn")
]
Device = Annotated[
    str | None, setting(MACHINE, "device", "cpu, cuda, cuda:1, mps, or auto for the fastest", metavar="NAME")
]
Precision = Annotated[
    str | None,
    setting(MACHINE, "precision", "auto computes in bfloat16 where the processor has it", metavar="NAME"),
]
Memory = Annotated[
    float | None,
    setting(
        MACHINE,
        "memory",
        "Memory to use at most",
        unset=f"{DEFAULT_MEMORY}, or 70 % of what is free where that is less",
        metavar="GB",
    ),
]


def given(parameters: dict[str, Any], of: type = Settings) -> dict[str, Any]:
    """Arguments of a class of settings out of the parameters of a command: those that were given."""
    fields = {field.name for field in dataclasses.fields(of)}
    return {name: value for name, value in parameters.items() if name in fields and value not in (None, [], ())}
