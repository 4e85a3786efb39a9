"""Train the compact network against VGG-19's first three blocks, and write the file that ships with Impasto.

The shipped weights' exact command stands on their card, src/impasto/assets/compact.md. Three phases:
  1. `cache`: cut crops from photographs and paintings, disturb some, store them with the teacher's principal
     components (float16, about 1.3 MB a crop), because the teacher costs more than twice the student.
  2. `train`: regress the components; resumes from its checkpoint after any interruption.
  3. `export`: write fp16 safetensors and print the errors on held-out pictures.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from impasto.perception.compact import TAPS, Compact
from impasto.perception.vgg19 import VGG19
from impasto.style import losses
from impasto.style.objective import Extractor, Objective, Region
from impasto.style.optimise import adam
from impasto.style.settings import BLOCKS_1_TO_3

SIZE = 112  # crop, pixels
BATCH = 12
STRIDE = {"block1_conv1": 1, "block2_conv1": 2, "block3_conv1": 4, "block3_conv4": 4}


def picture_files(folders: list[Path]) -> list[list[Path]]:
    """One sorted list per folder; each folder is drawn from equally often."""
    return [sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".png"}) for folder in folders]


def crop(path: Path, rng: np.random.Generator) -> np.ndarray:
    """A random [SIZE, SIZE, 3] uint8 crop at a random scale between 1/4 and 1.2 of the picture's own."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        scale = max(math.exp(rng.uniform(math.log(0.25), math.log(1.2))), (SIZE + 1) / min(image.size))
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        left, top = (int(rng.integers(side - SIZE + 1)) for side in image.size)
        pixels = np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))
    return pixels[:, :: -1 if rng.random() < 0.5 else 1]


def training_crop(groups: list[list[Path]], rng: np.random.Generator, disturb: bool) -> np.ndarray:
    """A crop as the optimiser may meet it: some noisy, some in strange colours, some two pictures at once."""
    paths = groups[rng.integers(len(groups))]
    pixels = crop(paths[rng.integers(len(paths))], rng).astype(np.float32) / 255
    if disturb:
        if rng.random() < 0.10:
            other = groups[rng.integers(len(groups))]
            share = rng.uniform(0.2, 0.8)
            pixels = share * pixels + (1 - share) * crop(other[rng.integers(len(other))], rng) / 255
        if rng.random() < 0.10:
            pixels = pixels[..., rng.permutation(3)]
        if rng.random() < 0.15:
            pixels = pixels + rng.normal(0, rng.uniform(0.01, 0.15), pixels.shape)
    return np.clip(pixels, 0, 1).transpose(2, 0, 1).astype(np.float16)


def teacher_features(vgg: VGG19, crops: np.ndarray) -> dict[str, torch.Tensor]:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return {k: v.float() for k, v in vgg(torch.from_numpy(crops).float(), tuple(TAPS)).items()}


def principal_components(vgg: VGG19, groups: list[list[Path]], seed: int) -> dict[str, torch.Tensor]:
    """Leading eigenvectors of each layer's second moment, scaled so that a component's mean square is 1 on average."""
    rng, bases = np.random.default_rng(seed), {}
    features = [
        teacher_features(vgg, np.stack([training_crop(groups, rng, True) for _ in range(BATCH)])) for _ in range(40)
    ]
    for name, components in TAPS.items():
        f = torch.cat(
            [
                batch[name].permute(0, 2, 3, 1).flatten(0, 2)[:: STRIDE["block3_conv4"] ** 2 // STRIDE[name] ** 2]
                for batch in features
            ]
        ).double()
        values, vectors = torch.linalg.eigh(f.T @ f / len(f))
        basis = vectors[:, -components:].flip(1)
        kept = values[-components:].sum()
        print(f"{name}: {components} components keep {kept / values.sum():.2%} of the energy")
        bases[name] = (basis / (kept / components).sqrt()).float()
    return bases


def open_cache(folder: Path, crops: int | None = None) -> dict[str, np.memmap]:
    """Crops and targets on disk, float16: to write when `crops` says how many, else as they are."""
    shapes = {"crops": (3, SIZE, SIZE)}
    shapes |= {name: (SIZE // STRIDE[name], SIZE // STRIDE[name], components) for name, components in TAPS.items()}
    mode = "c" if crops is None else "w+"
    if crops is None:
        crops = (folder / "crops.f16").stat().st_size // (2 * math.prod(shapes["crops"]))
    folder.mkdir(parents=True, exist_ok=True)
    return {n: np.memmap(folder / f"{n}.f16", np.float16, mode, shape=(crops, *shape)) for n, shape in shapes.items()}


def build_cache(folder: Path, batches: Iterator[np.ndarray], crops: int, vgg: VGG19, bases: dict) -> None:
    """Store `batches` of crops [n, 3, SIZE, SIZE], `crops` in all, with the teacher's answers; whole or not at all."""
    part, done, start = folder.with_suffix(".part"), 0, time.perf_counter()
    store = open_cache(part, crops)
    while done < crops:
        batch = next(batches)[: crops - done]
        store["crops"][done : done + len(batch)] = batch
        for name, f in teacher_features(vgg, batch).items():
            store[name][done : done + len(batch)] = (f.permute(0, 2, 3, 1) @ bases[name]).half().numpy()
        done += len(batch)
        print(f"\r{folder.name}: {done}/{crops} crops, {time.perf_counter() - start:.0f} s", end="", flush=True)
    part.replace(folder)
    print()


def cut_batches(groups: list[list[Path]], seed: int, disturb: bool) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while True:
        yield np.stack([training_crop(groups, rng, disturb) for _ in range(BATCH)])


def painted_batches(run: Path, groups: list[list[Path]], seed: int) -> Iterator[np.ndarray]:
    """Pictures that the optimiser painted with the student of `run`, early, midway and late.

    An optimiser finds what a student gets wrong and paints just that. Shown those pictures with the teacher's
    answers (as in DAgger, Ross et al. 2011), the student unlearns it.
    """
    student = Compact()
    student.load_state_dict(torch.load(run / "checkpoint.pt", weights_only=True)["model"])
    student.requires_grad_(False)
    extractor = Extractor(student, dict.fromkeys(BLOCKS_1_TO_3, 1.0), ("block3_conv4",), dtype=torch.bfloat16)
    rng, kept = np.random.default_rng(seed), (6, 20, 60)
    while True:
        content, style = (torch.from_numpy(training_crop([g], rng, True))[None].float() for g in groups[:2])
        start = torch.rand_like(content) if rng.random() < 0.2 else content
        objective = Objective(
            extractor,
            [Region(extractor.statistics(style))],
            extractor.contents(content),
            style_loss=(losses.gram, losses.moments, losses.wasserstein)[rng.integers(3)],
            content_weight=math.exp(rng.uniform(math.log(0.03), math.log(1))),
        )
        painted = [s.picture for n, s in enumerate(adam(start, objective, kept[-1], average=0), 1) if n in kept]
        yield torch.cat(painted).half().numpy()


def errors(model: Compact, store: dict[str, np.memmap], power: str) -> dict[str, float]:
    """Squared error relative to the targets' variance ("variance") or mean square ("power"), per tap."""
    wrong, total = dict.fromkeys(TAPS, 0.0), dict.fromkeys(TAPS, 0.0)
    means = {name: torch.from_numpy(store[name][:200].astype(np.float32)).mean((0, 1, 2)) for name in TAPS}
    with torch.no_grad():
        for i in range(0, len(store["crops"]), BATCH):
            features = model(torch.from_numpy(store["crops"][i : i + BATCH]).float(), tuple(TAPS))
            for name, f in features.items():
                target = torch.from_numpy(store[name][i : i + BATCH].astype(np.float32))
                wrong[name] += (f.permute(0, 2, 3, 1) - target).square().sum().item()
                total[name] += (target - (means[name] if power == "variance" else 0)).square().sum().item()
    return {name: wrong[name] / total[name] for name in TAPS}


def train(folder: Path, run: Path, start: Path | None, steps: int, rate: float, seed: int, painted: int) -> None:
    stores = [open_cache(folder / "train"), *(open_cache(path) for path in sorted(folder.glob("painted-?")))]
    shares = [BATCH] if len(stores) == 1 else [BATCH - painted, *np.bincount(np.arange(painted) % (len(stores) - 1))]
    held = open_cache(folder / "held")
    torch.manual_seed(seed)
    model = Compact()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            torch.nn.init.zeros_(module.bias)
    if start is not None:
        begun = torch.load(start / "checkpoint.pt", weights_only=True)["model"]
        for name in model.load_state_dict(begun, strict=False).missing_keys:  # a layer more than the start has
            if name.endswith("weight"):
                torch.nn.init.dirac_(model.get_parameter(name))
    # Muon (Jordan 2024) orthogonalises each update, which suits these badly scaled regressions: over steps 200 to
    # 300 of a trial its errors were .08/.21/.35/.41, AdamW's .20/.34/.54/.65. It wants matrices, so kernels are
    # trained in their flattened form.
    kernels = {n: p.detach().flatten(1).clone().requires_grad_() for n, p in model.named_parameters() if p.ndim == 4}
    biases = [p for p in model.parameters() if p.ndim == 1]
    optimisers = [
        torch.optim.Muon(kernels.values(), lr=rate, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(biases, lr=rate, weight_decay=0, betas=(0.9, 0.98)),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda s: min((s + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * s / steps)))
        for o in optimisers
    ]
    variance = {name: float(np.asarray(stores[0][name][:500], np.float32).var((0, 1, 2)).sum()) for name in TAPS}
    checkpoint, first = run / "checkpoint.pt", 0
    run.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for name, kernel in kernels.items():
            kernel.data.copy_(model.get_parameter(name).flatten(1))
        for part, saved in zip((*optimisers, *schedules), state["training"], strict=True):
            part.load_state_dict(saved)
        first = state["step"]
        print(f"resumed at step {first}")
    running, began = dict.fromkeys(TAPS, 0.0), time.perf_counter()
    for step in range(first, steps):
        rng, drawn = np.random.default_rng([seed, step]), []
        for store, share in zip(stores, shares, strict=True):
            rows = np.sort(rng.choice(len(store["crops"]), share, replace=False))
            drawn.append({name: store[name][rows] for name in store})
        batch = {name: torch.from_numpy(np.concatenate([part[name] for part in drawn])).float() for name in held}
        shaped = {name: kernel.view_as(model.get_parameter(name)) for name, kernel in kernels.items()}
        with torch.autocast("cpu", torch.bfloat16):
            features = torch.func.functional_call(model, shaped, (batch["crops"], tuple(TAPS)))
        terms = {}
        for name, f in features.items():
            wrong = (f.float() - batch[name].permute(0, 3, 1, 2)).square()
            terms[name] = wrong.sum(1).mean() / variance[name]
        for optimiser in optimisers:
            optimiser.zero_grad()
        sum(terms.values()).backward()
        for part in (*optimisers, *schedules):
            part.step()
        for name, loss in terms.items():
            running[name] += loss.item() / 100
        if (step + 1) % 100 == 0:
            text = "  ".join(f"{v:.4f}" for v in running.values())
            print(
                f"step {step + 1}  {text}  {(time.perf_counter() - began) / (step + 1 - first):.2f} s/step", flush=True
            )
            running = dict.fromkeys(TAPS, 0.0)
        if (step + 1) % 500 == 0 or step + 1 == steps:
            for name, kernel in kernels.items():
                model.get_parameter(name).data.copy_(kernel.view_as(model.get_parameter(name)))
            training = [part.state_dict() for part in (*optimisers, *schedules)]
            torch.save({"model": model.state_dict(), "training": training, "step": step + 1}, run / "checkpoint.part")
            (run / "checkpoint.part").replace(checkpoint)
        if (step + 1) % 2000 == 0 or step + 1 == steps:
            text = "  ".join(f"{v:.4f}" for v in errors(model, held, "variance").values())
            print(f"held out: {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phase", choices=("cache", "train", "paint", "export"))
    parser.add_argument("--vgg", type=Path, help="Keras' VGG-19 weights (blocks 1 to 3 suffice)")
    parser.add_argument(
        "--folders", type=Path, nargs="+", help="training pictures; each folder is drawn from equally often"
    )
    parser.add_argument("--held", type=Path, nargs="+", help="held-out pictures, one folder or more")
    parser.add_argument("--work", type=Path, default=Path("runs/compact"))
    parser.add_argument("--run", default="run")
    parser.add_argument("--start", help="run whose weights to start from")
    parser.add_argument("--crops", type=int, default=8400)
    parser.add_argument("--steps", type=int, default=14000)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--painted", type=int, default=4, help="crops in a batch that the optimiser painted, if any")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("src/impasto/assets/compact.safetensors"))
    args = parser.parse_args()
    if args.phase == "export":
        model = Compact()
        model.load_state_dict(torch.load(args.work / args.run / "checkpoint.pt", weights_only=True)["model"])
        save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, args.output)
        for power in ("variance", "power"):
            print(power, errors(model, open_cache(args.work / "held"), power))
    elif args.phase == "train":
        train(
            args.work,
            args.work / args.run,
            args.start and args.work / args.start,
            args.steps,
            args.rate,
            args.seed,
            args.painted,
        )
    else:
        vgg, groups, basis_file = VGG19(args.vgg, padding="replicate"), picture_files(args.folders), "bases.safetensors"
        if args.phase == "cache":
            bases = principal_components(vgg, groups, args.seed)
            args.work.mkdir(parents=True, exist_ok=True)
            save_file({k: v.contiguous() for k, v in bases.items()}, args.work / basis_file)
            held = cut_batches(picture_files(args.held), args.seed + 1, disturb=False)
            build_cache(args.work / "held", held, 360, vgg, bases)
            build_cache(args.work / "train", cut_batches(groups, args.seed + 2, True), args.crops, vgg, bases)
        else:
            painted = painted_batches(args.work / args.run, groups, args.seed)
            build_cache(args.work / f"painted-{args.seed}", painted, args.crops, vgg, load_file(args.work / basis_file))


if __name__ == "__main__":
    main()
