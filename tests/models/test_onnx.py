"""What `onnx_module` exports computes in ONNX Runtime what the model computes in torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impasto.models import family
from impasto.training import export

MODELS: list[tuple[str, dict[str, Any]]] = [
    ("cnn", {"widths": (4,), "classes": 3}),
    ("gan", {"width": 4, "latent": 4, "classes": 3}),
    ("vae", {"width": 8, "latent": 4, "likelihood": "logistic"}),
    ("diffusion", {"widths": (8,), "classes": 3}),
    ("pixelcnn", {"width": 4, "gates": 4, "layers": 1, "head": 4, "classes": 3}),
]


def other(example: torch.Tensor) -> torch.Tensor:
    """Five values of the kind that `example` has two of; for labels, of three classes."""
    shape = (5, *example.shape[1:])
    return torch.rand(shape) if example.is_floating_point() else torch.arange(5).remainder(3)


@pytest.mark.parametrize(("name", "settings"), MODELS, ids=str)
def test_an_exported_network_computes_the_same_for_any_number(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model: Any = family(name)(family(name).config_class(**{"size": 8, **settings})).eval()
    for parameter in model.parameters():
        if not parameter.any():  # some layers begin silent, and would hide what comes before them
            torch.nn.init.normal_(parameter, std=0.1)
    if name == "cnn":  # its first layer begins silent, too
        model.body[0].fit(torch.rand(9, 1, 8, 8))
    module, examples, input_names, output_names = model.onnx_module()
    inputs = [other(example) for example in examples]
    with torch.no_grad():
        wanted = module(*inputs).numpy()

    export.network(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    given = {label: values.numpy() for label, values in zip(input_names, inputs, strict=True)}
    [found] = session.run(output_names, given)
    assert found.std() > 1e-4
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
