"""The family of these tests, known to Impasto by the name `tiny`."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from impasto.models import FAMILIES


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module tiny.py, as if it lay beside the families."""
    spec = importlib.util.spec_from_file_location("impasto.models.tiny", Path(__file__).with_name("tiny.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "impasto.models.tiny", module)
    monkeypatch.setitem(FAMILIES, "tiny", "Tiny")
    spec.loader.exec_module(module)
    return module
