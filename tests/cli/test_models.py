"""`impasto sample`, `inpaint`, `noise`, `evaluate`, `compare` and `models list`, on untrained models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.bundled import ASSETS
from impasto.files import locked
from impasto.media.inspect import inspect
from impasto.media.picture import read
from impasto.models import family
from impasto.training import checkpoint
from impasto.training.contract import Config

Impasto = Callable[..., Any]  # the fixture in conftest.py


def bundle(folder: Path, name: str, data: str = "glyphs", names: tuple[str, ...] = (), **settings: Any) -> None:
    """A run folder with an untrained model that says it learned from `data`, of classes with these names."""
    torch.manual_seed(0)
    model = family(name)(family(name).config_class(**settings)).eval()
    config: Config = model.config
    said = {
        "family": name,
        "config": {field: getattr(config, field) for field in config.__dataclass_fields__},
        "class_names": list(names or [str(i) for i in range(config.classes)]),
        "data": {"name": data},
        "parameters": 0,
    }
    checkpoint.save(folder, said, model, {})


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the runs `gan`, `pixelcnn` and `judge` (all of ten classes) and `vae` (of none)."""
    monkeypatch.chdir(tmp_path)
    bundle(tmp_path / "gan", "gan", size=28, classes=10, width=4)
    bundle(tmp_path / "judge", "cnn", size=28, classes=10, network="classic")
    bundle(tmp_path / "vae", "vae", size=28, width=16, latent=2)
    bundle(tmp_path / "named", "gan", names=("cat", "dog", "left-hand"), size=8, classes=3, width=4)
    bundle(tmp_path / "pixelcnn", "pixelcnn", size=28, classes=10, conditional=True)
    return tmp_path


def folder(root: Path, counts: dict[str, int]) -> None:
    """Pictures of colours at random, so many of each class."""
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8)).save(root / name / f"{i}.png")


def jpegs(n: int) -> dict[str, np.ndarray]:
    """Test pictures of CIFAR-10's size as data/formats.py reads them from an npz."""
    file = imagecodecs.jpeg8_encode(np.zeros((32, 32, 3), np.uint8))
    return {
        "test_jpeg": np.frombuffer(file * n, np.uint8),
        "test_offsets": np.arange(n + 1) * len(file),
        "test_labels": np.arange(n) % 10,
    }


def test_a_grid_is_one_picture_with_a_recipe_that_says_a_model_drew_it(impasto: Impasto, runs: Path) -> None:
    assert impasto("sample", "gan", "-n", "30", "--labels", "0-9", "-o", "grid.png").code == 0
    with Image.open("grid.png") as grid:
        assert grid.width > 3 * grid.height  # ten columns, three rows
    found = inspect("grid.png")
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


def test_two_do_not_draw_into_one_folder(impasto: Impasto, runs: Path) -> None:
    with locked(Path("both")):
        code, _, err = impasto("sample", "vae", "-n", "1", "-o", "both")
    assert code == 2 and err.startswith("error: another impasto is writing both") and not Path("both").exists()


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
    found = inspect("strip.png")
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
    found = inspect("done.png")
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
    assert samples["n"] == samples["real"] == 200 and samples["of"] == 2000 and "judge" in samples["judge"]
    assert 0 <= samples["floor"] < samples["frechet"]  # an untrained model is further away than training pictures
    assert sum(samples["shares"]) == pytest.approx(1)


def test_likelihood_of_two_levels_comes_under_both_protocols(impasto: Impasto, runs: Path) -> None:
    words = ("evaluate", "vae", "--data", "glyphs", "-n", "100", "--held-out", "300", "--classifier", "judge", "--json")
    code, out, _ = impasto(*words)
    assert code == 0
    figures = json.loads(out)
    for protocol in ("dynamic", "fixed"):
        found = figures[f"likelihood {protocol}"]
        assert found["kind"] == "bound" and (found["pictures"], found["of"]) == (300, 2000)
        assert found["bits_per_dim"] == pytest.approx(found["nats"] / 0.6931 / 784, rel=1e-3)


def test_a_classifier_is_measured_by_its_accuracy_and_shown_its_mistakes(impasto: Impasto, runs: Path) -> None:
    code, out, _ = impasto("evaluate", "judge", "--pictures", "wrong", "--json")
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
    found = inspect("rows.png")
    assert found["recipe"]["command"] == "compare" and list(found["recipe"]["weights"]) == ["gan"]
    assert found["labels"]["DigitalSourceType"] == provenance.DRAWN


def test_all_bundled_models_at_a_glance(impasto: Impasto, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here two runs stand for them, one of which draws."""
    monkeypatch.setattr("impasto.bundled.models", lambda: {"gan": Path("gan"), "judge": Path("judge")})
    for name, figures in (("gan", {"samples": {"frechet": 1.5, "floor": 0.25}}), ("judge", {"accuracy": 0.5})):
        Path(name, "figures.json").write_text(json.dumps({"model": name, "data": "glyphs", **figures}))
    code, out, err = impasto("compare", "-o", "rows.png", "--json")
    assert (code, err) == (0, "")
    gan, judge = json.loads(out)
    assert gan["megabytes"] == Path("gan/model.safetensors").stat().st_size / 1e6
    assert 0 < gan["seconds"] < 60 and judge["seconds"] is None and judge["family"] == "CNN"
    names, rows = read("rows.png").pixels[..., :-1131], read("rows.png").pixels[..., -1131:]
    assert rows.shape[2] == 114 and names.min() < 0.5 < 0.9 < names.mean()  # one row of ten, and its name
    table = impasto("compare", "-o", "rows.png").out
    assert "Fréchet distance 1.50 (floor 0.25)" in table and "accuracy 50.00%" in table


DIGITS = ("mnist-gan", "mnist-vae", "mnist-vae2d", "mnist-pixelcnn", "mnist-pixelrnn", "mnist-diffusion")
PAINTERS = (*DIGITS, "cifar10-diffusion")


def test_bundled_models_are_listed_with_their_figures(impasto: Impasto) -> None:
    code, out, _ = impasto("models", "list")
    assert code == 0
    assert all(name in out for name in (*PAINTERS, "mnist-cnn", "cifar10-cnn")) and "accuracy" in out


@pytest.mark.parametrize("name", PAINTERS)
def test_bundled_models_draw_at_once(impasto: Impasto, name: str, tmp_path: Path) -> None:
    assert impasto("sample", name, "-n", "2", "-o", tmp_path / "grid.png").code == 0
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.height >= 28 and grid.convert("L").getextrema()[1] > 200  # something bright


def test_bundled_models_are_small_together() -> None:
    """Pictures in colour take the most, 21 MB for the two models of CIFAR-10; all else is digits."""
    assert sum(file.stat().st_size for file in (ASSETS / "models").rglob("*.safetensors")) < 38e6


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
        (("evaluate", "gan"), "no classifier of glyphs is bundled"),
        (("evaluate", "gan", "--data", "cifar10"), "pictures of 3 channels"),
        (("evaluate", "judge", "--data", "folder:pets"), "(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), folder:pets has others: cat"),
        (("evaluate", "gan", "--data", "folder:pets", "--classifier", "judge"), "folder:pets has others: cat, dog"),
        (
            ("evaluate", "vae", "--data", "folder:five", "--classifier", "judge"),
            "1 pictures where samples are compared",
        ),
        (("latent", "vae", "-o", "a.png", "--data", "cifar10"), "pictures of 3 channels"),
        (("compare", "gan", "pets-cnn", "-o", "a.png"), "trained on folder:pets, glyphs; name one test set"),
        (("sample", "vae", "-o", "pets"), "is not empty"),
        (("sample", "named", "--labels", "cow", "-o", "a.png"), "names (cat, dog, left-hand)"),
        (("sample", "named", "--labels", "3", "-o", "a.png"), "from 0 to 2"),
    ],
)
def test_what_the_user_can_mend_is_said_in_one_line(
    impasto: Impasto, runs: Path, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPASTO_DATA", str(runs))
    np.savez(runs / "cifar10.npz", **jpegs(10))
    folder(runs / "pets", {"cat": 5, "dog": 5})
    folder(runs / "five", {"": 5})
    bundle(runs / "pets-cnn", "cnn", data="folder:pets", size=28, classes=2, network="classic")
    code, out, err = impasto(*words)
    assert (code, out) == (2, "")
    assert says in err and err.count("\n") == 1
    assert not list(runs.glob("a.*"))


KINDS = ("RGBA", "LA", "L", "P", "CMYK", "turned", "deep", "wide")


def every_kind(root: Path, each: int) -> None:
    """Two classes of pictures of every kind, of any shape, bright or dark."""
    random = np.random.default_rng(0)
    for index in range(2 * each):
        name, kind = ("dark", "bright")[index % 2], KINDS[index // 2 % len(KINDS)]
        file = root / name / f"{index}.{'jpg' if kind in ('CMYK', 'turned') else 'png'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 200, (14, 40 if kind == "wide" else 20, 4), np.uint8) + np.uint8(55 * (index % 2))
        if kind == "deep":
            file.write_bytes(imagecodecs.png_encode(pixels[..., :3].astype(np.uint16) * 257))
            continue
        exif = Image.Exif()
        exif[274] = 6 if kind == "turned" else 1
        colour = Image.fromarray(pixels if kind == "RGBA" else pixels[..., :3])
        if kind == "LA":
            colour = Image.fromarray(pixels[..., :2], "LA")
        elif kind in ("L", "P", "CMYK"):
            colour = colour.convert(kind)
        colour.save(file, exif=exif)


@pytest.mark.parametrize(("options", "channels"), [("", 3), ("?crop=none", 3), ("?channels=1&crop=none", 1)])
def test_classify_says_of_each_test_picture_what_evaluate_counts(
    impasto: Impasto, runs: Path, options: str, channels: int
) -> None:
    every_kind(runs / "kinds", 40)
    name = f"folder:kinds{options}"
    settings = {"size": 18, "channels": channels, "classes": 2, "network": "classic"}
    bundle(runs / "light", "cnn", data=name, names=("bright", "dark"), **settings)
    from impasto.data import load
    from impasto.evaluation import classification
    from impasto.models import library

    test = load(name, "test", size=18)
    probabilities, true = classification.predictions(library.load("light"), test)
    files = {file.name: file for file in (runs / "kinds").rglob("*.*")}
    shown = [file for file in sorted(files.values()) if file.relative_to(runs / "kinds") in parts(runs / "kinds")]
    code, out, _ = impasto("classify", "--model", "light", *shown, "--json")
    assert code == 0 and len(shown) == len(test) == 8
    for line, expected in zip(out.splitlines(), probabilities, strict=True):
        found = {one["class"]: one["confidence"] for one in json.loads(line)["classes"]}
        assert [found["bright"], found["dark"]] == pytest.approx(expected.tolist(), abs=1e-4)
    code, out, _ = impasto("evaluate", "light", "--json")
    assert json.loads(out)["accuracy"] == (probabilities.argmax(1) == true).double().mean()


def parts(root: Path) -> set[Path]:
    """The test pictures of a folder of classes."""
    from impasto.data.folder import _part

    classes = [sorted(file.relative_to(root) for file in each.iterdir()) for each in root.iterdir()]
    return {file for members in classes for file in _part(members, "test")}


def test_a_mask_is_squared_as_the_picture_is(impasto: Impasto, runs: Path) -> None:
    bundle(runs / "squeezed", "pixelcnn", data="folder:gone?crop=none", size=8)
    picture = np.zeros((8, 24), np.uint8)
    picture[:, 12:] = 255
    Image.fromarray(picture).save("half.png")
    Image.fromarray(255 - picture).save("left.png")
    words = ("inpaint", "squeezed", "half.png", "--mask", "left.png", "-n", "1", "-o", "done")
    assert impasto(*words).code == 0
    with Image.open("done/00000.png") as done:
        assert (np.array(done.convert("L"))[:, 5:] == 255).all()  # the right half of the whole, not of its middle


def test_classes_are_asked_for_by_name(impasto: Impasto, runs: Path) -> None:
    def drawn(labels: str, model: str = "named") -> bytes:
        assert impasto("sample", model, "-n", "4", "--labels", labels, "-o", "named.png").code == 0
        with Image.open("named.png") as picture:
            return picture.tobytes()

    assert drawn("cat,dog") == drawn("0,1") == drawn("0-1") == drawn("cat, 1") != drawn("dog,cat")
    assert drawn("left-hand") == drawn("2") != drawn("0")


def test_a_class_called_by_a_number_is_that_class_wherever_it_stands(impasto: Impasto, runs: Path) -> None:
    bundle(runs / "old", "gan", names=("0", "1", "10", "2"), size=8, classes=4, width=4)
    bundle(runs / "plain", "gan", names=("a", "b", "c", "d"), size=8, classes=4, width=4)
    for asked, index in (("10", "2"), ("2", "3"), ("0-2", "0,1,3")):
        assert impasto("sample", "old", "-n", "3", "--labels", asked, "-o", "old.png").code == 0
        assert impasto("sample", "plain", "-n", "3", "--labels", index, "-o", "plain.png").code == 0
        with Image.open("old.png") as old, Image.open("plain.png") as plain:
            assert old.tobytes() == plain.tobytes()


def test_a_judge_of_other_classes_is_said_and_asked_nothing_of_them(impasto: Impasto, runs: Path) -> None:
    bundle(runs / "letters", "cnn", names=tuple("abcdefghij"), size=28, classes=10, network="classic")
    words = ("evaluate", "gan", "-n", "100", "--classifier", "letters", "--json")
    code, out, err = impasto(*words)
    assert code == 0 and "letters judges pictures of other classes than it knows: a, b, c" in err
    assert json.loads(out)["samples"]["accuracy"] is None
