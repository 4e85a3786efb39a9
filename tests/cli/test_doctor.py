"""`impasto doctor`: what it finds on this machine, and what it calls broken."""

import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import impasto as package
from impasto import device, weights
from impasto.cli import doctor

Impasto = Callable[..., Any]  # the fixture in conftest.py


class Package(MetaPathFinder, Loader):
    """An installed package that raises `error`, if one is given, when it is imported."""

    def __init__(self, name: str, error: Exception | None = None):
        self.name, self.error = name, error

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        if self.error:
            raise self.error


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a `Package` before all that is really installed, until the end of the test."""

    def put(*arguments: Any) -> None:
        package = Package(*arguments)
        monkeypatch.setitem(sys.modules, package.name, None)
        monkeypatch.delitem(sys.modules, package.name)  # and at the end, what was there comes back
        monkeypatch.setattr(sys, "meta_path", [package, *sys.meta_path])

    return put


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch, install: Callable[..., None], tmp_path: Path) -> None:
    """A machine on which nothing is broken or missing."""
    for name in ("torchvision", "torchaudio"):
        install(name)
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["torch>=2.9", "numpy", "onnx>=1; extra == 'onnx'"])
    monkeypatch.setattr("importlib.metadata.version", {"torch": "2.13", "numpy": "2.4", "onnx": "1.23"}.__getitem__)
    monkeypatch.setattr(device, "free_memory", lambda: 8_000_000_000)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path))
    monkeypatch.delenv("IMPASTO_DATA", raising=False)
    for name in device.waiting():
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")


def test_a_sound_machine_is_described_in_a_line_for_each_fact(impasto: Impasto, tmp_path: Path) -> None:
    code, out, err = impasto("doctor")
    assert (code, err) == (0, "")
    facts = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["impasto", package.__version__] in facts and ["torch", torch.__version__] in facts
    assert ["weights", "compact: here"] in facts and ["weights", "vgg19: impasto weights fetch vgg19 gets it"] in facts
    assert ["packages", "torch 2.13, numpy 2.4"] in facts and ["extra", "onnx: here"] in facts
    about = dict(facts)
    assert about["threads"].startswith(f"{device.usable_cpus()} of ") and about["cache"].startswith(f"{tmp_path} (")
    assert about["waiting"] == "OMP_WAIT_POLICY=PASSIVE"
    assert "cpu" in about["devices"] and about["memory"] == "8.0 GB free"
    assert "warning" not in out and "broken" not in out


@pytest.mark.parametrize("name", ["torchvision", "torchaudio"])
def test_a_neighbour_that_does_not_fit_this_torch_is_named_with_its_cure(
    impasto: Impasto, install: Callable[..., None], name: str
) -> None:
    install(name, RuntimeError("operator torchvision::nms does not exist\nand more"))
    code, out, _ = impasto("doctor")
    *_, last = out.splitlines()
    assert code == 1
    assert last.startswith(f"broken: {name}") and "nms does not exist)" in last
    assert last.endswith(f"pip uninstall {name}")


def absent(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_an_extra_that_is_not_installed_is_no_fault(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: absent(name) if name == "onnx" else "1")
    code, out, _ = impasto("doctor")
    assert code == 0
    assert "extra     onnx: onnx not here" in out and "pip install 'impasto[onnx]'" in out


def test_a_package_that_is_missing_is_a_fault(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: absent(name) if name == "numpy" else "1")
    code, out, _ = impasto("doctor")
    assert code == 1 and "broken: numpy is not installed; install impasto again" in out


def test_the_extras_are_those_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real packages
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    found = doctor.requirements()
    assert found.keys() - {""} == project["optional-dependencies"].keys(), "pyproject.toml changed: install again"
    assert len(found[""]) == len(project["dependencies"]) and None not in found[""].values()


def test_what_is_scarce_is_said_with_advice_and_is_no_fault(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "free_memory", lambda: 200_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    code, out, _ = impasto("doctor")
    assert code == 0
    assert "warning: little memory" in out and "--memory" in out
    assert "nearly full" in out and "IMPASTO_HOME" in out


def test_a_gpu_that_this_torch_cannot_use_is_said(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", None)
    assert "warning: there is an NVIDIA GPU, but this torch is for CPUs" in impasto("doctor").out


def test_a_weight_file_that_broke_off_is_a_fault(impasto: Impasto, tmp_path: Path) -> None:
    weights.where("vgg19").parent.mkdir()
    weights.where("vgg19").write_bytes(b"half")
    code, out, _ = impasto("doctor")
    assert code == 1 and "is not whole; get it again: impasto weights fetch vgg19" in out


def test_missing_files_and_folders_are_faults(
    impasto: Impasto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMPASTO_DATA", str(tmp_path / "gone"))
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    code, out, _ = impasto("doctor")
    assert code == 1
    assert "broken: compact.safetensors is missing" in out and "correct IMPASTO_DATA" in out
