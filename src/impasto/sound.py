"""Reading and writing sounds: any common file in, samples out, and back. All of it through PyAV (FFmpeg)."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from impasto.clip import tags
from impasto.clip.reading import LOCAL
from impasto.errors import SoundError, warn
from impasto.files import absent, replacing

FORMATS = {  # codec, and the sample format it is given
    ".wav": ("pcm_s16le", "s16"),
    ".flac": ("flac", "s32"),  # 24 bits
    ".ogg": ("libopus", "flt"),
    ".mp3": ("libmp3lame", "fltp"),
    ".m4a": ("aac", "fltp"),
}
OPTIONS = {".m4a": {"movflags": "use_metadata_tags"}}  # of the file: without it, only tags that Apple knows
LOSSY = 192_000  # bits per second and channel pair, and more than most ears need
LONGEST = 4 * 3600  # seconds; more would not fit into memory
HEADROOM = 0.99  # loudest sample of what would be louder than a file can hold
XMP_CHUNK = b"_PMX"  # of a RIFF file (XMP part 3)


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound in memory."""

    samples: Tensor  # [channels, T] float32, in [-1, 1] unless something was added up
    rate: int  # samples per second and channel
    recipe: dict[str, Any] | None = None  # what made it (provenance.make_recipe); None for what Impasto did not make

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.rate

    def save(self, path: str | os.PathLike[str], *, label_cn: bool = False) -> None:
        """Write the sound in the format that the extension names, quieter where it would clip.

        The file carries the recipe and the AI-content labels, if there is a recipe. It appears whole or not at all.

        Raises:
            SoundError: the file cannot be written there or so.
        """
        path = Path(path)
        check_writable(path)
        try:
            with replacing(path) as part:
                _write(part, self, tags.container_tags(self.recipe, label_cn))
        except (OSError, av.FFmpegError, ValueError) as error:
            raise SoundError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def read(path: str | os.PathLike[str], longest: float = LONGEST) -> Sound:
    """Read the first sound track of a file: WAV, FLAC, OGG, MP3, M4A, or a video. Of a damaged one, what can be read.

    Args:
        longest: longer ones are refused, seconds.

    Raises:
        SoundError: no such file, nothing to hear in it, too long.
    """
    with _opened(path) as file:
        if not file.streams.audio:
            raise SoundError(f"{path} has no sound")
        samples, rate = _decoded(file, str(path), longest)
    if not samples.numel():
        raise SoundError(f"{path} cannot be read: there is no sound in it")
    return Sound(samples, rate)


def read_xmp(path: str | os.PathLike[str]) -> bytes:
    """Read the XMP packet of a sound file; empty if there is none.

    Raises:
        SoundError: no such file, or not a sound.
    """
    with _opened(path) as file:
        if file.format.name == "wav":
            return _riff_xmp(Path(path))
        everywhere = [file.metadata, *(stream.metadata for stream in file.streams)]  # OGG has them at the stream
        found = {name.upper(): text for place in everywhere for name, text in place.items()}
        return found.get(tags.KEY, "").encode()


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[av.container.InputContainer]:
    try:
        with av.open(f"file:{path}", "r", options=LOCAL) as file:
            yield file
    except FileNotFoundError as error:
        raise SoundError(absent(path)) from error
    except (OSError, av.FFmpegError, ValueError) as error:
        raise SoundError(f"{path} cannot be read: it is damaged, or not a sound") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Say at the start of a long run whether its sound can be written at the end.

    Raises:
        SoundError: an unknown extension, or a missing folder.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise SoundError(f"{path}: a sound is written as {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise SoundError(f"{path.parent} is no folder; make it first")


def _decoded(file: av.container.InputContainer, name: str, longest: float) -> tuple[Tensor, int]:
    stream = file.streams.audio[0]
    resampler = av.AudioResampler("fltp")
    parts: list[np.ndarray] = []
    length, rate = 0, stream.codec_context.sample_rate
    try:
        for frame in file.decode(stream):
            for part in resampler.resample(frame):
                parts.append(part.to_ndarray())
                length, rate = length + part.samples, part.sample_rate  # a header may say half of it (HE-AAC)
            if length > longest * rate:
                raise SoundError(f"{name} is longer than {timedelta(seconds=longest)}: cut it into parts")
    except av.FFmpegError:
        warn(f"{name}: its sound is damaged and breaks off after {length / rate:.1f} s")
    channels = [p for p in parts if len(p) == len(parts[0])]
    samples = torch.from_numpy(np.concatenate(channels, 1)) if channels else torch.empty(1, 0)
    if file.format.name.startswith("mov") and stream.duration and stream.time_base:
        # The last block of an MP4 goes on beyond its end.
        samples = samples[:, : round(stream.duration * stream.time_base * rate)]
    return samples.nan_to_num(), rate


def _write(path: Path, sound: Sound, metadata: dict[str, str]) -> None:
    codec, layout_format = FORMATS[path.suffix.lower()]
    peak = sound.samples.abs().max().item()
    samples = (sound.samples * (HEADROOM / peak) if peak > 1 else sound.samples).float()
    layout = {1: "mono", 2: "stereo"}.get(len(samples), f"{len(samples)}c")
    rates = av.Codec(codec, "w").audio_rates or [sound.rate]
    rate = min(rates, key=lambda r: (r < sound.rate, abs(r - sound.rate)))  # the next higher one that it knows
    with av.open(f"file:{path}", "w", options=OPTIONS.get(path.suffix.lower(), {})) as file:
        file.metadata.update(metadata)
        stream = file.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.format = layout_format
        if codec not in ("pcm_s16le", "flac"):
            stream.bit_rate = LOSSY * max(1, len(samples) // 2)
        resampler = av.AudioResampler(layout_format, layout, rate, frame_size=stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples.cpu().contiguous().numpy(), "fltp", layout)
        frame.sample_rate, frame.time_base, frame.pts = sound.rate, Fraction(1, sound.rate), 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    if path.suffix.lower() == ".wav" and tags.KEY in metadata:
        _add_to_riff(path, metadata[tags.KEY].encode())


def _add_to_riff(path: Path, packet: bytes) -> None:
    """Put the XMP packet at the end of a WAV file, as a chunk of its own."""
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(XMP_CHUNK + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2))
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))


def _riff_xmp(path: Path) -> bytes:
    """The XMP chunk of a WAV file; empty if there is none."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == XMP_CHUNK:
                return file.read(size)
            file.seek(size + size % 2, 1)
    return b""
