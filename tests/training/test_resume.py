"""A run that goes on: with the settings it is told or a refusal, and with the pictures and classes that it knows."""

import errno
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tensorboardX.event_file_writer import EventsWriter
from torch import Tensor

from impasto.data.dataset import Stored, order
from impasto.errors import DataError, ModelError, OutputError, SettingsError
from impasto.training import checkpoint, trainer
from impasto.training.reports import read_metrics
from impasto.training.settings import Limit, Training

REFUSED = {"optimiser": "sgd", "seed": 5}
APPLIED: dict[str, Any] = {  # where it shows: in what the optimiser holds, or in what the next steps do
    "steps": 44,
    "batch": 5,
    "rate": 0.5,
    "betas": (0.5, 0.6),
    "weight_decay": 0.7,
    "warmup": 1000,
    "decay": "constant",
    "clip": 1e-4,
    "ema": 0.5,
    "augment": "flip",
    "precision": "bf16",
    "log_every": 1,
    "report_every": 25,
}
OTHERWISE = {"momentum", "small"}  # of Muon, below; for networks that take any size, in test_trainer.py


def run_on(family: ModuleType, run: Path, data: Stored | None = None, until: int = 10**9, resume: bool = True,
           config: dict[str, Any] | None = None, data_changed: bool = False, stop: Limit | None = None,
           **changes: Any) -> list[trainer.Progress]:  # fmt: skip
    settings, data = replace(family.SETTINGS, **changes), data or family.pictures()
    model = family.tiny(**(config or {}))
    progress = trainer.train(
        model, data, family.pictures(9), settings, run, resume=resume, data_changed=data_changed, stop=stop
    )
    seen = list(takewhile(lambda at: at.step < until, progress))
    progress.close()  # type: ignore[attr-defined]
    return seen


def files(run: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}


def state(run: Path) -> dict[str, Any]:
    return torch.load(run / "state.pt", weights_only=True)


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def run(family: ModuleType, tmp_path: Path) -> Path:
    """A run stopped after 20 of 40 steps."""
    run_on(family, tmp_path / "run", until=20, resume=False)
    return tmp_path / "run"


def test_every_setting_of_the_training_is_either_applied_or_refused() -> None:
    assert set(REFUSED) | set(APPLIED) | OTHERWISE == {field.name for field in fields(Training)}


@pytest.mark.parametrize("name", APPLIED)
def test_a_setting_that_may_change_really_does(family: ModuleType, run: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(run, tmp_path / "plain")
    run_on(family, tmp_path / "plain")
    records = run_on(family, run, **{name: APPLIED[name]})
    said = json.loads((run / "config.json").read_text())["training"][name]
    assert (tuple(said) if isinstance(said, list) else said) == APPLIED[name]
    groups = state(run)["optimisers"]["model"][0]["param_groups"]
    if name == "betas":
        assert all(group["betas"] == (0.5, 0.6) for group in groups)
    if name == "weight_decay":
        assert [group["weight_decay"] for group in groups] == [0.7, 0.0]  # none for biases
    if name == "steps":
        assert records[-1].step == 44
    ours, plain = state(run), state(tmp_path / "plain")
    if name in ("log_every", "report_every"):
        assert equal(ours["model"], plain["model"])
        assert len(read_metrics(run)) > len(read_metrics(tmp_path / "plain")) or name == "report_every"
        sheets = {file.name for file in (run / "samples").iterdir()}
        assert name == "log_every" or "step-000025.png" in sheets
    elif name == "ema":  # the average alone follows another path
        assert equal(ours["model"], plain["model"]) and not equal(ours["average"], plain["average"])
    else:
        assert not equal(ours["model"], plain["model"])


def test_muon_goes_on_with_another_momentum(family: ModuleType, tmp_path: Path) -> None:
    run_on(family, tmp_path / "run", until=20, resume=False, optimiser="muon")
    shutil.copytree(tmp_path / "run", tmp_path / "plain")
    run_on(family, tmp_path / "plain", optimiser="muon")
    run_on(family, tmp_path / "run", optimiser="muon", momentum=0.5)
    ours, plain = state(tmp_path / "run"), state(tmp_path / "plain")
    assert ours["optimisers"]["model"][0]["param_groups"][0]["momentum"] == 0.5
    assert not equal(ours["model"], plain["model"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_must_not_change_is_refused_and_nothing_is_touched(
    family: ModuleType, run: Path, name: str
) -> None:
    before = files(run)
    with pytest.raises(SettingsError, match=f"begun with {name}="):
        run_on(family, run, **{name: REFUSED[name]})
    assert files(run) == before


@pytest.mark.parametrize("config", [{"width": 5}, {"noise": 0.1}, {"classes": 2}, {"drawing": False}], ids=str)
def test_the_model_cannot_change(family: ModuleType, run: Path, config: dict[str, Any]) -> None:
    before = files(run)
    with pytest.raises(SettingsError, match=f"begun with {next(iter(config))}="):
        run_on(family, run, config=config)
    assert files(run) == before


def test_without_an_average_the_weights_themselves_go_on(family: ModuleType, run: Path) -> None:
    own = state(run)["model"]
    run_on(family, run, ema=0.0, rate=0.0, until=21, log_every=1)
    kept = state(run)
    weights = [name for name in own if name != "seen"]
    assert all(torch.equal(kept["model"][name], own[name]) for name in weights)  # nothing is learnt at a rate of 0
    _, saved = checkpoint.load(run)
    assert all(torch.equal(saved[name], own[name]) for name in weights)
    run_on(family, run, ema=0.9, rate=0.0, until=22, log_every=1)  # and an average begins with them
    average = state(run)["average"]
    assert all(torch.allclose(average[name], own[name]) for name in weights)


def test_with_another_batch_no_picture_of_an_epoch_is_left_out(
    family: ModuleType, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    data = family.pictures()

    class Watched(Stored):
        def batch(self, indices: Tensor) -> Any:
            shown.extend(indices.tolist())
            return super().batch(indices)

    watched = Watched(data.name, data.images, data.labels, data.class_names)
    [*_, last] = run_on(family, run, watched, batch=5, stop=Limit(epochs=4))
    assert shown == order(len(data), 40, 160, 0).tolist()  # 20 steps of 8 before, 8 steps of 5 now: four epochs of 50
    assert (last.step, last.epoch) == (28, 4)


def test_a_run_knows_its_pictures(family: ModuleType, run: Path) -> None:
    data, before = family.pictures(), files(run)
    for other, said in [
        (family.pictures(51), "50 pictures, not 51"),
        (replace(data, name="others"), "noise, not others"),
        (replace(data, fingerprint="changed"), "files have changed since"),
    ]:
        with pytest.raises(DataError, match=f"{said}; .*--data-changed"):
            run_on(family, run, other)
        assert files(run) == before
    run_on(family, run, replace(family.pictures(51), fingerprint="changed"), until=25, data_changed=True)
    assert json.loads((run / "config.json").read_text())["data"]["pictures"] == 51
    run_on(family, run, replace(family.pictures(51), fingerprint="changed"), until=30)  # those are its pictures now


@pytest.fixture
def conditional(family: ModuleType, tmp_path: Path) -> Path:
    run_on(family, tmp_path / "run", until=10, resume=False, config={"classes": 2})
    return tmp_path / "run"


def classes(family: ModuleType, *names: str) -> Stored:
    """The pictures, whose even and odd ones have these names, as a folder has them: in alphabetical order."""
    data, ordered = family.pictures(), tuple(sorted(names))
    labels = torch.tensor([ordered.index(names[label]) for label in data.labels.tolist()])
    return replace(data, labels=labels, class_names=ordered)


def labels_seen(family: ModuleType, run: Path, data: Stored, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Tensor:
    """The label of each of the 50 pictures, as the model is told it."""
    told: dict[int, int] = {}
    updates = family.Tiny.updates

    def noted(self: Any, batch: Any) -> Any:
        for image, label in zip(batch.images, batch.labels, strict=True):
            index = (data.images.float() / 255 == image).flatten(1).all(1).nonzero()
            if len(index):
                told[int(index[0])] = int(label)
        return updates(self, batch)

    monkeypatch.setattr(family.Tiny, "updates", noted)
    run_on(family, run, data, config={"classes": 2}, **more)
    return torch.tensor([told[index] for index in range(50)])


def test_a_renamed_class_is_refused_or_keeps_its_label(
    family: ModuleType, conditional: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed, before = classes(family, "zebras", "odd"), files(conditional)
    assert renamed.labels is not None and renamed.labels[0] == 1  # in the folder's own order the labels swap
    with pytest.raises(DataError, match=r"no more: even; new: zebras.*--data-changed"):
        run_on(family, conditional, renamed, config={"classes": 2})
    assert files(conditional) == before
    found = labels_seen(family, conditional, renamed, monkeypatch, data_changed=True)
    assert torch.equal(found, torch.arange(50) % 2)
    assert json.loads((conditional / "config.json").read_text())["class_names"] == ["zebras", "odd"]


@pytest.mark.parametrize("names", [("zebras", "ants"), ("even", "odd", "third"), ()], ids=str)
def test_classes_that_nobody_can_match_are_refused_in_any_case(
    family: ModuleType, conditional: Path, names: tuple[str, ...]
) -> None:
    before = files(conditional)
    other = replace(family.pictures(), class_names=names, labels=family.pictures().labels if names else None)
    for data_changed in (False, True):
        with pytest.raises(DataError, match="other classes"):
            run_on(family, conditional, other, config={"classes": 2}, data_changed=data_changed)
    assert files(conditional) == before


def test_the_same_classes_in_another_order_keep_their_labels(
    family: ModuleType, conditional: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = family.pictures()
    assert data.labels is not None
    turned = replace(data, labels=1 - data.labels, class_names=("odd", "even"))
    assert torch.equal(labels_seen(family, conditional, turned, monkeypatch), torch.arange(50) % 2)


def test_a_kill_between_state_and_weights_is_mended(family: ModuleType, run: Path) -> None:
    run_on(family, run)
    wanted = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(b"of an older checkpoint")
    run_on(family, run)  # at its end already
    assert (run / "model.safetensors").read_bytes() == wanted


def test_a_kill_right_after_the_state_is_mended(family: ModuleType, run: Path, tmp_path: Path) -> None:
    run_on(family, tmp_path / "whole", resume=False)
    for name in ("config.json", "model.safetensors", "metrics.jsonl"):  # as at the first checkpoint
        (run / name).unlink()
    with pytest.raises(ModelError, match="go on with --resume"):
        run_on(family, run, resume=False)
    run_on(family, run)
    for name in ("config.json", "model.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_kill_before_the_first_checkpoint_leaves_a_folder_to_start_in(family: ModuleType, run: Path) -> None:
    for name in ("state.pt", "model.safetensors", "curves.png"):
        (run / name).unlink()
    for sheet in (run / "samples").iterdir():
        sheet.unlink()
    (run / "samples").rmdir()
    with pytest.raises(ModelError, match="start without --resume"):
        run_on(family, run)
    run_on(family, run, resume=False, until=5)
    assert state(run)["step"] == 5
    (run / "state.pt").unlink()  # but weights are worth something
    with pytest.raises(ModelError, match="not empty"):
        run_on(family, run, resume=False)


def damaged(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(run: Path) -> None:
        kept = state(run)
        change(kept)
        torch.save(kept, run / "state.pt")

    return rewrite


def described(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        change(config)
        (run / "config.json").write_text(json.dumps(config))

    return rewrite


def moments(kept: dict[str, Any]) -> dict[str, Any]:
    return kept["optimisers"]["model"][0]["state"][0]


DAMAGED = {
    "no limit": described(lambda config: config.pop("limit")),
    "limit of another kind": described(lambda config: config.update(limit={"steps": "x"})),
    "unknown limit": described(lambda config: config.update(limit={"foo": 3})),
    "no size": described(lambda config: config["data"].pop("size")),
    "data is a list": described(lambda config: config.update(data=[])),
    "rate": described(lambda config: config["training"].update(rate="fast")),
    "preset": described(lambda config: config.update(preset=[1])),
    "class names": described(lambda config: config.update(class_names=[1, 2])),
    "too few class names": described(lambda config: config["config"].update(classes=3)),
    "step": damaged(lambda kept: kept.update(step="abc")),
    "negative step": damaged(lambda kept: kept.update(step=-1)),
    "seconds": damaged(lambda kept: kept.update(seconds=math.nan)),
    "no sums": damaged(lambda kept: kept.pop("sums")),
    "sums": damaged(lambda kept: kept.update(sums={"loss": torch.zeros(3)})),
    "counts": damaged(lambda kept: kept.update(counts={"loss": "x"})),
    "no model": damaged(lambda kept: kept.update(model={})),
    "model of strings": damaged(lambda kept: kept["model"].update({"first.bias": "x"})),
    "no optimiser": damaged(lambda kept: kept.update(optimisers={})),
    "optimisers are a number": damaged(lambda kept: kept.update(optimisers={"model": 3})),
    "moments of another shape": damaged(lambda kept: moments(kept).update(exp_avg=torch.zeros(3))),
    "moments missing": damaged(lambda kept: moments(kept).pop("exp_avg")),
    "moments are text": damaged(lambda kept: moments(kept).update(exp_avg="x")),
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_run_is_one_line_and_stays_as_it_is(
    family: ModuleType, run: Path, change: Callable[[Path], None]
) -> None:
    change(run)
    before = files(run)
    with pytest.raises(ModelError) as caught:
        run_on(family, run)
    assert len(str(caught.value)) < 300 and str(run) in str(caught.value)
    assert files(run) == before


@pytest.mark.parametrize("text", [b'{"step": 5\n\xff\xfe\n[]\n', b'{"step": 5}\n', b'{"step": 5, "train": [1]}\n',
                                  b'{"step": 5, "train": {"loss": "x"}}\n', b"[" * 10**5], ids=str)  # fmt: skip
def test_damaged_metrics_cost_their_lines_alone(family: ModuleType, run: Path, text: bytes) -> None:
    metrics = run / "metrics.jsonl"
    metrics.write_bytes(text[:20] + b"\n" + text + b"\n" + metrics.read_bytes())
    run_on(family, run)
    assert [line["step"] for line in read_metrics(run)] == list(range(5, 41, 5))


def test_a_full_disk_names_the_file_and_ends_the_training(
    family: ModuleType, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    progress = trainer.train(family.tiny(), family.pictures(), None, family.SETTINGS, run, resume=True)
    next(progress)
    monkeypatch.setattr(EventsWriter, "write_event", full)
    with pytest.raises(OutputError, match=r"run/tensorboard cannot be written \(No space left on device\)"):
        list(progress)
    assert state(run)["step"] == 20


def test_a_folder_that_cannot_be_made_is_said_before_the_work(family: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        run_on(family, tmp_path / "file" / "run", resume=False)
