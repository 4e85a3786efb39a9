"""The trained models: those that come with Impasto, and the folders of runs."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto import bundled, provenance
from impasto.configs import changed
from impasto.data import load as load_data
from impasto.data.dataset import Dataset
from impasto.data.square import Square, of_run
from impasto.device import pick_device
from impasto.errors import ImpastoError, ModelError, SettingsError, one_line
from impasto.media.picture import PictureLike
from impasto.models import family
from impasto.training import checkpoint
from impasto.training.contract import Classifies, Model

TOP = 5  # classes that `Trained.classify` names


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model with what its run says about it."""

    name: str  # of the run folder, or of the bundled model
    model: Model
    config: dict[str, Any]  # of the run (checkpoint.read_config)

    @property
    def family(self) -> str:
        """The name of the class of its family: "VAE"."""
        return type(self.model).__name__

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes that it knows; none where its run does not say."""
        found = self.config.get("class_names")
        if not isinstance(found, list) or len(found) != self.model.config.classes:
            return ()
        return tuple(map(str, found))

    @property
    def view(self) -> Square:
        """How it sees pictures."""
        return of_run(self.config)

    @property
    def learned_from(self) -> str:
        """The name of its data set.

        Raises:
            ModelError: its run does not say.
        """
        data = self.config.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise ModelError(f"{self.name} does not say what it was trained on; name a test set with --data")
        return str(data["name"])

    def load_data(self, name: str, split: str, data_dir: Path | None = None) -> Dataset:
        """A data set in squares as the model sees them, and classes in its own order; see `impasto.data.load`.

        Raises:
            DataError: it cannot be had.
            ModelError: the model was trained with classes, and the data have none, others, or as many by other names.
        """
        view: Any = asdict(self.view)
        data = load_data(name, split, **view, class_names=self.class_names or None, data_dir=data_dir)
        classes = self.model.config.classes
        if classes and (len(data.class_names) != classes or self.class_names not in ((), data.class_names)):
            knows, has = (", ".join(some) or "none" for some in (self.class_names, data.class_names))
            raise ModelError(f"{self.name} knows {classes} classes ({knows}), {data.name} has others: {has}")
        return data

    @cached_property
    def sha256(self) -> str:
        """Of its weights, in hexadecimal."""
        return sha256_of(self.name)

    @property
    def megabytes(self) -> float:
        """Of its weights."""
        return (find(self.name) / checkpoint.WEIGHTS).stat().st_size / 1e6

    def recipe(self, command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe of what it draws: see `provenance.drawn_recipe`."""
        return provenance.drawn_recipe(command, {"model": self.name, **settings}, {self.name: self.sha256})

    def labels(self, text: str) -> Tensor:
        """Classes [N] from "7", "0-9" or "3,1,4", or from their names, such as "cat,dog".

        Where all names are numbers, numbers are names.

        Raises:
            SettingsError: not of that form, or a class that the model does not have.
        """
        classes, names = self.model.config.classes, self.class_names
        if not classes:
            raise SettingsError("this model was trained without classes; leave out --labels")
        numbers = names if names and all(name.isdecimal() for name in names) else [str(i) for i in range(classes)]
        by_name = {number: i for i, number in enumerate(numbers)} | {name: i for i, name in enumerate(names)}
        labels: list[int] = []
        for part in [text] if text in by_name else [part.strip() for part in text.split(",")]:
            if part in by_name:
                labels.append(by_name[part])
                continue
            if not re.fullmatch(r"\d{1,9}(-\d{1,9})?", part):
                raise SettingsError(f"--labels takes 7, or 0-9, or 3,1,4, or names ({', '.join(names)}), not {part!r}")
            first, *_, last = map(int, part.split("-") * 2)
            if not (first <= last and str(first) in by_name and last - first < classes and str(last) in by_name):
                raise SettingsError(f"--labels go from {numbers[0]} to {numbers[-1]}, not {text!r}")
            labels += [by_name[str(number)] for number in range(first, last + 1) if str(number) in by_name]
        return torch.tensor(labels)

    @torch.no_grad()
    def classify(self, image: PictureLike) -> list[dict[str, Any]]:
        """The likeliest classes of a picture and their confidence: {"class": name, "confidence": 0 to 1}, best first.

        Raises:
            ModelError, PictureError: not a classifier, not a picture.
        """
        if not isinstance(self.model, Classifies):
            raise ModelError(f"{self.name} does not tell classes apart; take a model of the family cnn")
        names = self.class_names or range(self.model.config.classes)
        seen = self.view.seen(image).to(self.model.device)
        best = self.model.probabilities(seen)[0].topk(min(TOP, len(names)))
        return [
            {"class": one_line(names[index]), "confidence": round(confidence, 4)}
            for confidence, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]


def trained(name: str | Path, device: str = "cpu") -> Trained:
    """A trained model, ready to draw, with what its run says: of a run folder, or a bundled one by its name.

    Args:
        device: as `device.pick_device` takes it.

    Raises:
        SettingsError: there is no such device.
        ModelError: there is no such model, or its files are damaged or do not belong together.
    """
    place = pick_device(device)
    folder = find(name)
    config, weights = checkpoint.load(folder)
    try:
        kind = family(config["family"])
        model = kind(changed(kind.config_class(), config["config"]))
    except ImpastoError as error:
        raise ModelError(f"{folder / checkpoint.CONFIG}: {error}") from error
    except Exception as error:  # the file may be anyone's, and its values anything
        raise ModelError(f"{folder / checkpoint.CONFIG} does not describe a model: {error}") from error
    fill(model, weights, f"{folder / checkpoint.WEIGHTS} is not of the model in {checkpoint.CONFIG}")
    return Trained(str(name), model.to(place).eval(), config)


def load(name: str | Path, device: str = "cpu") -> Model:
    """The model alone, as `trained` finds it; raises what that raises."""
    return trained(name, device).model


def fill(model: nn.Module, weights: Mapping[str, Tensor], complaint: str) -> None:
    """Give `model` these `weights`.

    Raises:
        ModelError: they are of another model; the message is `complaint`, and which differ.
    """
    wanted, found = ({key: t.shape for key, t in some.items()} for some in (model.state_dict(), weights))
    if other := sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)):
        raise ModelError(f"{complaint}: {len(other)} of {len(wanted)} weights differ, first {other[0]}")
    model.load_state_dict(weights)


def find(name: str | Path) -> Path:
    """The folder of a model: `name` itself, or the bundled one of that name.

    Raises:
        ModelError: neither.
    """
    if Path(name).is_dir():
        return Path(name)
    models = bundled.models()
    if str(name) not in models:
        known = f"those are {', '.join(models)}" if models else "there are none"
        raise ModelError(f"{name} is no run folder, and no bundled model; {known}")
    return models[str(name)]


def sha256_of(name: str | Path) -> str:
    """The SHA-256 of a model's weights in hexadecimal, for the recipes of what it draws.

    Raises:
        ModelError: as `find`, or the file is missing.
    """
    file = find(name) / checkpoint.WEIGHTS
    if not file.is_file():
        raise ModelError(f"{file} is missing")
    return provenance.sha256(file)
