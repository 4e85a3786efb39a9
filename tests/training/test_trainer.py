"""The trainer against a plain loop, against itself interrupted, in several processes, and when things go wrong."""

import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.data.dataset import Batch, order
from impasto.errors import DataError, ImpastoError, ModelError, SettingsError
from impasto.training import trainer
from impasto.training.contract import Model, Update
from impasto.training.reports import read_metrics
from impasto.training.trainer import Limit, Progress, Training, train

SCRIPT = Path(__file__).with_name("tiny.py")
LASTING = ("step", "epoch", "rate", "train", "validation")  # what does not depend on the machine's speed


def lines(run: Path) -> list[dict[str, Any]]:
    return [{name: line[name] for name in LASTING if name in line} for line in read_metrics(run)]


def trained(family: ModuleType, run: Path, *, until: int = 10**9, config: dict[str, Any] | None = None,
            resume: bool = False, stop: Limit | None = None, **changes: Any) -> Model:  # fmt: skip
    """Train a new tiny model into `run`, or on from there, closing the generator at step `until`."""
    settings, model = replace(family.SETTINGS, **changes), family.tiny(**(config or {}))
    progress = train(model, family.pictures(), family.pictures(9), settings, run, resume=resume, stop=stop)
    for _ in takewhile(lambda at: at.step < until, progress):
        pass
    progress.close()  # type: ignore[attr-defined]
    return model


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_training_is_the_plain_loop_of_a_careful_person(family: ModuleType, tmp_path: Path) -> None:
    ours = trained(family, tmp_path / "run", betas=(0.8, 0.95), weight_decay=0.1)

    model, data, batch, steps = family.tiny(), family.pictures(), 8, 40
    wide, narrow = ([p for p in model.parameters() if (p.ndim > 1) == is_wide] for is_wide in (True, False))
    groups = [{"params": wide}, {"params": narrow, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-2, betas=(0.8, 0.95), weight_decay=0.1)
    average = [p.detach().clone() for p in model.parameters()]
    losses = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * min(1, (step + 1) / 4) * (1 + math.cos(math.pi * step / steps)) / 2
        loss = next(model.updates(data.batch(order(len(data), batch, step * batch, 0)))).loss
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        keep = min(0.9, (2 + step) / (11 + step))
        average = [keep * a + (1 - keep) * p.detach() for a, p in zip(average, model.parameters(), strict=True)]

    for a, b in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    from safetensors.torch import load_file

    kept = load_file(tmp_path / "run" / "model.safetensors")
    for (name, _), wanted in zip(model.named_parameters(), average, strict=True):
        torch.testing.assert_close(kept[name], wanted, rtol=1e-4, atol=1e-6)
    assert kept["seen"] == steps * batch  # buffers are copied, not averaged
    for line in lines(tmp_path / "run"):
        assert line["train"]["loss"] == pytest.approx(sum(losses[line["step"] - 5 : line["step"]]) / 5, rel=1e-4)


@pytest.mark.parametrize("optimiser", ["adamw", "muon", "sgd"])
@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_interrupted_and_resumed_gives_the_same_bits(
    family: ModuleType, tmp_path: Path, optimiser: str, ema: float
) -> None:
    changes: dict[str, Any] = {"optimiser": optimiser, "ema": ema, "config": {"noise": 0.3}, "augment": "flip"}
    whole = trained(family, tmp_path / "whole", **changes)
    trained(family, tmp_path / "parts", until=10, **changes)
    torch.rand(5)  # nothing that happens in between matters
    trained(family, tmp_path / "parts", until=25, resume=True, **changes)
    parts = trained(family, tmp_path / "parts", resume=True, **changes)
    assert same(whole, parts)
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    files = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "parts")]
    assert files[0] == files[1]


def test_interrupted_between_two_lines_the_means_stay_the_same(
    family: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(family, tmp_path / "whole")
    monkeypatch.setattr(trainer, "SHOW_EVERY", 0)  # a record at each step
    trained(family, tmp_path / "parts", until=13)
    trained(family, tmp_path / "parts", resume=True)
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")


def test_reports_and_validation_do_not_touch_the_training(family: ModuleType, tmp_path: Path) -> None:
    often = trained(family, tmp_path / "often", report_every=10, ema=0.0, config={"noise": 0.3})
    seldom = trained(family, tmp_path / "seldom", report_every=40, ema=0.0, config={"noise": 0.3})
    assert same(often, seldom)
    assert [line["step"] for line in lines(tmp_path / "often") if "validation" in line] == [10, 20, 30, 40]


def test_validation_is_the_loss_of_the_averaged_weights(family: ModuleType, tmp_path: Path) -> None:
    trained(family, tmp_path / "run")
    from impasto.models import library

    model = library.load(tmp_path / "run")
    held_out = family.pictures(9).batch(torch.arange(9))
    error = (model(held_out.images) - held_out.images).square().mean()
    assert lines(tmp_path / "run")[-1]["validation"]["loss"] == pytest.approx(error.item(), rel=1e-5)


def test_a_kill_at_any_time_leaves_a_run_that_can_go_on(family: ModuleType, tmp_path: Path) -> None:
    script = subprocess.Popen([sys.executable, SCRIPT, tmp_path / "run", "5000"], stdout=subprocess.PIPE, text=True)
    assert script.stdout is not None
    for text in script.stdout:
        if int(text) >= 30:
            break
    script.send_signal(signal.SIGKILL)
    script.wait()
    script.stdout.close()
    with (tmp_path / "run" / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 31, "tra')  # what a kill may leave of a line
    (tmp_path / "run" / ".impasto-0.pt").write_bytes(b"half")  # and of a checkpoint

    trained(family, tmp_path / "run", resume=True, until=40, stop=Limit(steps=5000))
    trained(family, tmp_path / "whole", until=40, stop=Limit(steps=5000))
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    assert not list((tmp_path / "run").glob(".impasto-*"))


def test_two_processes_learn_what_one_learns(family: ModuleType, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    both = []
    for rank in ("0", "1"):
        where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        environment = os.environ | where | {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
        words = [sys.executable, str(SCRIPT), str(tmp_path / "two"), "20"]
        both.append(subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL))
    assert [process.wait(120) for process in both] == [0, 0]

    one = trained(family, tmp_path / "one")
    two = trained(family, tmp_path / "two", resume=True)  # the second half in one process
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        if a.is_floating_point():
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert len(lines(tmp_path / "one")) == len(lines(tmp_path / "two"))
    for a, b in zip(lines(tmp_path / "one"), lines(tmp_path / "two"), strict=True):
        assert a["step"] == b["step"]
        assert a["train"]["loss"] == pytest.approx(b["train"]["loss"], rel=1e-4)


class Duel(Model):
    """Two groups; the second update sees what the first step did."""

    presets = {}  # noqa: RUF012

    def __init__(self, config: Any):
        super().__init__(config)
        self.critic, self.artist = (nn.Parameter(torch.tensor(1.0)) for _ in range(2))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"critic": [self.critic], "artist": [self.artist]}

    def updates(self, batch: Batch) -> Iterator[Update]:
        yield Update("critic", self.critic * self.artist, {})
        yield Update("artist", self.artist * self.critic, {"critic": self.critic})


def test_a_group_is_stepped_before_the_next_update_is_asked_for(family: ModuleType, tmp_path: Path) -> None:
    model = Duel(family.TinyConfig(size=6))
    settings = Training(steps=1, optimiser="sgd", rate=0.1, warmup=0, decay="constant", clip=0, batch=2, ema=0)
    [progress] = train(model, family.pictures(), family.pictures(), settings, tmp_path / "run")
    # By Nesterov's rule the first step is rate x (1 + momentum) x gradient. The artist's gradient is the new critic
    # alone: what the critic's loss said of the artist is forgotten.
    critic = 1 - 0.1 * 1.9
    assert progress.train == pytest.approx({"critic loss": 1, "artist loss": critic, "artist critic": critic})
    assert model.critic.item() == pytest.approx(critic)
    assert model.artist.item() == pytest.approx(1 - 0.1 * 1.9 * critic)
    assert progress.validation == {}


def test_the_rate_follows_the_clock(family: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=itertools.count(step=0.001).__next__)  # its own: a busy machine's stands still
    monkeypatch.setattr(trainer, "time", clock)
    settings = replace(family.SETTINGS, warmup=0, decay="linear", log_every=1, report_every=10**6)
    limit = Limit(minutes=0.02)
    records: list[Progress] = []
    for at in train(family.tiny(), family.pictures(), None, settings, tmp_path / "run", stop=limit):
        records.append(at)
        if at.done > 0.4:
            break
    for at in train(family.tiny(), family.pictures(), None, settings, tmp_path / "run", stop=limit, resume=True):
        assert at.seconds > records[-1].seconds  # the minutes used before count
        records.append(at)
    assert records[-1].done == 1
    for before, at in pairwise(records):
        if at.step == before.step + 1:
            assert at.rate == pytest.approx(1e-2 * (1 - before.done), abs=1e-4)


def test_pictures_are_small_in_the_share_that_was_asked_for(family: ModuleType, tmp_path: Path) -> None:
    seen = []

    class Sized(family.Tiny):  # type: ignore[misc]
        def updates(self, batch: Batch) -> Iterator[Update]:
            seen.append(tuple(batch.images.shape[2:]))
            yield from super().updates(batch)

    class AnySize(family.TinyConfig):  # type: ignore[misc]
        smallest_size = 3

    settings = replace(family.SETTINGS, small=0.6)
    list(train(Sized(AnySize(size=6)), family.pictures(), None, settings, tmp_path / "run"))
    assert seen == [(4, 4)] * 24 + [(6, 6)] * 16
    with pytest.raises(SettingsError, match="pictures of one size"):
        list(train(family.tiny(), family.pictures(), None, settings, tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_epochs_are_passes_over_the_data(family: ModuleType, tmp_path: Path) -> None:
    trained(family, tmp_path / "run", stop=Limit(epochs=2))
    assert lines(tmp_path / "run")[-1]["step"] == math.ceil(2 * 50 / 8)


def test_a_loss_that_is_no_number_stops_and_leaves_the_last_good_checkpoint(family: ModuleType, tmp_path: Path) -> None:
    trained(family, tmp_path / "run", until=10)
    good = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    model = family.tiny()
    broken = model.updates

    def updates(batch: Batch) -> Iterator[Update]:
        for update in broken(batch):
            yield update._replace(loss=update.loss * (math.nan if model.seen > 130 else 1))

    model.updates = updates
    with pytest.raises(ModelError, match=r"no number any more by step 20; .*lower rate"):
        list(train(model, family.pictures(), None, family.SETTINGS, tmp_path / "run", resume=True))
    kept = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert kept["step"] == good["step"] == 10
    assert all(torch.equal(kept["model"][name], good["model"][name]) for name in good["model"])
    assert trained(family, tmp_path / "run", resume=True, until=15).seen.item() == 15 * 8


def test_muon_steps_convolutions_in_both_layouts_alike(family: ModuleType, tmp_path: Path) -> None:
    from impasto.training.optimisers import build

    ends = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)))
        weight.data = weight.data.contiguous(memory_format=layout)
        weight.grad = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))
        bias = nn.Parameter(torch.ones(5))
        bias.grad = torch.ones(5)
        before = weight.detach().clone()
        optimisers = build(Training(optimiser="muon"), [weight, bias])
        for optimiser in optimisers:
            optimiser.step()
        ends.append(weight.detach())
        step: Tensor = (before - weight.detach()).flatten(1) / (1e-3 * 0.2 * math.sqrt(12))  # match_rms_adamw
        # Newton-Schulz brings all singular values near 1: that is what Muon is.
        assert torch.linalg.svdvals(step) == pytest.approx(1, abs=0.35)
        assert torch.equal(bias, torch.full((5,), 1 - 1e-3)) or bias[0].item() == pytest.approx(1 - 1e-3, rel=1e-5)
    torch.testing.assert_close(*ends, rtol=1e-3, atol=2e-5)  # bfloat16 inside


@pytest.mark.parametrize("shape", [(5, 12), (12, 5), (6, 6)])
def test_muon_is_that_of_torch(shape: tuple[int, int]) -> None:
    from impasto.training.optimisers import build

    ends = []
    for own in (True, False):
        weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        if own:
            [muon] = build(Training(optimiser="muon", momentum=0.8, weight_decay=0.1), [weight])
        else:
            muon = torch.optim.Muon([weight], momentum=0.8, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        muon.param_groups[0]["lr"] = 0.05
        for seed in range(3):
            weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1))
            muon.step()
        ends.append(weight.detach())
    step = 0.05 * 0.2 * math.sqrt(max(shape))
    torch.testing.assert_close(*ends, rtol=0, atol=3 * 0.02 * step)  # theirs is in bfloat16


def test_a_full_folder_is_left_alone(family: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"not empty.*--resume"):
        trained(family, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ModelError, match="is no run"):
        trained(family, tmp_path, resume=True)


def test_what_does_not_fit_is_said_before_anything_is_written(family: ModuleType, tmp_path: Path) -> None:
    data, run = family.pictures(), tmp_path / "run"
    with pytest.raises(DataError, match="1 channels and 6 pixels"):
        list(train(family.Tiny(family.TinyConfig(size=7)), data, None, family.SETTINGS, run))
    with pytest.raises(DataError, match="no pictures"):
        list(train(family.tiny(), family.pictures(0), None, family.SETTINGS, run))
    with pytest.raises(DataError, match="2 classes"):
        list(train(family.tiny(classes=3), data, None, family.SETTINGS, run))
    assert not run.exists()
    trained(family, run)
    for changes, said in [({"config": {"width": 5}}, "width=4, not 5"), ({"optimiser": "sgd"}, "optimiser=adamw")]:
        with pytest.raises(SettingsError, match=said):
            trained(family, run, resume=True, **changes)


WRONG = [{"optimiser": "adamm"}, {"decay": "exp"}, {"augment": "x"}, {"batch": 0}, {"rate": -1}, {"ema": 1.0},
         {"betas": (0.9,)}, {"seed": -1}, {"clip": math.nan}]  # fmt: skip


@pytest.mark.parametrize("values", WRONG, ids=str)
def test_senseless_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Training(**values)


@pytest.mark.parametrize("limit", [{"steps": 0}, {"minutes": -1}, {"steps": 1, "epochs": 1}, {"epochs": math.inf}])
def test_senseless_limits_are_refused(limit: dict[str, Any]) -> None:
    with pytest.raises(ImpastoError, match=r"one of steps|goes from"):
        Limit(**limit)


def test_config_says_what_was_trained(family: ModuleType, tmp_path: Path) -> None:
    trained(family, tmp_path / "run", until=5)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["family"], config["config"]["width"]) == ("tiny", 4)
    assert config["training"]["rate"] == 1e-2
    assert config["data"] == {"name": "noise", "size": 6, "pictures": 50, "fingerprint": ["", ""]}
    assert config["class_names"] == ["even", "odd"]
    assert set(config["versions"]) == {"impasto", "torch"}
