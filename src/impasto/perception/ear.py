"""Features of sounds: levels of the ear's bands, random filters over them, notes and rhythm.

Random convolutions over the spectrogram, one dimension wide, are Ulyanov and Lebedev's (2016, "Audio texture synthesis
and style transfer"). They looked at every frequency by itself, so that their style was made of notes, too. Here they
look at bands as wide as the ear's (Glasberg and Moore 1990), in which notes of an instrument are alike, at several
lengths of the window; and the notes have a map of their own, from which the colour of the sound is taken away.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOWEST = 20.0  # Hz; the highest is all that there is
SPACING = 0.75  # of the ear's bandwidth, from one band to the next
FILTERS, WIDTH = 512, 11  # width in frames, of a quarter of a window each
QUIETEST = 1e-7  # power of a full-scale sine over which a level is heard
NOTES_PER_OCTAVE = 24
LOWEST_NOTE, HIGHEST_NOTE = 55.0, 5000.0  # Hz
NOTE_WINDOW = 0.186  # seconds: 4096 samples at 22050 Hz


class Ear(nn.Module):
    """A spectrogram in bands of the ear, and `FILTERS` random filters over it.

    Args:
        rate: samples per second of what it shall hear.
        seconds: length of the window, to the nearest power of two of samples.
    """

    window: Tensor
    bands: Tensor
    filters: Tensor
    thresholds: Tensor

    def __init__(self, rate: int, seconds: float, seed: int = 0):
        super().__init__()
        size = power_of_two(rate * seconds)
        frequency = torch.linspace(0, rate / 2, size // 2 + 1)
        lowest, highest = hearing(torch.tensor([LOWEST, rate / 2], dtype=torch.float64)).tolist()
        centres = lowest + SPACING * torch.arange(1, math.ceil((highest - lowest) / SPACING) + 1)
        distance = hearing(frequency.double()).float() - centres[:, None]
        bands = (1 - distance.abs() / SPACING).clamp_min(0)
        bands = bands[bands.sum(1) > 0]  # a short window has no bin in the lowest ones
        draw = torch.Generator().manual_seed(seed)
        scale = math.sqrt(2 / (len(bands) * WIDTH))
        self.register_buffer("window", torch.hann_window(size))
        self.register_buffer("bands", bands)
        self.register_buffer("filters", scale * torch.randn(FILTERS, len(bands), WIDTH, generator=draw))
        self.register_buffer("thresholds", 0.5 * torch.randn(FILTERS, generator=draw))

    def levels(self, samples: Tensor) -> Tensor:
        """Logarithms of the amplitude in each band [channels, bands, frames] of `samples` [channels, T]."""
        return 0.5 * torch.log(self.bands @ power_spectrogram(samples, self.window) + QUIETEST)

    def forward(self, levels: Tensor) -> Tensor:
        """Features [1, FILTERS, channels, frames] of `levels`, which should vary by about one round zero."""
        return F.relu(F.conv1d(levels, self.filters, self.thresholds)).transpose(0, 1)[None]


class Notes(nn.Module):
    """Which quarter tones sound, however the sound is coloured: what stands out from the spectrum's smooth shape."""

    window: Tensor
    pitches: Tensor
    smoothing: Tensor

    def __init__(self, rate: int):
        super().__init__()
        size = power_of_two(rate * NOTE_WINDOW)
        octaves = math.log2(min(HIGHEST_NOTE, 0.45 * rate) / LOWEST_NOTE)
        pitch = LOWEST_NOTE * 2 ** (torch.arange(int(NOTES_PER_OCTAVE * octaves)) / NOTES_PER_OCTAVE)
        width = (pitch * (2 ** (1 / NOTES_PER_OCTAVE) - 1)).clamp_min(rate / size)
        frequency = torch.linspace(0, rate / 2, size // 2 + 1)
        smoothing = torch.hann_window(NOTES_PER_OCTAVE + 3)[1:-1]
        self.register_buffer("window", torch.hann_window(size))
        self.register_buffer("pitches", (1 - (frequency - pitch[:, None]).abs() / width[:, None]).clamp_min(0))
        self.register_buffer("smoothing", (smoothing / smoothing.sum())[None, None])

    def forward(self, samples: Tensor) -> Tensor:
        """How far each note stands out [channels, notes, frames], in powers of e, of `samples` [channels, T]."""
        levels = torch.log(self.pitches @ power_spectrogram(samples, self.window, hops=8) + QUIETEST)
        columns = levels.transpose(1, 2).flatten(0, 1)[:, None]
        reach = self.smoothing.shape[2] // 2
        shape = F.conv1d(F.pad(columns, (reach, reach), mode="replicate"), self.smoothing)
        return F.relu(columns - shape).view(len(samples), -1, len(self.pitches)).transpose(1, 2)


def rhythm(levels: Tensor) -> Tensor:
    """How much the levels [channels, bands, frames] rise from each frame to the next [channels, frames - 1]."""
    return levels.diff(dim=2).clamp_min(0).mean(1)


def power_spectrogram(samples: Tensor, window: Tensor, hops: int = 4) -> Tensor:
    """Power [channels, frequencies, frames] of `samples` [channels, T]; a sine of full scale has about 1/4.

    Args:
        hops: of frames in a window.
    """
    spectrum = torch.stft(samples, len(window), len(window) // hops, window=window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square()) / window.sum() ** 2


def hearing(frequency: Tensor) -> Tensor:
    """The places of frequencies (Hz) in the ear, in units of its bandwidth there (Glasberg and Moore 1990)."""
    return 21.4 * torch.log10(1 + 0.00437 * frequency)


def power_of_two(samples: float) -> int:
    """The power of two nearest to a number of samples, on a scale of octaves."""
    return int(2 ** round(math.log2(samples)))
