"""`impasto train`: train a model of any family on any data set."""

import json
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto import bundled
from impasto.cli import places, sketch, terminal
from impasto.data import NAMES
from impasto.errors import SettingsError
from impasto.files import locked

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.data.dataset import Dataset
    from impasto.training.contract import Config, Model
    from impasto.training.resume import Before
    from impasto.training.trainer import Progress, Training

FAMILIES = ("cnn", "gan", "vae", "pixelcnn", "pixelrnn", "diffusion", "anystyle")  # without importing their modules
PAIR_SIZE = 192  # pixels: side of the pictures that anystyle learns from where --size says nothing
QUICK, QUICK_MINUTES = "quick", 2.5  # a preset that every family has, and how long it takes
SHEET = 50  # painted pairs in a sheet of samples


def train(
    family: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY", help=f"What to train: {', '.join(FAMILIES)}.", autocompletion=lambda: [*FAMILIES]
        ),
    ],
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"On what: {', '.join(NAMES)}.", autocompletion=lambda: [*NAMES])
    ] = None,
    content: Annotated[
        Path | None, typer.Option("--contents", metavar="DIR", help="anystyle: what to paint, a folder of pictures.")
    ] = None,
    style: Annotated[
        Path | None, typer.Option("--styles", metavar="DIR", help="anystyle: how to paint it, a folder of pictures.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="The folder to fill (default runs/FAMILY-NAME)."),
        places.FOLDER,
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A set of settings that the family offers (default as the data ask for)."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A small model, 2.5 minutes if no time is given; shows curves and pictures in the terminal."
        ),
    ] = False,
    steps: Annotated[int | None, typer.Option(metavar="N", help="How long, in steps (default the preset's).")] = None,
    epochs: Annotated[float | None, typer.Option(metavar="N", help="How long, in passes over the data.")] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="How long, in minutes of training, resumed ones included.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Change a setting of the family or the trainer; may be repeated."
        ),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|NAME",
            help="Begin with the weights of this run or bundled model.",
            autocompletion=bundled.model_names,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in RUN.")] = False,
    data_changed: Annotated[
        bool, typer.Option("--data-changed", help="Go on though the pictures are not those RUN was begun with.")
    ] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, max=2**32 - 1, help="Of all that is random.")] = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="PX", min=1, max=100_000, help="Side of the pictures in pixels (default the data's own)."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the data sets lie (default IMPASTO_DATA, or the cache).")
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps, or auto for the fastest.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object per record, and one at the end.")] = False,
) -> None:
    """Train FAMILY on a data set. OUT gets weights, curves, samples, and all it takes to go on.

    impasto train vae --data mnist --quick

    impasto train vae --data mnist --minutes 10

    impasto train anystyle --contents photos --styles paintings
    """
    pairs = family == "anystyle"
    if pairs and (content is None or style is None or data is not None):
        raise SettingsError("anystyle learns from two folders: impasto train anystyle --contents DIR --styles DIR")
    if not pairs and (data is None or content is not None or style is not None):
        raise SettingsError(f"name the data: impasto train {family} --data NAME")
    if data_changed and not resume:
        raise SettingsError("--data-changed is for --resume")
    if resume and begin is not None:
        raise SettingsError("--resume goes on with the weights in RUN; leave out --from")
    if quick and preset not in (None, QUICK):
        raise SettingsError(f"--quick is --preset {QUICK}; leave out --preset {preset}")
    preset = QUICK if quick else preset
    values = terminal.settings(settings or ())
    if seed is not None:
        values["seed"] = str(seed)
    if "steps" in values and not steps is epochs is minutes is None:
        raise SettingsError("--set steps=... says how long, as --steps, --epochs and --minutes do; give one of them")

    import torch
    from accelerate import PartialState

    from impasto.device import pick_device, seed_everything
    from impasto.models import OF_THE_DATA, configure, rechanged
    from impasto.models.library import fill
    from impasto.training import checkpoint
    from impasto.training.trainer import Limit, Training, train

    kind = _kind(family)
    stop = Limit(steps, epochs, minutes)
    if quick and stop == Limit() and not resume and "steps" not in values:
        stop = Limit(minutes=QUICK_MINUTES)
    run = output or Path("runs") / (family if data is None else f"{family}-{Path(data.removeprefix('folder:')).name}")
    on = pick_device(device)
    # The first of accelerate's states decides for all: without `cpu` it would not see torchrun's processes on a CPU.
    first = PartialState(cpu=on.type == "cpu").is_main_process  # of several processes one speaks
    if resume:
        if size is not None:
            values["size"] = str(size)  # held against that of RUN
        config, training, before = _resumed(run, family, kind, preset, values)
        preset, size = before.preset, before.data["size"]
        if "steps" not in values and stop == Limit():
            stop = before.limit
        shown, held_out = _data(data, content, style, size, data_dir, config.channels)
    else:
        checkpoint.check_empty(run)
        channels = None
        if begin is not None:
            its_own, weights = _begun(begin, family, kind)
            size, channels = its_own.size if size is None else size, its_own.channels
            values = {name: x for name, x in asdict(its_own).items() if name not in OF_THE_DATA} | values
        rechanged(kind.config_class(), Training(), values)  # what makes no sense is said before the data are fetched
        shown, held_out = _data(data, content, style, size, data_dir, channels)
        config, training = configure(kind, shown, preset, values)
        preset = preset or kind.preset_for(config)
    seed_everything(training.seed)
    model = kind(config).to(on)
    if begin is not None:
        others = [name for name in OF_THE_DATA if getattr(its_own, name) not in (0, getattr(model.config, name))]
        why = "".join(f", of {name} {getattr(its_own, name)}, not {getattr(model.config, name)}" for name in others)
        fill(model, weights, f"{begin} is another model{why}")
    if pairs:
        model.shown = held_out.batch(torch.arange(SHEET) % len(held_out)).images

    last: Progress | None = None
    progress = train(
        model, shown, held_out, training, run, resume=resume, data_changed=data_changed, stop=stop, preset=preset
    )
    alone = locked(run) if first else nullcontext()
    with alone, _signals() as pressed, terminal.bar(shown=first and not as_json) as show:
        for last in progress:
            losses = [f"{name} {value:.4g}" for name, value in last.train.items() if name.endswith("loss")]
            at = f"step {last.step}/{last.steps}"
            show(", ".join([at, *losses, f"{last.speed:.0f} pictures/s"]), last.step, last.steps)
            if as_json and first:
                print(json.dumps(asdict(last)), flush=True)
            if pressed:
                break
        with _undisturbed():
            progress.close()  # type: ignore[attr-defined]  # saves the checkpoint
    if not first:
        return
    if as_json:
        print(json.dumps({"output": str(run), "stopped": bool(pressed)}))
    if last is None:
        limit = next((f"--{name} {value:g}" for name, value in asdict(stop).items() if value), None)
        reached = limit or f"--steps {training.steps}"
        print(f"{run} is at its end already ({reached}); to go on, give it more", file=sys.stderr)
    elif pressed and last.done < 1:
        again = ["impasto", "train", family]
        for option, value in (
            ("--data", data),
            ("--contents", content),
            ("--styles", style),
            ("--data-dir", data_dir),
            ("--device", None if device == "auto" else device),
            ("-o", run),
        ):
            again += [] if value is None else [option, str(value)]
        again += ["--resume", *(["--json"] if as_json else [])]
        raise terminal.Stopped(
            f"{run} is at step {last.step} of {last.steps}; go on with: {shlex.join(again)}", pressed[0]
        )
    elif not as_json:
        if quick:
            print(sketch.run(run))
        scores = ", ".join(f"{name} {value:.4g}" for name, value in (last.validation or last.train).items())
        print(f"{run}: {last.step} steps in {last.seconds:.0f} s, {scores}" if sys.stdout.isatty() else run)


def _kind(family: str) -> "type[Model]":
    if family == "anystyle":
        from impasto.style.anystyle import AnyStyle

        return AnyStyle  # type: ignore[return-value]  # it keeps the contract, from the other wing of the house
    from impasto import models

    return models.family(family)


def _begun(begin: str, family: str, kind: "type[Model]") -> "tuple[Config, dict[str, Tensor]]":
    """The settings of the model whose weights are the first ones, and those weights."""
    from impasto.configs import changed
    from impasto.errors import ModelError
    from impasto.models.library import find
    from impasto.training import checkpoint

    config, weights = checkpoint.load(find(begin))
    if config["family"] != family:
        raise SettingsError(f"{begin} is of the family {config['family']}, not {family}")
    try:
        return changed(kind.config_class(), config["config"]), weights
    except SettingsError as error:
        raise ModelError(f"{begin}: {checkpoint.CONFIG}: {error}") from error


def _data(
    name: str | None,
    content: Path | None,
    style: Path | None,
    size: int | None,
    data_dir: Path | None,
    channels: int | None,
) -> "tuple[Dataset, Dataset]":
    """What is learnt, and what it is validated on."""
    from impasto.data import load, pairs

    if name is None:
        assert content is not None and style is not None
        return pairs.load(content, style, size or PAIR_SIZE)
    shown = load(name, "train", size=size, channels=channels, data_dir=data_dir)
    return shown, load(name, "validation", size=size, channels=shown.channels, data_dir=data_dir)


def _resumed(
    run: Path, family: str, kind: "type[Model]", preset: str | None, values: dict[str, str]
) -> "tuple[Config, Training, Before]":
    """The settings that a run shall go on with, which the trainer holds against those before; and those before."""
    from impasto.models import rechanged
    from impasto.training import checkpoint
    from impasto.training.resume import before

    its_family = checkpoint.read_config(run)["family"]
    if its_family != family:
        raise SettingsError(f"{run} is of the family {its_family}, not {family}; choose another -o")
    then = before(run, kind.config_class)
    if preset not in (None, then.preset):
        raise SettingsError(f"{run} was begun with the preset {then.preset}, not {preset}; choose another -o")
    config, training = rechanged(then.model, then.training, values)
    then.check(config, training)  # the trainer does so too, but here nothing was fetched yet
    return config, training, then


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C and its like are noted, for a step must be finished before a checkpoint; a second one ends at once."""
    pressed: list[int] = []

    def note(number: int, _: object) -> None:
        pressed.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    attended = [n for n in (signal.SIGINT, *terminal.ENDINGS) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in attended}
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let what is being saved be saved, however often somebody presses Ctrl-C."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *terminal.ENDINGS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
