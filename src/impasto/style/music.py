"""The sound of one recording on the notes and the rhythm of another, with no pretrained network.

Ulyanov and Lebedev (2016, "Audio texture synthesis and style transfer") showed that Gram matrices of random filters
over a spectrogram carry the style of a sound. Their result was noisy, for a spectrogram that is optimised freely need
not be one of any sound, and the notes were part of the style, so that the content leaked or was lost. Here the samples
themselves are optimised, through short-time Fourier transforms (as Mital 2017, arXiv:1711.11160); they start as the
content (as Grinstein et al. 2018, arXiv:1710.11385); style is measured in bands of the ear, too wide to tell notes
apart, and content is what stands out of them: notes and rhythm (perception/ear.py).
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from scipy.signal import resample_poly
from torch import Tensor

from impasto import device, provenance
from impasto.errors import SoundError
from impasto.gaussian import Moments, measure, merge
from impasto.media import sound
from impasto.media.sound import Sound
from impasto.perception.ear import Ear, Notes, power_of_two, rhythm
from impasto.style import losses, ulyanov
from impasto.style.settings import SoundSettings

SoundLike = str | PathLike[str] | Sound

WINDOWS = (0.023, 0.046, 0.093)  # seconds, of the ears
NOTES_WEIGHT, RHYTHM_WEIGHT = 0.3, 0.1
STEP_SIZE = 0.2  # of Adam, in deviations of the coefficients
FRAME = 0.046  # seconds, of the transform whose coefficients are optimised
LOUDNESS = 0.1  # root mean square at which sounds are compared
PIECE, OVERLAP = 12.0, 1.0  # seconds: long sounds are worked on in pieces that fade into each other
SHORTEST = 0.5  # seconds


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step; `result` gives the sound so far, while the run waits."""

    done: float  # share of all work, in (0, 1]
    terms: dict[str, float]  # weighted loss terms of the piece at work: style, notes, rhythm
    result: Callable[[], Sound]

    @property
    def loss(self) -> float:
        """The sum of the terms."""
        return sum(self.terms.values())


def transfer(
    content: SoundLike,
    style: SoundLike,
    *,
    method: str = SoundSettings.method,
    strength: float = SoundSettings.strength,
    steps: int = SoundSettings.steps,
    seed: int = SoundSettings.seed,
    device: str = SoundSettings.device,
) -> Sound:
    """Play `content` with the sound of `style`. `SoundSettings` has the range of each setting.

    Args:
        content: a path of a sound or a video, or a `Sound`: notes and rhythm.
        style: the same: how it shall sound.
        method: "impasto", or "ulyanov" for that of Ulyanov and Lebedev (2016).
        strength: how hard the style presses; 0 gives the content back.
        steps: of the optimiser.
        seed: of the random filters.
        device: cpu, cuda, cuda:1, mps, or auto for the fastest.

    Raises:
        SoundError, SettingsError: what a user can mend; the message says how.
    """
    settings = SoundSettings(method=method, strength=strength, steps=steps, seed=seed, device=device)
    *_, last = transferring(content, style, settings)
    return last.result()


def transferring(content: SoundLike, style: SoundLike, settings: SoundSettings) -> Iterator[Progress]:
    """Do what `transfer` does, yielding one `Progress` a step. Closing the generator ends the work."""
    device.configure_cpu()
    processor = device.pick_device(settings.device)
    first, second = _opened(content), _opened(style)
    recipe = _recipe(content, style, settings)
    plain, loudness = _levelled(first.samples, content)
    samples = plain.to(processor)
    wanted = _levelled(_resampled(second, first.rate), style)[0].to(processor)

    if settings.strength == 0:
        run: Iterator[tuple[float, dict[str, float], Callable[[], Tensor]]] = iter([(1.0, {}, lambda: samples)])
    elif settings.method == "ulyanov":
        run = ulyanov.optimise(samples, wanted, settings.steps, settings.strength, settings.seed)
    else:
        run = _in_pieces(samples, wanted, first.rate, settings)
    for done, terms, current in run:

        def result(current: Callable[[], Tensor] = current) -> Sound:
            samples = current().cpu() * (loudness / LOUDNESS)
            return dataclasses.replace(first, samples=samples, recipe=recipe)

        yield Progress(done, terms, result)


def _opened(given: SoundLike) -> Sound:
    opened = given if isinstance(given, Sound) else sound.read(given)
    if opened.seconds < SHORTEST:
        raise SoundError(f"{_name(given)} is too short: {SHORTEST} seconds at least")
    return opened


def _levelled(samples: Tensor, given: SoundLike) -> tuple[Tensor, float]:
    """The samples at one loudness, and the loudness they had."""
    loudness = samples.square().mean().sqrt().item()
    if not loudness > 1e-6:
        raise SoundError(f"{_name(given)} is silent")
    return samples * (LOUDNESS / loudness), loudness


def _resampled(given: Sound, rate: int) -> Tensor:
    if given.rate == rate:
        return given.samples
    shared = math.gcd(given.rate, rate)
    return torch.from_numpy(resample_poly(given.samples.numpy(), rate // shared, given.rate // shared, axis=1)).float()


def _in_pieces(
    content: Tensor, style: Tensor, rate: int, settings: SoundSettings
) -> Iterator[tuple[float, dict[str, float], Callable[[], Tensor]]]:
    """Piece after piece of `content` [channels, T]. What is not worked on yet is as it was."""
    extractor = _Extractor(style, rate, settings.seed)
    result = content.clone()
    pieces = spans(content.shape[1], round(PIECE * rate), round(OVERLAP * rate))
    for index, (begin, end) in enumerate(pieces):
        before = result[:, begin : begin + round(OVERLAP * rate)].clone() if index else None
        objective = _Objective(extractor, content[:, begin:end], settings.strength)
        for step, (terms, samples) in enumerate(_optimised(objective, settings.steps, before), 1):
            result[:, begin:end] = samples
            yield (index + step / settings.steps) / len(pieces), terms, result.clone


def spans(length: int, piece: int, overlap: int) -> list[tuple[int, int]]:
    """Beginnings and ends of equally long pieces, of about `piece` samples, that overlap."""
    count = max(1, round((length - overlap) / (piece - overlap)))
    stride = (length - overlap) / count
    return [(round(i * stride), length if i == count - 1 else round((i + 1) * stride) + overlap) for i in range(count)]


class _Extractor:
    """The ears, and what they give of the style: mean and deviation of each band, and the moments of the features."""

    def __init__(self, style: Tensor, rate: int, seed: int) -> None:
        self.rate = rate
        self.ears = [Ear(rate, seconds, seed + i).to(style.device) for i, seconds in enumerate(WINDOWS)]
        self.notes = Notes(rate).to(style.device)
        self.scales: list[tuple[Tensor, Tensor]] = []  # of each ear, by band
        self.wanted: list[Moments] = []
        parts = [style[:, a:b] for a, b in spans(style.shape[1], round(PIECE * rate), 0)]
        size = power_of_two(FRAME * rate)
        spectra = torch.stft(style, size, window=torch.hann_window(size, device=style.device), return_complex=True)
        self.power = spectra.abs().square().mean((0, 2))  # of each coefficient that is optimised
        for ear in self.ears:
            levels = [ear.levels(part) for part in parts]
            flat = torch.cat([level.transpose(0, 1).flatten(1) for level in levels], 1)
            self.scales.append((flat.mean(1)[:, None], flat.std(1).clamp_min(0.3)[:, None]))
            self.wanted.append(merge([self.statistics(len(self.wanted), level) for level in levels]))

    def statistics(self, index: int, levels: Tensor) -> Moments:
        """Statistics of the features that an ear gives to `levels`, measured by what is usual in the style."""
        mean, deviation = self.scales[index]
        return measure(self.ears[index]((levels - mean) / deviation))


class _Objective:
    """How near samples are to the style, and to the notes and the rhythm of `content` [channels, T]."""

    def __init__(self, extractor: _Extractor, content: Tensor, strength: float) -> None:
        self.extractor, self.content, self.strength = extractor, content, strength
        self.notes = extractor.notes(content)
        self.power = self.notes.square().mean().clamp_min(1e-4)
        self.rhythms = [rhythm(ear.levels(content)) for ear in extractor.ears]

    def terms(self, samples: Tensor) -> dict[str, Tensor]:
        style = beat = samples.new_zeros(())
        for index, ear in enumerate(self.extractor.ears):
            levels = ear.levels(samples)
            style = style + losses.gram(self.extractor.statistics(index, levels), self.extractor.wanted[index])
            beat = beat + 1 - _correlation(rhythm(levels), self.rhythms[index])
        notes = (self.extractor.notes(samples) - self.notes).square().mean() / self.power
        count = len(self.extractor.ears)
        return {
            "style": self.strength * style / count,
            "notes": NOTES_WEIGHT * notes,
            "rhythm": RHYTHM_WEIGHT * beat / count,
        }


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's, over frames, mean over channels."""
    a, b = (x - x.mean(1, keepdim=True) for x in (first, second))
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-6)).mean()


def _optimised(objective: _Objective, steps: int, before: Tensor | None) -> Iterator[tuple[dict[str, float], Tensor]]:
    """Adam on the short-time Fourier coefficients of the content, in units of what is usual at their frequency.

    Args:
        before: what the piece before ended with [channels, overlap]; it fades out while this one fades in.
    """
    content, size = objective.content, power_of_two(FRAME * objective.extractor.rate)
    window = torch.hann_window(size, device=content.device)
    spectrum = torch.stft(content, size, window=window, return_complex=True)
    power = objective.extractor.power + spectrum.abs().square().mean((0, 2))
    deviation = power.sqrt().clamp_min(1e-3)[:, None]
    coefficients = torch.view_as_real(spectrum / deviation).clone().requires_grad_()
    length = content.shape[1]

    def samples() -> Tensor:
        whole = torch.istft(torch.view_as_complex(coefficients) * deviation, size, window=window, length=length)
        if before is None:
            return whole
        fade = torch.linspace(1, 0, before.shape[1], device=content.device)
        return torch.cat([torch.lerp(whole[:, : len(fade)], before, fade), whole[:, len(fade) :]], 1)

    adam = torch.optim.Adam([coefficients], betas=(0.9, 0.95))
    for step in range(steps):
        adam.param_groups[0]["lr"] = STEP_SIZE * 0.5 * (1 + math.cos(math.pi * step / steps))
        adam.zero_grad()
        terms = objective.terms(samples())
        torch.stack([*terms.values()]).sum().backward()
        adam.step()
        with torch.no_grad():
            yield {name: term.item() for name, term in terms.items()}, samples()


def _name(given: SoundLike) -> str:
    return "the sound" if isinstance(given, Sound) else str(given)


def _recipe(content: SoundLike, style: SoundLike, settings: SoundSettings) -> dict[str, Any]:
    def source(given: SoundLike) -> dict[str, str]:
        if isinstance(given, Sound):
            return provenance.unnamed(given.samples.cpu().numpy().tobytes())
        return provenance.source(given)

    made = provenance.make_recipe(source(content), [source(style)], dataclasses.asdict(settings), {})
    return {"command": "music", **made}
