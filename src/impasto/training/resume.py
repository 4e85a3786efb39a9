"""What a run that goes on must have in common with what it was: its model, its classes, its pictures."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from impasto.configs import changed
from impasto.data.dataset import Dataset
from impasto.errors import DataError, ImpastoError, ModelError, SettingsError
from impasto.training.checkpoint import CONFIG, read_config
from impasto.training.settings import Limit, Training

FIXED = ("optimiser", "seed")  # of the training's settings: the state is the one's, the first weights are the other's
C = TypeVar("C")


@dataclass(frozen=True)
class Before:
    """A run as its `config.json` has it."""

    run: Path
    family: str
    preset: str | None
    model: Any  # its Config
    training: Training
    limit: Limit
    data: dict[str, Any]  # as `described` says it
    class_names: tuple[str, ...]

    def check(self, model: Any, training: Training) -> None:
        """Hold the settings to go on with against those before: what cannot change in the middle must be the same.

        Raises:
            SettingsError: it is not; the message names the first such setting.
        """
        for then, now, names in (
            (self.model, model, [field.name for field in dataclasses.fields(model)]),
            (self.training, training, FIXED),
        ):
            for name in names:
                if getattr(then, name) != getattr(now, name):
                    raise SettingsError(
                        f"{self.run} was begun with {name}={getattr(then, name)}, not {getattr(now, name)}, and that "
                        "cannot change on the way; leave it out, or begin another run with -o"
                    )

    def labelled(self, data: Dataset, data_changed: bool) -> Dataset:
        """`data` whose labels mean the run's classes, in the run's order.

        Args:
            data_changed: one class may have another name, and classes may have no pictures any more.

        Raises:
            DataError: other classes.
        """
        if data.class_names == self.class_names or not self.model.classes:
            return data
        gone = [name for name in self.class_names if name not in data.class_names]
        new = [name for name in data.class_names if name not in self.class_names]
        renamed = len(new) == len(gone) == 1
        if (gone or new) and not data_changed:
            remedy = "put it back, or go on with --data-changed" if renamed or not new else "put it back"
            raise DataError(f"{self.run} was trained on other classes ({_differ(gone, new)}); {remedy}")
        if (new and not renamed) or not data.class_names:
            raise DataError(
                f"{self.run} was trained on other classes ({_differ(gone, new)}), and nothing says which is which; "
                "begin another run with -o"
            )
        names = tuple(new[0] if renamed and name == gone[0] else name for name in self.class_names)
        places = torch.tensor([names.index(name) for name in data.class_names])
        return dataclasses.replace(data, labels=places[data.labels], class_names=names)  # type: ignore[type-var]

    def check_data(self, data: Dataset, validation: Dataset | None) -> None:
        """Hold the pictures to go on with against those before.

        Raises:
            DataError: they are others.
        """
        now, differs = described(data, validation), None
        if now["name"] != self.data["name"]:
            differs = f"on {self.data['name']}, not {now['name']}"
        elif now["pictures"] != self.data.get("pictures", now["pictures"]):
            differs = f"on {self.data['pictures']} pictures, not {now['pictures']}"
        elif any(a != b for a, b in zip(now["fingerprint"], self.data.get("fingerprint", ()), strict=False)):
            differs = "on other pictures: files have changed since"  # version 0.2 wrote no fingerprint
        if differs:
            raise DataError(f"{self.run} was trained {differs}; put them back, or go on with --data-changed")


def before(run: Path, settings: type) -> Before:
    """What `run` was, whose family has these `settings`.

    Raises:
        ModelError: its `config.json` is missing, or does not say all that it takes to go on.
    """
    config = read_config(run)
    try:
        data = config["data"]
        if not (isinstance(data["size"], int) and isinstance(data["name"], str)):
            raise TypeError("the data have no name or size")
        if not isinstance(data.get("fingerprint", []), list):
            raise TypeError("the data have no fingerprint")
        return Before(
            run=run,
            family=config["family"],
            preset=config["preset"],
            model=changed(settings(), config["config"]),
            training=changed(Training(), config["training"]),
            limit=changed(Limit(), config["limit"]),
            data=data,
            class_names=tuple(config["class_names"]),
        )
    except KeyError as error:
        raise ModelError(f"{run / CONFIG} lacks {error}, so the run cannot go on") from error
    except (ImpastoError, TypeError, ValueError) as error:
        raise ModelError(f"{run / CONFIG}: {error}, so the run cannot go on") from error


def described(data: Dataset, validation: Dataset | None) -> dict[str, Any]:
    """What `config.json` says of the pictures."""
    fingerprints = [part.fingerprint for part in (data, validation) if part is not None]
    return {"name": data.name, "size": data.size, "pictures": len(data), "fingerprint": fingerprints}


def _differ(gone: list[str], new: list[str]) -> str:
    said = [f"{what}: {', '.join(names)}" for what, names in (("no more", gone), ("new", new)) if names]
    return "; ".join(said)
