"""What a run leaves to be looked at: lines, events, curves, sheets."""

import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from impasto.media.grids import columns_for, grid
from impasto.media.inspect import inspect
from impasto.media.picture import read
from impasto.training.reports import draw_curves, read_metrics
from impasto.training.trainer import train


@pytest.fixture
def run(family: ModuleType, tmp_path: Path) -> Path:
    """A whole run."""
    list(train(family.tiny(classes=2), family.pictures(), family.pictures(9), family.SETTINGS, tmp_path / "run"))
    return tmp_path / "run"


def test_tensorboard_reads_the_numbers_of_metrics_jsonl(run: Path) -> None:
    [file] = (run / "tensorboard").iterdir()
    data, scalars = file.read_bytes(), {}
    while data:  # records: length, its checksum, the event, its checksum
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        scalars |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        data = data[16 + length :]
    lines = read_metrics(run)
    assert [line["step"] for line in lines] == list(range(5, 41, 5))
    for line in lines:
        assert scalars[line["step"], "loss/train"] == pytest.approx(line["train"]["loss"])
    assert scalars[40, "rms/validation"] == pytest.approx(lines[-1]["validation"]["rms"])


def test_sheets_of_samples_have_a_column_for_each_class(run: Path) -> None:
    sheets = sorted((run / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == ["step-000020.png", "step-000040.png"]
    scale = round(64 / 6)
    assert read(sheets[0]).pixels.shape == (1, 3, (5 * 7 + 1) * scale, (2 * 7 + 1) * scale)
    assert torch.equal(read(sheets[0]).pixels, read(sheets[1]).pixels)  # Tiny draws by the seed alone, which is fixed
    assert inspect(sheets[0])["recipe"]["settings"]["step"] == 20


def test_a_family_that_draws_nothing_has_no_samples(family: ModuleType, tmp_path: Path) -> None:
    list(train(family.tiny(drawing=False), family.pictures(), None, family.SETTINGS, tmp_path / "run"))
    assert not (tmp_path / "run" / "samples").exists()
    assert (tmp_path / "run" / "curves.png").is_file()


def test_curves_of_any_numbers_can_be_drawn(tmp_path: Path) -> None:
    lines = [{"step": i, "train": {"loss": math.exp(-i), "accuracy": 0.0, "psnr": -1.0 * i}} for i in range(1, 30)]
    lines[9]["validation"] = {"loss": 0.5, "psnr": math.inf}
    draw_curves(lines, tmp_path / "curves.png")
    assert read(tmp_path / "curves.png").pixels.std() > 0
    draw_curves(lines[:1], tmp_path / "curves.png")
    draw_curves([{"step": 1, "train": {"loss": math.nan}}], tmp_path / "curves.png")


def test_a_grid_is_read_in_rows() -> None:
    images = torch.arange(5).view(5, 1, 1, 1).expand(5, 1, 40, 40) / 10
    sheet = grid(images, 3)
    scale = 2
    assert sheet.shape == (1, 3, (2 * 41 + 1) * scale, (3 * 41 + 1) * scale)
    middles = sheet[0, 0, 21 * scale :: 41 * scale, 21 * scale :: 41 * scale]
    torch.testing.assert_close(middles, torch.tensor([[0.0, 0.1, 0.2], [0.3, 0.4, 1.0]]))
    assert (sheet[..., 0, :] == 1).all() and (sheet[..., :, -1] == 1).all()
    assert grid(torch.zeros(2, 3, 100, 100), 2).shape == (1, 3, 102, 203)


def test_sheets_are_nearly_square() -> None:
    assert [columns_for(n) for n in (1, 4, 25, 30, 100)] == [1, 2, 5, 6, 10]
