"""Settings: read from text, and held to the ranges that stand at their fields."""

import dataclasses
import math
import pkgutil
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest

from impasto import configs, style
from impasto.configs import OneOf, Within
from impasto.errors import SettingsError


@dataclass(frozen=True)
class Brush:
    width: Annotated[int, Within(1, 100)] = 10
    pressure: Annotated[float, Within(0, 1, open=True)] = 0.5
    rate: Annotated[float, Within(0)] = 1.0
    hair: Annotated[str, OneOf(("sable", "hog"))] = "hog"
    tips: tuple[Annotated[int, Within(1, 9)], ...] = (1, 2)
    length: Annotated[int, Within(2, 5)] | None = None
    wet: bool = False

    def __post_init__(self) -> None:
        configs.check(self)


GOOD = [("width", "7", 7), ("rate", 3, 3.0), ("tips", "3,4", (3, 4)), ("length", "none", None), ("wet", "true", True)]
BAD = [
    ("width", 0),
    ("width", 101),
    ("width", 1.5),
    ("width", True),
    ("pressure", 1.0),
    ("pressure", -0.1),
    ("pressure", math.nan),
    ("rate", math.inf),
    ("rate", "1e999"),
    ("hair", "hogg"),
    ("hair", 3),
    ("tips", (1, 10)),
    ("tips", 3),
    ("length", 6),
    ("wet", 2),
]


@pytest.mark.parametrize(("name", "given", "value"), GOOD)
def test_values_are_read_as_their_field_has_them(name: str, given: Any, value: Any) -> None:
    found = getattr(configs.changed(Brush(), {name: given}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_is_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        configs.changed(Brush(), {name: value})
    if not isinstance(value, str) or name == "hair":
        with pytest.raises(SettingsError, match=name):
            Brush(**{name: value})


def test_a_near_choice_is_offered() -> None:
    with pytest.raises(SettingsError, match="did you mean hog"):
        Brush(hair="hogg")


def test_arguments_of_a_function_are_held_to_their_ranges() -> None:
    def draw(paper: object, *, steps: Annotated[int, Within(1, 999)] = 20, sampler: str = "") -> None: ...

    assert configs.arguments(draw, {"steps": "30", "sampler": "ddim"}) == {"steps": 30, "sampler": "ddim"}
    for wrong in ({"steps": "0"}, {"steps": "1.5"}, {"paper": "a4"}, {"stepps": "3"}):
        with pytest.raises(SettingsError):
            configs.arguments(draw, wrong)


def numeric(hint: Any) -> type | None:
    """int or float, where that is what a field takes, one or several."""
    if hint in (int, float):
        return hint  # type: ignore[no-any-return]
    return next((kind for part in typing.get_args(hint) if (kind := numeric(part))), None)


MODULES = [*(f"impasto.style.{module.name}" for module in pkgutil.iter_modules(style.__path__)),
           "impasto.web.limits", "impasto.training.settings"]  # fmt: skip
REQUIRED: dict[str, Any] = {"content": "a.png", "styles": [], "clip": "a.mp4", "output": Path("b.mp4"), "exemplars": [],
                            "picture": "a.png", "network": "compact", "source": "a.png", "painting": ""}  # fmt: skip


def fields() -> Iterator[tuple[type, str, Any]]:
    """Each number that the classes of settings have: class, name, type."""
    classes = {
        kind
        for module in map(import_module, MODULES)
        for kind in vars(module).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }
    for kind in sorted(classes, key=str):
        hints = typing.get_type_hints(kind, include_extras=True)
        if any(configs.limit(hint) for hint in hints.values()):
            yield from ((kind, f.name, hints[f.name]) for f in dataclasses.fields(kind) if numeric(hints[f.name]))


FIELDS = list(fields())


def has_tuple(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple or any(map(has_tuple, typing.get_args(hint)))


def with_value(kind: type, name: str, hint: Any, value: Any) -> Any:
    required = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    several = has_tuple(hint)
    count = 2 if name == "betas" else 1
    return kind(**{name: REQUIRED[name] for name in required}, **{name: (value,) * count if several else value})


def test_all_classes_of_settings_are_seen() -> None:
    names = {kind.__name__ for kind, _, _ in FIELDS}
    assert {"Settings", "Quality", "ClipSettings", "TextureSettings", "SoundSettings", "Job", "Limits"} <= names
    assert len(FIELDS) > 50


@pytest.mark.parametrize(("kind", "name", "hint"), FIELDS, ids=[f"{kind.__name__} {name}" for kind, name, _ in FIELDS])
def test_a_number_out_of_its_range_is_refused_and_its_ends_are_not(kind: type, name: str, hint: Any) -> None:
    limit = configs.limit(hint)
    assert isinstance(limit, Within), "every number has its range"
    whole = numeric(hint) is int
    wrong = [math.nan, math.inf, -math.inf, "many", str(limit.lowest), True, limit.lowest - 1, limit.highest * 2 + 1]
    for value in [*wrong, *([limit.lowest + 0.5] if whole else [])]:
        with pytest.raises(SettingsError, match=rf"^{name} ") as refusal:
            with_value(kind, name, hint, value)
        assert "\n" not in str(refusal.value)
    top = math.nextafter(limit.highest, 0) if limit.open else limit.highest
    for value in map(int if whole else float, (limit.lowest, top)):
        with_value(kind, name, hint, value)
