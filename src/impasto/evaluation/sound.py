"""How near a sound is to the manner of one recording and to the notes and rhythm of another.

Manner: the texture statistics of McDermott and Simoncelli (2011, "Sound texture perception via statistics of the
auditory periphery", Neuron 71) of the envelopes of a cochlea-like filter bank. Notes and rhythm: how well chromagrams
(Fujishima 1999) and onset strengths (spectral flux) correlate. All functions take mono sound [T] in [-1, 1].
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.perception.ear import hearing

BANDS = 32  # of the cochlea
LOWEST = 20.0  # Hz
COMPRESSION = 0.3  # power law of the cochlea's response
ENVELOPE_RATE = 400  # Hz
MODULATIONS = 20  # bands of the envelopes' spectra, 0.5 to 200 Hz
OFFSETS = (1, 2, 3, 5, 8, 11, 16, 21)  # bands apart, of envelopes that are correlated
HOP = 512 / 22050  # seconds from one frame of a chromagram to the next


def texture_distance(sound: Tensor, wanted: Tensor, rate: int) -> float:
    """How far the texture statistics are apart: |s - s*| / sqrt(|s|^2 + |s*|^2), mean over the classes of statistics.

    It is 0 for the same and 1 for what has nothing in common.
    """
    found, target = texture_statistics(sound, rate), texture_statistics(wanted, rate)
    apart = [(found[name] - s).norm() / torch.hypot(found[name].norm(), s.norm()) for name, s in target.items()]
    return (sum(apart) / len(apart)).item()


def texture_statistics(sound: Tensor, rate: int) -> dict[str, Tensor]:
    """The classes of statistics: of each envelope mean, variation and skewness; correlations between envelopes of
    bands; each envelope's power in bands of modulation, relative; correlations of modulations between bands.
    """
    envelopes = cochlear_envelopes(sound, rate)
    mean = envelopes.mean(1)
    centred = envelopes - mean[:, None]
    deviation = centred.square().mean(1).sqrt().clamp_min(1e-9)
    standard = centred / deviation[:, None]
    slow = _modulations(standard, _octaves(3.0, 100.0, 6), width=math.log(2))
    neighbours = [_correlations(band, (1, 2)) for band in slow.unbind(1)]
    return {
        "mean": mean,
        "variation": deviation / mean.clamp_min(1e-9),
        "skewness": standard.pow(3).mean(1),
        "correlation": _correlations(standard, OFFSETS),
        "modulation": _modulations(standard, _octaves(0.5, 200.0, MODULATIONS), width=0.5).square().mean(2).sqrt(),
        "modulation correlation": torch.cat(neighbours),
    }


def cochlear_envelopes(sound: Tensor, rate: int) -> Tensor:
    """Compressed envelopes [BANDS, T'] at ENVELOPE_RATE of bands that are equally wide to the ear (ERB scale).

    Glasberg and Moore (1990): the ear's resolution at f Hz is 24.7 (1 + 4.37 f / 1000) Hz.
    """
    spectrum = torch.fft.rfft(sound.double() / sound.double().square().mean().sqrt().clamp_min(1e-9))
    frequency = torch.linspace(0, rate / 2, len(spectrum), dtype=torch.float64)
    low, high = hearing(torch.tensor([LOWEST, min(10_000, rate / 2)], dtype=torch.float64)).tolist()
    centres = torch.linspace(low, high, BANDS + 2, dtype=torch.float64)[1:-1]
    distance = (hearing(frequency) - centres[:, None]) / (centres[1] - centres[0])
    gains = torch.cos(distance.clamp(-1, 1) * math.pi / 2)  # squares of neighbours add up to one
    envelopes = _analytic(gains * spectrum, len(sound)).abs().pow(COMPRESSION)
    return _resampled(envelopes, rate)


def _analytic(spectra: Tensor, length: int) -> Tensor:
    """Signals without negative frequencies [..., length] of one-sided `spectra`."""
    return 2 * torch.fft.ifft(F.pad(spectra, (0, length - spectra.shape[-1])))


def _resampled(signals: Tensor, rate: int) -> Tensor:
    length = round(signals.shape[-1] * ENVELOPE_RATE / rate)
    spectrum = torch.fft.rfft(signals)[..., : length // 2 + 1]
    return torch.fft.irfft(spectrum, length) * length / signals.shape[-1]


def _octaves(lowest: float, highest: float, count: int) -> Tensor:
    return torch.logspace(math.log10(lowest), math.log10(highest), count, dtype=torch.float64)


def _modulations(envelopes: Tensor, centres: Tensor, width: float) -> Tensor:
    """`envelopes` [B, T] in bands of modulation [B, M, T]: raised cosines in log frequency round `centres` Hz."""
    spectrum = torch.fft.rfft(envelopes)
    frequency = torch.linspace(0, ENVELOPE_RATE / 2, spectrum.shape[-1], dtype=torch.float64).clamp_min(1e-6)
    distance = (frequency.log() - centres.log()[:, None]) / width
    gains = torch.cos(distance.clamp(-1, 1) * math.pi / 2)
    return torch.fft.irfft(spectrum[:, None] * gains, envelopes.shape[-1])


def _correlations(signals: Tensor, offsets: tuple[int, ...]) -> Tensor:
    """Pearson correlations of signals [B, T] that are so many bands apart."""
    standard = F.normalize(signals - signals.mean(1, keepdim=True), dim=1)
    return torch.cat([(standard[k:] * standard[:-k]).sum(1) for k in offsets])


def chroma(sound: Tensor, rate: int) -> Tensor:
    """How loud each of the twelve pitch classes, from C on, is in each frame [12, frames], as shares of the loudest."""
    size = 2 ** round(math.log2(0.19 * rate))  # 4096 samples at 22050 Hz: semitones apart from 130 Hz on
    power = _spectrogram(sound, rate, size).square()
    frequency = torch.linspace(0, rate / 2, len(power))
    heard = (frequency >= 60) & (frequency <= 5000)
    pitch = 12 * torch.log2(frequency[heard] / 440) + 69
    distance = (pitch - torch.arange(12)[:, None] + 6) % 12 - 6
    classes = torch.exp(-0.5 * (distance / 0.35) ** 2)
    found = classes @ power[heard]
    return found / found.amax(0).clamp_min(1e-9)


def onsets(sound: Tensor, rate: int) -> Tensor:
    """Onset strength of each frame: how much the bands' levels in decibels rise, mean over bands."""
    power = _spectrogram(sound, rate, 2 ** round(math.log2(0.046 * rate))).square()
    frequency = torch.linspace(0, rate / 2, len(power))
    low, high = _mel(torch.tensor([30.0, min(8000.0, rate / 2)])).tolist()
    edges = torch.linspace(low, high, 42)
    bands = (1 - ((_mel(frequency) - edges[1:-1, None]) / (edges[1] - edges[0])).abs()).clamp_min(0)
    level = bands @ power
    decibels = 10 * torch.log10(level.clamp_min(1e-8 * level.max() + 1e-12))
    return F.pad(decibels.diff(dim=1).clamp_min(0), (1, 0)).mean(0)


def _mel(frequency: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + frequency / 700)


def _spectrogram(sound: Tensor, rate: int, size: int) -> Tensor:
    window = torch.hann_window(size)
    return torch.stft(sound.float(), size, round(HOP * rate), window=window, return_complex=True).abs()


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's, over all values that both have; 0 where one never changes."""
    frames = min(first.shape[-1], second.shape[-1])
    a, b = (x[..., :frames].double().flatten() for x in (first, second))
    a, b = a - a.mean(), b - b.mean()
    return (a @ b / (a.norm() * b.norm()).clamp_min(1e-12)).item()
