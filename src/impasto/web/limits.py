"""What a visitor may ask for."""

from dataclasses import dataclass
from typing import Annotated

from impasto.configs import Within, check


@dataclass(frozen=True)
class Limits:
    """Every default and range of them stands here, once."""

    max_upload: Annotated[float, Within(1, 1e6)] = 200  # MB of a file
    max_pixels: Annotated[int, Within(1, 10**12)] = 50_000_000  # of an input picture
    max_size: Annotated[int, Within(256, 100_000)] = 2048  # long side of a result, pixels
    max_seconds: Annotated[float, Within(1, 1e6)] = 120  # of a clip or a sound
    device: str = "auto"

    def __post_init__(self) -> None:
        check(self)
