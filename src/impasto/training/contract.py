"""The contract between a model family and everything around it: trainer, sampler, evaluation, faces.

`Model` is what every family is. What only some can do stands here as protocols, which are asked by `isinstance`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from impasto.configs import Within, arguments, check
from impasto.data.dataset import Batch
from impasto.errors import ModelError, SettingsError


@dataclass(frozen=True, kw_only=True)
class Config:
    """What pictures a model is for. Each family adds its own settings, with their ranges.

    What cannot be built although each value is in its range, the model's `__init__` refuses.

    Raises:
        SettingsError: a value out of its range.
    """

    # These three follow from the data.
    channels: Annotated[int, Within(1, 16)] = 1
    size: Annotated[int, Within(1, 4096)] = 28  # side, pixels
    classes: Annotated[int, Within(0, 10**6)] = 0  # of the pictures; 0: they have none
    conditional: bool = True  # on the class, where there are classes

    def __post_init__(self) -> None:
        check(self)

    @property
    def smallest_batch(self) -> int:
        """Pictures that a step of training needs at least."""
        return 1

    @property
    def smallest_size(self) -> int:
        """Side of the pictures, pixels, that the network can take at least; `size` where it takes no other."""
        return self.size


class Update(NamedTuple):
    """One step for the optimiser of one group of parameters."""

    group: str
    loss: Tensor  # scalar, with its graph
    metrics: dict[str, Tensor | float]  # to be plotted, in the field's units


@dataclass(frozen=True)
class KnownPixels:
    """Pixels that are known, for completing a picture."""

    images: Tensor  # [N or 1, C, S, S], in [0, 1]
    known: Tensor  # [N or 1, 1, S, S], bool


def checked_sampling(sampling: Callable[..., Iterator[Tensor]]) -> Any:
    """What every family's `sampling` promises: its options are in their ranges before it begins, and no graph is kept.

    Raises:
        SettingsError: an option that this sampler does not have, or out of its range.
    """

    @functools.wraps(sampling)
    def checked(
        self: "Model",
        n: int,
        *,
        labels: Tensor | None = None,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Iterator[Tensor]:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise SettingsError(f"the number of pictures is 1 or more, not {n!r}")
        options = arguments(sampling, options, "setting of this sampler")
        return torch.no_grad()(sampling)(self, n, labels=labels, given=given, generator=generator, **options)

    return checked


def checked_images(method: Callable[..., Tensor]) -> Any:
    """What every method that looks at pictures promises: they, and their labels, fit the model, and no graph is kept.

    Raises:
        SettingsError: pictures of another shape or out of [0, 1], labels of another number or out of range, or an
            option out of its range.
    """

    @functools.wraps(method)
    def checked(
        self: "Model",
        images: Tensor,
        labels: Tensor | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Tensor:
        shape = (self.config.channels, self.config.size, self.config.size)
        if not images.is_floating_point() or images.ndim != 4 or images.shape[1:] != shape or not len(images):
            found = f"{tuple(images.shape)}, {str(images.dtype).removeprefix('torch.')}"
            raise SettingsError(f"the pictures are [N, {', '.join(map(str, shape))}] in floats, not {found}")
        if not ((images >= 0) & (images <= 1)).all():  # NaN is not either
            raise SettingsError("the pictures have values outside of [0, 1]")
        if not self.config.classes:
            labels = None  # data may have classes that the model does not ask for
        elif labels is not None:
            if labels.shape != (len(images),):
                raise SettingsError(f"the labels are {tuple(labels.shape)}, not ({len(images)},): one for each picture")
            labels = self.classes_for(len(images), labels)
        options = arguments(method, options)
        if generator is not None:
            options["generator"] = generator
        with torch.no_grad():
            return method(self, images.to(self.device), labels, **options)

    return checked


def finite(numbers: Tensor) -> Tensor:
    """What a network says, `numbers`, if they are numbers: NaN would end as black pixels in a picture.

    Raises:
        ModelError: some are not.
    """
    if not numbers.isfinite().all():
        raise ModelError("the network answers with NaN or infinity; its weights are damaged, or its training failed")
    return numbers


class Model(nn.Module):
    """A family: an `nn.Module` with settings, losses and a sampler.

    Trained weights stand alone in the `state_dict`; what else must survive a restart (a step counter) is a buffer.
    """

    config_class: ClassVar[type[Config]] = Config
    presets: ClassVar[dict[str, dict[str, Any]]]  # name: values of its Config and of the trainer's
    config: Any  # an instance of `config_class`

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

    def sample(self, n: int, **options: Any) -> Tensor:
        """The last of `sampling` (see `Draws`), with the same arguments.

        Raises:
            ModelError: the family does not draw pictures.
        """
        pictures = torch.empty(0)
        for pictures in sampler(self).sampling(n, **options):  # noqa: B007
            pass
        return pictures

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next(self.parameters()).device

    def classes_for(self, n: int, labels: Tensor | None, generator: torch.Generator | None = None) -> Tensor | None:
        """Labels [n] for `n` samples: those asked for, repeated as needed, or random ones; None without classes.

        Raises:
            SettingsError: labels that are no whole numbers, or out of range, or for a model without classes.
        """
        classes = self.config.classes
        if labels is None:
            drawn = torch.randint(classes, (n,), generator=generator) if classes else None
            return None if drawn is None else drawn.to(self.device)
        if not classes:
            raise SettingsError("this model was trained without classes; leave the labels out")
        if labels.ndim != 1 or not len(labels) or labels.is_floating_point() or labels.dtype == torch.bool:
            found = f"{tuple(labels.shape)}, {str(labels.dtype).removeprefix('torch.')}"
            raise SettingsError(f"labels are a row of whole numbers, not {found}")
        if labels.min() < 0 or labels.max() >= classes:
            raise SettingsError(f"labels go from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
        return labels.repeat(-(-n // len(labels)))[:n].to(self.device, torch.int64)

    def check_latents(self, latents: Tensor) -> None:
        """Raises SettingsError for latents of another shape than this model's `latents` gives."""
        own: Any = self.latents  # of a family that has them
        shape = tuple(own(1).shape[1:])
        if tuple(latents.shape[1:]) != shape or latents.ndim != len(shape) + 1:
            raise SettingsError(f"the latents are {tuple(latents.shape)}; this takes {(len(latents), *shape)}")

    def exported(
        self, inputs: dict[str, Tensor], output: str
    ) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """What a family's `onnx_module` answers: itself, two examples of each input, labels too, and the names."""
        if self.config.classes:
            inputs = {**inputs, "labels": torch.zeros(2, dtype=torch.int64, device=self.device)}
        return self, tuple(inputs.values()), list(inputs), [output]

    def check_known(self, given: KnownPixels | None, n: int) -> KnownPixels | None:
        """The known pixels of `n` pictures, on the model's device.

        Raises:
            SettingsError: they are not for pictures of this size, or not for `n`, or no pictures.
        """
        if given is None:
            return None
        size = self.config.size
        for tensor, name, depth in ((given.images, "images", self.config.channels), (given.known, "known", 1)):
            if tensor.shape not in ((1, depth, size, size), (n, depth, size, size)):
                raise SettingsError(f"the given {name} are {tuple(tensor.shape)}, not {(n, depth, size, size)}")
        if given.known.dtype != torch.bool or not given.images.isfinite().all():
            raise SettingsError("the given images are numbers in [0, 1], and known is True or False")
        return KnownPixels(given.images.to(self.device), given.known.to(self.device))


@runtime_checkable
class Draws(Protocol):
    """A family that draws pictures."""

    def sampling(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Iterator[Tensor]:
        """Draw `n` pictures [n, C, S, S] in [0, 1], yielding them while they take shape; the last is the result.

        Families name their own options, with defaults and ranges, in place of `**options`, and are `checked_sampling`.
        """
        ...


def sampler(model: nn.Module) -> Draws:
    """`model`, if it draws pictures.

    Raises:
        ModelError: it does not.
    """
    if not isinstance(model, Draws):
        raise ModelError(f"the family {type(model).__name__} does not draw pictures")
    return model


@runtime_checkable
class HasLikelihood(Protocol):
    """A family that says how likely a picture is. Its `config.levels` are the levels of brightness that it knows."""

    likelihood: ClassVar[str]  # what `log_likelihood` is: "exact", or "bound": a lower one

    def log_likelihood(
        self, images: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Log-likelihood in nats [N], or a lower bound of it, of `images` whose pixels have the model's levels.

        It is `checked_images`.
        """
        ...


@runtime_checkable
class Classifies(Protocol):
    """A family that tells classes apart. All take `images` [N, C, S, S] in [0, 1]."""

    def features(self, images: Tensor) -> Tensor:
        """What the last layer sees, [N, D] float32."""
        ...

    def classify(self, images: Tensor) -> Tensor:
        """Logits [N, classes]."""
        ...

    def probabilities(self, images: Tensor) -> Tensor:
        """[N, classes]."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """A family that makes pictures from latents whose prior is N(0, 1)."""

    def latents(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents [n, ...] drawn from N(0, 1)."""
        ...

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, S, S] in [0, 1] of `latents` [N, ...], each of its class `labels` [N]."""
        ...

    def classes_for(self, n: int, labels: Tensor | None, generator: torch.Generator | None = None) -> Tensor | None:
        """As `Model.classes_for`."""
        ...


@runtime_checkable
class Encodes(Decodes, Protocol):
    """One that finds the latents of pictures, too."""

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The latents [N, ...] of `images` [N, C, S, S] in [0, 1]."""
        ...


@runtime_checkable
class AddsNoise(Protocol):
    """A family that learns from pictures on their way to noise."""

    def noising(self, images: Tensor, levels: int = 8, generator: torch.Generator | None = None) -> Tensor:
        """`images` [N, C, S, S] at so many levels of noise, [levels, N, C, S, S] in [0, 1]."""
        ...


@runtime_checkable
class ExportsOnnx(Protocol):
    """A family with a network for other programs."""

    def onnx_module(self) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """A module, example inputs (two pictures or more: one is taken for a constant), names of inputs and outputs."""
        ...


@runtime_checkable
class WritesExtraFiles(Protocol):
    """A family that writes beside each checkpoint what other tools read."""

    def extra_files(self, folder: Path) -> None:
        """Write them into `folder`, which holds the checkpoint."""
        ...
