"""The model families behind image generation, one file each: network, loss, sampler, and nothing else."""

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from impasto.configs import changed, nearest
from impasto.data.dataset import Dataset
from impasto.device import pick_device
from impasto.errors import ImpastoError, ModelError, SettingsError
from impasto.provenance import sha256
from impasto.training.contract import Config, Model
from impasto.weights import ASSETS

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

    config = kind.settings(**_of(data))
    preset = preset or kind.preset_for(config)
    if preset not in kind.presets:
        raise nearest(preset, kind.presets, "preset")
    config, training = rechanged(config, Training(), kind.presets[preset])
    if training.augment.startswith("flip") and not data.mirrored:  # left and right may be classes, letters have a side
        config, training = rechanged(config, training, {"augment": "crop", "mirror": False})
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


def load(name: str | Path, device: str = "cpu") -> Model:
    """A trained model, ready to draw: of a run folder, or a bundled one by its name.

    Args:
        device: as `device.pick_device` takes it.

    Raises:
        SettingsError: there is no such device.
        ModelError: there is no such model, or its files are damaged or do not belong together.
    """
    from impasto.training import checkpoint

    place = pick_device(device)
    folder = find(name)
    config, weights = checkpoint.load(folder)
    try:
        kind = family(config["family"])
        model = kind(changed(kind.settings(), config["config"]))
    except ImpastoError as error:
        raise ModelError(f"{folder / checkpoint.CONFIG}: {error}") from error
    except Exception as error:  # the file may be anyone's, and its values anything
        raise ModelError(f"{folder / checkpoint.CONFIG} does not describe a model: {error}") from error
    fill(model, weights, f"{folder / checkpoint.WEIGHTS} is not of the model in {checkpoint.CONFIG}")
    return model.to(place).eval()


def fill(model: nn.Module, weights: Mapping[str, Tensor], complaint: str) -> None:
    """Give `model` these `weights`.

    Raises:
        ModelError: they are of another model; the message is `complaint`, and which differ.
    """
    wanted, found = ({key: t.shape for key, t in some.items()} for some in (model.state_dict(), weights))
    if other := sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)):
        raise ModelError(f"{complaint}: {len(other)} of {len(wanted)} weights differ, first {other[0]}")
    model.load_state_dict(weights)


def find(name: str | Path) -> Path:
    """The folder of a model: `name` itself, or the bundled one of that name.

    Raises:
        ModelError: neither.
    """
    if Path(name).is_dir():
        return Path(name)
    bundled = {folder.name: folder for folder in sorted((ASSETS / "models").glob("*")) if folder.is_dir()}
    if str(name) not in bundled:
        known = f"those are {', '.join(bundled)}" if bundled else "there are none"
        raise ModelError(f"{name} is no run folder, and no bundled model; {known}")
    return bundled[str(name)]


def sha256_of(name: str | Path) -> str:
    """The SHA-256 of a model's weights in hexadecimal, for the recipes of what it draws.

    Raises:
        ModelError: as `find`, or the file is missing.
    """
    from impasto.training import checkpoint

    file = find(name) / checkpoint.WEIGHTS
    if not file.is_file():
        raise ModelError(f"{file} is missing")
    return sha256(file)
