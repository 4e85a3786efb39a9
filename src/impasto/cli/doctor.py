"""`impasto doctor`: what this machine gives to Impasto, and what is broken on it."""

import os
import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import typer

from impasto import __version__
from impasto.cli.terminal import one_line

NEIGHBOURS = ("torchvision", "torchaudio")  # made for one version of torch; diffusers and torchmetrics import them
EXTRAS = {"onnx": ("onnx", "onnxscript")}  # as pyproject.toml names them: what they install


def doctor() -> None:
    """Show versions, devices, threads, memory and folders, and say what is broken.

    Ends with 1 where something is broken, else with 0.
    """
    for name, value in _facts():
        print(f"{name:<10}{one_line(value)}")
    for extra, packages in EXTRAS.items():
        if missing := [package for package in packages if find_spec(package) is None]:
            print(
                f"warning: {' and '.join(missing)} not installed; if you need {extra}: pip install 'impasto[{extra}]'"
            )
    broken = [*_broken()]
    for problem in broken:
        print(f"broken: {one_line(problem)}")
    if broken:
        raise typer.Exit(1)


def _facts() -> Iterator[tuple[str, object]]:
    import pooch
    import torch
    from rich.filesize import decimal

    from impasto import device, weights

    fastest = device.pick_device()
    found = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
    yield "impasto", __version__
    yield "python", platform.python_version()
    yield "torch", torch.__version__
    yield "devices", ", ".join([*found, "cpu"])
    yield "threads", device.usable_cpus()
    yield "bf16", f"{'yes' if device.autocast_dtype(fastest) else 'no, float32'} (on {fastest.type})"
    yield "memory", f"{decimal(device.free_memory())} free"
    yield "cache", Path(os.environ.get("IMPASTO_HOME") or pooch.os_cache("impasto")).expanduser()
    yield "data", os.environ.get("IMPASTO_DATA") or "in the cache, once fetched (IMPASTO_DATA is not set)"
    for file in weights.listing():
        yield "weights", f"{file.name}: {'here' if file.present else 'not fetched yet'}"


def _broken() -> Iterator[str]:
    from impasto import weights

    for name in NEIGHBOURS:
        if find_spec(name) is not None:
            try:
                import_module(name)
            except Exception as error:  # whatever its libraries raise beside another torch
                reason = str(error).partition("\n")[0]
                yield f"{name} does not work beside this torch ({reason}), and breaks others: pip uninstall {name}"
    for weight_file in weights.REGISTRY.values():
        if weight_file.url is None and not weights.where(weight_file.name).is_file():
            yield f"{weight_file.file} is missing from this installation; install impasto again"
    data = os.environ.get("IMPASTO_DATA")
    if data and not Path(data).expanduser().is_dir():
        yield f"there is no folder {data}; correct IMPASTO_DATA"
