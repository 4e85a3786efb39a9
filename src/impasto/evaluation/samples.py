"""How near samples come to real pictures, in the feature space of one frozen classifier of the same data.

These are not Inception figures. A Fréchet distance depends on who looks: name the classifier beside every figure,
and print the floor, the distance of training pictures from test pictures, which a perfect model would reach.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from impasto.errors import DataError
from impasto.gaussian import Moments, wasserstein2

CHUNK = 500  # pictures, or rows of a distance matrix, at a time
NEIGHBOURS = 3  # k of Kynkäänniemi et al. (2019)
FEWEST = NEIGHBOURS + 1  # real pictures, for each to have that many others
FOR_RECALL = 10_000  # pictures at most in the distances, which grow with their square


@dataclass(frozen=True)
class SampleQuality:
    """Figures of N samples against N' real pictures."""

    frechet: float  # Fréchet distance of the two Gaussians (Heusel et al. 2017); 0 is the same
    precision: float  # share of samples that lie among real pictures (Kynkäänniemi et al. 2019)
    recall: float  # share of real pictures that lie among samples
    diversity: float  # mean distance between two samples over that between two real pictures; 1 is as varied
    shares: tuple[float, ...]  # of each class, as the classifier sees the samples
    accuracy: float | None  # share of samples that show the class asked for; None: none was asked for


@torch.no_grad()
def classified(classifier: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features [N, D] and classes [N] that the classifier sees in `images` [N, C, S, S] in [0, 1]."""
    device = next(classifier.parameters()).device
    features, classes = [], []
    for chunk in images.split(CHUNK):
        chunk = chunk.to(device)
        features.append(classifier.features(chunk).float().cpu())  # type: ignore[operator]
        classes.append(classifier.classify(chunk).argmax(1).cpu())  # type: ignore[operator]
    return torch.cat(features), torch.cat(classes)


def compare(classifier: nn.Module, samples: Tensor, real: Tensor, labels: Tensor | None = None) -> SampleQuality:
    """Measure `samples` [N, C, S, S] against `real` [N', C, S, S], both in [0, 1].

    Args:
        classifier: a network with `features` and `classify`, such as models.cnn.CNN.
        labels: the classes [N] that the samples were asked to show.

    Raises:
        DataError: fewer than `FEWEST` of either.
    """
    if min(len(samples), len(real)) < FEWEST:
        raise DataError(f"{len(real)} real pictures beside {len(samples)} samples; the distances take {FEWEST} of both")
    fake, seen = classified(classifier, samples)
    true, _ = classified(classifier, real)
    precision, recall = precision_recall(_some(true), _some(fake))
    classes = int(classifier.config.classes)  # type: ignore[union-attr, arg-type]
    return SampleQuality(
        frechet=frechet(true, fake),
        precision=precision,
        recall=recall,
        diversity=spread(fake) / spread(true),
        shares=tuple((seen.bincount(minlength=classes) / len(seen)).tolist()),
        accuracy=None if labels is None else (seen == labels.cpu()).float().mean().item(),
    )


def frechet(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of the Gaussians fitted to features [N, D] (Heusel et al. 2017, arXiv:1706.08500)."""
    return wasserstein2(_fitted(real), _fitted(fake))


def _fitted(features: Tensor) -> Moments:
    """Mean and unbiased covariance (divided by N - 1, as Heusel et al. take it), float64."""
    features = features.double()
    mean = features.mean(0)
    return Moments(mean, features.T.cov() + torch.outer(mean, mean), torch.tensor(float(len(features))))


def precision_recall(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Shares of `fake` within the manifold of `real`, and of `real` within that of `fake`; features [N, D].

    A manifold is the union of balls about its points, each as wide as the distance to the k-th nearest other
    point (Kynkäänniemi et al. 2019, arXiv:1904.06991).
    """
    return _within(fake, real, k), _within(real, fake, k)


def _within(points: Tensor, manifold: Tensor, k: int) -> float:
    radii = torch.cat([torch.cdist(part, manifold).kthvalue(k + 1, 1).values for part in manifold.split(CHUNK)])
    inside = [(torch.cdist(part, manifold) <= radii).any(1) for part in points.split(CHUNK)]
    return torch.cat(inside).float().mean().item()


def spread(features: Tensor) -> float:
    """Mean distance between two of `features` [N, D], over pairs of one half with the other."""
    half = len(features) // 2
    features = _shuffled(features)  # data often lie in the order of their classes
    return (features[:half] - features[half : 2 * half]).norm(dim=1).mean().item()


def _some(features: Tensor) -> Tensor:
    """`FOR_RECALL` rows at most, of any place."""
    return features if len(features) <= FOR_RECALL else _shuffled(features)[:FOR_RECALL]


def _shuffled(features: Tensor) -> Tensor:
    return features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))]
