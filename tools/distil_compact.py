"""Train the deep taps of the compact network against VGG-16's block 4, and write the file that ships with Impasto.

    python tools/distil_compact.py --vgg VGG16 --folders PHOTOS PAINTINGS --held HELD... --run RUN --minutes 300

The bundled network is the start. Its first stages (`--frozen`) stay as they are to the bit, because style files and the
any-style decoder build on their taps; a later stage is trained on, with its old tap as a further target. The deep taps
learn the leading principal components of their teacher's layers. All happens in one process, on a GPU or a CPU, and
whoever stops it and gives the command again goes on from the last checkpoint.
"""

import argparse
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from impasto import weights
from impasto.perception import registry
from impasto.perception.compact import TAPS, Compact
from impasto.perception.vgg import VGG16

SIZE = 160  # crop, pixels
CANVAS = 384  # what is kept of a picture is at most 256 pixels on the short side and this on the long one
DEEP = ("block4_conv1", "block4_conv3")  # the taps that VGG-16 teaches
SAVE, REPORT = 60, 30  # seconds between checkpoints, and lines of the log
PAINTED, POOL = 32, 4096  # pictures that are painted at a time; the pool keeps the latest of them
KEPT = (6, 20, 60)  # steps after which a painted picture is taken


@dataclass(frozen=True)
class Pictures:
    """Pictures in memory, by folder: `pixels` uint8 [N, 3, CANVAS, CANVAS], filled to their `sides` [N, 2]."""

    pixels: Tensor
    sides: Tensor
    counts: Tensor  # pictures in each folder; each folder is drawn from equally often

    @classmethod
    def read(cls, folders: list[Path], device: torch.device) -> "Pictures":
        suffixes = {".jpg", ".png", ".webp"}
        files = [sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes) for folder in folders]
        with ThreadPoolExecutor() as pool:
            arrays = list(pool.map(_open, [file for part in files for file in part]))
        pixels = torch.zeros(len(arrays), 3, CANVAS, CANVAS, dtype=torch.uint8)
        for row, array in zip(pixels, arrays, strict=True):
            row[:, : array.shape[0], : array.shape[1]] = torch.from_numpy(array).permute(2, 0, 1)
        sides = torch.tensor([array.shape[:2] for array in arrays], dtype=torch.float32)
        return cls(pixels.to(device), sides.to(device), torch.tensor([len(part) for part in files], device=device))

    def crops(self, count: int) -> Tensor:
        """Random crops [count, 3, SIZE, SIZE] in [0, 1], at 0.3 to 1.4 times the size that is kept.

        A picture smaller than its crop is mirrored at its borders: it stays sharp, and no border shows.
        """
        small = count // 3  # drawn twice as large and averaged, for bilinear sampling aliases below about half size
        return torch.cat([F.avg_pool2d(self._draw(small, 2 * SIZE), 2), self._draw(count - small, SIZE)])

    def _draw(self, count: int, size: int) -> Tensor:
        device = self.pixels.device
        folder = torch.randint(len(self.counts), (count,), device=device)
        within = (torch.rand(count, device=device) * self.counts[folder]).long()
        drawn = (self.counts.cumsum(0) - self.counts)[folder] + within
        scale = torch.empty(count, 1, device=device).uniform_(math.log(0.6), math.log(1.4)).exp()
        places = []
        for axis in (0, 1):
            last = self.sides[drawn, axis, None] - 1
            begin, sign = torch.rand_like(scale) * last, 1 if axis == 0 else torch.randint_like(scale, 2) * 2 - 1
            place = (begin + sign * torch.arange(size, device=device) / scale).remainder(2 * last)
            places.append((last - (place - last).abs()) * 2 / (CANVAS - 1) - 1)  # a mirror at 0 and at `last`
        rows, columns = places
        grid = torch.stack([columns[:, None, :].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], -1)
        return F.grid_sample(self.pixels[drawn].float() / 255, grid, align_corners=True).clamp(0, 1)


def _open(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image = image.convert("RGB")
        scale = min(256 / min(image.size), 1)
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)
        return np.array(image.crop((0, 0, min(CANVAS, image.width), min(CANVAS, image.height))))


def disturbed(crops: Tensor) -> Tensor:
    """Crops as the optimiser may meet them: some two pictures at once, some in strange colours, some noisy."""
    count = len(crops)
    chance = torch.rand(3, count, 1, 1, 1, device=crops.device)
    share = torch.empty_like(chance[0]).uniform_(0.2, 0.8)
    other = crops[torch.randperm(count, device=crops.device)]
    crops = torch.where(chance[0] < 0.1, share * crops + (1 - share) * other, crops)
    crops = torch.where(chance[1] < 0.1, crops[:, torch.randperm(3, device=crops.device)], crops)
    noise = torch.randn_like(crops) * torch.empty_like(share).uniform_(0.01, 0.15)
    return torch.where(chance[2] < 0.15, crops + noise, crops).clamp(0, 1)


def mixed(image: Tensor) -> torch.autocast:
    return torch.autocast(image.device.type, torch.bfloat16)


@torch.no_grad()
def principal_components(vgg: VGG16, pictures: Pictures, batch: int, batches: int) -> dict[str, Tensor]:
    """Leading eigenvectors [C, components] of each layer's second moment, scaled to a mean square of 1 a component."""
    moments, means, places = dict.fromkeys(DEEP, 0.0), dict.fromkeys(DEEP, 0.0), 0
    for _ in range(batches):
        crops = disturbed(pictures.crops(batch))
        with mixed(crops):
            features = vgg(crops, DEEP)
        for name, f in features.items():
            rows = f.permute(0, 2, 3, 1).flatten(0, 2).float()
            moments[name] = moments[name] + (rows.T @ rows).double().cpu()
            means[name] = means[name] + rows.sum(0).double().cpu()
        places += len(rows)
    bases = {}
    for name in DEEP:
        second, mean, count = moments[name] / places, means[name] / places, TAPS[name]
        values, vectors = torch.linalg.eigh(second)
        kept = values[-count:].sum()
        basis = vectors[:, -count:].flip(1)
        centred = second - torch.outer(mean, mean)
        variance = (basis.T @ centred @ basis).trace() / centred.trace()
        energy = kept / values.sum()
        print(f"{name}: {count} components keep {energy:.2%} of the energy, {variance:.2%} of the variance")
        others = ", ".join(f"{n}: {values[-n:].sum() / values.sum():.2%}" for n in (32, 64, 96, 160, 192, 256))
        print(f"    energy that others would keep: {others}", flush=True)
        bases[name] = (basis / (kept / count).sqrt()).float().to(crops.device)
    return bases


@dataclass(frozen=True)
class Teacher:
    """What the taps shall answer: VGG-16's components, and for earlier taps that are trained, what they were."""

    vgg: VGG16
    bases: dict[str, Tensor]
    start: Compact
    old: tuple[str, ...]  # taps that keep their meaning

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> dict[str, Tensor]:
        with mixed(crops):
            deep, old = self.vgg(crops, DEEP), self.start(crops, self.old)
        wanted = {name: torch.einsum("nchw,cd->ndhw", f.float(), self.bases[name]) for name, f in deep.items()}
        return {name: f.float() for name, f in old.items()} | wanted


def paint(student: Compact, contents: Tensor, styles: Tensor) -> Tensor:
    """Pictures that an optimiser painted with `student`, early, midway and late: [3 N, 3, SIZE, SIZE].

    An optimiser finds what a student gets wrong and paints just that. Shown those pictures with the teacher's
    answers (as in DAgger, Ross et al. 2011), the student unlearns it. The loss is that of styles in small: Gram
    matrices, nearest neighbours among the style's places, and the content, in other shares for each picture.
    """

    def look(image: Tensor) -> dict[str, Tensor]:
        with mixed(image):
            return {name: f.float() for name, f in student(image, tuple(TAPS)).items()}

    def gram(f: Tensor) -> Tensor:
        rows = f.flatten(2)
        return rows @ rows.transpose(1, 2) / rows.shape[2]

    def places(f: dict[str, Tensor]) -> Tensor:  # [N, H W, C] at stride 8, centred by the styles' mean
        deep = torch.cat([F.avg_pool2d(f["block3_conv4"], 2), *(f[name] for name in DEEP)], 1)
        return deep.flatten(2).transpose(1, 2)

    count = len(contents)
    share = torch.empty(3, count, device=contents.device).uniform_(math.log(0.03), 0).exp()
    with torch.no_grad():
        of_styles, of_contents = look(styles), look(contents)
        grams = {name: gram(f) for name, f in of_styles.items()}
        points = places(of_styles)
        centre = points.mean(1, keepdim=True)
        points = points - centre
        units = F.normalize(points, dim=2)
    noisy = torch.rand(count, 1, 1, 1, device=contents.device) < 0.2
    pixels = torch.where(noisy, torch.rand_like(contents), contents).requires_grad_()
    adam = torch.optim.Adam([pixels], lr=0.04, betas=(0.9, 0.95))
    kept = []
    for step in range(1, KEPT[-1] + 1):
        f = look(pixels)
        own = places(f) - centre
        if step % 10 == 1:
            nearest = (F.normalize(own.detach(), dim=2) @ units.transpose(1, 2)).argmax(2, keepdim=True)
            aim = points.gather(1, nearest.expand(-1, -1, points.shape[2]))
        wrong = [(gram(f[n]) - g).square().sum((1, 2)) / g.square().sum((1, 2)) for n, g in grams.items()]
        style = torch.stack(wrong).mean(0)
        match = 1 - F.cosine_similarity(own, aim, dim=2).mean(1)
        content = (f["block3_conv4"] - of_contents["block3_conv4"]).square().mean((1, 2, 3))
        adam.zero_grad()
        (share[0] * style + share[1] * match + share[2] * content).sum().backward()
        adam.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
        if step in KEPT:
            kept.append(pixels.detach().clone())
    return torch.cat(kept)


def squared_errors(student: Compact, teacher: Teacher, crops: Tensor, batch: int) -> dict[str, tuple[float, float]]:
    """Squared error of each trained tap over its targets' variance, and over their mean square."""
    wrong, square, total, values = ({} for _ in range(4))
    for part in crops.split(batch):
        wanted = teacher(part)
        with torch.no_grad():
            found = student(part, tuple(wanted))
        for name, target in wanted.items():
            wrong[name] = wrong.get(name, 0) + (found[name] - target).square().sum((0, 2, 3))
            square[name] = square.get(name, 0) + target.square().sum((0, 2, 3))
            total[name] = total.get(name, 0) + target.sum((0, 2, 3))
            values[name] = values.get(name, 0) + target[:, 0].numel()
    variance = {n: square[n] - total[n].square() / values[n] for n in wrong}
    return {n: tuple((wrong[n].sum() / over[n].sum()).item() for over in (variance, square)) for n in wrong}


def text(errors: dict[str, tuple[float, float]]) -> str:
    return ", ".join(f"{name} {variance:.4f} ({power:.4f})" for name, (variance, power) in errors.items())


def train(args: argparse.Namespace) -> None:
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(args.seed)
    began = time.monotonic()
    pictures, held = Pictures.read(args.folders, device), Pictures.read(args.held, device)
    held_crops = torch.cat([held.crops(args.batch) for _ in range(6)])
    print(f"{len(pictures.pixels)} pictures, {len(held.pixels)} held out, {time.monotonic() - began:.0f} s", flush=True)
    vgg = VGG16(args.vgg, padding="replicate").to(device)
    start, student = (registry.load("compact", args.start).to(device) for _ in range(2))
    student.layers = Compact.layers
    args.run.mkdir(parents=True, exist_ok=True)
    checkpoint = args.run / "checkpoint.pt"
    state = torch.load(checkpoint, device, weights_only=True) if checkpoint.exists() else None
    if state is None:
        for stage in list(student.stages)[-len(DEEP) :]:
            for convolution in stage:
                torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                torch.nn.init.zeros_(convolution.bias)
        bases = principal_components(vgg, pictures, args.batch, args.batches)
    else:
        student.load_state_dict(state["student"])
        bases = state["bases"]
    teacher = Teacher(vgg, bases, start, tuple(TAPS)[args.frozen : -len(DEEP)])

    trained = [*list(student.stages)[args.frozen :], *list(student.heads)[args.frozen :]]
    parameters = {id(p): n for n, p in student.named_parameters()}
    names = [parameters[id(p)] for part in trained for p in part.parameters()]
    # Muon (Jordan 2024) orthogonalises each update, which suits these badly scaled regressions: over steps 200 to
    # 300 of a trial of the first edition its errors were .08/.21/.35/.41, AdamW's .20/.34/.54/.65. It wants
    # matrices, so kernels are trained in their flattened form.
    free = {n: student.get_parameter(n).detach().clone() for n in names}
    kernels = {n: p.flatten(1).requires_grad_() for n, p in free.items() if p.ndim == 4}
    biases = {n: p.requires_grad_() for n, p in free.items() if p.ndim == 1}
    optimisers = [
        torch.optim.Muon(kernels.values(), lr=args.rate, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(biases.values(), lr=args.rate, weight_decay=0, betas=(0.9, 0.98)),
    ]
    spent, step = 0.0, 0
    if state is not None:
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        spent, step = state["spent"], state["step"]
        print(f"resumed at step {step}, after {spent:.0f} s")

    def current() -> dict[str, Tensor]:
        return {n: k.view_as(student.get_parameter(n)) for n, k in kernels.items()} | biases

    def settle() -> None:  # the trained numbers into the network
        with torch.no_grad():
            for name, tensor in current().items():
                student.get_parameter(name).copy_(tensor)

    def save() -> None:
        settle()
        part = checkpoint.with_suffix(".part")
        saved = [optimiser.state_dict() for optimiser in optimisers]
        torch.save({"student": student.state_dict(), "bases": bases, "optimisers": saved, "spent": spent, "step": step},
                   part)  # fmt: skip
        part.replace(checkpoint)

    variance = {name: f.var((0, 2, 3)).sum() for name, f in teacher(held_crops[: args.batch]).items()}
    pool = torch.empty(0, 3, SIZE, SIZE, dtype=torch.uint8, device=device)
    running, steps_run = {name: torch.zeros((), device=device) for name in variance}, 0
    last = time.monotonic()
    due = {"save": spent + SAVE, "report": spent + REPORT}
    due["paint"] = max(spent, 6 * args.minutes)  # before a tenth of the time a student paints nothing worth learning
    while spent < args.minutes * 60:
        share = spent / (args.minutes * 60)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = args.rate * min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * share))
        painted = args.batch // 4 if len(pool) else 0
        crops = disturbed(pictures.crops(args.batch - painted))
        if painted:
            crops = torch.cat([crops, pool[torch.randint(len(pool), (painted,), device=device)].float() / 255])
        wanted = teacher(crops)
        with mixed(crops):
            found = torch.func.functional_call(student, current(), (crops, tuple(wanted)))
        terms = {n: (f.float() - wanted[n]).square().sum(1).mean() / variance[n] for n, f in found.items()}
        for optimiser in optimisers:
            optimiser.zero_grad()
        sum(terms.values()).backward()
        for optimiser in optimisers:
            optimiser.step()
        step, steps_run = step + 1, steps_run + 1
        for name, loss in terms.items():
            running[name] += loss.detach()
        if device.type == "cuda" and step % 20 == 0:
            torch.cuda.synchronize()  # so that the clock tells what is done, not what is asked for
        spent, last = spent + time.monotonic() - last, time.monotonic()
        if spent >= due["report"]:
            losses = "  ".join(f"{n} {v.item() / steps_run:.4f}" for n, v in running.items())
            print(f"{spent:.0f} s, step {step}: {losses}; {len(pool)} painted", flush=True)
            running, steps_run = {name: torch.zeros((), device=device) for name in variance}, 0
            due["report"] = spent + REPORT
        if spent >= due["paint"] and spent < 0.95 * args.minutes * 60:
            settle()
            before = time.monotonic()
            fresh = paint(student, pictures.crops(args.painted), pictures.crops(args.painted))
            print(f"newly painted: {text(squared_errors(student, teacher, fresh, args.batch))}", flush=True)
            pool = torch.cat([(fresh * 255).round().byte(), pool])[:POOL]
            due["paint"] = spent + 10 * (time.monotonic() - before)  # a tenth of the time goes into painting
        if spent >= due["save"]:
            save()
            due["save"] = spent + SAVE
    save()
    save_file({k: v.half().cpu().contiguous() for k, v in student.state_dict().items()}, args.output)
    print(f"{args.output}: {args.output.stat().st_size} bytes")
    print(f"{step} steps; error over variance (and over power), held out: "
          f"{text(squared_errors(student, teacher, held_crops, args.batch))}")  # fmt: skip
    fresh = paint(student, held.crops(args.painted), held.crops(args.painted))
    print(f"painted from held-out pictures: {text(squared_errors(student, teacher, fresh, args.batch))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg", type=Path, required=True, help="VGG-16, of Keras or torchvision, with block 4")
    parser.add_argument("--folders", type=Path, nargs="+", required=True, help="training pictures, drawn equally often")
    parser.add_argument("--held", type=Path, nargs="+", required=True, help="folders of held-out pictures")
    parser.add_argument("--start", type=Path, default=weights.where("compact"), help="weights to start from")
    parser.add_argument("--run", type=Path, default=Path("runs/compact"), help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=300, help="of training, over all resumptions")
    parser.add_argument("--frozen", type=int, default=3, help="first stages that stay as they are")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=60, help="of crops that the principal components are taken of")
    parser.add_argument("--painted", type=int, default=PAINTED, help="pictures that are painted at a time")
    parser.add_argument("--rate", type=float, default=6e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path("src/impasto/assets/compact.safetensors"))
    train(parser.parse_args())


if __name__ == "__main__":
    main()
