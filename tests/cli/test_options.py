"""Every option of every command: one name has one meaning, and a number that makes no sense is refused by name."""

import ast
import dataclasses
import math
import re
import typing
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, NamedTuple

import pytest
from typer.main import get_command

import impasto
from impasto import configs, options
from impasto.__main__ import app
from impasto.configs import Help, OneOf, Within
from impasto.style.settings import ClipSettings, GradeSettings, Settings, SoundSettings, TextureSettings
from impasto.training.settings import Limit
from impasto.web.limits import Limits

Impasto = Callable[..., Any]  # the fixture in conftest.py


class Option(NamedTuple):
    command: str
    names: tuple[str, ...]
    field: str  # what the command's function calls it
    kind: type
    metavar: str | None
    limits: tuple[float, float] | None  # both ends

    @property
    def name(self) -> str:
        return self.names[-1]


def plain(annotation: Any) -> type:
    """What one value of an option is: int of `int | None`, str of a Literal."""
    if typing.get_origin(annotation) is typing.Literal:
        return str
    inner = [kind for kind in typing.get_args(annotation) if kind is not NoneType]
    return plain(inner[0]) if inner else annotation


def walk(group: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk(command, f"{words}{name} ")
        else:
            yield f"{words}{name}", command


def limits(parameter: Any, command: str) -> tuple[float, float] | None:
    """From the field that an option is for, or from the option, where no class of settings has it."""
    if parameter.min is not None:
        return parameter.min, parameter.max
    for kind in TAKEN.get(command, ()):
        found = configs.limit(typing.get_type_hints(kind, include_extras=True).get(parameter.name))
        if isinstance(found, configs.Within):
            return found.lowest, math.nextafter(found.highest, 0) if found.open else found.highest
    return None


# What a command takes out of its parameters by the names of the fields: `impasto video --start 3` was once taken for
# a setting `start` of the optimiser.
TAKEN: dict[str, tuple[type, ...]] = {
    "style": (Settings,), "batch": (Settings,), "video": (Settings, ClipSettings), "music": (SoundSettings,),
    "texture": (Settings, TextureSettings), "web": (Limits,), "demo": (Settings,), "train": (Limit,),
    "grade": (GradeSettings, ClipSettings),
}  # fmt: skip
COMMANDS = dict(walk(get_command(app)))
OPTIONS = [
    Option(command, tuple(p.opts), p.name, plain(p.type_descriptor.annotation), p.metavar, limits(p, command))
    for command, found in COMMANDS.items()
    for p in found.params
    if p.opts[0].startswith("-") and p.name != "help"
]
SOURCE = Path(impasto.__file__).parent
WORDS = {str(f.default) for kinds in TAKEN.values() for kind in kinds for f in dataclasses.fields(kind)}  # defaults
NUMBERS = [option for option in OPTIONS if option.kind in (int, float)]


def test_options_of_one_name_are_of_one_kind() -> None:
    """Those that share a name mean the same: the output, how many pictures a model draws, steps of an optimiser, ..."""
    kinds = defaultdict(lambda: defaultdict(list))
    for option in OPTIONS:
        for name in option.names:
            kinds[name][option.kind, option.metavar].append(option.command)
    assert len(kinds) > 60
    assert {name: dict(found) for name, found in kinds.items() if len(found) > 1} == {}


@pytest.mark.parametrize("command", TAKEN)
def test_an_option_with_the_name_of_a_setting_is_that_setting(command: str) -> None:
    fields: dict[str, Any] = {}
    for kind in TAKEN[command]:
        hints = typing.get_type_hints(kind)
        assert not fields.keys() & hints.keys(), "one parameter would be taken for two settings"
        fields |= hints
    words = {"style_layers", "content_layers"}  # with commas
    for option in OPTIONS:
        if option.command == command and option.field in fields:
            assert option.kind is (str if option.field in words else plain(fields[option.field])), option
    own = {option.field: option for option in OPTIONS if option.command == "style"}
    for option in OPTIONS:
        if option.command == command and option.field in typing.get_type_hints(Settings):
            assert option[3:5] == own[option.field][3:5]


# What is typed for a command beside the option. No file of it exists: whoever names the option has done no work before.
LINES = {
    "style": "none.png none.jpg -o out.png", "batch": "none.csv -o out",
    "video": "none.mp4 none.jpg -o out.webm --quality fine",
    "music": "none.wav none.mp3 -o out.wav", "texture": "none.png -o out.png", "web": "--host 192.0.2.1",
    "demo": "--photo none -o out.png", "sample": "none -o out.png", "inpaint": "none none.png -o out.png",
    "interpolate": "none -o out.png", "latent": "none -o out.png", "noise": "none none.png -o out.png",
    "train": "vae --data none -o out", "evaluate": "none", "compare": "none -o out.png",
    "grade": "none.mp4 none.jpg -o out.webm", "replay": "none -o out.gif",
}  # fmt: skip


def names(option: Option, line: str) -> bool:
    return any(re.search(rf"(?<![\w-]){name}\b", line) for name in (*option.names, option.field))


def bad(option: Option) -> list[str]:
    return ["nan", "inf", "-inf", "many", "-1", "9" * 400, *(["1.5"] if option.kind is int else [])]


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: f"{option.command} {option.name}")
def test_a_number_that_makes_no_sense_is_refused_by_name_before_any_work(
    option: Option, impasto: Impasto, folder: Path
) -> None:
    before = sorted(folder.rglob("*"))
    for value in bad(option):
        code, out, err = impasto(option.command, *LINES[option.command].split(), option.name, value)
        assert (code, out, err.count("\n")) == (2, "", 1), (value, err)
        assert names(option, err), (value[:9], err)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "option", [o for o in NUMBERS if o.limits], ids=lambda option: f"{option.command} {option.name}"
)
def test_both_ends_of_a_range_are_in_it_and_nothing_beyond(option: Option, impasto: Impasto, folder: Path) -> None:
    assert option.limits is not None
    lowest, highest = map(option.kind, option.limits)
    beyond = [lowest - 1, highest + 1] if option.kind is int else [lowest - 1e-3, highest * 1.01]

    line = LINES[option.command].replace("out.webm", "frames") if option.name == "--bits" else LINES[option.command]

    def refused(value: float) -> bool:
        code, _, err = impasto(option.command, *line.split(), option.name, str(value))
        assert (code, err.count("\n")) == (2, 1), err
        return names(option, err)

    assert [refused(value) for value in beyond] == [True, True]
    assert [refused(value) for value in (lowest, highest)] == [False, False]


def test_all_numbers_have_a_range() -> None:
    """But those that depend on the format of the output, which `picture.check_writable` and others look at."""
    assert {o.name for o in NUMBERS if o.limits is None} == {"--bits", "--max-pixels"}


def test_the_help_of_an_option_is_that_of_its_field() -> None:
    @dataclass
    class Brush:
        width: Annotated[Annotated[int, Within(1, 9)] | None, Help("In bristles", "all")] = None
        hair: Annotated[str, OneOf(("sable", "hog")), Help("Of a")] = "hog"

    def text(field: str, **more: Any) -> str:
        return options.setting(None, field, of=Brush, **more).help

    assert text("width") == "In bristles, from 1 to 9 (default all)"
    assert text("width", text="Of the big one", unset="some") == "Of the big one, from 1 to 9 (default some)"
    assert text("hair") == "Of a: sable, hog (default hog)"


@pytest.mark.parametrize("command", TAKEN)
def test_no_setting_is_without_help(command: str) -> None:
    fields = {name for kind in TAKEN[command] for name in typing.get_type_hints(kind)}
    parameters = {p.name: p for p in COMMANDS[command].params}
    assert [name for name in fields & parameters.keys() if len(parameters[name].help) < 10] == []


def test_no_help_repeats_a_default() -> None:
    files = [*(SOURCE / "cli").glob("*.py"), *SOURCE.glob("*/settings.py"), *SOURCE.glob("web/*.py")]
    assert [text for file in files for text in typed_defaults(file.read_text())] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('option(OUTPUT, "Bits per channel (default 8)")', ["Bits per channel (default 8)"]),
        ('typer.Option(help="How long, default: .5 s.")', ["How long, default: .5 s."]),
        ('setting(METHOD, "quality", text="How much (default fine)")', ["How much (default fine)"]),
        ('setting(METHOD, "steps", unset="39")', ["39"]),
        ('Help("Long side", "at most 1024")', ["at most 1024"]),
        ('option(OUTPUT, f"Bits per channel (default {BITS})")', []),
        ('Help("Long side", f"at most {SHARE:.0%} of {LONGEST}")', []),
        ('option(OUTPUT, "Where to draw (default the lower half)")', []),
    ],
)
def test_a_default_typed_into_a_help_is_found(source: str, found: list[str]) -> None:
    assert typed_defaults(source) == found


def typed_defaults(source: str) -> list[str]:
    """Strings that give the value of a default, which should come from the field or the constant that has it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            said = re.search(r"\bdefault:? ([\w.]+)", node.value)
            found += [node.value] if said and (said[1].strip(".") in WORDS or re.search(r"\d", said[1])) else []
        if isinstance(node, ast.Call):  # what stands for None
            unset = [keyword.value for keyword in node.keywords if keyword.arg == "unset"]
            unset += node.args[1:2] if isinstance(node.func, ast.Name) and node.func.id == "Help" else []
            parts = chain(*(text.values if isinstance(text, ast.JoinedStr) else [text] for text in unset))
            found += [part.value for part in parts if isinstance(part, ast.Constant) and re.search(r"\d", part.value)]
    return found
