"""Generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661): networks, losses, sampler.

Inside, pictures are in [-1, 1]; outside, in [0, 1]. Where the data have classes, the generator gets an embedding of
the label beside the latents. The dense discriminator gets one beside the pixels; the convolutional one judges by
projection (Miyato and Koyama 2018, arXiv:1802.05637).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.configs import OneOf, Within
from impasto.data.dataset import Batch
from impasto.errors import ModelError
from impasto.training.contract import Config, KnownPixels, Model, Update, checked_sampling, finite

SLOPE = 0.2  # of the leaky ReLU below zero (Radford et al. 2016, arXiv:1511.06434)
COARSEST = 7  # side of the smallest maps, at most


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """What a GAN is made of, and how its discriminator is kept smooth."""

    network: Annotated[str, OneOf(("convolutional", "dense"))] = "convolutional"
    # "logistic": non-saturating | "relativistic": real against fake, with R1 and R2
    loss: Annotated[str, OneOf(("logistic", "relativistic"))] = "logistic"
    latent: Annotated[int, Within(1, 65536)] = 64  # numbers that a picture is made from
    # Convolutional: channels at half the pictures' size; twice as many at a quarter, at most 4 times.
    width: Annotated[int, Within(1, 4096)] = 16
    depth: Annotated[int, Within(0, 100)] = 1  # convolutional: residual blocks at each size from a quarter down
    # Weight of the gradient penalty, for pictures in [-1, 1]; 0: none.
    gamma: Annotated[float, Within(0, 1e6)] = 0.5
    # Steps; the penalty then weighs that many times more (Karras et al. 2020, arXiv:1912.04958).
    penalty_every: Annotated[int, Within(1, 10**9)] = 8

    @property
    def smallest_batch(self) -> int:
        return 2 if self.network == "dense" else 1  # batch norm compares pictures


class DenseGenerator(nn.Module):
    """Latents [N, latent] and labels [N] to pictures [N, C, S, S] in [-1, 1], through 256, 512 and 1024 units."""

    def __init__(self, config: GANConfig):
        super().__init__()
        self.label = nn.Embedding(config.classes, config.classes) if config.classes else None
        self.layers = nn.Sequential(
            nn.Linear(config.latent + config.classes, 256),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm1d(256),
            nn.Linear(256, 512),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm1d(512),
            nn.Linear(512, 1024),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm1d(1024),
            nn.Linear(1024, config.channels * config.size**2),
            nn.Unflatten(1, (config.channels, config.size, config.size)),
        )

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        out: Tensor = self.layers(_beside(latents, self.label, labels))
        return out.float().tanh()


class DenseDiscriminator(nn.Module):
    """Pictures [N, C, S, S] in [-1, 1] and labels [N] to logits [N] of being real, through 512 and 256 units."""

    def __init__(self, config: GANConfig):
        super().__init__()
        self.label = nn.Embedding(config.classes, config.classes) if config.classes else None
        self.layers = nn.Sequential(
            nn.Linear(config.channels * config.size**2 + config.classes, 512),
            nn.LeakyReLU(SLOPE),
            nn.Linear(512, 256),
            nn.LeakyReLU(SLOPE),
            nn.Linear(256, 1),
        )

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        out: Tensor = self.layers(_beside(images.flatten(1), self.label, labels))
        return out.float().squeeze(1)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, without normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.inside = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = maps + self.inside(maps)
        return out


class Generator(nn.Module):
    """Latents [N, latent] and labels [N] to pictures [N, C, S, S] in [-1, 1], from coarse to fine.

    Maps grow by pixel shuffle (Shi et al. 2016, arXiv:1609.05158), so no convolution runs at the full size.
    """

    def __init__(self, config: GANConfig):
        super().__init__()
        self.size = config.size
        self.label = nn.Embedding(config.classes, config.latent) if config.classes else None
        side, widths = _pyramid(config)
        self.start = nn.Linear(config.latent * (2 if config.classes else 1), widths[-1] * side**2)
        self.maps = nn.Unflatten(1, (widths[-1], side, side))
        finer = [config.channels, *widths]
        layers: list[nn.Module] = []
        for level in reversed(range(len(widths))):
            if level:
                layers += [Residual(widths[level]) for _ in range(config.depth)]
            layers += [
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(widths[level], 4 * finer[level], 3, padding=1),
                nn.PixelShuffle(2),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        maps = self.maps(self.start(_beside(latents, self.label, labels)))
        out: Tensor = self.layers(maps.contiguous(memory_format=torch.channels_last))
        return out[..., : self.size, : self.size].float().tanh()


class Discriminator(nn.Module):
    """Pictures [N, C, S, S] in [-1, 1] and labels [N] to logits [N] of being real, from fine to coarse."""

    def __init__(self, config: GANConfig):
        super().__init__()
        side, widths = _pyramid(config)
        self.margin = side * 2 ** len(widths) - config.size  # pixels that make every halving even
        finer = [config.channels, *widths]
        layers: list[nn.Module] = []
        for level in range(len(widths)):
            layers += [nn.Conv2d(finer[level], widths[level], 4, stride=2, padding=1)]
            if level:
                layers += [Residual(widths[level]) for _ in range(config.depth)]
            layers += [nn.LeakyReLU(SLOPE)]
        features = 4 * config.width
        self.features = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, features), nn.LeakyReLU(SLOPE)
        )
        self.score = nn.Linear(features, 1)
        self.label = nn.Embedding(config.classes, features) if config.classes else None

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        padded = F.pad(images, (0, self.margin, 0, self.margin), value=-1.0)
        features = self.features(padded.contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.score(features).float().squeeze(1)
        if self.label is not None:
            logits = logits + (self.label(labels) * features.float()).sum(1) / features.shape[1] ** 0.5
        return logits


def _pyramid(config: GANConfig) -> tuple[int, list[int]]:
    """Side of the coarsest maps, and the channels after each halving of the picture, the finest first."""
    halvings = 1
    while -(-config.size // 2**halvings) > COARSEST:
        halvings += 1
    return -(-config.size // 2**halvings), [config.width * min(2**level, 4) for level in range(halvings)]


def _beside(vectors: Tensor, embedding: nn.Module | None, labels: Tensor | None) -> Tensor:
    """Vectors [N, D] with the embedded labels [N] behind them; alone without classes."""
    return vectors if embedding is None else torch.cat([vectors, embedding(labels)], 1)


def discriminator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """Loss of logits [N]: binary cross entropy, or that of the difference (Jolicoeur-Martineau 2019)."""
    if loss == "relativistic":
        return F.softplus(fake - real).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """The same with the roles exchanged: the fakes shall pass for real. Never saturates (Goodfellow et al. 2014)."""
    return F.softplus(real - fake).mean() if loss == "relativistic" else F.softplus(-fake).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Mean over the batch of |d logit / d image|^2, with a graph (Mescheder et al. 2018, arXiv:1801.04406).

    Called R1 for real pictures and R2 for fakes. bfloat16 autocast is safe here: on a new network of the default
    size the penalty's gradient differs from that in float32 by 4 % of its length.
    """
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slopes.float().square().sum((1, 2, 3)).mean()


class GAN(Model):
    """A generator that learns to pass its pictures for real, and a discriminator that learns to tell.

    The relativistic loss with both penalties is that of R3GAN (Huang et al. 2024, arXiv:2501.05441); its networks
    (grouped convolutions, scaled initialisation) are not.
    """

    config_class = GANConfig
    _MODERN: ClassVar[dict[str, Any]] = {
        "steps": 15_000,  # about 9 minutes on one core for MNIST
        "rate": 1e-3,
        "betas": (0.0, 0.99),
        "clip": 0.0,  # the lazy penalty comes as a rare large gradient that must arrive whole
        "ema": 0.999,
    }
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "modern": _MODERN,
        "quick": {**_MODERN, "rate": 2e-3, "ema": 0.995},
        "classic": {
            "network": "dense",
            "latent": 100,
            "gamma": 0.0,
            "steps": 30_000,
            "rate": 2e-4,
            "betas": (0.5, 0.999),
            "warmup": 0,
            "decay": "constant",
            "clip": 0.0,
            "ema": 0.0,
        },
    }
    step: Tensor  # updates so far, for the lazy penalty

    def __init__(self, config: GANConfig):
        super().__init__(config)
        config = self.config
        dense = config.network == "dense"
        self.generator = DenseGenerator(config) if dense else Generator(config)
        self.discriminator = DenseDiscriminator(config) if dense else Discriminator(config)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"discriminator": list(self.discriminator.parameters()), "generator": list(self.generator.parameters())}

    def updates(self, batch: Batch) -> Iterator[Update]:
        """First the discriminator, then the generator, each with fakes of its own.

        The network that is not being trained is frozen: no gradient can reach it, and none is computed for it.
        """
        real = batch.images * 2 - 1
        try:
            self.generator.requires_grad_(False)
            yield self._discriminator_update(real, batch.labels)
            self.generator.requires_grad_(True)
            self.discriminator.requires_grad_(False)
            yield self._generator_update(real.detach(), batch.labels)
        finally:
            self.requires_grad_(True)

    def _discriminator_update(self, real: Tensor, labels: Tensor | None) -> Update:
        config = self.config
        due = config.gamma > 0 and int(self.step) % config.penalty_every == 0
        self.step += 1
        fake = self._fakes(len(real), labels)
        real.requires_grad_(due)
        fake.requires_grad_(due)
        real_logits, fake_logits = self.discriminator(real, labels), self.discriminator(fake, labels)
        loss = discriminator_loss(real_logits, fake_logits, config.loss)
        metrics: dict[str, Tensor | float] = {
            "real_logit": real_logits.detach().mean(),
            "fake_logit": fake_logits.detach().mean(),
        }
        if due:
            penalty = gradient_penalty(real_logits, real)
            if config.loss == "relativistic":
                penalty = penalty + gradient_penalty(fake_logits, fake)
            loss = loss + config.gamma / 2 * config.penalty_every * penalty
            metrics["gradient_penalty"] = penalty.detach()
        return Update("discriminator", loss, metrics)

    def _generator_update(self, real: Tensor, labels: Tensor | None) -> Update:
        fake_logits = self.discriminator(self._fakes(len(real), labels), labels)
        relativistic = self.config.loss == "relativistic"  # only then do the real ones matter
        real_logits = self.discriminator(real, labels) if relativistic else fake_logits
        return Update("generator", generator_loss(real_logits, fake_logits, self.config.loss), {})

    def _fakes(self, n: int, labels: Tensor | None) -> Tensor:
        """Pictures [n, C, S, S] in [-1, 1] from new latents."""
        fakes: Tensor = self.generator(self.latents(n), labels)
        return fakes

    def latents(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents [n, latent] from the standard normal distribution."""
        return torch.randn(n, self.config.latent, generator=generator).to(self.device)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, S, S] in [0, 1] of latents [N, latent] and, for a model with classes, labels [N]."""
        pictures: Tensor = self.generator(latents, labels)
        return (pictures + 1) / 2

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The same, with latents and labels that are checked; labels are random where left out."""
        self.check_latents(latents)
        pictures: Tensor = finite(self(latents.to(self.device), self.classes_for(len(latents), labels)))
        return pictures

    def onnx_module(self) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """Latents [N, latent] from N(0, 1) and, with classes, labels [N] (int64) -> pictures [N, C, S, S] in [0, 1].

        As `training.export.network` takes it.
        """
        inputs = {"latents": self.latents(2)}
        return self.exported(inputs, "pictures")

    @checked_sampling
    def sampling(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
        truncation: Annotated[float, Within(0, 100)] = 1.0,
    ) -> Iterator[Tensor]:
        """Draw `n` pictures [n, C, S, S] in [0, 1], in one go.

        Args:
            truncation: factor on the latents: less variety and safer pictures towards 0, which is the mean latent.

        Raises:
            ModelError: `given`, for which a GAN has no way.
            SettingsError: a truncation out of range, labels that do not exist.
        """
        if given is not None:
            raise ModelError("a GAN cannot complete a picture; take pixelcnn or diffusion")
        latents = truncation * self.latents(n, generator)
        yield self.decode(latents, self.classes_for(n, labels, generator))
