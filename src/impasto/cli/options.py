"""Options that the commands of style transfer share: of their panels in the help, of the settings behind them."""

import dataclasses
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import typer

from impasto.style.settings import COLOURS, DEFAULT_MEMORY, QUALITIES, Settings

EVERYDAY, REGIONS, METHOD, OUTPUT, MACHINE = "Everyday", "Colour and regions", "Method", "Output", "Machine"
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)}
OF_QUALITY = {field.name for field in dataclasses.fields(QUALITIES["fine"])}  # each quality has its own value


def option(panel: str, text: str, *names: str, **more: Any) -> Any:
    """An option. Not given, it is None, and whoever it is for has the default."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


def setting(panel: str, field: str, text: str, *names: str, choices: Iterable[str] = (), **more: Any) -> Any:
    """An option for a field of Settings; its help ends with the choices and the field's own default."""
    if choices:
        text = f"{text}: {', '.join(choices)}"
        more["autocompletion"] = lambda: list(choices)
    if DEFAULTS[field] is not None:
        text += f" (default {DEFAULTS[field]})"
    elif field in OF_QUALITY:
        text += " (default the quality's own)"
    return option(panel, text, *names, **more)


Quality = Annotated[str | None, setting(EVERYDAY, "quality", "How much work", metavar="NAME", choices=QUALITIES)]
Size = Annotated[
    int | None, setting(EVERYDAY, "size", "Long side in pixels (default the content's own, at most 1024)", metavar="PX")
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
        choices=COLOURS,
    ),
]
Seed = Annotated[int | None, setting(METHOD, "seed", "Of the noise at the start, 0 or more", metavar="N")]
Strength = Annotated[
    float | None,
    setting(EVERYDAY, "strength", "How hard the style presses, 0 to 1000; 0 gives the content back", metavar="X"),
]
StyleScale = Annotated[float | None, setting(EVERYDAY, "style_scale", "Brush size; 2 is twice as broad", metavar="X")]
StyleWeight = Annotated[
    list[float] | None,
    option(EVERYDAY, "Share of a style when several blend, once per STYLE (default equal)", metavar="W"),
]
Label = Annotated[
    Literal["cn"] | None, option(OUTPUT, "Also carry the implicit label of China's GB 45438-2025", metavar="cn")
]
Device = Annotated[
    str | None, setting(MACHINE, "device", "cpu, cuda, cuda:1, mps, or auto for the fastest", metavar="NAME")
]
Precision = Annotated[
    str | None,
    setting(MACHINE, "precision", "float32, or auto for bfloat16 where the processor has it", metavar="NAME"),
]
Memory = Annotated[
    float | None,
    setting(
        MACHINE,
        "memory",
        f"Memory to use at most (default {DEFAULT_MEMORY}, or 70 % of what is free where that is less)",
        metavar="GB",
    ),
]


def given(parameters: dict[str, Any], style_weight: list[float] | None) -> dict[str, Any]:
    """Arguments of Settings out of the parameters of a command: those that were given."""
    found = {name: value for name in DEFAULTS if (value := parameters.get(name)) is not None}
    return found | ({"style_weights": tuple(style_weight)} if style_weight else {})
