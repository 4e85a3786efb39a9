"""The graph of `draft` paints what `draft` paints. (In ONNX Runtime: tests/web/test_static.py.)"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.style import draft, portable
from impasto.style.anystyle import AnyStyle
from impasto.style.portable import Portable, halved

LEVEL = 1 / 255


@pytest.fixture(scope="module")
def model() -> AnyStyle:
    return draft.load()


def painted(model: AnyStyle, content: Tensor, style: Tensor, freedom: float) -> Tensor:
    return draft.Canvas(model, content).painted([draft.region_of([draft.Canvas(model, style).seen()])], freedom=freedom)


def test_halving_is_torchs() -> None:
    picture = torch.rand(1, 3, 34, 50, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(picture, scale_factor=0.5, mode="bilinear", antialias=True)
    torch.testing.assert_close(halved(picture), wanted, atol=1e-6, rtol=0)


def test_roots_are_those_of_eigenvalues() -> None:
    draw = torch.Generator().manual_seed(0)
    factors = torch.randn(2, 24, 40, generator=draw, dtype=torch.float64)
    factors = factors * torch.logspace(0, -1.5, 24, dtype=torch.float64)[:, None]  # conditions of a thousand
    matrices = factors @ factors.mT
    values, vectors = torch.linalg.eigh(matrices)
    roots, inverses = portable._roots(matrices)
    torch.testing.assert_close(roots, vectors * values.sqrt()[:, None] @ vectors.mT, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        inverses @ roots, torch.eye(24, dtype=torch.float64).expand(2, 24, 24), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("freedom", [0.2, 0.8])
def test_it_paints_what_draft_paints(
    model: AnyStyle, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor], freedom: float
) -> None:
    content, style = photo(203), painting(192)[..., :128, :192]
    with torch.no_grad():
        found = Portable(model)(content, style, torch.tensor(freedom))
    assert found.shape == content.shape
    assert (found - painted(model, content, style, freedom)).abs().mean() < LEVEL
