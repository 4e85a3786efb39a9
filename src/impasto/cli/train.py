"""`impasto train`: train a model of any family on any data set."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import places, terminal
from impasto.cli.models import names
from impasto.data import NAMES
from impasto.errors import SettingsError
from impasto.files import locked

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.data.dataset import Dataset
    from impasto.models.base import Config, Model
    from impasto.training.trainer import Progress, Training

FAMILIES = ("cnn", "gan", "vae", "pixelcnn", "pixelrnn", "diffusion", "anystyle")  # without importing their modules
PAIR_SIZE = 192  # pixels: side of the pictures that anystyle learns from where --size says nothing
OF_THE_DATA = ("channels", "size", "classes")  # settings of a model that follow from what it learns
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
        Path | None, typer.Option(metavar="DIR", help="anystyle: what to paint, a folder of pictures.")
    ] = None,
    style: Annotated[
        Path | None, typer.Option(metavar="DIR", help="anystyle: how to paint it, a folder of pictures.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="RUN", help="The folder to fill (default runs/FAMILY-NAME)."),
        places.FOLDER,
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A set of settings that the family offers (default as the data ask for)."),
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="How long, in steps (default the preset's).")] = None,
    epochs: Annotated[float | None, typer.Option(metavar="N", help="How long, in passes over the data.")] = None,
    minutes: Annotated[float | None, typer.Option(metavar="N", help="How long, in minutes from now.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of the family or the trainer; may be repeated."
        ),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|NAME",
            help="Begin with the weights of this run or bundled model.",
            autocompletion=names,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in RUN.")] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of all that is random (default 0).")] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PX", help="Side of the pictures in pixels (default the data's own).")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the data sets lie (default IMPASTO_DATA, or the cache).")
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps, or auto for the fastest.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object per record, and one at the end.")] = False,
) -> None:
    """Train FAMILY on a data set. RUN gets weights, curves, samples, and all it takes to go on.

    impasto train vae --data mnist --minutes 10

    impasto train anystyle --content photos --style paintings
    """
    pairs = family == "anystyle"
    if pairs and (content is None or style is None or data is not None):
        raise SettingsError("anystyle learns from two folders: impasto train anystyle --content DIR --style DIR")
    if not pairs and (data is None or content is not None or style is not None):
        raise SettingsError(f"name the data: impasto train {family} --data NAME")
    values = terminal.settings(settings or ())
    if seed is not None:
        values["seed"] = str(seed)

    import torch
    from accelerate import PartialState

    from impasto.device import pick_device, seed_everything
    from impasto.models import configure, fill
    from impasto.training import checkpoint
    from impasto.training.trainer import Limit, train

    kind = _kind(family)
    stop = Limit(steps, epochs, minutes)
    run = output or Path("runs") / (family if data is None else f"{family}-{Path(data.removeprefix('folder:')).name}")
    on = pick_device(device)
    # The first of accelerate's states decides for all: without `cpu` it would not see torchrun's processes on a CPU.
    first = PartialState(cpu=on.type == "cpu").is_main_process  # of several processes one speaks
    if resume:
        if begin is not None:
            raise SettingsError("--resume goes on with the weights in RUN; leave out --from")
        before = checkpoint.read_config(run)
        size = size or before["data"]["size"]
    else:
        checkpoint.check_empty(run)
    if begin is not None:
        its_own, weights = _begun(begin, family)
        size = size or its_own["size"]
        values = {name: value for name, value in its_own.items() if name not in OF_THE_DATA} | values
    shown, held_out = _data(data, content, style, size, data_dir)
    if resume:
        config, training = _before(before, run, family, shown.name, preset, values)
        preset = before["preset"]
        stop = stop if any(asdict(stop).values()) else Limit(**before["limit"])
    else:
        config, training = configure(kind, shown, preset, values)
        preset = preset or kind.preset_for(config)
    seed_everything(training.seed)
    model = kind(config).to(on)
    if begin is not None:
        fill(model, weights, f"{begin} is another model")
    if pairs:
        model.shown = held_out.batch(torch.arange(SHEET) % len(held_out)).images

    last: Progress | None = None
    progress = train(model, shown, held_out, training, run, resume=resume, stop=stop, preset=preset)
    alone = locked(run) if first else nullcontext()
    with alone, _ctrl_c() as pressed, terminal.bar(shown=first and not as_json) as show:
        for last in progress:
            losses = [f"{name} {value:.4g}" for name, value in last.train.items() if name.endswith("loss")]
            at = f"step {last.step}/{last.steps}"
            show(", ".join([at, *losses, f"{last.speed:.0f} pictures/s"]), last.step, last.steps)
            if as_json and first:
                print(json.dumps(asdict(last)), flush=True)
            if pressed:
                break
        progress.close()  # type: ignore[attr-defined]  # saves the checkpoint
    if not first:
        return
    if as_json:
        print(json.dumps({"output": str(run), "stopped": bool(pressed)}))
    if last is None:
        print(f"{run} is at its end already; give it more --steps", file=sys.stderr)
    elif pressed and last.done < 1:
        on_what = f"--data {data}" if data else f"--content {content} --style {style}"
        again = f"impasto train {family} {on_what} -o {run} --resume"
        raise terminal.Stopped(f"{run} is at step {last.step} of {last.steps}; go on with: {again}")
    elif not as_json:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in (last.validation or last.train).items())
        print(f"{run}: {last.step} steps in {last.seconds:.0f} s, {scores}" if sys.stdout.isatty() else run)


def _kind(family: str) -> "type[Model]":
    if family == "anystyle":
        from impasto.style.anystyle import AnyStyle

        return AnyStyle  # type: ignore[return-value]  # it keeps the contract, from the other wing of the house
    from impasto import models

    return models.family(family)


def _begun(begin: str, family: str) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """The settings of the model whose weights are the first ones, and those weights."""
    from impasto.models import find
    from impasto.training import checkpoint

    config, weights = checkpoint.load(find(begin))
    if config["family"] != family:
        raise SettingsError(f"{begin} is of the family {config['family']}, not {family}")
    return config["config"], weights


def _data(
    name: str | None, content: Path | None, style: Path | None, size: int | None, data_dir: Path | None
) -> "tuple[Dataset, Dataset]":
    """What is learnt, and what it is validated on."""
    from impasto.data import load, pairs

    if name is None:
        assert content is not None and style is not None
        return pairs.load(content, style, size or PAIR_SIZE)
    return load(name, "train", size=size, data_dir=data_dir), load(name, "validation", size=size, data_dir=data_dir)


def _before(
    config: dict[str, Any], run: Path, family: str, data: str, preset: str | None, values: dict[str, str]
) -> "tuple[Config, Training]":
    """The settings of a run that is resumed. Those of the training may be changed, those of the model may not."""
    from impasto.configs import changed
    from impasto.errors import ModelError
    from impasto.models import rechanged
    from impasto.training.trainer import Training

    try:
        found = {"family": config["family"], "data": config["data"]["name"], "preset": config["preset"]}
        asked = {"family": family, "data": data, "preset": preset or config["preset"]}
        model, training = (
            changed(_kind(family).settings(), config["config"]),
            changed(Training(), config["training"]),
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"{run / 'config.json'} does not describe a run to go on with") from error
    for name, value in asked.items():
        if value != found[name]:
            raise SettingsError(f"{run} was begun with the {name} {found[name]}, not {value}; choose another -o")
    new, training = rechanged(model, training, values)
    if new != model:
        raise SettingsError(f"{run} is resumed: --set may change its training, not its model")
    return model, training


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Ctrl-C is noted in the list, for a step must be finished before a checkpoint; a second one ends at once."""
    pressed: list[int] = []

    def note(number: int, _: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
