"""What the ear hears of tones, noise and clicks."""

import math

import pytest
import torch
from torch import Tensor

from impasto.perception.ear import (
    FILTERS,
    LOWEST_NOTE,
    NOTES_PER_OCTAVE,
    Ear,
    Notes,
    hearing,
    power_of_two,
    power_spectrogram,
    rhythm,
)

RATE = 22_050


def tone(frequency: float, seconds: float = 1.0, loudness: float = 1.0) -> Tensor:
    return loudness * torch.sin(2 * math.pi * frequency * torch.arange(round(seconds * RATE)) / RATE)[None]


def test_places_in_the_ear_are_those_of_the_literature() -> None:
    # Glasberg and Moore (1990), equation 4: 21.4 log10(4.37 f + 1), f in kHz
    assert hearing(torch.tensor([100.0, 1000.0, 10_000.0])).tolist() == pytest.approx([3.37, 15.57, 35.32], abs=0.1)


def test_a_tone_of_full_scale_has_a_quarter_of_the_power_in_its_bin() -> None:
    frequency = RATE / 1024 * 50
    power = power_spectrogram(tone(frequency), torch.hann_window(1024))[0, :, 5:-5]
    assert power.argmax(0).unique().tolist() == [50]
    assert power[50].tolist() == pytest.approx([0.25] * power.shape[1], rel=0.01)


@pytest.mark.parametrize("seconds", [0.023, 0.046, 0.093])
def test_higher_tones_are_heard_in_higher_bands_and_twice_the_amplitude_as_log_two(seconds: float) -> None:
    ear = Ear(RATE, seconds)
    levels = [ear.levels(tone(f, loudness=0.5))[0, :, 20] for f in (200.0, 800.0, 3200.0)]
    places = [int(level.argmax()) for level in levels]
    assert places == sorted(set(places))
    twice = ear.levels(tone(800.0))[0, :, 20]
    assert (twice - levels[1]).max().item() == pytest.approx(math.log(2), abs=0.01)


def test_features_are_those_of_a_convolution_and_the_seed_draws_its_filters() -> None:
    ear, levels = Ear(RATE, 0.046, seed=3), torch.randn(2, len(Ear(RATE, 0.046).bands), 40)
    features = ear(levels)
    assert features.shape == (1, FILTERS, 2, 30)
    by_hand = (ear.filters[7] * levels[1, :, 4:15]).sum() + ear.thresholds[7]
    assert features[0, 7, 1, 4].item() == pytest.approx(max(0.0, by_hand.item()), abs=1e-4)
    assert torch.equal(Ear(RATE, 0.046, seed=3).filters, ear.filters)
    assert not torch.equal(Ear(RATE, 0.046, seed=4).filters, ear.filters)


@pytest.mark.parametrize("frequency", [110.0, 440.0, 1244.5])
def test_a_note_stands_out_where_it_is_however_loud(frequency: float) -> None:
    notes = Notes(RATE)
    found = notes(tone(frequency))[0, :, 10]
    assert found.argmax().item() == pytest.approx(NOTES_PER_OCTAVE * math.log2(frequency / LOWEST_NOTE), abs=1)
    quieter = notes(tone(frequency, loudness=0.3))[0, :, 10]
    assert quieter.argmax() == found.argmax()


def test_the_colour_of_a_sound_does_not_change_its_notes() -> None:
    chord = sum(tone(f) for f in (220.0, 330.0, 440.0, 660.0, 880.0))
    darker = sum(tone(f, loudness=220 / f) for f in (220.0, 330.0, 440.0, 660.0, 880.0))
    other = sum(tone(f) for f in (233.0, 311.0, 415.0, 622.0, 932.0))
    notes = Notes(RATE)
    a, b, c = (notes(x)[0, :, 10] for x in (chord, darker, other))
    assert torch.cosine_similarity(a, b, 0) > 0.9 > 0.6 > torch.cosine_similarity(a, c, 0)


def test_rhythm_is_what_rises() -> None:
    levels = torch.zeros(1, 4, 10)
    levels[:, :2, 3:6] = 2.0
    assert rhythm(levels)[0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_powers_of_two_are_the_nearest() -> None:
    assert [power_of_two(x) for x in (507.0, 1024.0, 1500.0)] == [512, 1024, 2048]


@pytest.mark.parametrize("rate", [8000, RATE, 48_000])
@pytest.mark.parametrize("seconds", [0.023, 0.093])
def test_nothing_that_can_be_heard_is_overheard(rate: int, seconds: float) -> None:
    ear = Ear(rate, seconds)
    frequency = torch.linspace(0, rate / 2, ear.bands.shape[1])
    heard = ear.bands.sum(0)[frequency >= 30]
    assert heard.min() > 0.2 and heard.max() < 1.001  # what leaves one band goes to the next
