"""The model families behind image generation, one file each: network, loss, sampler, and nothing else."""

from importlib import import_module

from impasto.configs import nearest
from impasto.models.base import Model

FAMILIES = {
    "cnn": "CNN",
    "gan": "GAN",
    "vae": "VAE",
    "pixelcnn": "PixelCNN",
    "pixelrnn": "PixelRNN",
    "diffusion": "Diffusion",
}  # name, also of the module: class


def family(name: str) -> type[Model]:
    """The class of a family.

    Raises:
        SettingsError: there is no such family; the message names the nearest.
    """
    if name not in FAMILIES:
        raise nearest(name, FAMILIES, "family")
    found: type[Model] = getattr(import_module(f"impasto.models.{name}"), FAMILIES[name])
    return found
