"""The networks whose features of pictures are compared, by name."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from impasto import weights as weight_files
from impasto.errors import SettingsError, WeightsError
from impasto.perception.compact import Compact
from impasto.perception.vgg import VGG, VGG16, VGG19

VGGS = {"vgg16": VGG16, "vgg19": VGG19}
PADDINGS = {"compact": ("replicate", "circular"), **dict.fromkeys(VGGS, ("replicate", "circular", "zeros"))}
POOLINGS = {"compact": ("max",), **dict.fromkeys(VGGS, ("max", "average"))}


def load(name: str, weights: Path | None = None, padding: str = "replicate", pooling: str = "max") -> Compact | VGG:
    """Load the network `name`, frozen and in float32 on the CPU.

    Args:
        name: "compact" (bundled), "vgg16" or "vgg19" (fetched at first use).
        weights: a file to read instead of the bundled or fetched one.
        padding: what convolutions see beyond the border: "replicate", "circular", or a VGG's own "zeros".
        pooling: a VGG's "max" or "average". The compact network reduces in one way only and takes no other.

    Raises:
        SettingsError: no such network, or it has no such padding or pooling.
        WeightsError: the weight file is missing or broken, or cannot be fetched.
    """
    _check("network", name, tuple(PADDINGS))
    _check(f"padding of {name}", padding, PADDINGS[name])
    _check(f"pooling of {name}", pooling, POOLINGS[name])
    file = weights or weight_files.path(name)
    network = VGGS[name](file, pooling, padding) if name in VGGS else _compact(file, padding)
    return network.requires_grad_(False).eval()


def _check(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"the {what} is one of {', '.join(choices)}, not {value!r}")


def _compact(file: Path, padding: str) -> Compact:
    network = Compact(padding)
    try:
        network.load_state_dict(load_file(file))  # the file is float16; copying into the parameters makes it float32
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]  # torch lists every parameter that does not fit
        raise WeightsError(f"{file} does not hold weights of the compact network: {reason}") from error
    return network
