"""Spectrograms of sounds, side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from impasto.errors import SoundError
from impasto.files import replacing
from impasto.media.sound import Sound
from impasto.provenance import of_figure

WINDOW = 0.046  # seconds
RANGE = 80.0  # decibels from black to white


def draw(sounds: Mapping[str, Sound], path: Path, recipe: Mapping[str, Any]) -> None:
    """Draw the spectrograms of `sounds`, each under its name, into the picture file `path`, which carries the `recipe`.

    Raises:
        SoundError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * len(sounds), 4), layout="constrained")
    for axes, (name, sound) in zip(figure.subplots(1, len(sounds), squeeze=False)[0], sounds.items(), strict=True):
        size = round(WINDOW * sound.rate)
        mono = sound.samples.mean(0)
        spectrum = torch.stft(mono, size, size // 4, window=torch.hann_window(size), return_complex=True)
        decibels = 20 * torch.log10(spectrum.abs().clamp_min(1e-9))
        top = decibels.max().item()
        extent = (0, sound.seconds, 0, sound.rate / 2000)
        axes.imshow(decibels, origin="lower", aspect="auto", extent=extent, vmin=top - RANGE, vmax=top, cmap="magma")
        axes.set(title=name, xlabel="seconds", ylabel="kHz")
    try:
        with replacing(path) as part:
            figure.savefig(part, dpi=110, metadata=of_figure(recipe))
    except OSError as error:
        raise SoundError(f"{path} cannot be written: {error.strerror}") from error
