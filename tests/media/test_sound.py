"""Sounds in and out: the standard library's `wave` as the other side, and every format against what went in."""

import warnings
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.audio.layout import AudioLayout
from torch import Tensor

from impasto import provenance
from impasto.errors import ImpastoWarning, OutputError, SoundError
from impasto.media import layouts, sound
from impasto.media.inspect import inspect
from impasto.media.sound import Sound, read

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
    found = inspect(path)
    assert found["recipe"] == recipe
    assert found["labels"]["AISystemUsed"] == "Impasto" and found["labels"]["AIGC"]["Label"] == "1"


def test_a_sound_without_a_recipe_carries_none(tmp_path: Path) -> None:
    Sound(melody(), RATE).save(tmp_path / "a.wav")
    assert inspect(tmp_path / "a.wav") == {"recipe": None, "labels": {}}


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
    [("none.wav", None, "does not exist"), ("text.wav", b"hello" * 100, "it is a text, not a sound"),
     ("empty.mp3", b"", "or not a sound")],
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
        Sound(torch.zeros(70_000, 10), RATE).save(old)  # more channels than there are
    assert old.read_bytes() == b"old" and list(tmp_path.iterdir()) == [old]
    with pytest.raises(SoundError, match="is written as"):
        Sound(melody(), RATE).save(tmp_path / "a.txt")
    with pytest.raises(OutputError, match="no folder"):
        sound.check_writable(tmp_path / "none" / "a.wav")


def test_a_caller_may_refuse_what_is_longer(tmp_path: Path) -> None:
    Sound(torch.rand(1, 16_000), 8000).save(tmp_path / "two.wav")
    assert read(tmp_path / "two.wav", longest=2).seconds == 2
    with pytest.raises(SoundError, match=r"two\.wav is longer than 0:00:01: cut it into parts"):
        read(tmp_path / "two.wav", longest=1)


LAYOUTS = ("2.1", "3.1", "4.0", "quad", "quad(side)", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.0", "7.1", "7.1(wide)")


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_channel_stays_where_it_was(suffix: str, tmp_path: Path) -> None:
    for layout in LAYOUTS:
        channels = AudioLayout(layout).nb_channels
        samples = 0.5 * torch.rand(channels, 3000, generator=torch.Generator().manual_seed(0))
        Sound(samples, 48_000, None, layout).save(tmp_path / f"a{suffix}")
        found = read(tmp_path / f"a{suffix}")
        assert found.layout == layout
        torch.testing.assert_close(found.samples, samples, atol=1 / 32768, rtol=0)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3", ".m4a"])
@pytest.mark.parametrize("layout", [*LAYOUTS, "12 channels"])
def test_channels_that_a_format_does_not_have_are_mixed(suffix: str, layout: str, tmp_path: Path) -> None:
    channels = AudioLayout(layout.replace(" channels", "C")).nb_channels
    tones = torch.stack([torch.sin(torch.arange(9600) * 0.01 * (3 + c)) for c in range(channels)]) / 4
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Sound(tones, 48_000, None, layout).save(tmp_path / f"a{suffix}")
    found = read(tmp_path / f"a{suffix}")
    assert bool(said) == (found.layout != layout)
    if said:
        assert f"{layout} sound is mixed to {found.layout}" in str(said[0].message)
    spectrum = torch.fft.rfft(found.samples[:, 1000:9000], dim=1).abs().amax(0)
    for channel, place in enumerate([c.name for c in AudioLayout(layout.replace(" channels", "C")).channels]):
        if place != "LFE":  # is left out of stereo, as everywhere
            at = round(0.01 * (3 + channel) * 8000 / (2 * np.pi))
            assert spectrum[at - 1 : at + 2].max() > 20 * spectrum.median(), place


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize(
    ("codec", "kind", "bits"), [("pcm_s24le", "s32", 24), ("pcm_f32le", "flt", 32), ("flac", "s32", 24)]
)
def test_deep_sounds_stay_deep(suffix: str, codec: str, kind: str, bits: int, tmp_path: Path) -> None:
    source = tmp_path / ("a.flac" if codec == "flac" else "a.wav")
    samples = (torch.rand(2, 4000, generator=torch.Generator().manual_seed(0)) * 2**21).round() / 2**23  # 24 bits
    with av.open(str(source), "w") as file:
        stream = file.add_stream(codec, rate=RATE, layout="stereo")
        stream.format = kind
        mix = av.AudioResampler(kind, "stereo", RATE, 1024)
        for part in [*mix.resample(layouts.frame(samples.numpy(), "stereo", RATE, 0)), *mix.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode())
    first = read(source)
    assert first.bits == bits
    first.save(tmp_path / f"b{suffix}")
    torch.testing.assert_close(read(tmp_path / f"b{suffix}").samples, samples, atol=2**-24, rtol=0)


def test_a_wav_that_does_not_say_which_channels_it_has_is_read_as_usual(tmp_path: Path) -> None:
    for channels, layout in [(1, "mono"), (2, "stereo"), (6, "5.1"), (8, "7.1")]:
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((channels, 2, RATE, 0, "NONE", ""))
            file.writeframes(np.arange(channels * 999, dtype=np.int16).tobytes())
        found = read(tmp_path / "a.wav")
        assert found.layout == layout
        assert torch.equal(found.samples[-1] * 32768, torch.arange(channels - 1, channels * 999, channels) * 1.0)


def test_the_channels_are_looked_at_before_the_work(tmp_path: Path) -> None:
    Sound(torch.rand(6, 999), RATE).save(tmp_path / "six.wav")
    with pytest.warns(ImpastoWarning, match=r"5\.1 sound is mixed to stereo, the nearest that MP3 has"):
        sound.warn_of_mixing(tmp_path / "six.wav", tmp_path / "out.mp3")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        sound.check_writable(tmp_path / "a.wav")
