"""Options that the commands of style transfer share: of their panels in the help, of the settings behind them."""

import dataclasses
from typing import Annotated, Any, Literal

from impasto import options
from impasto.options import option
from impasto.style.settings import QUALITIES, Settings

EVERYDAY, REGIONS, METHOD, OUTPUT, MACHINE = "Everyday", "Colour and regions", "Method", "Output", "Machine"
CHOSEN, OF_QUALITY = {field.name for field in dataclasses.fields(QUALITIES["fine"])}, "the quality's own"


def setting(panel: str | None, field: str, *names: str, of: type = Settings, unset: str = "", **more: Any) -> Any:
    """An option for a field of `Settings`, or of another class of settings, as `options.setting` makes it."""
    unset = unset or (OF_QUALITY if of is Settings and field in CHOSEN else "")
    return options.setting(panel, field, *names, of=of, unset=unset, **more)


Quality = Annotated[str | None, setting(EVERYDAY, "quality", metavar="NAME")]
Size = Annotated[int | None, setting(EVERYDAY, "size", metavar="PX")]
Colour = Annotated[str | None, setting(REGIONS, "colour", "--colour", "--color", metavar="MODE")]
Seed = Annotated[int | None, setting(METHOD, "seed", metavar="N")]
Freedom = Annotated[float | None, setting(EVERYDAY, "freedom", metavar="X")]
Strength = Annotated[float | None, setting(EVERYDAY, "strength", metavar="X")]
StyleScale = Annotated[float | None, setting(EVERYDAY, "style_scale", metavar="X")]
StyleWeights = Annotated[list[float] | None, setting(EVERYDAY, "style_weights", "--style-weight", metavar="W")]
Label = Annotated[
    Literal["cn"] | None, option(OUTPUT, "Also carry the implicit label of China's GB 45438-2025", metavar="cn")
]
Device = Annotated[str | None, setting(MACHINE, "device", metavar="NAME")]
Precision = Annotated[str | None, setting(MACHINE, "precision", metavar="NAME")]
Memory = Annotated[float | None, setting(MACHINE, "memory", metavar="GB")]
