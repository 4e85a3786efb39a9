"""Sounds in and out: the standard library's `wave` as the other side, and every format against what went in."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto import provenance, sound
from impasto.errors import SoundError
from impasto.sound import Sound, read

RATE = 22_050


def melody(seconds: float = 1.5, rate: int = RATE, channels: int = 1) -> Tensor:
    """Quiet noise over two notes [channels, T]: nothing in it repeats, so a shift would show."""
    time = torch.arange(round(seconds * rate)) / rate
    notes = torch.stack([0.3 * torch.sin(2 * torch.pi * f * time) for f in (330.0, 440.0, 550.0)[:channels]])
    return notes + 0.05 * torch.randn(notes.shape, generator=torch.Generator().manual_seed(0))


def likeness(first: Tensor, second: Tensor) -> float:
    length = min(first.shape[1], second.shape[1])
    a, b = first[:, :length], second[:, :length]
    return ((a * b).sum() / (a.norm() * b.norm())).item()


def test_a_wav_of_the_standard_library_is_read_to_the_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-32768, 32767, (1000, 2), dtype=np.int16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(values.tobytes())
    found = read(tmp_path / "a.wav")
    assert found.rate == 44_100
    assert torch.equal(found.samples, torch.from_numpy(values.T.astype(np.float32) / 32768))


def test_what_is_written_as_wav_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    samples = melody(channels=2)
    Sound(samples, RATE, {"settings": {}}).save(tmp_path / "a.wav")  # with a recipe behind the samples
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        values = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    assert np.abs(values.T / 32768 - samples.numpy()).max() <= 1 / 32768


@pytest.mark.parametrize("suffix", sound.FORMATS)
@pytest.mark.parametrize(("channels", "rate"), [(1, RATE), (2, 44_100), (1, 8000)])
def test_every_format_gives_the_sound_back_in_its_place(suffix: str, channels: int, rate: int, tmp_path: Path) -> None:
    samples = melody(1.5, rate, channels)
    Sound(samples, rate).save(tmp_path / f"a{suffix}")
    found = read(tmp_path / f"a{suffix}")
    assert len(found.samples) == channels
    assert found.seconds == pytest.approx(1.5, abs=0.03 if suffix == ".mp3" else 0.01)
    if found.rate == rate:
        assert likeness(samples, found.samples) > (0.999999 if suffix in (".wav", ".flac") else 0.97)
    else:
        assert suffix == ".ogg" and found.rate == 48_000


@pytest.mark.parametrize("suffix", sound.FORMATS)
def test_recipe_and_labels_go_along(suffix: str, tmp_path: Path) -> None:
    recipe = provenance.make_recipe({"name": "Lied & Töne", "sha256": "1"}, [], {"seed": 3}, {})
    path = tmp_path / f"a{suffix.upper()}"
    Sound(melody(), RATE, recipe).save(path, label_cn=True)
    found = provenance.inspect(path)
    assert found["recipe"] == recipe
    assert found["labels"]["AISystemUsed"] == "Impasto" and found["labels"]["AIGC"]["Label"] == "1"


def test_a_sound_without_a_recipe_carries_none(tmp_path: Path) -> None:
    Sound(melody(), RATE).save(tmp_path / "a.wav")
    assert provenance.inspect(tmp_path / "a.wav") == {"recipe": None, "labels": {}}


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_too_loud_is_made_quieter_and_keeps_its_shape(suffix: str, tmp_path: Path) -> None:
    samples = 8 * melody()
    Sound(samples, RATE).save(tmp_path / f"a{suffix}")
    found = read(tmp_path / f"a{suffix}").samples
    assert found.abs().max().item() == pytest.approx(sound.HEADROOM, abs=1e-3)
    assert likeness(samples, found) > 0.99999


def test_a_damaged_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    Sound(melody(4), RATE).save(tmp_path / "a.flac")
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(data[: len(data) // 2])
    half = read(tmp_path / "b.flac")
    assert 1 < half.seconds < 3
    assert likeness(melody(4), half.samples) > 0.999


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [("none.wav", None, "does not exist"), ("text.wav", b"hello" * 100, "damaged, or not a sound"),
     ("empty.mp3", b"", "damaged, or not a sound")],
)  # fmt: skip
def test_what_is_no_sound_is_refused_in_one_line(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    for function in (read, sound.read_xmp):
        with pytest.raises(SoundError, match=message) as caught:
            function(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_what_cannot_be_written_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    old = tmp_path / "a.wav"
    old.write_bytes(b"old")
    with pytest.raises(SoundError, match="cannot be written"):
        Sound(torch.zeros(300, 10), RATE).save(old)  # more channels than there are
    assert old.read_bytes() == b"old" and list(tmp_path.iterdir()) == [old]
    with pytest.raises(SoundError, match="is written as"):
        Sound(melody(), RATE).save(tmp_path / "a.txt")
    with pytest.raises(SoundError, match="no folder"):
        sound.check_writable(tmp_path / "none" / "a.wav")


def test_a_caller_may_refuse_what_is_longer(tmp_path: Path) -> None:
    Sound(torch.rand(1, 16_000), 8000).save(tmp_path / "two.wav")
    assert read(tmp_path / "two.wav", longest=2).seconds == 2
    with pytest.raises(SoundError, match=r"two\.wav is longer than 0:00:01: cut it into parts"):
        read(tmp_path / "two.wav", longest=1)
