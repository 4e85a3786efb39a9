"""What a visitor may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Every default of them stands here, once."""

    max_upload: float = 200  # MB of a file
    max_pixels: int = 50_000_000  # of an input picture
    max_size: int = 2048  # long side of a result, pixels
    max_seconds: float = 120  # of a clip or a sound
    device: str = "auto"
