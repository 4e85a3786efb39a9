"""A trained model as one file for other programs."""

import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from impasto import provenance
from impasto.errors import ModelError
from impasto.files import replacing
from impasto.training.checkpoint import plain
from impasto.training.contract import ExportsOnnx, Model


def weights(config: dict[str, Any], weights: dict[str, Tensor], path: Path, *, half: bool = False) -> None:
    """Write weights as safetensors, with `config` as JSON in the file's own metadata, and the packet that says how
    the model was trained, and that what it draws is drawn by an AI.

    Args:
        half: floating point numbers as float16.

    Raises:
        ModelError: the file cannot be written.
    """
    if half:
        weights = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
    try:
        with replacing(path) as part:
            save_file(plain(weights), part, {"config": json.dumps(config), provenance.XMP: _packet(config)})
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be written ({error})") from error


def network(model: Model, path: Path) -> None:
    """Write the network of `model` as ONNX; the first dimension of its inputs, the number of pictures, stays free.

    Raises:
        ModelError: the family has no such network, the packages are missing, or the file cannot be written.
    """
    if not isinstance(model, ExportsOnnx):
        raise ModelError(f"the family {type(model).__name__} has no network to export as ONNX; take --safetensors")
    check_onnx()
    module, inputs, input_names, output_names = model.onnx_module()
    graph(module, inputs, input_names, output_names, [(0,) for _ in inputs], {"config": asdict(model.config)}, path)


def graph(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    input_names: list[str],
    output_names: list[str],
    free: Sequence[tuple[int, ...]],
    made_by: dict[str, Any],
    path: Path,
) -> None:
    """Write a module as ONNX.

    Args:
        inputs: examples.
        free: of each input, the dimensions that may have other sizes than the example.
        made_by: what the packet of the file says of how it came about.

    Raises:
        ModelError: the packages are missing, or the file cannot be written.
    """
    check_onnx()
    import onnx

    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel("ERROR")  # it misses torchvision
    try:
        with replacing(path) as part, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own exporter about itself
            torch.onnx.export(
                module.eval(),
                inputs,
                str(part),
                input_names=input_names,
                output_names=output_names,
                dynamic_shapes=tuple(dict.fromkeys(dimensions, torch.export.Dim.AUTO) for dimensions in free),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            made = onnx.load(part)
            onnx.helper.set_model_props(made, {provenance.XMP: _packet(made_by)})
            onnx.save(made, part)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error})") from error


def check_onnx() -> None:
    """Say before the work whether ONNX can be written.

    Raises:
        ModelError: packages are missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise ModelError("ONNX needs further packages; install them with: pip install 'impasto[onnx]'") from error


def _packet(config: dict[str, Any]) -> str:
    """How the model came about, and that what it draws is drawn by an AI."""
    return provenance.packet(provenance.drawn_recipe("train", config, {})).decode()
