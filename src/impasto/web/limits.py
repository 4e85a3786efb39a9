"""What a visitor may ask for."""

from dataclasses import dataclass
from typing import Annotated

from impasto.configs import Help, Within, check

MAX_STYLES = 8  # pictures to take a style from in one job, the bundled ones among them


@dataclass(frozen=True)
class Limits:
    """Every default and range of them stands here, once."""

    max_upload: Annotated[float, Within(1, 1e6), Help("MB of a file, at most")] = 200
    max_pixels: Annotated[int, Within(1, 10**12), Help("Pixels of an input picture, at most")] = 50_000_000
    max_size: Annotated[int, Within(256, 100_000), Help("Long side of a result in pixels, at most")] = 2048
    max_seconds: Annotated[float, Within(1, 1e6), Help("Seconds of a clip or a sound, at most")] = 120
    max_visitor: Annotated[float, Within(1, 1e7), Help("MB of the files of one visitor, at most")] = 2000
    max_stored: Annotated[float, Within(1, 1e7), Help("MB of the files of all visitors, at most")] = 10_000
    max_hours: Annotated[float, Within(0.001, 10_000), Help("Hours that these files stay, at most")] = 4
    device: str = "auto"

    def __post_init__(self) -> None:
        check(self)
