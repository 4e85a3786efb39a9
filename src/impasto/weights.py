"""Every weight file: where it comes from, its hash and licence, and where it lies on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from impasto import download
from impasto.bundled import ASSETS
from impasto.errors import WeightsError

RETRIES = 2  # of a download that breaks off or arrives damaged


@dataclass(frozen=True)
class WeightFile:
    """One weight file. A bundled one has no url, hash and size: it came, and was checked, with the package."""

    name: str
    file: str
    licence: str
    what: str
    url: str | None = None
    hash: str | None = None  # as pooch writes it: "md5:..." or "sha256:..."
    size: int | None = None  # bytes


class Listed(NamedTuple):
    """A line of `impasto weights list`."""

    name: str
    size: int  # bytes
    licence: str
    what: str
    present: bool
    where: Path  # the file, or the place it will have


COMPACT = WeightFile(
    name="compact",
    file="compact.safetensors",
    licence="Apache-2.0",
    what="Impasto's small student of VGG-19, bundled",
)
ANYSTYLE = WeightFile(
    name="anystyle",
    file="anystyle.safetensors",
    licence="Apache-2.0",
    what="Impasto's decoder for any style in one pass, bundled",
)
VGG16 = WeightFile(
    name="vgg16",
    file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    licence="CC BY 4.0",
    what="VGG-16 trained on ImageNet (Simonyan and Zisserman 2015), as Keras publishes it",
    url="https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    hash="md5:6d6bbae143d832006294945121d1f1fc",
    size=58_889_256,
)
VGG19 = WeightFile(
    name="vgg19",
    file="vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    licence="CC BY 4.0",
    what="VGG-19 trained on ImageNet (Simonyan and Zisserman 2015), as Keras publishes it",
    url="https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    hash="md5:253f8cb515780f3b799900260a226db6",
    size=80_134_624,
)
REGISTRY = {weight_file.name: weight_file for weight_file in (COMPACT, ANYSTYLE, VGG16, VGG19)}


def where(name: str) -> Path:
    """Say where the weight file lies, or will lie once it is fetched. Nothing is downloaded.

    Fetched files lie in the folder `weights` of IMPASTO_HOME, or else of the user's cache folder.
    """
    weight_file = _entry(name)
    return ASSETS / weight_file.file if weight_file.url is None else download.home() / "weights" / weight_file.file


def path(name: str) -> Path:
    """Return the weight file ready to read; a file that is not here yet, or not whole, is fetched first.

    Raises:
        WeightsError: as `fetch`.
    """
    weight_file, target = _entry(name), where(name)
    # A fetched file was checked before it took this name; the size tells a copy by hand that broke off.
    if target.is_file() and target.stat().st_size == weight_file.size:
        return target
    return fetch(name)


def fetch(name: str) -> Path:
    """Make sure that the weight file is here and has the right hash, and return it.

    Raises:
        WeightsError: the download failed, brought another file, or cannot be stored.
    """
    weight_file, target = _entry(name), where(name)
    if weight_file.url is None or weight_file.hash is None:
        if not target.is_file():
            raise WeightsError(f"{target} is missing from this installation; install impasto again")
        return target

    by_hand = f"get {weight_file.url} elsewhere, then pass it as --weights PATH or put it at {target} (IMPASTO_HOME)"
    download.fetch(target, [weight_file.url], weight_file.hash, retries=RETRIES, error=WeightsError, otherwise=by_hand)
    return target


def listing() -> list[Listed]:
    """List every weight file, present or not."""
    lines = []
    for name, weight_file in REGISTRY.items():
        target = where(name)
        present = target.is_file()
        size = target.stat().st_size if present else weight_file.size or 0
        lines.append(Listed(name, size, weight_file.licence, weight_file.what, present, target))
    return lines


def sha256_of(name: str) -> str:
    """Return the SHA-256 of the weight file in hexadecimal, for the recipe of a picture."""
    import pooch

    return str(pooch.file_hash(str(path(name)), alg="sha256"))


def _entry(name: str) -> WeightFile:
    if name not in REGISTRY:
        raise WeightsError(f"there are no weights called {name!r}; there are {', '.join(REGISTRY)}")
    return REGISTRY[name]
