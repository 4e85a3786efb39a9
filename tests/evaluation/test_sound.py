"""Measures of sounds against tones, clicks and noise, whose figures are known."""

import math

import pytest
import torch
from torch import Tensor

from impasto.evaluation.sound import (
    BANDS,
    ENVELOPE_RATE,
    HOP,
    MODULATIONS,
    chroma,
    cochlear_envelopes,
    correlation,
    onsets,
    texture_distance,
    texture_statistics,
)

RATE = 22_050


def noise(seconds: float = 4.0, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def tone(frequency: float, seconds: float = 2.0) -> Tensor:
    return 0.3 * torch.sin(2 * math.pi * frequency * torch.arange(round(seconds * RATE)) / RATE)


@pytest.mark.parametrize(("frequency", "pitch_class"), [(440.0, 9), (880.0, 9), (261.63, 0), (311.13, 3), (1975.5, 11)])
def test_a_tone_is_of_its_pitch_class_in_every_octave(frequency: float, pitch_class: int) -> None:
    found = chroma(tone(frequency), RATE)
    assert found.shape[0] == 12 and (found.argmax(0) == pitch_class).all()
    others = torch.arange(12) != pitch_class
    assert found[others].max() < 0.6


def test_chroma_counts_notes_not_loudness() -> None:
    chord = tone(440) + tone(550)
    assert correlation(chroma(chord, RATE), chroma(0.1 * chord, RATE)) == pytest.approx(1, abs=1e-5)
    assert correlation(chroma(chord, RATE), chroma(tone(466.16) + tone(698.46), RATE)) < 0.1


def test_onsets_are_where_clicks_are() -> None:
    sound, times = 1e-3 * noise(3), (0.5, 1.2, 2.5)
    for time in times:
        sound[round(time * RATE) :][:200] += 0.5
    strength = onsets(sound, RATE)
    peaks = strength.topk(3).indices.sort().values * HOP
    assert peaks.tolist() == pytest.approx(times, abs=0.04)


def test_a_band_hears_a_tone_at_its_frequency() -> None:
    loudest = [cochlear_envelopes(tone(f), RATE).mean(1).argmax().item() for f in (100, 400, 1600, 6400)]
    assert loudest == sorted(set(loudest))
    envelopes = cochlear_envelopes(tone(1000), RATE)
    assert envelopes.shape == (BANDS, 2 * ENVELOPE_RATE)
    steady = envelopes[envelopes.mean(1).argmax(), 40:-40]
    assert steady.std() / steady.mean() < 0.01  # the envelope of a tone does not move


def test_modulation_power_peaks_where_noise_is_modulated() -> None:
    time = torch.arange(4 * RATE) / RATE
    for frequency in (4.0, 16.0, 64.0):
        modulated = (1 + torch.sin(2 * math.pi * frequency * time)) * noise()
        power = texture_statistics(modulated, RATE)["modulation"].mean(0)
        centres = torch.logspace(math.log10(0.5), math.log10(200), MODULATIONS)
        assert abs(math.log2(centres[power.argmax()].item() / frequency)) < 0.5


def test_bands_of_noise_are_independent_and_of_clicks_are_not() -> None:
    clicks = 1e-4 * noise()
    clicks[:: RATE // 5] += 0.5
    apart = texture_statistics(noise(), RATE)["correlation"][-20:]  # the bands furthest from each other
    together = texture_statistics(clicks, RATE)["correlation"][-20:]
    assert apart.abs().mean() < 0.1 and together.mean() > 0.5


def test_distance_is_nothing_for_the_same_texture_and_large_for_another() -> None:
    clicks = 1e-3 * noise(seed=5)
    clicks[:: RATE // 5] += 0.5
    assert texture_distance(noise(), noise(), RATE) == 0
    assert texture_distance(noise(), 0.01 * noise(), RATE) < 1e-3  # loudness is no texture
    same, other = texture_distance(noise(), noise(seed=1), RATE), texture_distance(noise(), clicks, RATE)
    assert same < 0.35 and other > 0.7  # what hardly varies in noise, skewness say, is never quite the same


def test_correlation_is_pearsons() -> None:
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    y = x + torch.randn(3, 50, generator=torch.Generator().manual_seed(1))
    wanted = torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].item()
    assert correlation(x, y) == pytest.approx(wanted, abs=1e-5)
    assert correlation(x, 2 * x[:, :40] + 3) == pytest.approx(1)  # what both have
    assert correlation(x, torch.ones(3, 50)) == 0
