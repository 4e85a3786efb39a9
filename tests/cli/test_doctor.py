"""`impasto doctor`: what it finds on this machine, and what it calls broken."""

import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import impasto as package
from impasto import device, weights

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
    """A machine on which nothing is broken."""
    for name in ("torchvision", "torchaudio", "onnx", "onnxscript"):
        install(name)
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path))
    monkeypatch.delenv("IMPASTO_DATA", raising=False)


def test_a_sound_machine_is_described_in_a_line_for_each_fact(impasto: Impasto, tmp_path: Path) -> None:
    code, out, err = impasto("doctor")
    assert (code, err) == (0, "")
    facts = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["impasto", package.__version__] in facts and ["torch", torch.__version__] in facts
    assert ["threads", str(device.usable_cpus())] in facts and ["cache", str(tmp_path)] in facts
    assert ["weights", "compact: here"] in facts and ["weights", "vgg19: not fetched yet"] in facts
    assert "cpu" in dict(facts)["devices"] and "GB free" in dict(facts)["memory"]
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


def test_an_extra_that_is_not_installed_is_no_fault(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.cli.doctor.EXTRAS", {"onnx": ("onnx", "no_such_package")})
    code, out, _ = impasto("doctor")
    assert code == 0
    assert "warning: no_such_package not installed" in out and "pip install 'impasto[onnx]'" in out


def test_missing_files_and_folders_are_faults(
    impasto: Impasto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMPASTO_DATA", str(tmp_path / "gone"))
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    code, out, _ = impasto("doctor")
    assert code == 1
    assert "broken: compact.safetensors is missing" in out and "correct IMPASTO_DATA" in out
