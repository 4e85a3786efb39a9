"""Settings: read from text, and held to the ranges that stand at their fields."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from impasto import configs
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

    __post_init__ = configs.check


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
