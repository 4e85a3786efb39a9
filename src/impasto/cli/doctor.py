"""`impasto doctor`: what this machine gives to Impasto, what is missing or broken on it, and what to do about that."""

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import typer

from impasto._version import __version__
from impasto.errors import one_line

NEIGHBOURS = ("torchvision", "torchaudio")  # made for one version of torch; diffusers imports them
SCARCE = 1_000_000_000  # bytes of memory or disk; with less even everyday work may fail


def doctor() -> None:
    """Show versions, devices, threads, memory and folders; say what is missing or broken, and what to do about it.

    Ends with 1 where something is broken, else with 0.
    """
    for name, value in _facts():
        print(f"{name:<10}{one_line(value)}")
    for advice in _warnings():
        print(f"warning: {one_line(advice)}")
    broken = [*_broken()]
    for problem in broken:
        print(f"broken: {one_line(problem)}")
    if broken:
        raise typer.Exit(1)


def requirements() -> dict[str, dict[str, str | None]]:
    """What pyproject.toml asks for, by extra ("" without one): each package and its version here, None if missing."""
    found: dict[str, dict[str, str | None]] = {}
    for line in metadata.requires("impasto") or ():
        extra = re.search(r"""extra == ['"]([\w-]+)""", line)
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        try:
            version: str | None = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = None
        found.setdefault(extra[1] if extra else "", {})[name] = version
    return found


def _facts() -> Iterator[tuple[str, object]]:
    import torch
    from rich.filesize import decimal

    from impasto import device, download, weights

    fastest = device.pick_device()
    found = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
    packages = requirements()
    yield "impasto", __version__
    yield "python", f"{platform.python_version()} on {platform.platform(terse=True)}"
    yield "torch", torch.__version__
    yield "packages", ", ".join(f"{name} {version}" for name, version in packages.pop("", {}).items() if version)
    for extra, wanted in packages.items():
        missing = [name for name, version in wanted.items() if version is None]
        without = f"{', '.join(missing)} not here; if you need it: pip install 'impasto[{extra}]'"
        yield "extra", f"{extra}: {without if missing else 'here'}"
    yield "devices", ", ".join([*found, "cpu"])
    yield "threads", f"{device.usable_cpus()} of {os.cpu_count()} CPUs (fewer with OMP_NUM_THREADS)"
    yield "waiting", " ".join(f"{name}={value}" for name, value in device.waiting().items())
    yield "bf16", f"{'yes' if device.autocast_dtype(fastest) else 'no, float32'} (on {fastest.type})"
    yield "memory", f"{decimal(device.free_memory())} free"
    yield "cache", f"{download.home()} ({decimal(_room(download.home()))} free; IMPASTO_HOME chooses another)"
    yield "data", os.environ.get("IMPASTO_DATA") or "in the cache, once fetched (IMPASTO_DATA is not set)"
    for file in weights.listing():
        yield "weights", f"{file.name}: {'here' if file.present else f'impasto weights fetch {file.name} gets it'}"


def _warnings() -> Iterator[str]:
    import torch

    from impasto import device, download

    if device.free_memory() < SCARCE:
        yield "little memory is free; close other programs, or take a smaller --size, --quality draft or --memory 0.7"
    if _room(download.home()) < SCARCE:
        yield f"the disk of {download.home()} is nearly full; make room there, or set IMPASTO_HOME to another folder"
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        if torch.version.cuda is None:
            yield "there is an NVIDIA GPU, but this torch is for CPUs; https://pytorch.org/get-started has one for CUDA"
        else:
            yield f"this torch is for CUDA {torch.version.cuda} and finds no GPU; nvidia-smi says what the driver lacks"


def _broken() -> Iterator[str]:
    from impasto import download, weights

    for name, version in requirements().get("", {}).items():
        if version is None:
            yield f"{name} is not installed; install impasto again"
    for name in NEIGHBOURS:
        if find_spec(name) is not None:
            try:
                import_module(name)
            except Exception as error:  # whatever its libraries raise beside another torch
                reason = str(error).partition("\n")[0]
                yield f"{name} does not work beside this torch ({reason}), and breaks others: pip uninstall {name}"
    for file in weights.listing():
        wanted = weights.REGISTRY[file.name]
        if wanted.url is None and not file.present:
            yield f"{wanted.file} is missing from this installation; install impasto again"
        elif file.present and wanted.size not in (None, file.size):
            yield f"{file.where} is not whole; get it again: impasto weights fetch {file.name}"
    if not os.access(_existing(download.home()), os.W_OK):
        yield f"{download.home()} cannot be written; set IMPASTO_HOME to a folder of yours"
    data = os.environ.get("IMPASTO_DATA")
    if data and not Path(data).expanduser().is_dir():
        yield f"there is no folder {data}; correct IMPASTO_DATA"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def _room(folder: Path) -> int:
    """Free bytes on its disk."""
    return shutil.disk_usage(_existing(folder)).free
