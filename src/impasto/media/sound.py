"""Reading and writing sounds: any common file in, samples out, and back. All of it through PyAV (FFmpeg)."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from impasto.errors import SoundError, warn
from impasto.files import absent, check_place, replacing
from impasto.media import layouts
from impasto.media.clip import tags
from impasto.media.clip.reading import LOCAL
from impasto.media.clip.sound import decoded
from impasto.media.formats import why_not

FORMATS = {  # codec, and the sample format it is given; WAV has as many bits as the sound
    ".wav": ("pcm_s16le", "s16"),
    ".flac": ("flac", "s32"),  # 24 bits
    ".ogg": ("libopus", "flt"),
    ".mp3": ("libmp3lame", "fltp"),
    ".m4a": ("aac", "fltp"),
}
NAMES = {"flac": "FLAC", "libopus": "Opus", "libmp3lame": "MP3", "aac": "AAC"}
OPTIONS = {".m4a": {"movflags": "use_metadata_tags"}}  # of the file: without it, only tags that Apple knows
LONGEST = 4 * 3600  # seconds; more would not fit into memory
HEADROOM = 0.99  # loudest sample of what would be louder than a file can hold
XMP_CHUNK = b"_PMX"  # of a RIFF file (XMP part 3)


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound in memory."""

    samples: Tensor  # [channels, T] float32, in [-1, 1] unless something was added up
    rate: int  # samples per second and channel
    recipe: dict[str, Any] | None = None  # what made it (provenance.make_recipe); None for what Impasto did not make
    layout: str | None = None  # FFmpeg's name for which channels these are; None: the usual ones of so many
    bits: int = 16  # of a sample that are worth keeping: 16, 24, or 32 for floating point

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples.shape[1] / self.rate

    def save(self, path: str | os.PathLike[str], *, label_cn: bool = False) -> None:
        """Write the sound in the format that the extension names, quieter where it would clip.

        It keeps its channels, or where the format does not take them, is mixed to the nearest that it does, with a
        warning. WAV keeps the bits of a sample, FLAC up to 24. The file carries the recipe and the AI-content labels,
        if there is a recipe. It appears whole or not at all.

        Raises:
            SoundError, OutputError: the file cannot be written so, or there.
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
        if file.streams.audio[0].codec_context is None:
            raise SoundError(f"{path}: there is no decoder for its kind of sound; convert it to WAV first")
        return _decoded(file, str(path), longest)


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
        why = "no permission" if isinstance(error, PermissionError) else why_not(Path(path), "a sound")
        raise SoundError(f"{path} cannot be read: {why}") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Say at the start of a long run whether its sound can be written at the end.

    Raises:
        SoundError: an unknown extension.
        OutputError: a place that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise SoundError(f"{path}: a sound is written as {', '.join(FORMATS)}")
    check_place(path)


def warn_of_mixing(content: str | os.PathLike[str], output: Path) -> None:
    """Say at the start of a long run if the format of `output` does not take the channels of `content`.

    Raises:
        SoundError: `content` cannot be read.
    """
    with _opened(content) as file:
        for stream in file.streams.audio[:1]:
            if stream.codec_context is not None:
                _taken(FORMATS[output.suffix.lower()][0], layouts.named(stream.codec_context.layout))


def _decoded(file: av.container.InputContainer, name: str, longest: float) -> Sound:
    stream = file.streams.audio[0]
    codec, kind = stream.codec_context.codec, stream.codec_context.format.name
    uniform = layouts.Uniform()
    parts: list[np.ndarray] = []
    faults: list[str] = []
    length = 0
    for frame in decoded(file, stream, faults):
        parts.append(uniform.samples(frame))
        length += parts[-1].shape[1]
        if length > longest * uniform.rate:  # which a header may say half of (HE-AAC)
            raise SoundError(f"{name} is longer than {timedelta(seconds=longest)}: cut it into parts")
    if not length:
        raise SoundError(f"{name} cannot be read: there is no sound in it")
    if faults:
        warn(f"{name}: its sound is damaged, {length / uniform.rate:.1f} s of it could be read")
    samples = torch.from_numpy(np.concatenate(parts, 1))
    if file.format.name.startswith("mov") and stream.duration and stream.time_base:
        # The last block of an MP4 goes on beyond its end.
        samples = samples[:, : round(stream.duration * stream.time_base * uniform.rate)]
    return Sound(samples.nan_to_num(), uniform.rate, None, uniform.layout, layouts.depth(codec, kind))


def _write(path: Path, sound: Sound, metadata: dict[str, str]) -> None:
    suffix = path.suffix.lower()
    codec, sample_format = layouts.PCM[sound.bits] if suffix == ".wav" else FORMATS[suffix]
    samples, layout = _fitting(sound, codec)
    peak = samples.abs().max().item()
    if peak > 1 and sample_format != "flt":
        samples = samples * (HEADROOM / peak)
    rate = layouts.rate_taken(codec, sound.rate)
    with av.open(f"file:{path}", "w", options=OPTIONS.get(suffix, {})) as file:
        file.metadata.update(metadata)
        stream = file.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.format = sample_format
        if suffix not in (".wav", ".flac"):
            stream.bit_rate = layouts.LOSSY * max(1, len(samples) // 2)
        stream.codec_context.open()  # and knows its frame size
        resampler = layouts.resampler(sample_format, layout, rate, stream.frame_size or 1024)
        for begin in range(0, samples.shape[1], sound.rate):
            part = layouts.frame(samples[:, begin : begin + sound.rate].numpy(), layout, sound.rate, begin)
            for frame in resampler.resample(part):
                file.mux(stream.encode(frame))
        for frame in resampler.resample(None):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    if path.suffix.lower() == ".wav" and tags.KEY in metadata:
        _add_to_riff(path, metadata[tags.KEY].encode())


def _fitting(sound: Sound, codec: str) -> tuple[Tensor, str]:
    """The samples in the channels that a codec takes, and their layout."""
    samples = sound.samples.float().cpu()
    layout = sound.layout or layouts.usual(len(samples))
    wanted = _taken(codec, layout)
    if wanted != layout:
        samples = torch.from_numpy(layouts.mixed(samples.numpy(), layout, wanted, sound.rate))
    return samples, wanted


def _taken(codec: str, layout: str) -> str:
    wanted = layouts.taken(codec, layout)
    if wanted != layout:
        warn(f"{layout} sound is mixed to {wanted}, the nearest that {NAMES[codec]} has")
    return wanted


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
