"""The model families behind image generation, one file each: network, loss, sampler, and nothing else."""

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from impasto.configs import changed, nearest
from impasto.data.dataset import Dataset
from impasto.errors import SettingsError
from impasto.training.contract import Config, Model

if TYPE_CHECKING:
    from impasto.training.settings import Training

FAMILIES = {
    "cnn": "CNN",
    "gan": "GAN",
    "vae": "VAE",
    "pixelcnn": "PixelCNN",
    "pixelrnn": "PixelRNN",
    "diffusion": "Diffusion",
}  # name, also of the module: class
OF_THE_DATA = ("channels", "size", "classes")  # settings of a model that follow from what it learns


def family(name: str) -> type[Model]:
    """The class of a family.

    Raises:
        SettingsError: there is no such family; the message names the nearest.
    """
    if name not in FAMILIES:
        raise nearest(name, FAMILIES, "family")
    found: type[Model] = getattr(import_module(f"impasto.models.{name}"), FAMILIES[name])
    return found


def configure(
    kind: type[Model], data: Dataset, preset: str | None = None, values: Mapping[str, Any] | None = None
) -> tuple[Config, "Training"]:
    """Settings of a new model of `kind` for `data`, and of its training: those of the preset, then `values`.

    Args:
        preset: a name in `kind.presets`; None is what the family takes for such pictures.
        values: of settings of either; text is read as the setting's type.

    Raises:
        SettingsError: there is no such preset or setting, a value makes no sense, or it would say what the data say.
    """
    from impasto.training.settings import Training

    for name in OF_THE_DATA:
        if name in (values or {}):
            remedy = "take --size" if name == "size" else "leave it out"
            raise SettingsError(f"{name} follows from the data, which have {_of(data)[name]}; {remedy}")

    config = kind.config_class(**_of(data))
    preset = preset or kind.preset_for(config)
    if preset not in kind.presets:
        raise nearest(preset, kind.presets, "preset")
    config, training = rechanged(config, Training(), kind.presets[preset])
    if training.augment.startswith("flip+") and not data.mirrored:  # left and right may be classes, letters have a side
        moved = training.augment.removeprefix("flip+")
        config, training = rechanged(config, training, {"augment": moved, "mirror": False})
    return rechanged(config, training, values or {})


def _of(data: Dataset) -> dict[str, Any]:
    return {"channels": data.channels, "size": data.size, "classes": len(data.class_names)}


def rechanged(config: Config, training: "Training", values: Mapping[str, Any]) -> tuple[Config, "Training"]:
    """Both with `values`, each taking those that it has a field for.

    Raises:
        SettingsError: as `configs.changed`; the names offered are those of both. Or batches too small for the model.
    """
    own, general = ({field.name for field in dataclasses.fields(settings)} for settings in (config, training))
    for name in values:
        if name not in own | general:
            raise nearest(name, sorted(own | general), "setting")
    config = changed(config, {name: value for name, value in values.items() if name in own})
    training = changed(training, {name: value for name, value in values.items() if name in general})
    if training.batch < (least := getattr(config, "smallest_batch", 1)):  # anystyle's, of the other wing, has none
        raise SettingsError(
            f"this network learns from {least} pictures a step or more, not a batch of {training.batch}"
        )
    return config, training
