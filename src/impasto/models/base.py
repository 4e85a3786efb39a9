"""The contract between a model family and everything around it: trainer, sampler, evaluation, faces."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from impasto.data.dataset import Batch
from impasto.errors import ModelError, SettingsError
from impasto.training.update import Update as Update


@dataclass(frozen=True, kw_only=True)
class Config:
    """What pictures a model is for. Each family adds its own settings; the trainer fills these in from the data."""

    channels: int = 1
    size: int = 28  # side, pixels
    classes: int = 0  # of the pictures; 0: they have none
    conditional: bool = True  # on the class, where there are classes


@dataclass(frozen=True)
class Given:
    """Pixels that are known, for completing a picture."""

    images: Tensor  # [N or 1, C, S, S], in [0, 1]
    known: Tensor  # [N or 1, 1, S, S], bool


class Model(nn.Module):
    """A family: an `nn.Module` with settings, losses and a sampler.

    Trained weights stand alone in the `state_dict`; what else must survive a restart (a step counter) is a buffer.
    """

    settings: ClassVar[type[Config]] = Config  # this family's own Config
    presets: ClassVar[dict[str, dict[str, Any]]]  # name: values of `settings` and of the trainer's
    likelihood: ClassVar[str | None] = None  # what `log_likelihood` is: "exact", "bound", or None: there is none
    config: Any  # an instance of `settings`

    def __init__(self, config: Config):
        super().__init__()
        self.config = config if config.conditional else dataclasses.replace(config, classes=0)

    @classmethod
    def preset_for(cls, config: Config) -> str:
        """The preset for pictures like these where the user names none: the first."""
        return next(iter(cls.presets))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the name of the optimiser that steps them."""
        return {"model": list(self.parameters())}

    def updates(self, batch: Batch) -> Iterator[Update]:
        """The losses of one training step. The trainer steps a group before it asks for the next update."""
        raise ModelError(f"the family {type(self).__name__} does not learn")

    def sampling(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        given: Given | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Iterator[Tensor]:
        """Draw `n` pictures [n, C, S, S] in [0, 1], yielding them while they take shape; the last is the result.

        Families name their own options, with defaults, in place of `**options`.
        """
        raise ModelError(f"the family {type(self).__name__} does not draw pictures")

    @torch.no_grad()
    def sample(self, n: int, **options: Any) -> Tensor:
        """The last of `sampling`, with the same arguments."""
        pictures = torch.empty(0)
        for pictures in self.sampling(n, **options):  # noqa: B007
            pass
        return pictures

    def log_likelihood(
        self, images: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Log-likelihood in nats [N], or a lower bound of it, of `images` whose pixels have the model's levels."""
        raise ModelError(f"the family {type(self).__name__} has no likelihood")

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def classes_for(self, n: int, labels: Tensor | None, generator: torch.Generator | None = None) -> Tensor | None:
        """Labels [n] for `n` samples: those asked for, repeated as needed, or random ones; None without classes.

        Raises:
            SettingsError: a label out of range, or labels for a model without classes.
        """
        classes = self.config.classes
        if labels is None:
            drawn = torch.randint(classes, (n,), generator=generator) if classes else None
            return None if drawn is None else drawn.to(self.device)
        if not classes:
            raise SettingsError("this model was trained without classes; leave the labels out")
        if labels.min() < 0 or labels.max() >= classes:
            raise SettingsError(f"labels go from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
        return labels.repeat(-(-n // len(labels)))[:n].to(self.device)

    def exported(
        self, inputs: dict[str, Tensor], output: str
    ) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """What a family's `onnx_module` answers: itself, two examples of each input, labels too, and the names."""
        if self.config.classes:
            inputs = {**inputs, "labels": torch.zeros(2, dtype=torch.int64, device=self.device)}
        return self, tuple(inputs.values()), list(inputs), [output]

    def checked(self, given: Given | None, n: int) -> Given | None:
        """The known pixels of `n` pictures, on the model's device.

        Raises:
            SettingsError: they are not for pictures of this size, or not for `n`.
        """
        if given is None:
            return None
        size = self.config.size
        for tensor, name, depth in ((given.images, "images", self.config.channels), (given.known, "known", 1)):
            if tensor.shape not in ((1, depth, size, size), (n, depth, size, size)):
                raise SettingsError(f"the given {name} are {tuple(tensor.shape)}, not {(n, depth, size, size)}")
        return Given(given.images.to(self.device), given.known.to(self.device))
