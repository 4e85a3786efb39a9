"""A melody with the sound of something else: nearer to the style, still the melody."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.errors import SettingsError, SoundError
from impasto.evaluation.sound import chroma, correlation, onsets, texture_distance
from impasto.media.sound import Sound
from impasto.style import music
from impasto.style.music import spans, transfer, transferring
from impasto.style.settings import SoundSettings

RATE = 11_025


def melody(seconds: float = 2.0, rate: int = RATE) -> Tensor:
    """Notes of a quarter of a second with overtones [1, T], each fading."""
    result = torch.zeros(round(seconds * rate))
    length = rate // 4
    time = torch.arange(length) / rate
    for index, pitch in enumerate((0, 4, 7, 12, 9, 5, 2, 7) * math.ceil(seconds / 2)):
        frequency = 220 * 2 ** (pitch / 12)
        note = sum(torch.sin(2 * math.pi * frequency * k * time) / k for k in (1, 2, 3, 4)) * torch.exp(-6 * time)
        part = result[index * length : (index + 1) * length]
        part += 0.2 * note[: len(part)]
    return result[None]


def rustling(seconds: float = 2.0, rate: int = RATE) -> Tensor:
    """Noise whose loudness varies [1, T]: a texture without notes."""
    generator = torch.Generator().manual_seed(0)
    count = round(seconds * rate)
    envelope = torch.nn.functional.interpolate(torch.rand(1, 1, round(30 * seconds), generator=generator), count)[0, 0]
    return (0.3 * envelope**2 * torch.randn(count, generator=generator))[None]


@pytest.fixture
def content() -> Sound:
    return Sound(melody(), RATE)


@pytest.fixture
def style() -> Sound:
    return Sound(rustling(), RATE)


def test_the_result_sounds_like_the_style_and_keeps_notes_and_rhythm(content: Sound, style: Sound) -> None:
    result = transfer(content, style, steps=60)
    assert (result.samples.shape, result.rate) == (content.samples.shape, RATE)
    c, s, x = (sound.samples[0] for sound in (content, style, result))
    assert texture_distance(x, s, RATE) < 0.7 * texture_distance(c, s, RATE)
    assert correlation(chroma(x, RATE), chroma(c, RATE)) > 0.6
    assert correlation(onsets(x, RATE), onsets(c, RATE)) > 0.6
    loudness = [sound.samples.square().mean().sqrt().item() for sound in (result, content)]
    assert loudness[0] == pytest.approx(loudness[1], rel=0.3)


def test_strength_zero_gives_the_content_back_and_more_brings_the_style_nearer(content: Sound, style: Sound) -> None:
    still = transfer(content, style, strength=0)
    torch.testing.assert_close(still.samples, content.samples)
    weak, strong = (transfer(content, style, steps=25, strength=s).samples[0] for s in (0.02, 2.0))
    wanted = style.samples[0]
    assert texture_distance(strong, wanted, RATE) < texture_distance(weak, wanted, RATE)
    notes = [correlation(chroma(x, RATE), chroma(content.samples[0], RATE)) for x in (weak, strong)]
    assert notes[0] > notes[1]


def test_the_loss_goes_down_and_every_step_has_a_result(content: Sound, style: Sound) -> None:
    run = transferring(content, style, SoundSettings(steps=20))
    seen = [(step.done, step.loss, step.result().samples) for step in run]
    assert [done for done, *_ in seen] == pytest.approx([i / 20 for i in range(1, 21)])
    assert seen[-1][1] < 0.5 * seen[0][1]
    assert not torch.equal(seen[3][2], seen[-1][2])
    run = transferring(content, style, SoundSettings(steps=20))
    assert next(run).terms.keys() == {"style", "notes", "rhythm"}
    run.close()  # type: ignore[attr-defined]


def test_at_the_content_itself_notes_and_rhythm_cost_nothing(content: Sound, style: Sound) -> None:
    first = next(transferring(content, style, SoundSettings(steps=1)))
    assert first.terms["notes"] == pytest.approx(0, abs=1e-4)
    assert first.terms["rhythm"] == pytest.approx(0, abs=1e-4)
    own = next(transferring(content, content, SoundSettings(steps=1)))
    assert own.terms["style"] == pytest.approx(0, abs=1e-4)


def test_the_same_seed_gives_the_same_samples(content: Sound, style: Sound) -> None:
    first, again, other = (transfer(content, style, steps=3, seed=seed).samples for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_channels_and_rates_are_the_contents(style: Sound) -> None:
    stereo = Sound(torch.cat([melody(1.0, 16_000), 0.5 * melody(1.0, 16_000).flip(1)]), 16_000)
    result = transfer(stereo, style, steps=2)
    assert (result.samples.shape, result.rate) == ((2, 16_000), 16_000)
    assert result.samples[0].norm() > 1.3 * result.samples[1].norm()


def test_speakers_and_bits_are_the_contents(style: Sound) -> None:
    quad = Sound(melody(0.6).repeat(4, 1), RATE, None, "quad", 24)
    result = transfer(quad, style, strength=0)
    assert (result.layout, result.bits) == ("quad", 24)


def test_a_style_at_another_rate_is_the_same_style(content: Sound) -> None:
    tone = [Sound(melody(2.0, rate), rate) for rate in (RATE, 2 * RATE)]
    losses = [next(transferring(content, style, SoundSettings(steps=1))).terms["style"] for style in tone]
    assert losses == pytest.approx([0, 0], abs=0.02)


@pytest.mark.parametrize("length", [11, 100, 150, 199, 200, 201, 1234])
def test_pieces_cover_the_sound_and_overlap(length: int) -> None:
    pieces = spans(length, 100, 10)
    assert pieces[0][0] == 0 and pieces[-1][1] == length
    for (_, end), (begin, _) in pairwise(pieces):
        assert end - begin == 10
    assert all(end - begin <= 150 for begin, end in pieces)


def test_pieces_fade_into_each_other_without_a_click(style: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music, "PIECE", 1.5)
    monkeypatch.setattr(music, "OVERLAP", 0.25)
    time = torch.arange(4 * RATE) / RATE
    content = Sound(0.3 * torch.sin(2 * math.pi * 220 * time)[None], RATE)  # no onset of its own
    results = [step.result().samples for step in transferring(content, style, SoundSettings(steps=8))]
    pieces = spans(content.samples.shape[1], round(1.5 * RATE), round(0.25 * RATE))
    assert len(pieces) == 3 and len(results) == 24
    halfway, whole = results[15], results[-1]
    begin = pieces[2][0]
    assert torch.equal(halfway[:, :begin], whole[:, :begin])  # what is done stays
    later = slice(pieces[1][1], None)  # what is not worked on yet is as it was
    torch.testing.assert_close(halfway[:, later], content.samples[:, later])
    jumps = whole.diff(dim=1).abs()[0]
    for begin, _ in pieces[1:]:
        assert jumps[begin - 5 : begin + 5].max() < jumps.quantile(0.999)


def test_the_recipe_of_2016_is_there_to_compare(content: Sound, style: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music.ulyanov, "FILTERS", 256)
    result = transfer(content, style, method="ulyanov", steps=5)
    assert result.samples.shape == content.samples.shape and result.samples.isfinite().all()
    assert result.recipe is not None and result.recipe["settings"]["method"] == "ulyanov"


def test_a_result_says_how_it_was_made(content: Sound, style: Sound) -> None:
    recipe = transfer(content, style, steps=1, seed=4).recipe
    assert recipe is not None and recipe["command"] == "music"
    assert recipe["settings"] == {"method": "impasto", "strength": 1.0, "steps": 1, "seed": 4, "device": "auto"}
    assert recipe["content"]["sha256"] != recipe["styles"][0]["sha256"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"method": "mozart"}, "there is no method .mozart."), ({"strength": -1}, "strength goes"),
     ({"strength": float("nan")}, "strength goes"), ({"steps": 0}, "steps goes"), ({"seed": -1}, "seed goes")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str, content: Sound, style: Sound) -> None:
    with pytest.raises(SettingsError, match=message):
        transfer(content, style, **settings)


def test_sounds_that_are_too_short_or_silent_are_refused(content: Sound, style: Sound) -> None:
    with pytest.raises(SoundError, match="too short"):
        transfer(Sound(melody(0.3), RATE), style)
    with pytest.raises(SoundError, match="silent"):
        transfer(content, Sound(torch.zeros(1, RATE), RATE))
    with pytest.raises(SoundError, match="does not exist"):
        transfer("none.wav", style)
