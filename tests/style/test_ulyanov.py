"""The recipe of 2016 against SciPy's transform, a closed form, and phases that are known."""

import math

import pytest
import scipy.signal
import torch
from torch import Tensor

from impasto.style import ulyanov
from impasto.style.ulyanov import HOP, SIZE, optimise, spectrogram, with_phases

RATE = 22_050


def chord(seconds: float = 1.0) -> Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    return sum(0.2 * torch.sin(2 * math.pi * f * time) for f in (220.0, 330.0, 550.0))[None]


def test_the_spectrogram_is_scipys() -> None:
    window = scipy.signal.get_window("hann", SIZE)
    samples = chord()
    transform = scipy.signal.ShortTimeFFT(window, HOP, RATE)
    wanted = abs(transform.stft(samples[0].numpy()))
    found = spectrogram(samples)[0]
    inside = slice(4, found.shape[1] - 4)  # beyond the ends, the one mirrors and the other is silent
    first = round(-transform.p_min)  # SciPy begins before the sound
    torch.testing.assert_close(
        found[:, inside], torch.from_numpy(wanted[:, first:]).float()[:, inside].log1p(), atol=2e-3, rtol=1e-3
    )


def test_invented_phases_fit_the_magnitudes() -> None:
    samples = chord() + 0.05 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    magnitude = spectrogram(samples).expm1()
    found = with_phases(magnitude, RATE, seed=1)
    assert found.shape == samples.shape
    again = spectrogram(found).expm1()
    assert ((again - magnitude).norm() / magnitude.norm()).item() < 0.15
    noise = torch.polar(magnitude, 2 * math.pi * torch.rand(magnitude.shape))
    start = torch.istft(noise, SIZE, HOP, window=torch.hann_window(SIZE), length=RATE)
    before = (spectrogram(start).expm1() - magnitude).norm() / magnitude.norm()
    assert before > 0.3


def test_the_loss_falls_and_is_content_and_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ulyanov, "FILTERS", 128)
    style = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    run = list(optimise(chord(), style, 8, 1.0, 0))
    assert [done for done, *_ in run] == pytest.approx([i / 8 for i in range(1, 9)])
    losses = [sum(terms.values()) for _, terms, _ in run]
    assert losses[-1] < 0.3 * losses[0] and run[0][1].keys() == {"style", "content"}
    assert run[-1][2]().shape == (1, RATE)
