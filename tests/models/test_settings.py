"""Every setting of every family, and of every sampler, has a range that its field states; nothing else is let in."""

import dataclasses
import math
import types
import typing
from typing import Annotated, Any

import pytest
import torch

from impasto import configs, models
from impasto.bundled import ASSETS
from impasto.configs import OneOf, Within
from impasto.data.dataset import Stored
from impasto.errors import ModelError, SettingsError
from impasto.models import FAMILIES, family, library

TINY: dict[str, dict[str, Any]] = {
    "cnn": {"classes": 2, "widths": (8, 8)},
    "gan": {"latent": 4, "width": 4},
    "vae": {"latent": 4, "width": 32},
    "pixelcnn": {"width": 8, "gates": 8, "layers": 1, "head": 16},
    "pixelrnn": {"hidden": 8, "layers": 1},
    "diffusion": {"widths": (8, 16)},
}
FIELDS = [
    (name, field, hint)
    for name in FAMILIES
    for field, hint in typing.get_type_hints(family(name).config_class, include_extras=True).items()
]
OPTIONS = [
    (name, option, hint)
    for name in FAMILIES
    if name != "cnn"
    for option, hint in configs.nameable(family(name).sampling).items()
]
JUDGES = ["vae", "pixelcnn", "pixelrnn", "diffusion"]


def tiny(name: str, **changes: Any) -> models.Model:
    torch.manual_seed(0)
    kind = family(name)
    return kind(kind.config_class(**{"size": 8, **TINY[name], **changes})).eval()


def taken_apart(hint: Any) -> tuple[Any, Any, bool]:
    """The plain type, its range or None, and whether several are wanted; of what may be None, that of the rest."""
    hint = typing.get_args(hint)[0] if typing.get_origin(hint) in (types.UnionType, typing.Union) else hint
    if several := typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is Annotated:
        return *typing.get_args(hint), several
    return hint, None, several


def wrong_values(hint: Any) -> list[Any]:
    kind, limit, several = taken_apart(hint)
    wrong: list[Any] = [] if kind is str else ["many"]
    if isinstance(limit, Within):
        wrong += [math.nan, math.inf, -math.inf, limit.lowest - 1, limit.highest + 1 + abs(limit.highest)]
        wrong += [limit.highest] if limit.open else []
        wrong += [limit.lowest + 0.5, True] if kind is int else []
    if isinstance(limit, OneOf):
        wrong += ["none of them", "", 3]
    return [(value,) for value in wrong] if several else wrong


@pytest.mark.parametrize(("name", "field", "hint"), FIELDS, ids=[f"{name}-{field}" for name, field, _ in FIELDS])
def test_every_setting_of_a_family_states_its_range(name: str, field: str, hint: Any) -> None:
    kind, limit, _ = taken_apart(hint)
    assert kind is bool or limit is not None
    for value in wrong_values(hint):
        with pytest.raises(SettingsError, match=field):
            family(name).config_class(**{field: value})


@pytest.mark.parametrize(("name", "option", "hint"), OPTIONS, ids=[f"{name}-{option}" for name, option, _ in OPTIONS])
def test_every_option_of_a_sampler_states_its_range(name: str, option: str, hint: Any) -> None:
    kind, limit, _ = taken_apart(hint)
    assert kind is bool or limit is not None or (name, option) == ("diffusion", "sampler")  # those of the objective
    model = tiny(name)
    for value in wrong_values(hint) or ["no such one", 3]:
        with pytest.raises(SettingsError, match=option):
            model.sample(1, **{option: value})
        with pytest.raises(SettingsError):
            configs.arguments(model.sampling, {option: "never"})
            model.sample(1, **{option: "never"})
    with pytest.raises(SettingsError, match="did you mean"):
        configs.arguments(model.sampling, {option + "s": "1"})


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "cnn"])
def test_what_no_user_can_write_is_no_option_of_a_sampler(name: str) -> None:
    for contract in ("labels", "given", "generator", "n", "latents"):
        with pytest.raises(SettingsError):
            configs.arguments(tiny(name).sampling, {contract: "1"})
    for n in (0, -1, 2.5):
        with pytest.raises(SettingsError, match="number of pictures"):
            tiny(name).sample(n)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_choice_of_a_setting_makes_a_model(name: str) -> None:
    for field, hint in typing.get_type_hints(family(name).config_class, include_extras=True).items():
        _, limit, _ = taken_apart(hint)
        for choice in limit.choices if isinstance(limit, OneOf) else ():
            tiny(name, size=32, **{field: choice})


@pytest.mark.parametrize("name", FAMILIES)
def test_what_the_data_say_is_not_set_beside_them(name: str) -> None:
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    data = Stored("black", images, torch.arange(4) % 2, ("even", "odd"))
    for field, value in (("channels", 3), ("size", 14), ("classes", 3)):
        with pytest.raises(SettingsError, match=f"{field} follows from the data"):
            models.configure(family(name), data, None, {field: value})


def test_a_network_with_batch_norm_needs_two_pictures_a_step() -> None:
    data = Stored("black", torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.arange(4) % 2, ("even", "odd"))
    for name, preset in (("gan", "classic"), ("cnn", "digits")):
        with pytest.raises(SettingsError, match="2 pictures a step"):
            models.configure(family(name), data, preset, {"batch": "1"})
    assert models.configure(family("gan"), data, "modern", {"batch": "1"})[1].batch == 1


@pytest.mark.parametrize("name", JUDGES)
def test_pictures_and_labels_that_do_not_fit_are_refused(name: str) -> None:
    model = tiny(name, classes=2, conditional=True)
    images, labels = torch.ones(2, 1, 8, 8), torch.tensor([0, 1])
    assert model.log_likelihood(images, labels).shape == (2,)
    wrong_images = [images * 2, -images, images * math.nan, images[:, :, :7], images[0], images.repeat(1, 3, 1, 1)]
    for wrong in [*wrong_images, images.byte(), images[:0]]:
        with pytest.raises(SettingsError, match="pictures"):
            model.log_likelihood(wrong, labels)
    for wrong in (labels + 1, labels - 1, labels[:1], labels.repeat(2), labels.float(), labels.bool(), labels[:, None]):
        with pytest.raises(SettingsError, match="labels"):
            model.log_likelihood(images, wrong)
    without = tiny(name, classes=2, conditional=False)  # data may have classes that the model does not know
    assert without.log_likelihood(images, torch.tensor([7, 8])).shape == (2,)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "cnn"])
def test_drawing_keeps_no_graph(name: str) -> None:
    model = tiny(name)
    with torch.enable_grad():
        assert not any(pictures.requires_grad for pictures in model.sampling(1))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "cnn"])
def test_damaged_weights_draw_nothing(name: str) -> None:
    model = tiny(name)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, math.nan)
    with pytest.raises(ModelError, match="NaN"):
        model.sample(1)


@pytest.mark.parametrize("folder", sorted((ASSETS / "models").glob("*")), ids=lambda folder: folder.name)
def test_bundled_models_are_within_the_ranges(folder: Any) -> None:
    config = library.load(folder).config
    configs.check(config)
    assert dataclasses.is_dataclass(config)
