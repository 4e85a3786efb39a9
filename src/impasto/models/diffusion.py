"""Diffusion (Ho et al. 2020, "Denoising Diffusion Probabilistic Models") and rectified flow (Liu et al. 2022).

Pictures x0 in [-1, 1] are mixed with Gaussian noise, x_t = alpha_t x0 + sigma_t noise, and a U-Net learns to tell the
two apart; drawing walks from pure noise to a picture. The network is that of diffusers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from diffusers import DDPMPipeline, DDPMScheduler, FlowMatchEulerDiscreteScheduler, UNet2DModel
from torch import Tensor
from torch.nn import functional as F

from impasto.configs import OneOf, Within, nearest
from impasto.data.dataset import Batch
from impasto.errors import SettingsError
from impasto.training.contract import Config, KnownPixels, Model, Update, checked_images, checked_sampling, finite

LEVELS = 1000  # T, of noise; time runs from 0, the picture, to LEVELS
GUESSED_AT = (900, 800, 700)  # times at which known pixels tell the class; together 85 % of 60 upper halves of digits
SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},  # Nichol and Dhariwal 2021
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},  # Ho et al. 2020
    "scaled_linear": {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
    },  # Rombach et al. 2022
}


class Sampler(NamedTuple):
    """How to go from one level of noise to the next; see `stepped`."""

    order: int  # 2: the estimate of the picture is carried on along its last change
    eta: float  # noise that is drawn anew, from 0, none, to 1, as much as the chain of levels has between the two


SECOND, FIRST = Sampler(2, 0.0), Sampler(1, 0.0)  # DPM-Solver++ 2M (Lu et al. 2022); DDIM (Song et al. 2021)
FRESH, ANCESTRAL = Sampler(2, 1.0), Sampler(1, 1.0)  # SDE-DPM-Solver++ 2M (Lu et al. 2022); DDPM (Ho et al. 2020)
SAMPLERS = {
    "flow": {"dpm++": SECOND, "euler": FIRST, "stochastic": FRESH},  # of a flow, DDIM is Euler's method
    "v": {"dpm++": SECOND, "ddim": FIRST, "ddpm": ANCESTRAL, "stochastic": FRESH},
    "epsilon": {"dpm++": SECOND, "ddim": FIRST, "ddpm": ANCESTRAL, "stochastic": FRESH},
}
# Noise of a flow's first level in `log_likelihood`, about half the distance of two brightness levels: below that a
# network has nothing to learn, above it the decoder's Gaussian is wider than a level. Any chain gives a bound.
FLOW_START = 0.004


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(Config):
    """What a diffusion model is made of, and what it learns to predict."""

    # "flow": noise - x0 | "v": alpha noise - sigma x0 (Salimans and Ho 2022) | "epsilon": noise
    objective: Annotated[str, OneOf(tuple(SAMPLERS))] = "flow"
    schedule: Annotated[str, OneOf(tuple(SCHEDULES))] = "cosine"  # of noise, for "v" and "epsilon"
    # How "flow" draws the times it learns (Esser et al. 2024), or "uniform", as the others do.
    times: Annotated[str, OneOf(("logit-normal", "uniform"))] = "logit-normal"
    patch: Annotated[int, Within(1, 64)] = 2  # the U-Net sees patch x patch pixels as channels: 4 times cheaper at 2
    # Channels at each size; each size is half of the one before.
    widths: tuple[Annotated[int, Within(1, 4096)], ...] = (64, 128)
    layers: Annotated[int, Within(1, 100)] = 1  # residual blocks at each size, one more on the way up
    attention: tuple[Annotated[int, Within(0, 100)], ...] = ()  # positions in `widths` with self-attention
    dropout: Annotated[float, Within(0, 1, open=True)] = 0.0
    # Share of labels hidden in training, for guidance (Ho and Salimans 2022).
    label_dropout: Annotated[float, Within(0, 1)] = 0.1
    guidance: Annotated[float, Within(0, 100)] = 1.0  # of drawing where none is asked for; training does not see it

    @property
    def levels(self) -> int:
        """Of a pixel, in the likelihood."""
        return 256


class Diffusion(Model):
    """A U-Net that tells noise from picture at every level of noise."""

    config_class = DiffusionConfig
    presets: ClassVar = {
        "flow": {"batch": 32, "rate": 1e-2, "optimiser": "muon"},  # about an hour on one core
        "small": {"widths": (32, 64), "batch": 32, "rate": 1e-2, "optimiser": "muon"},  # half the time a step, or less
        "quick": {"widths": (32, 64), "batch": 32, "rate": 1e-2, "optimiser": "muon", "ema": 0.99},
        "v": {"objective": "v", "batch": 32, "rate": 1e-2, "optimiser": "muon"},
        "epsilon": {"objective": "epsilon", "schedule": "linear", "batch": 32, "rate": 1e-2, "optimiser": "muon"},
    }
    likelihood: ClassVar[str] = "bound"
    config: DiffusionConfig
    alphas_cumprod: Tensor  # [LEVELS], alpha^2 of "v" and "epsilon"

    def __init__(self, config: DiffusionConfig):
        """Raises SettingsError for sizes that no network can be built from."""
        super().__init__(config)
        config = self.config
        if not config.widths:
            raise SettingsError("widths need at least one number, the channels at the full size")
        if config.attention and max(config.attention) >= len(config.widths):
            raise SettingsError(f"attention is at positions 0 to {len(config.widths) - 1} of widths")
        if config.guidance != 1 and not config.classes:
            raise SettingsError("guidance is towards a class, and these pictures have none")
        unit = config.patch * 2 ** (len(config.widths) - 1)
        if config.size % unit:
            raise SettingsError(
                f"pictures of {config.size} pixels cannot be cut into {unit} equal parts; take fewer widths or patch=1"
            )
        has = ["Attn" if level in config.attention else "" for level in range(len(config.widths))]
        self.unet = UNet2DModel(
            sample_size=config.size // config.patch,
            in_channels=config.channels * config.patch**2,
            out_channels=config.channels * config.patch**2,
            block_out_channels=config.widths,
            layers_per_block=config.layers,
            down_block_types=tuple(f"{attention}DownBlock2D" for attention in has),
            up_block_types=tuple(f"{attention}UpBlock2D" for attention in reversed(has)),
            add_attention=bool(config.attention),  # in the middle
            attention_head_dim=math.gcd(32, *config.widths),
            norm_num_groups=math.gcd(8, *config.widths),
            resnet_time_scale_shift="scale_shift",
            dropout=config.dropout,
            num_class_embeds=config.classes + 1 if config.classes else None,  # the last one: no class
        ).to(memory_format=torch.channels_last)
        # Silent at first: the loss starts at the mean square of the target, whatever the widths.
        torch.nn.init.zeros_(self.unet.conv_out.weight)
        if config.objective != "flow":
            self.register_buffer("alphas_cumprod", self.scheduler().alphas_cumprod, persistent=False)

    def rates(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma, the shares of picture and noise at `times` [N], as [N, 1, 1, 1].

        A flow goes straight from one to the other, with times from 0 to LEVELS. The others have alpha^2 + sigma^2 = 1
        and whole times from 0, already a little noisy, to LEVELS - 1.
        """
        times = times.view(-1, 1, 1, 1)
        if self.config.objective == "flow":
            return 1 - times / LEVELS, times / LEVELS
        alphas = self.alphas_cumprod[times]
        return alphas.sqrt(), (1 - alphas).sqrt()

    def target(self, x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What the network learns to predict."""
        if self.config.objective == "flow":
            return noise - x0
        return alpha * noise - sigma * x0 if self.config.objective == "v" else noise

    def clean(self, x: Tensor, predicted: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The picture x0 in [-1, 1] that `predicted` implies for the noisy `x`."""
        if self.config.objective == "flow":
            x0 = x - sigma * predicted
        else:
            x0 = alpha * x - sigma * predicted if self.config.objective == "v" else (x - sigma * predicted) / alpha
        return x0.clamp(-1, 1)

    def predict(self, x: Tensor, times: Tensor, labels: Tensor | None = None, guidance: float = 1.0) -> Tensor:
        """The network's prediction [N, C, S, S], float32, for the noisy `x` at `times` [N].

        Args:
            labels: [N]; None: no class. The number after the last class means no class, too.
            guidance: above 1 the class is exaggerated, at 0 it is not seen (Ho and Salimans 2022).
        """
        if self.config.classes:
            nothing = torch.full((len(x),), self.config.classes, device=x.device)
            if labels is not None and guidance != 1:
                both = self.predict(x.repeat(2, 1, 1, 1), times.repeat(2), torch.cat([labels, nothing]))
                with_class, without = both.chunk(2)
                return without + guidance * (with_class - without)
            labels = nothing if labels is None else labels
        folded = F.pixel_unshuffle(x, self.config.patch).contiguous(memory_format=torch.channels_last)
        return F.pixel_shuffle(self.unet(folded, times, labels).sample, self.config.patch).float()

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """The same as `predict`, without guidance."""
        return self.predict(x, times, labels)

    def onnx_module(self) -> tuple[torch.nn.Module, tuple[Tensor, ...], list[str], list[str]]:
        """One evaluation of the network, as `training.export.network` takes it; the walk is left to the caller.

        Noisy pictures x_t [N, C, S, S], where pictures are in [-1, 1]; times [N], float32 from 0 to 1000 of a flow,
        else int64 from 0 to 999; and, with classes, labels [N] (int64; the number of classes means no class) -> the
        prediction [N, C, S, S]: noise - x0 of a flow, alpha noise - sigma x0 of "v", noise of "epsilon".
        """
        kind = torch.float32 if self.config.objective == "flow" else torch.int64
        inputs = {"x": self.latents(2), "times": torch.full((2,), LEVELS // 2, dtype=kind, device=self.device)}
        return self.exported(inputs, "prediction")

    def updates(self, batch: Batch) -> Iterator[Update]:
        """One mean squared error, each picture of the batch at its own level of noise."""
        x0 = batch.images * 2 - 1
        noise = torch.randn_like(x0)
        # One time from each of N equal parts, so that every batch sees all levels (Kingma et al. 2021, VDM).
        spread = (torch.arange(len(x0), device=x0.device) + torch.rand(len(x0), device=x0.device)) / len(x0)
        if self.config.objective != "flow":
            times = (spread * LEVELS).long().clamp(max=LEVELS - 1)
        elif self.config.times == "uniform":
            times = spread * LEVELS
        else:
            times = torch.special.ndtri(spread.clamp(1e-6, 1 - 1e-6)).sigmoid() * LEVELS
        alpha, sigma = self.rates(times)
        labels = batch.labels if self.config.classes else None
        if labels is not None:
            labels = labels.where(
                torch.rand(len(x0), device=x0.device) >= self.config.label_dropout, self.config.classes
            )
        predicted = self.predict(alpha * x0 + sigma * noise, times, labels)
        loss = F.mse_loss(predicted, self.target(x0, noise, alpha, sigma))
        yield Update("model", loss, {"mse": loss.detach()})

    def scheduler(self) -> Any:
        """The scheduler of diffusers with this model's levels of noise."""
        if self.config.objective == "flow":
            return FlowMatchEulerDiscreteScheduler()
        predicts = "v_prediction" if self.config.objective == "v" else "epsilon"
        schedule = SCHEDULES[self.config.schedule]
        return DDPMScheduler(**schedule, prediction_type=predicts, timestep_spacing="trailing")

    def times(self, steps: int) -> Tensor:
        """The times [steps] at which the network is asked, all different, at equal distances from the last level down.

        The step after the last of them goes to the picture itself ("trailing" in Lin et al. 2023, arXiv:2305.08891).
        """
        left = torch.arange(steps, 0, -1, device=self.device)
        if self.config.objective == "flow":
            return left * LEVELS / steps
        return (2 * left * LEVELS + steps) // (2 * steps) - 1  # rounded in whole numbers, so the last is never below 0

    @checked_sampling
    def sampling(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
        steps: Annotated[int, Within(1, LEVELS - 1)] = 20,
        sampler: str = "",
        guidance: Annotated[float, Within(0, 100)] | None = None,
        eta: Annotated[float, Within(0, 1)] = 0.0,
    ) -> Iterator[Tensor]:
        """Walk from noise to `n` pictures, yielding at each step what the network takes the picture to be.

        Known pixels: at each step their estimate is replaced with what they are, and the sampler carries them to the
        next level of noise, so that the rest is drawn in their presence (Song et al. 2021; Lugmayr et al. 2022).

        Args:
            labels: None: random classes, or those that fit the given pixels best (see `likeliest`).
            steps: evaluations of the network; twice the work where `guidance` is not 1.
            sampler: one of SAMPLERS[objective]. "dpm++", "ddim" and "euler" are deterministic, "ddpm" and "stochastic"
                draw fresh noise after each step. "": "stochastic" where pixels are given, for the noise lets the rest
                fit itself to them, else "dpm++".
            guidance: see `predict`; None: that of the settings.
            eta: noise of "ddim", from 0, none, to 1, as much as "ddpm".

        Raises:
            SettingsError: labels that the model cannot draw, given pixels of another size, or options out of range.
        """
        given = self.check_known(given, n)
        if labels is None and given is not None and self.config.classes:
            labels = self.likeliest(given, n, generator)
        labels = self.classes_for(n, labels, generator)
        sampler = sampler or ("dpm++" if given is None else "stochastic")
        yield from self._walk(self.latents(n, generator), labels, sampler, steps, guidance, eta, given, generator)

    @torch.no_grad()
    def likeliest(self, given: KnownPixels, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The classes [n] with which the network tells the given pixels from noise best, each of the `n` under its own.

        After Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot Classifier" (arXiv:2303.16203); only the
        known pixels count, and the others are grey under the noise.
        """
        x0 = torch.where(given.known, given.images * 2 - 1, 0.0).expand(n, -1, -1, -1)
        errors = torch.zeros(n, self.config.classes, device=self.device)
        for time in GUESSED_AT:
            times = torch.full((n,), time, device=self.device)
            alpha, sigma = self.rates(times)
            x = alpha * x0 + sigma * torch.randn(x0.shape, generator=generator).to(self.device)
            for label in range(self.config.classes):
                predicted = finite(self.predict(x, times, torch.full_like(times, label)))
                off = (self.clean(x, predicted, alpha, sigma) - x0) * given.known
                errors[:, label] += off.square().sum((1, 2, 3))
        return errors.argmin(1)

    def latents(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise [n, C, S, S], where every drawing begins."""
        c = self.config
        return torch.randn(n, c.channels, c.size, c.size, generator=generator).to(self.device)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The pictures in [0, 1] that `latents` [N, C, S, S] become, always the same; without labels, of no class."""
        self.check_latents(latents)
        labels = None if labels is None else self.classes_for(len(latents), labels)
        pictures = latents
        for pictures in self._walk(latents.to(self.device), labels, "dpm++", steps=20, guidance=None):  # noqa: B007
            pass
        return pictures

    @torch.no_grad()
    def _walk(
        self,
        x: Tensor,
        labels: Tensor | None,
        sampler: str,
        steps: int,
        guidance: float | None,
        eta: float = 0.0,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
    ) -> Iterator[Tensor]:
        samplers = SAMPLERS[self.config.objective]
        if sampler not in samplers:
            raise nearest(sampler, samplers, f"sampler for the objective {self.config.objective}")
        if eta and sampler != "ddim":
            raise SettingsError(f"eta is for the sampler ddim, not {sampler}")
        guidance = self.config.guidance if guidance is None else guidance
        if guidance != 1 and not self.config.classes:
            raise SettingsError("guidance is towards a class, and this model was trained without classes")
        order, fresh = samplers[sampler]
        times = self.times(steps)
        alphas, sigmas = (rate.flatten().double().tolist() for rate in self.rates(times))
        levels = [*zip(alphas, sigmas, strict=True), (1.0, 0.0)]
        before = None
        for step, time in enumerate(times):
            alpha, sigma = self.rates(time.expand(len(x)))
            predicted = finite(self.predict(x, time.expand(len(x)), labels, guidance))
            x0 = self.clean(x, predicted, alpha, sigma)
            if given is not None:
                x0 = torch.where(given.known, given.images * 2 - 1, x0)
            ahead = x0
            if order == 2 and before is not None and step + 1 < steps:
                ahead = x0 + carried(*levels[step - 1 : step + 2]) * (x0 - before)
            before = x0
            x = stepped(x, ahead, levels[step], levels[step + 1], fresh or eta, generator)
            yield x0 / 2 + 0.5  # the last step goes all the way to its x0

    def noising(self, images: Tensor, levels: int = 8, generator: torch.Generator | None = None) -> Tensor:
        """`images` [N, C, S, S] on their way to noise, [levels, N, C, S, S] in [0, 1], at equal distances of time."""
        last = LEVELS if self.config.objective == "flow" else LEVELS - 1
        times = torch.linspace(0, last, levels, device=images.device)
        if self.config.objective != "flow":
            times = times.round().long()
        alpha, sigma = (rate.unsqueeze(1) for rate in self.rates(times))
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        return ((alpha * (images * 2 - 1) + sigma * noise) / 2 + 0.5).clamp(0, 1)

    @checked_images
    def log_likelihood(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        generator: torch.Generator | None = None,
        terms: Annotated[int, Within(1, 10**6)] = 16,
    ) -> Tensor:
        """The variational bound in nats [N] of pictures with 256 levels (Ho et al. 2020, eq. 5).

        Three parts: how far the last level is from pure noise; the steps between levels, of which `terms` are drawn
        for each picture; and a Gaussian about the estimate at the first level, cut into the 256 levels of a pixel.
        A step from level t to t - 1 costs 1/2 (SNR(t-1) - SNR(t)) |x0 - estimate|^2 with SNR = alpha^2 / sigma^2
        (Kingma et al. 2021). That depends on the ratio of picture and noise alone, so it holds for a flow as it does
        for the others (Kingma and Gao 2023, arXiv:2303.00848); a flow has no chain of its own and gets LEVELS levels
        from FLOW_START to 1. An estimate without bias, whatever `terms`.
        """
        x0 = images * 2 - 1
        if self.config.objective == "flow":
            chain = torch.linspace(FLOW_START, 1, LEVELS) * LEVELS
        else:
            chain = torch.arange(LEVELS)
        chain = chain.to(x0.device)
        alphas, sigmas = (rate.flatten().double() for rate in self.rates(chain))
        snr = (alphas / sigmas) ** 2
        prior = (alphas[-1] * x0) ** 2 + sigmas[-1] ** 2 - 1 - 2 * sigmas[-1].log()

        def estimate(level: Tensor) -> Tensor:
            alpha, sigma = self.rates(chain[level])
            x = alpha * x0 + sigma * torch.randn(x0.shape, generator=generator).to(x0.device)
            return self.clean(x, self.predict(x, chain[level], labels), alpha, sigma)

        # Steps are drawn in proportion to their share of log SNR, over which the cost is spread most evenly.
        evenly = (snr + 1e-4).log()
        probabilities = (evenly[:-1] - evenly[1:]) / (evenly[0] - evenly[-1])
        weights = 0.5 * (snr[:-1] - snr[1:]) / probabilities
        steps = torch.zeros(len(x0), dtype=torch.float64, device=x0.device)
        for term in range(terms):
            at = ((term + torch.rand(len(x0), generator=generator, dtype=torch.float64)) / terms).to(x0.device)
            step = torch.searchsorted(probabilities.cumsum(0), at).clamp(max=LEVELS - 2)
            steps += weights[step] * (x0 - estimate(step + 1)).double().square().sum((1, 2, 3)) / terms
        first = estimate(torch.zeros(len(x0), dtype=torch.long, device=x0.device))
        reconstruction = log_gaussian(x0, first, (sigmas[0] / alphas[0]).item())
        return (reconstruction - 0.5 * prior.sum((1, 2, 3)) - steps).float()

    def extra_files(self, folder: Path) -> None:
        """Write a pipeline folder of diffusers into `folder`: model_index.json, unet/ and scheduler/.

        `DDPMPipeline.from_pretrained(folder)` draws pictures where the model has no classes and patch = 1. Else the
        U-Net wants class_labels (the last one: no class) and pictures folded by torch's pixel_unshuffle.
        """
        DDPMPipeline(self.unet, self.scheduler()).save_pretrained(folder)


def stepped(
    x: Tensor,
    x0: Tensor,
    level: tuple[float, float],
    following: tuple[float, float],
    eta: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """From the noisy `x` at one (alpha, sigma) to the next, if the picture is `x0` (Song et al. 2021, DDIM, eq. 12).

    Written for any alpha and sigma: going back from `following` to `level` adds noise, and given x0 what is known of
    `following` has the variance sigma'^2 (1 - SNR / SNR'), of which the share eta^2 is drawn and the rest carried on.
    """
    (alpha, sigma), (next_alpha, next_sigma) = level, following
    gone = (alpha * next_sigma / (next_alpha * sigma)) ** 2  # SNR / SNR'
    drawn = eta * next_sigma * math.sqrt(max(0.0, 1 - gone))
    x = next_alpha * x0 + math.sqrt(next_sigma**2 - drawn**2) / sigma * (x - alpha * x0)
    if drawn:
        x = x + drawn * torch.randn(x.shape, generator=generator).to(x.device)
    return x


def carried(before: tuple[float, float], level: tuple[float, float], following: tuple[float, float]) -> float:
    """How much of its last change the estimate is carried on by, halfway to the next level (Lu et al. 2022, 2M).

    Half the ratio of the two distances in log(alpha / sigma), in which the estimate changes evenly; 0 from pure noise.
    """
    first, second, third = (
        math.log(alpha / sigma) if alpha else -math.inf for alpha, sigma in (before, level, following)
    )
    return (third - second) / (second - first) / 2


def log_gaussian(x0: Tensor, means: Tensor, scale: float) -> Tensor:
    """Log-probability in nats [N] of pixels [N, C, S, S] of 256 levels in [-1, 1], summed over all but the first.

    A Gaussian cut into 256 bins of width 2/255, of which the first and the last reach to infinity (Ho et al. 2020,
    eq. 13). Taken in the lower tail, where the difference of two logarithms stays exact.
    """
    off, x0 = (x0 - means).double() / scale, x0.double()
    half = 1 / 255 / scale
    upper = torch.special.log_ndtr(half - off.abs())
    lower = torch.special.log_ndtr(-half - off.abs())
    inside = upper + torch.log1p(-torch.exp(lower - upper))
    pixels = torch.where(x0 < -1 + 1 / 255, torch.special.log_ndtr(off + half), inside)
    pixels = torch.where(x0 > 1 - 1 / 255, torch.special.log_ndtr(half - off), pixels)
    return pixels.sum((1, 2, 3))
