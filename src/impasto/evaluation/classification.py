"""How well a classifier tells classes apart: accuracy, which classes it confuses, its worst mistakes as pictures."""

from pathlib import Path

import torch
from torch import Tensor, nn

from impasto.data.dataset import Dataset
from impasto.errors import DataError

CHUNK = 500  # pictures at a time
LEGIBLE = 20  # classes; the table of more goes without names and numbers


@torch.no_grad()
def predictions(classifier: nn.Module, data: Dataset) -> tuple[Tensor, Tensor]:
    """Probabilities [N, classes] that `classifier` gives to the classes of each picture, and the true classes [N].

    Args:
        classifier: a network with `probabilities`, such as models.cnn.CNN.

    Raises:
        DataError: the data have no pictures, or another number of classes.
    """
    classes = classifier.config.classes  # type: ignore[union-attr]
    if not len(data) or len(data.class_names) != classes:
        raise DataError(
            f"{data.name} has {len(data)} pictures of {len(data.class_names)} classes; the classifier knows {classes}"
        )
    device = next(classifier.parameters()).device
    found, true = [], []
    for indices in torch.arange(len(data)).split(CHUNK):
        batch = data.batch(indices)
        assert batch.labels is not None, "data with classes have labels"
        found.append(classifier.probabilities(batch.images.to(device)).cpu())  # type: ignore[operator]
        true.append(batch.labels.cpu())
    return torch.cat(found), torch.cat(true)


def confusion(probabilities: Tensor, labels: Tensor) -> Tensor:
    """How many pictures of each true class (row) were taken for which (column): [classes, classes], int64."""
    classes = probabilities.shape[1]
    return (labels * classes + probabilities.argmax(1)).bincount(minlength=classes**2).view(classes, classes)


def worst(probabilities: Tensor, labels: Tensor, n: int) -> Tensor:
    """Indices of the mistakes, `n` at most, in the order of the probability that the true class got."""
    wrong = (probabilities.argmax(1) != labels).nonzero()[:, 0]
    return wrong[probabilities[wrong, labels[wrong]].argsort(stable=True)][:n]


def draw_confusion(counts: Tensor, class_names: tuple[str, ...], path: Path) -> None:
    """Draw the confusion matrix [classes, classes] and write the figure to `path`.

    A cell's colour is its share of its row, the pictures of one true class.
    """
    from matplotlib.figure import Figure  # without pyplot there is no window and no state: Agg draws to the file

    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    side = 3 + 0.4 * min(len(counts), LEGIBLE)  # inches
    figure = Figure(figsize=(side, side), layout="constrained")
    right = (counts.trace() / counts.sum()).item()
    axes = figure.add_subplot(xlabel="taken for", ylabel="true class", title=f"{right:.2%} right")
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(counts) <= LEGIBLE:
        axes.set_xticks(range(len(counts)), class_names, rotation=90, parse_math=False)  # a "$" starts no formula
        axes.set_yticks(range(len(counts)), class_names, parse_math=False)
        for row, column in counts.nonzero().tolist():
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=8, color=ink)
    figure.savefig(path, dpi=120)


def draw_mistakes(
    data: Dataset, probabilities: Tensor, labels: Tensor, path: Path, rows: int = 4, columns: int = 6
) -> None:
    """Draw the worst mistakes, each with its true class and what it was taken for, and write the figure to `path`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 * columns, 2 * rows), layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    mistakes = worst(probabilities, labels, rows * columns)
    for axes, index in zip(cells.flat, mistakes, strict=False):
        share, taken = probabilities[index].max(0)
        image = data.batch(index[None]).images[0].expand(3, -1, -1).movedim(0, 2)
        axes.imshow(image.cpu().numpy(), vmin=0, vmax=1)
        names = data.class_names
        axes.set_title(f"{names[taken]} {share:.0%}\nis {names[labels[index]]}", fontsize=8, parse_math=False)
    if not len(mistakes):
        figure.suptitle("no mistakes")
    figure.savefig(path, dpi=120)
