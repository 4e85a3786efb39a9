"""`impasto sample`, `inpaint`, `noise`, `evaluate`, `compare` and `models list`, on untrained models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.models import family
from impasto.models.base import Config
from impasto.training import checkpoint
from impasto.weights import ASSETS

Impasto = Callable[..., Any]  # the fixture in conftest.py


def bundle(folder: Path, name: str, **settings: Any) -> None:
    """A run folder with an untrained model."""
    torch.manual_seed(0)
    model = family(name)(family(name).settings(**settings)).eval()
    config: Config = model.config
    checkpoint.write_config(
        folder,
        {
            "family": name,
            "config": {field: getattr(config, field) for field in config.__dataclass_fields__},
            "class_names": [str(i) for i in range(config.classes)],
            "parameters": 0,
        },
    )
    checkpoint.save(folder, model, {})


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the runs `gan`, `pixelcnn` and `judge` (all of ten classes) and `vae` (of none)."""
    monkeypatch.chdir(tmp_path)
    bundle(tmp_path / "gan", "gan", size=28, classes=10, width=4)
    bundle(tmp_path / "judge", "cnn", size=28, classes=10, network="classic")
    bundle(tmp_path / "vae", "vae", size=28, width=16, latent=2)
    bundle(tmp_path / "pixelcnn", "pixelcnn", size=28, classes=10, conditional=True)
    return tmp_path


def test_a_grid_is_one_picture_with_a_recipe_that_says_a_model_drew_it(impasto: Impasto, runs: Path) -> None:
    assert impasto("sample", "gan", "-n", "30", "--labels", "0-9", "-o", "grid.png").code == 0
    with Image.open("grid.png") as grid:
        assert grid.width > 3 * grid.height  # ten columns, three rows
    found = provenance.inspect("grid.png")
    assert found["labels"]["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert found["recipe"]["settings"]["labels"] == "0-9"
    assert found["recipe"]["weights"] == {"gan": provenance.sha256("gan/model.safetensors")}


def test_the_same_seed_draws_the_same_pictures(impasto: Impasto, runs: Path) -> None:
    for seed, name in (("1", "a.png"), ("1", "b.png"), ("2", "c.png")):
        assert impasto("sample", "gan", "-n", "4", "--seed", seed, "-o", name).code == 0
    a, b, c = (Path(name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


def test_a_folder_gets_a_picture_each(impasto: Impasto, runs: Path) -> None:
    assert impasto("sample", "vae", "-n", "3", "-o", "drawn").code == 0
    assert sorted(path.name for path in Path("drawn").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    with Image.open("drawn/00000.png") as picture:
        assert picture.size == (28, 28)


def test_an_animation_shows_how_the_pictures_take_shape(impasto: Impasto, runs: Path) -> None:
    assert impasto("sample", "pixelcnn", "-n", "1", "-o", "rows.mp4").code == 0
    with av.open("rows.mp4") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) > 28  # a frame for each row, and the result held
    changed = abs(frames[-1].astype(int) - frames[0].astype(int)).max(axis=(1, 2)) > 60
    assert changed.any() and not changed[:4].any()  # what the first frame shows, the first row, stays


def cells(path: str, rows: int, columns: int) -> np.ndarray:
    """Pictures [rows, columns, 28, 28], 0 to 255, of a sheet of grey pictures of 28 pixels, each drawn as 2 x 2."""
    with Image.open(path) as sheet:
        pixels = np.array(sheet.convert("L"))[::2, ::2]
    assert pixels.shape == (29 * rows + 1, 29 * columns + 1)  # a pixel of white between them and around
    return pixels[1:, 1:].reshape(rows, 29, columns, 29)[:, :28, :, :28].swapaxes(1, 2)


def test_a_film_has_moments_at_equal_distances_and_ends_with_the_result(impasto: Impasto, runs: Path) -> None:
    assert impasto("sample", "pixelcnn", "-n", "2", "--film", "4", "-o", "film.png").code == 0
    assert impasto("sample", "pixelcnn", "-n", "2", "-o", "result.png").code == 0
    film, [result] = cells("film.png", 2, 4), cells("result.png", 1, 2)
    assert result.any()
    for moment, drawn in enumerate((1, 10, 19, 28)):  # rows of pixels so far, of 28
        assert (film[:, moment, :drawn] == result[:, :drawn]).all() and not film[:, moment, drawn:].any()


def test_a_film_of_what_is_drawn_in_one_go_has_one_moment(impasto: Impasto, runs: Path) -> None:
    assert impasto("sample", "gan", "-n", "3", "--film", "4", "-o", "film.png").code == 0
    assert impasto("sample", "gan", "-n", "3", "-o", "result.png").code == 0
    result = cells("result.png", 2, 2).reshape(4, 28, 28)
    assert (cells("film.png", 3, 1)[:, 0] == result[:3]).all()


def test_noise_drowns_a_picture_level_by_level(impasto: Impasto, runs: Path) -> None:
    bundle(runs / "diffusion", "diffusion", size=28, widths=(8,))
    bars = np.zeros((2, 28, 28), dtype=np.uint8)
    bars[0, 4:24, 12:16] = bars[1, 12:16, 4:24] = 255
    for name, bar in zip(("1.png", "2.png"), bars, strict=True):
        Image.fromarray(bar).save(name)
    assert impasto("noise", "diffusion", "1.png", "2.png", "--levels", "5", "-o", "strip.png") == (0, "strip.png\n", "")
    strip = cells("strip.png", 2, 5)
    assert (strip[:, 0] == bars).all()
    for bar, levels in zip(bars, strip, strict=True):
        likeness = [np.corrcoef(bar.ravel(), level.ravel())[0, 1] for level in levels]
        assert (np.diff(likeness) < 0).all() and abs(likeness[-1]) < 0.2
    found = provenance.inspect("strip.png")
    assert found["recipe"]["settings"]["levels"] == 5
    assert found["labels"]["DigitalSourceType"] == provenance.REPAINTED  # somebody's picture is in it


def test_inpainting_keeps_the_known_half_to_the_bit(impasto: Impasto, runs: Path) -> None:
    digit = torch.zeros(28, 28, dtype=torch.uint8)
    digit[4:24, 12:16] = 255
    Image.fromarray(digit.numpy()).save("one.png")
    assert impasto("inpaint", "pixelcnn", "one.png", "-n", "2", "--labels", "1", "-o", "both").code == 0
    for name in ("00000.png", "00001.png"):
        with Image.open(Path("both") / name) as picture:
            pixels = torch.from_numpy(np.array(picture.convert("L")))
        assert torch.equal(pixels[:14], digit[:14])


def test_a_completed_picture_names_what_it_was_made_of(impasto: Impasto, runs: Path) -> None:
    Image.new("L", (28, 28)).save("black.png")
    assert impasto("inpaint", "pixelcnn", "black.png", "-n", "1", "-o", "done.png").code == 0
    found = provenance.inspect("done.png")
    assert found["labels"]["DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert found["recipe"]["content"] == [provenance.source("black.png")]
    code, _, err = impasto("style", "--recipe", "done.png", "-o", "again.png")
    assert code == 2 and "made by impasto inpaint" in err


def test_figures_come_as_json_with_the_judge_and_the_floor(impasto: Impasto, runs: Path) -> None:
    words = ("evaluate", "gan", "--data", "glyphs", "-n", "200", "--classifier", "judge", "--json", "-o", "f.json")
    code, out, _ = impasto(*words)
    assert code == 0
    figures = json.loads(out)
    assert figures == json.loads(Path("f.json").read_text())
    samples = figures["samples"]
    assert samples["n"] == 200 and "judge" in samples["judge"]
    assert 0 <= samples["floor"] < samples["frechet"]  # an untrained model is further away than training pictures
    assert sum(samples["shares"]) == pytest.approx(1)


def test_likelihood_of_two_levels_comes_under_both_protocols(impasto: Impasto, runs: Path) -> None:
    words = ("evaluate", "vae", "--data", "glyphs", "-n", "100", "--held-out", "300", "--classifier", "judge", "--json")
    code, out, _ = impasto(*words)
    assert code == 0
    figures = json.loads(out)
    for protocol in ("dynamic", "fixed"):
        found = figures[f"likelihood {protocol}"]
        assert found["kind"] == "bound" and found["pictures"] == 300
        assert found["bits_per_dim"] == pytest.approx(found["nats"] / 0.6931 / 784, rel=1e-3)


def test_a_classifier_is_measured_by_its_accuracy_and_shown_its_mistakes(impasto: Impasto, runs: Path) -> None:
    code, out, _ = impasto("evaluate", "judge", "--data", "glyphs", "--pictures", "wrong", "--json")
    assert code == 0
    assert 0 <= json.loads(out)["accuracy"] < 0.5  # it is untrained
    assert {path.name for path in Path("wrong").iterdir()} == {"confusion.png", "mistakes.png"}


def test_models_side_by_side_are_one_table_and_one_picture(impasto: Impasto, runs: Path) -> None:
    words = ("compare", "gan", "gan", "--data", "glyphs", "-n", "100", "--classifier", "judge", "-o", "rows.png")
    code, out, _ = impasto(*words)
    assert code == 0
    assert "Fréchet distance" in out
    with Image.open("rows.png") as picture:
        assert picture.width > 4 * picture.height  # two rows of ten
    found = provenance.inspect("rows.png")
    assert found["recipe"]["command"] == "compare" and list(found["recipe"]["weights"]) == ["gan"]
    assert found["labels"]["DigitalSourceType"] == provenance.DRAWN


PAINTERS = ("mnist-gan", "mnist-vae", "mnist-vae2d", "mnist-pixelcnn", "mnist-pixelrnn", "mnist-diffusion")


def test_bundled_models_are_listed_with_their_figures(impasto: Impasto) -> None:
    code, out, _ = impasto("models", "list")
    assert code == 0
    assert all(name in out for name in (*PAINTERS, "mnist-cnn", "cifar10-cnn")) and "accuracy" in out


@pytest.mark.parametrize("name", PAINTERS)
def test_bundled_models_draw_at_once(impasto: Impasto, name: str, tmp_path: Path) -> None:
    assert impasto("sample", name, "-n", "2", "-o", tmp_path / "grid.png").code == 0
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.height >= 28 and grid.convert("L").getextrema()[1] > 200  # something white on black


def test_bundled_models_are_small_together() -> None:
    assert sum(file.stat().st_size for file in (ASSETS / "models").rglob("*.safetensors")) < 15e6


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sample", "nobody", "-o", "a.png"), "no bundled model"),
        (("sample", "gan", "--labels", "0-10", "-o", "a.png"), "from 0 to 9"),
        (("sample", "gan", "--labels", "0-999999999", "-o", "a.png"), "from 0 to 9"),
        (("sample", "gan", "--labels", "9-0", "-o", "a.png"), "from 0 to 9"),
        (("sample", "gan", "--labels", "9" * 5000, "-o", "a.png"), "--labels takes"),
        (("sample", "gan", "--labels", "x", "-o", "a.png"), "--labels takes"),
        (("sample", "vae", "--labels", "1", "-o", "a.png"), "without classes"),
        (("sample", "gan", "--set", "truncaton=1", "-o", "a.png"), "did you mean truncation"),
        (("sample", "gan", "--set", "truncation=x", "-o", "a.png"), "truncation takes"),
        (("sample", "gan", "--set", "truncation", "-o", "a.png"), "name=value"),
        (("sample", "gan", "-o", "a.bmp"), "extension"),
        (("sample", "judge", "-o", "a.png"), "does not draw"),
        (("sample", "gan", "--device", "cuda:9", "-o", "a.png"), "no device"),
        (("sample", "gan", "--film", "4", "-o", "a.gif"), "--film is a picture"),
        (("sample", "gan", "--film", "4", "-o", "a"), "--film is a picture"),
        (("noise", "gan", "missing.png", "-o", "a.png"), "take a diffusion model"),
        (("inpaint", "gan", "missing.png", "-o", "a.png"), "missing.png"),
        (("evaluate", "gan", "--data", "mnits"), "did you mean mnist"),
        (("evaluate", "gan", "--data", "glyphs", "--pictures", "x", "--classifier", "judge"), "no classifier"),
        (("evaluate", "gan", "--data", "glyphs", "--classifier", "vae"), "classifier"),
    ],
)
def test_what_the_user_can_mend_is_said_in_one_line(
    impasto: Impasto, runs: Path, words: tuple[str, ...], says: str
) -> None:
    code, out, err = impasto(*words)
    assert (code, out) == (2, "")
    assert says in err and err.count("\n") == 1
    assert not list(runs.glob("a.*"))
