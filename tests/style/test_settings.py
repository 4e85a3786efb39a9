"""The ladder of qualities, and the words for values that make no sense. The ladder's own numbers are not pinned."""

import dataclasses
import inspect
import math
import re
import typing
from typing import Any

import pytest

from impasto import configs, stylize, stylizing
from impasto.errors import SettingsError
from impasto.perception import registry
from impasto.perception.compact import TAPS
from impasto.perception.vgg import VGG16, VGG19
from impasto.style import optimise
from impasto.style.music import transfer
from impasto.style.settings import INITS, QUALITIES, Method, Quality, Settings, SoundSettings
from impasto.style.stylize import Job


def of_the_quality(method: Method) -> dict[str, Any]:
    """Those fields of a method that a quality has, too."""
    own = {field.name for field in dataclasses.fields(Quality)}
    return {name: value for name, value in dataclasses.asdict(method).items() if name in own}


@pytest.mark.parametrize("name", QUALITIES)
def test_every_quality_is_a_possible_choice(name: str) -> None:
    quality = Settings(quality=name).resolved()
    assert of_the_quality(quality) == dataclasses.asdict(QUALITIES[name])
    assert quality.init in INITS
    if quality.steps:
        known = {"compact": TAPS, "vgg16": VGG16.all_layers(), "vgg19": VGG19.all_layers()}[quality.network]
        assert set(quality.style_layers) | set(quality.content_layers) <= set(known)
        assert quality.padding in registry.PADDINGS[quality.network]
    assert quality.adam.keys() <= set(optimise.adam.__kwdefaults__)


def test_the_ladder_has_its_rungs() -> None:
    assert {"draft", "fine", "gallery", "gatys"} <= set(QUALITIES)
    assert Settings().quality == "fine"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("network", "vgg19"),
        ("style_layers", ("block1_conv1",)),
        ("content_layers", ("block2_conv1",)),
        ("content_layers", ()),
        ("style_loss", "wasserstein"),
        ("content_weight", 0.0),
        ("variation_weight", 0.5),
        ("optimiser", "lbfgs"),
        ("init", "noise"),
        ("precision", "float32"),
    ],
)
def test_what_is_set_replaces_what_the_quality_has_and_nothing_else(name: str, value: Any) -> None:
    chosen = Settings(**{name: value}).resolved()
    assert of_the_quality(chosen) == dataclasses.asdict(QUALITIES["fine"]) | {name: value}


def test_steps_count_for_the_full_size_and_the_others_keep_their_proportion() -> None:
    first, *_ = own = QUALITIES["fine"].steps
    assert Settings(steps=first).resolved().steps == own
    assert Settings(steps=3 * first).resolved().steps == tuple(3 * n for n in own)
    assert min(Settings(steps=1).resolved().steps) == 1


def test_none_means_as_the_quality_has_it() -> None:
    nones = {f.name: None for f in dataclasses.fields(Settings) if f.default is None}
    assert of_the_quality(Settings(**nones).resolved()) == dataclasses.asdict(QUALITIES["fine"])


def test_every_setting_that_overrides_is_one_of_the_quality() -> None:
    overriding = {f.name for f in dataclasses.fields(Settings) if f.default is None}
    overriding -= {"size", "style_weights", "memory", "tile"}  # of the run, not of the quality
    assert overriding <= {f.name for f in dataclasses.fields(Quality)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "best"}, r"there is no quality 'best'; there is draft, fine, .*gatys"),
        ({"colour": "red"}, r"there is no colour 'red'; there is style, luminance, histogram, covariance"),
        ({"init": "middle"}, r"there is no init 'middle'; there is content, noise, draft"),
        ({"style_loss": "l1"}, r"there is no style_loss 'l1'; there is gram, moments, wasserstein"),
        ({"optimiser": "sgd"}, r"there is no optimiser 'sgd'; there is adam, lbfgs"),
        ({"precision": "float16"}, r"there is no precision 'float16'; did you mean float32"),
        ({"strength": -1.0}, r"strength goes from 0 to 1000, not -1"),
        ({"strength": math.nan}, r"strength goes from .* not nan"),
        ({"style_scale": 0.0}, r"style_scale goes from 0.05 to 20, not 0"),
        ({"content_weight": -0.1}, r"content_weight goes from 0 .* not -0.1"),
        ({"variation_weight": math.nan}, r"variation_weight goes from 0 .* not nan"),
        ({"size": 15}, r"size goes from 16 .* not 15"),
        ({"size": 0}, r"size goes from 16 .* not 0"),
        ({"steps": 0}, r"steps goes from 1 .* not 0"),
        ({"seed": -1}, r"seed goes from 0 .* not -1"),
        ({"seed": 2**63}, r"seed goes from 0 "),
        ({"memory": 0.0}, r"memory goes from .* not 0"),
        ({"style_layers": ()}, r"style_layers"),
        ({"style_layers": ("conv1_1",)}, r"there is no style_layers 'conv1_1'"),
        ({"content_layers": ("relu4",)}, r"there is no content_layers 'relu4'"),
        ({"quality": "gatys", "style_loss": "gram"}, r"gatys is the classic recipe"),
        ({"quality": "gatys", "network": "compact"}, r"gatys is the classic recipe"),
        ({"quality": "draft", "steps": 9}, r"draft is one pass of one network: leave out steps"),
        ({"quality": "draft", "pooling": "average"}, r"draft is one pass of one network: leave out pooling"),
        ({"pooling": "average"}, r"pooling is a VGG's.* leave out pooling"),
        ({"quality": "gatys", "freedom": 0.3}, r"nothing is matched: leave out freedom"),
        ({"content_layers": ("block5_conv2",)}, r"compact has no layer 'block5_conv2'; it has .*block3_conv4"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refusal:
        Settings(**options).resolved()
    assert "\n" not in str(refusal.value)


def test_stylize_takes_every_setting_with_its_default() -> None:
    parameters = inspect.signature(stylize).parameters
    assert list(parameters.values()) == list(inspect.signature(stylizing).parameters.values())
    defaults = {f.name: f.default for f in (*dataclasses.fields(Settings), *dataclasses.fields(Job))}
    assert {f.name for f in dataclasses.fields(Settings)} <= parameters.keys()
    keywords = [p for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert {p.name: p.default for p in keywords} == {p.name: defaults[p.name] for p in keywords}


def test_the_docstring_of_stylize_says_of_each_setting_what_its_help_says() -> None:
    said = dict(re.findall(r"^ {4}(\w+): (.+)$", str(inspect.getdoc(stylize)), re.MULTILINE))
    assert list(said) == list(inspect.signature(stylize).parameters)
    hints = typing.get_type_hints(Settings, include_extras=True)
    texts = {name: found.text for name, hint in hints.items() if (found := configs.helped(hint))}
    assert texts.keys() == hints.keys()
    assert [n for n, text in texts.items() if not said[n].lower().startswith(text.lower())] == []


def test_the_entry_for_sounds_takes_every_setting_with_its_default() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(SoundSettings)}
    parameters = inspect.signature(transfer).parameters.values()
    assert {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} == defaults
