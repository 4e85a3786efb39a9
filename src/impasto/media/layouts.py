"""Which channels a sound has and which a codec takes, by FFmpeg's names for layouts; samples brought into them."""

from fractions import Fraction

import av
import numpy as np
from av.audio.layout import AudioLayout

ROUND_THE_BACK = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
KNOWN = {  # to every decoder; PCM takes all layouts, and FLAC all of up to 8 channels
    "libopus": ROUND_THE_BACK,
    "libmp3lame": ("mono", "stereo"),
    "aac": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"),
    "flac": ROUND_THE_BACK,
}
TWINS = {"BL": "SL", "BR": "SR", "SL": "BL", "SR": "BR"}  # one may stand for the other
CENTRES = ("FC", "BC")  # between two others, which play them as well
PCM = {16: ("pcm_s16le", "s16"), 24: ("pcm_s24le", "s32"), 32: ("pcm_f32le", "flt")}  # by depth: codec, sample format
LOSSY = 192_000  # bits per second and channel pair, and more than most ears need


def named(layout: AudioLayout | str) -> str:
    """The name of a layout; of one that only says how many channels, FFmpeg's default for so many.

    AVI, DV and many WAV files do not say which channels they have.
    """
    layout = layout if isinstance(layout, AudioLayout) else AudioLayout(layout)
    try:
        return usual(layout.nb_channels) if layout.name.endswith(" channels") else layout.name
    except ValueError:  # more than any layout has
        return layout.name


def usual(channels: int) -> str:
    """The layout of so many channels, as a rule: 1 mono, 2 stereo, 6 5.1, 8 7.1."""
    try:
        return AudioLayout(f"{channels}c").name
    except ValueError:
        return f"{channels} channels"


def taken(codec: str, layout: str) -> str:
    """The layout nearest to `layout` that an encoder takes: what loses least, and among these the smallest change."""

    def cost(other: str) -> tuple[int, int]:
        there = _channels(other)
        lost = [c for c in here if c not in there and (TWINS.get(c) in here or TWINS.get(c) not in there)]
        change = abs(len(there) - len(here))
        return change + sum(1 if c in CENTRES else 4 for c in lost), change

    here = _channels(layout)
    known = KNOWN.get(codec)
    if known is not None and layout.endswith(" channels"):
        return "mono"
    if known is None or layout in known or (codec == "flac" and len(here) <= 8):
        return layout
    return min(known, key=cost)


def rate_taken(codec: str, rate: int) -> int:
    """The sampling rate that an encoder takes instead of `rate`: the next higher one, else its highest."""
    return min(av.Codec(codec, "w").audio_rates or [rate], key=lambda r: (r < rate, abs(r - rate)))


def _channels(layout: str) -> list[str]:
    return [channel.name for channel in AudioLayout(layout).channels]


def depth(codec: av.Codec, sample_format: str) -> int:
    """Bits of a sample that are worth keeping: 16, 24, or 32 for floating point. What is lossy has no more than 16."""
    if not codec.lossless or (codec.name == "dca" and sample_format.startswith("flt")):  # DTS is the one or the other
        return 16
    if sample_format.startswith(("flt", "dbl")) or codec.name.startswith("pcm_s32"):
        return 32
    return 24 if sample_format.startswith("s32") else 16


class Uniform:
    """Makes frames of all kinds float32 samples [channels, T] of one layout and rate, those of the first frame."""

    def __init__(self) -> None:
        self.layout, self.rate = "", 0
        self._kind: tuple[str, int, str] | None = None

    def samples(self, frame: av.AudioFrame) -> np.ndarray:
        """The samples [channels, T] float32 of `frame`, as far as the resampler gives them yet."""
        kind = (frame.layout.name, frame.sample_rate, frame.format.name)
        if self._kind is None:
            self.layout, self.rate = named(frame.layout), frame.sample_rate
        if kind != self._kind:  # of some frames only, such as a stereo film with advertisements in mono
            self._resampler = resampler("flt", self.layout, self.rate)
            self._kind = kind
        parts = [part.to_ndarray() for part in self._resampler.resample(frame)]
        packed = np.concatenate([np.empty((1, 0), np.float32), *parts], 1)
        return packed.reshape(-1, AudioLayout(self.layout).nb_channels).T


def mixed(samples: np.ndarray, layout: str, wanted: str, rate: int) -> np.ndarray:
    """Samples [channels, T] of one layout in the channels of another."""
    if layout.endswith(" channels"):  # nobody knows which: each is heard everywhere
        return np.repeat(samples.mean(0, keepdims=True), len(_channels(wanted)), 0)
    mix, uniform = resampler("flt", wanted, rate), Uniform()
    parts = [uniform.samples(part) for part in mix.resample(frame(samples, layout, rate, 0))]
    return np.concatenate(parts, 1)


def resampler(sample_format: str, layout: str, rate: int, frame_size: int = 0) -> av.AudioResampler:
    """What is mixed into fewer channels gets no louder than 1."""
    return av.AudioResampler(sample_format, layout, rate, frame_size, options={"rematrix_maxval": "1"})


def frame(samples: np.ndarray, layout: str, rate: int, begin: int) -> av.AudioFrame:
    """The frame of samples [channels, T] float32 whose first is number `begin`; packed, for PyAV has no 8 planes."""
    packed = np.ascontiguousarray(samples.T).reshape(1, -1)
    made = av.AudioFrame.from_ndarray(packed, "flt", layout)
    made.sample_rate, made.time_base, made.pts = rate, Fraction(1, rate), begin
    return made
