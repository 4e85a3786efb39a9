"""The run folder: what a trained model is, and all that its training needs to go on as if never interrupted.

`config.json` says what was trained and how, `model.safetensors` holds the averaged weights, `state.pt` all there is.
Files are replaced whole, and `state.pt` first: that one step makes a checkpoint, for the others follow from it, and
whoever goes on writes them from it. No pickle is ever executed.
"""

import io
import json
import math
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from impasto.errors import ModelError
from impasto.files import check_place, replacing
from impasto.training.contract import WritesExtraFiles

CONFIG, WEIGHTS, STATE = "config.json", "model.safetensors", "state.pt"
BEGUN = {CONFIG, "metrics.jsonl", "tensorboard"}  # what a training killed before its first checkpoint may leave
TYPES: dict[str, Any] = {
    "family": str,
    "config": dict,
    "preset": str | None,
    "training": dict,
    "limit": dict,
    "data": dict,
    "parameters": int,
    "class_names": list,
}  # of what is in `config.json`; a model takes the first two


def check_empty(run: Path) -> None:
    """Refuse to start a training where another one is, or where no folder can be made.

    Raises:
        ModelError: the folder has something in it, or is no folder.
        OutputError: it cannot be made or written.
    """
    if run.exists() and not (run.is_dir() and _unbegun(run)):
        raise ModelError(f"{run} is not empty; go on with --resume, or choose another folder with -o")
    place = run / CONFIG
    while not place.parent.exists():
        place = place.parent
    check_place(place)


def _unbegun(run: Path) -> bool:
    """Whether there is nothing in the folder, or what a training left that was killed before its first checkpoint."""
    names = {file.name for file in run.iterdir() if not file.name.startswith(".impasto-")}
    return not names or (CONFIG in names and names <= BEGUN and "family" in read_config(run))


def config_text(config: dict[str, Any]) -> str:
    """The text of a `config.json`."""
    return json.dumps(config, indent=2) + "\n"


def read_config(run: Path) -> dict[str, Any]:
    """What `config.json` says, or where a kill came before it was written, the state.

    Raises:
        ModelError: it is not there, or is none of ours.
    """
    try:
        if not (run / CONFIG).exists() and (run / STATE).exists():
            text = str(read_state(run).get(CONFIG))
        else:
            text = (run / CONFIG).read_text(encoding="utf-8")
        config = json.loads(text)
    except OSError as error:
        raise ModelError(f"{run} is no run: {CONFIG} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{run / CONFIG} is not JSON; the run is damaged") from error
    if not isinstance(config, dict) or not {"family", "config"} <= config.keys():
        raise ModelError(f"{run / CONFIG} does not describe a model of Impasto")
    for name, kind in TYPES.items():
        if name in config and not isinstance(config[name], kind):
            raise ModelError(f"{run / CONFIG} does not describe a model of Impasto: its {name!r} is of another kind")
    names, classes = config.get("class_names"), config["config"].get("classes")
    if names is not None and (not all(isinstance(name, str) for name in names) or classes not in (None, 0, len(names))):
        raise ModelError(f"{run / CONFIG} does not name its {classes} classes")
    return config


def save(run: Path, config: dict[str, Any], average: nn.Module, state: dict[str, Any]) -> None:
    """Make the folder if need be, and write the state, then what follows from it.

    A family that `WritesExtraFiles` does so there, too.

    Args:
        config: what `config.json` shall say.

    Raises:
        ModelError: the disk is full, or something else is in the way; the last checkpoint stays.
    """
    text = config_text(config)
    try:
        run.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save({**state, CONFIG: text}, buffer)  # in memory, for of a disk that is full torch would not say so
        with replacing(run / STATE) as part:
            part.write_bytes(buffer.getbuffer())
        with replacing(run / CONFIG) as part:
            part.write_text(text, encoding="utf-8")
        with replacing(run / WEIGHTS) as part:
            save_file(plain(average.state_dict()), part)
        if isinstance(average, WritesExtraFiles):
            average.extra_files(run)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have their own words for it
        why = getattr(error, "strerror", None) or error
        raise ModelError(f"{run}: the checkpoint cannot be written ({why}); the last one stays") from error


def plain(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as safetensors takes them: in main memory, in the usual layout, none sharing memory with another."""
    return {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in weights.items()}


def read_state(run: Path) -> dict[str, Any]:
    """The state that `save` wrote.

    Raises:
        ModelError: there is none, or it is damaged, or holds more than tensors and numbers.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's, of pickles that it refuses anyway
            state = torch.load(run / STATE, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        remedy = f"begin another run with --from {run}" if (run / WEIGHTS).exists() else "start without --resume"
        raise ModelError(f"{run} has no checkpoint to go on from; {remedy}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can end in any
        raise ModelError(f"{run / STATE} is damaged; the training cannot go on from it") from error
    if not isinstance(state, dict) or not _complete(state):
        raise ModelError(f"{run / STATE} is no checkpoint of Impasto")
    return state


def _complete(state: dict[str, Any]) -> bool:
    """Whether each part of a state is there, and of its kind; whether it fits a model, only that can tell."""
    parts = ("model", "average", "optimisers", "sums", "counts")
    return (
        all(isinstance(state.get(part), dict) for part in parts)
        and all(isinstance(count, int) and count >= 0 for count in (state.get("step"), state.get("seen", 0)))
        and isinstance(state.get("seconds"), float)
        and 0 <= state["seconds"] < math.inf
        and state["sums"].keys() == state["counts"].keys()
        and all(isinstance(total, Tensor) and total.ndim == 0 for total in state["sums"].values())
        and all(isinstance(count, int | float) for count in state["counts"].values())
    )


def load(run: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a run or bundled model is: its `config.json` and its weights, as they are stored.

    Raises:
        ModelError: a file is missing, truncated, or not what it should be.
    """
    config = read_config(run)
    try:
        return config, load_file(run / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{run / WEIGHTS} cannot be read ({error})") from error
