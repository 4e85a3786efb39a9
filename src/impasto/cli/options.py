"""Options that the commands of style transfer share: of their panels in the help, of the settings behind them."""

import dataclasses
from typing import Annotated, Any, Literal

from impasto import options
from impasto.options import option
from impasto.style.settings import DEFAULT_MEMORY, QUALITIES, Settings

EVERYDAY, REGIONS, METHOD, OUTPUT, MACHINE = "Everyday", "Colour and regions", "Method", "Output", "Machine"
CHOSEN, OF_QUALITY = {field.name for field in dataclasses.fields(QUALITIES["fine"])}, "the quality's own"


def setting(
    panel: str | None, field: str, text: str, *names: str, of: type = Settings, unset: str = "", **more: Any
) -> Any:
    """An option for a field of `Settings`, or of another class of settings, as `options.setting` makes it."""
    unset = unset or (OF_QUALITY if of is Settings and field in CHOSEN else "")
    return options.setting(panel, field, text, *names, of=of, unset=unset, **more)


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
