"""The variational autoencoder (Kingma and Welling 2014, "Auto-Encoding Variational Bayes"): network, bound, sampler."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.configs import OneOf, Within
from impasto.data.dataset import Batch
from impasto.data.levels import brightness, quantise
from impasto.errors import SettingsError
from impasto.training.contract import Config, KnownPixels, Model, Update, checked_images, checked_sampling, finite

LOG_SCALES = (-7.0, 3.0)  # bounds of posterior and pixel log scales: beyond them exp() ruins a training
DECODED_AT_ONCE = 1 << 22  # numbers in the pictures that `log_likelihood` decodes in one pass: 16 MB


@dataclass(frozen=True, kw_only=True)
class VAEConfig(Config):
    """What a VAE is made of.

    It ignores the classes of its data unless `conditional` is set, so that likelihoods compare with the literature's
    and the 2-D map shows all classes; `impasto train vae --set conditional=true` gives one that draws what it is told.
    """

    latent: Annotated[int, Within(1, 65536)] = 40  # numbers that describe a picture, over all stochastic layers
    layers: Annotated[int, Within(1, 1000)] = 1  # stochastic layers that share the latent; 1 is the paper's VAE
    network: Annotated[str, OneOf(("dense", "convolutional"))] = "dense"
    width: Annotated[int, Within(1, 16384)] = 400  # of the hidden vectors
    # Residual blocks of the encoder and of the decoder, at each size of the convolutional ones.
    depth: Annotated[int, Within(0, 100)] = 1
    # Convolutional: at half the picture's size; twice as many at a quarter of it.
    filters: Annotated[int, Within(1, 4096)] = 32
    # "bernoulli": binarised pixels | "logistic": discretised logistic, 256 levels
    likelihood: Annotated[str, OneOf(("bernoulli", "logistic"))] = "bernoulli"
    conditional: bool = False  # tell encoder and decoder the class
    # Above 1: train with the importance-weighted bound (Burda et al. 2016).
    importance_samples: Annotated[int, Within(1, 10_000)] = 1
    kl_warmup: Annotated[int, Within(0, 10**9)] = 300  # steps over which the weight of the KL divergence rises to 1

    @property
    def levels(self) -> int:
        """Levels of brightness that a pixel has."""
        return 2 if self.likelihood == "bernoulli" else 256


class Encoding(NamedTuple):
    """A draw from the posterior of each picture, q(latents | picture) = N(means, exp(log_scales)^2)."""

    latents: Tensor  # [N, latent]
    means: Tensor  # [N, latent]; of a later layer they depend on the earlier layers' latents
    log_scales: Tensor  # [N, latent]
    state: Tensor  # [N, width], what the decoder makes of the latents


class VAE(Model):
    """p(picture, z) = N(z; 0, 1) p(picture | z), with a learned posterior q(z | picture) for training.

    With more `layers` the posterior of a layer's latents knows those of the layers before, through the state that the
    decoder has built up from them: top-down inference as in Sønderby et al. 2016, "Ladder Variational Autoencoders",
    with the noise of the layers' priors as the latents, so that the prior of them all is N(0, 1).
    """

    config_class = VAEConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # A loss summed over pixels has large gradients, so the trainer's usual clip of 1 would cut every one of them.
        "quality": {"layers": 4, "batch": 128, "rate": 2e-3, "clip": 200.0},  # better from the first minutes on
        "map": {"latent": 2, "batch": 128, "rate": 2e-3, "clip": 200.0},
        "quick": {"latent": 16, "batch": 128, "rate": 2e-3, "clip": 200.0, "ema": 0.995},
    }
    likelihood: ClassVar[str] = "bound"
    config: VAEConfig
    step: Tensor  # int64, training steps so far

    def __init__(self, config: VAEConfig):
        _check(config)
        super().__init__(config)
        config = self.config
        self._own = own = config.latent // config.layers  # latents of one layer
        self.start = nn.Embedding(max(1, config.classes), config.width)  # the state before any latent
        self.encoder, self.decoder = NETWORKS[config.network](config)
        self.posteriors = nn.ModuleList(_posterior(config.width, own) for _ in range(config.layers))
        self.lifts = nn.ModuleList(nn.Linear(own, config.width) for _ in range(config.layers))
        self.blocks = nn.ModuleList(Residual(config.width) for _ in range(config.layers))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def updates(self, batch: Batch) -> Iterator[Update]:
        """Minus the bound, averaged over the batch; a Bernoulli model's pixels are binarised anew at each step."""
        config = self.config
        images = brightness(quantise(batch.images, config.levels), config.levels)
        weight = ((self.step + 1) / max(1, config.kl_warmup)).clamp(max=1)  # Bowman et al. 2016, Sønderby et al. 2016
        self.step += 1
        samples = config.importance_samples
        encoding = self._infer(images, batch.labels, samples)
        reconstruction = self._reconstruction(images.repeat_interleave(samples, 0), encoding.state)
        kl = kl_divergence(encoding.means, encoding.log_scales)
        if samples == 1:
            bound = reconstruction - weight * kl
        else:
            weights = reconstruction + weight * log_ratio(*encoding[:3])
            bound = weights.unflatten(0, (-1, samples)).logsumexp(1) - math.log(samples)
        elbo = (reconstruction - kl).mean().detach()
        metrics: dict[str, Tensor | float] = {
            "elbo": elbo,
            "reconstruction": reconstruction.mean().detach(),
            "kl": kl.mean().detach(),
        }
        if config.likelihood == "logistic":
            metrics["bits/dim"] = -elbo / (images[0].numel() * math.log(2))
        yield Update("model", -bound.mean(), metrics)

    @checked_sampling
    def sampling(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
        binary: bool = False,
        rounds: Annotated[int, Within(1, 100_000)] = 50,
    ) -> Iterator[Tensor]:
        """Draw pictures.

        Args:
            binary: draw each pixel, black or white; else show how likely it is white. Bernoulli models only.
            rounds: with `given`, of a Markov chain that encodes the picture and draws the unknown pixels anew
                (Rezende, Mohamed and Wierstra 2014, appendix F).

        Raises:
            SettingsError: labels that the model cannot draw, given pixels of another size, or `binary` pixels of a
                logistic model.
        """
        if binary and self.config.likelihood != "bernoulli":
            raise SettingsError("only a model of binarised pixels draws binary ones; leave that option out")
        given = self.check_known(given, n)
        labels = self.classes_for(n, labels, generator)
        pictures = self.decode(self.latents(n, generator), labels)
        if given is not None:
            for _ in range(rounds):
                pictures = torch.where(given.known, given.images, pictures)
                yield pictures
                drawn = brightness(quantise(pictures, self.config.levels, generator), self.config.levels)
                pictures = finite(self._pictures(self._infer(drawn, labels, generator=generator).state))
        if binary:
            pictures = quantise(pictures, 2, generator).float()
        yield pictures if given is None else torch.where(given.known, given.images, pictures)

    def latents(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents [n, latent] from their prior, N(0, 1)."""
        return torch.randn(n, self.config.latent, generator=generator).to(self.device)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, S, S] in [0, 1] of latents [N, latent]: the mean of p(picture | latents)."""
        state = self._start(latents.shape[0], labels)  # len() would fix their number in ONNX
        for values, lift, block in zip(latents.split(self._own, 1), self.lifts, self.blocks, strict=True):
            state = block(state + lift(values))
        return self._pictures(state)

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The same, with latents and labels that are checked, and without a graph."""
        self.check_latents(latents)
        labels = None if labels is None else self.classes_for(len(latents), labels)
        pictures: Tensor = finite(self(latents.to(self.device), labels))
        return pictures

    def onnx_module(self) -> tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """The decoder, as `training.export.network` takes it.

        Latents [N, latent] from N(0, 1) and, with classes, labels [N] (int64) -> mean pictures [N, C, S, S] in [0, 1].
        """
        inputs = {"latents": self.latents(2)}
        return self.exported(inputs, "pictures")

    @checked_images
    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Where pictures [N, C, S, S] in [0, 1] lie: the means of their posteriors, [N, latent]."""
        return self._infer(images, labels, spread=0.0).latents

    @checked_images
    def log_likelihood(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        generator: torch.Generator | None = None,
        samples: Annotated[int, Within(1, 10**6)] = 128,
    ) -> Tensor:
        """A lower bound of the log-likelihood in nats [N], the tighter the more `samples` (Burda et al. 2016)."""
        at_once = max(1, DECODED_AT_ONCE // images[0].numel())
        most = min(samples, at_once)
        draws = [min(most, samples - done) for done in range(0, samples, most)]
        bounds = []
        for part in torch.arange(len(images), device=images.device).split(at_once // most):
            known = None if labels is None else labels[part]
            weights = torch.cat([self._log_weights(images[part], known, n, generator) for n in draws], 1)
            bounds.append(weights.logsumexp(1) - math.log(samples))
        return torch.cat(bounds)

    def _log_weights(self, images: Tensor, labels: Tensor | None, n: int, generator: torch.Generator | None) -> Tensor:
        """log p(picture, z) - log q(z | picture) [N, n] of n draws z for each picture."""
        encoding = self._infer(images, labels, n, generator)
        reconstruction = self._reconstruction(images.repeat_interleave(n, 0), encoding.state)
        weights = reconstruction + log_ratio(encoding.latents, encoding.means, encoding.log_scales)
        return weights.unflatten(0, (-1, n))

    def _start(self, n: int, labels: Tensor | None) -> Tensor:
        """The state [n, width] that knows the class and nothing else."""
        if not self.config.classes:
            return self.start.weight.expand(n, -1)
        if labels is None:
            raise SettingsError("this model was trained with classes; say which, with labels")
        start: Tensor = self.start(labels)
        return start

    def _infer(
        self,
        images: Tensor,
        labels: Tensor | None,
        samples: int = 1,
        generator: torch.Generator | None = None,
        spread: float = 1.0,
    ) -> Encoding:
        """Encode pictures [N, C, S, S] in [0, 1], each `samples` times (side by side), from the first layer down.

        `spread` 0 gives the posterior's mean instead of a draw from it.
        """
        features = self.encoder(images * 2 - 1).repeat_interleave(samples, 0)
        state = self._start(len(images), labels).repeat_interleave(samples, 0)
        layers = []
        for posterior, lift, block in zip(self.posteriors, self.lifts, self.blocks, strict=True):
            means, log_scales = posterior(features + state).float().chunk(2, 1)
            log_scales = log_scales.clamp(*LOG_SCALES)
            where = means.device if generator is None else generator.device  # a GPU's own numbers come at once
            noise = torch.randn(means.shape, generator=generator, device=where).to(means.device)
            latents = means + spread * log_scales.exp() * noise
            state = block(state + lift(latents))
            layers.append((latents, means, log_scales))
        latents, means, log_scales = (torch.cat(parts, 1) for parts in zip(*layers, strict=True))
        return Encoding(latents, means, log_scales, state)

    def _reconstruction(self, images: Tensor, state: Tensor) -> Tensor:
        """log p(picture | z) in nats [N], summed over pixels and channels."""
        drawn = self.decoder(state).float()
        if self.config.likelihood == "bernoulli":
            return log_bernoulli(images, drawn)
        means, log_scales = drawn.chunk(2, 1)
        return log_logistic(images, means, log_scales.clamp(*LOG_SCALES))

    def _pictures(self, state: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(state).float()
        if self.config.likelihood == "bernoulli":
            return drawn.sigmoid()
        return ((drawn.chunk(2, 1)[0] + 1) / 2).clamp(0, 1)


def kl_divergence(means: Tensor, log_scales: Tensor) -> Tensor:
    """KL(N(means, exp(log_scales)^2) || N(0, 1)) in nats [N], summed over latents [N, latent]."""
    return 0.5 * (means**2 + (2 * log_scales).exp() - 1 - 2 * log_scales).sum(1)


def log_ratio(latents: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """log N(latents; 0, 1) - log N(latents; means, exp(log_scales)^2) [N]: -KL, estimated by one draw."""
    noise = (latents - means) * (-log_scales).exp()
    return (0.5 * (noise**2 - latents**2) + log_scales).sum(1)


def log_bernoulli(images: Tensor, logits: Tensor) -> Tensor:
    """Log-probability in nats [N] of pixels [N, C, S, S] that are 0 or 1, summed over pixels and channels."""
    return -F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)


def log_logistic(images: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """Log-probability in nats [N] of pixels [N, C, S, S] of 256 levels in [0, 1], summed over pixels and channels.

    The distribution is a logistic one over [-1, 1] (`means` and `log_scales` are in its units), cut into 256 bins of
    which the first and the last reach to infinity (Salimans et al. 2017, "PixelCNN++"). A bin from b to a has
    σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)), which holds where σ is flat too, so that PixelCNN++'s approximation
    there is not needed.
    """
    narrowness = (-log_scales).exp()
    offset = images * 2 - 1 - means
    upper, lower = (offset + 1 / 255) * narrowness, (offset - 1 / 255) * narrowness
    black, white = images < 0.5 / 255, images > 254.5 / 255
    below_upper = F.logsigmoid(upper).masked_fill(white, 0)
    above_lower = F.logsigmoid(-lower).masked_fill(black, 0)
    inside = torch.log(-torch.expm1(-2 / 255 * narrowness)).masked_fill(black | white, 0)
    return (below_upper + above_lower + inside).flatten(1).sum(1)


class Residual(nn.Module):
    """A residual block over vectors [N, width]."""

    def __init__(self, width: int):
        super().__init__()
        self.inside = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inside(x)
        return out


class ResidualMaps(nn.Module):
    """A residual block over maps [N, channels, S, S]."""

    def __init__(self, channels: int):
        super().__init__()
        self.inside = nn.Sequential(
            nn.GroupNorm(math.gcd(8, channels), channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inside(x)
        return out


def dense(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """Encoder [N, C, S, S] -> [N, width] and decoder [N, width] -> [N, outputs, S, S], of vectors."""
    width, shape = config.width, (config.channels, config.size, config.size)
    out_shape = (_outputs(config), *shape[1:])
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(shape), width), *[Residual(width) for _ in range(config.depth)]
    )
    decoder = nn.Sequential(
        *[Residual(width) for _ in range(config.depth)],
        nn.SiLU(),
        nn.Linear(width, math.prod(out_shape)),
        nn.Unflatten(1, out_shape),
    )
    return encoder, decoder


def convolutional(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """The same of maps at a half and at a quarter of the picture's size; only the innermost layers are dense."""
    half, quarter = config.filters, 2 * config.filters
    inner = (quarter, config.size // 4, config.size // 4)
    encoder = nn.Sequential(
        nn.Conv2d(config.channels, half, 4, stride=2, padding=1),
        *[ResidualMaps(half) for _ in range(config.depth)],
        nn.SiLU(),
        nn.Conv2d(half, quarter, 4, stride=2, padding=1),
        *[ResidualMaps(quarter) for _ in range(config.depth)],
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(math.prod(inner), config.width),
    )
    decoder = nn.Sequential(
        nn.SiLU(),
        nn.Linear(config.width, math.prod(inner)),
        nn.Unflatten(1, inner),
        *[ResidualMaps(quarter) for _ in range(config.depth)],
        nn.SiLU(),
        nn.ConvTranspose2d(quarter, half, 4, stride=2, padding=1),
        *[ResidualMaps(half) for _ in range(config.depth)],
        nn.SiLU(),
        nn.ConvTranspose2d(half, _outputs(config), 4, stride=2, padding=1),
    )
    return encoder.to(memory_format=torch.channels_last), decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


NETWORKS = {"dense": dense, "convolutional": convolutional}
LIKELIHOODS = {"bernoulli": 1, "logistic": 2}  # name: numbers that the decoder gives per pixel and channel


def _outputs(config: VAEConfig) -> int:
    return config.channels * LIKELIHOODS[config.likelihood]


def _posterior(width: int, latent: int) -> nn.Module:
    """From a vector [N, width] to means and log scales [N, 2 * latent]; an untrained one is the prior."""
    last = nn.Linear(width, 2 * latent)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), last)


def _check(config: VAEConfig) -> None:
    """Refuse settings that no network can be built from together."""
    if config.latent % config.layers:
        raise SettingsError(f"a latent of {config.latent} does not split over {config.layers} layers evenly")
    if config.network == "convolutional" and config.size % 4:
        raise SettingsError(f"a convolutional VAE takes pictures with a side that 4 divides, not {config.size}")
