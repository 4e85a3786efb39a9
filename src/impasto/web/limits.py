"""What a visitor may ask for."""

from dataclasses import dataclass
from typing import Annotated

from impasto.configs import Help, Within, check


@dataclass(frozen=True)
class Limits:
    """Every default and range of them stands here, once."""

    max_upload: Annotated[float, Within(1, 1e6), Help("MB of a file, at most")] = 200
    max_pixels: Annotated[int, Within(1, 10**12), Help("Pixels of an input picture, at most")] = 50_000_000
    max_size: Annotated[int, Within(256, 100_000), Help("Long side of a result in pixels, at most")] = 2048
    max_seconds: Annotated[float, Within(1, 1e6), Help("Seconds of a clip or a sound, at most")] = 120
    device: str = "auto"

    def __post_init__(self) -> None:
        check(self)
