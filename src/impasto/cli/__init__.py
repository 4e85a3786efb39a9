"""The command line: `impasto style`, `train`, `sample` and the rest. Parse, call, show.

What is heavy (torch, Pillow) is imported inside the functions that need it, so that `impasto --help` answers at once.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from impasto._version import __version__
from impasto.cli import (
    batch,
    classify,
    demo,
    doctor,
    evaluate,
    export,
    grade,
    inspect,
    interpolate,
    latent,
    models,
    music,
    noise,
    replay,
    sample,
    style,
    styles,
    texture,
    train,
    video,
    weights,
)
from impasto.cli.places import checked
from impasto.cli.terminal import Stopped, attend, drop_output, ended, show_warnings
from impasto.errors import ImpastoError, one_line, out_of_memory

STOPPED = 130  # what shells report for a program that Ctrl-C ended: 128 + SIGINT
NOBODY_READS = 141  # and for one that writes into a pipe that was closed: 128 + SIGPIPE

# Without pretty exceptions a traceback, which is a bug of ours, is Python's own: short, and quick to import.
app = typer.Typer(name="impasto", pretty_exceptions_enable=False)
STYLE_TRANSFER = "Style transfer"  # the panel that the page joins, too
MENU: dict[str, tuple[Callable[..., None], ...]] = {
    STYLE_TRANSFER: (
        style.style,
        batch.batch,
        video.video,
        music.music,
        texture.texture,
        grade.grade,
        styles.styles,
        demo.demo,
    ),
    "Draw with a model": (
        sample.sample,
        sample.inpaint,
        interpolate.interpolate,
        latent.latent,
        noise.noise,
        classify.classify,
    ),
    "Train and measure models": (train.train, replay.replay, evaluate.evaluate, evaluate.compare, export.export),
    "Files and machine": (inspect.inspect, doctor.doctor),
}
for panel, commands in MENU.items():
    for command in commands:
        app.command(rich_help_panel=panel)(checked(command))
app.add_typer(models.app, name="models", rich_help_panel="Files and machine")
app.add_typer(weights.app, name="weights", rich_help_panel="Files and machine")


@app.callback(invoke_without_command=True)
def impasto(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Repaint pictures in the manner of others, and train, sample and measure the models that draw them.

    impasto style photo.jpg painting.jpg -o out.png

    impasto sample mnist-gan -n 25 -o grid.png
    """
    if version:
        print(f"impasto {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line: 0 for done, 2 for what the user can mend (one line says it), 130 for Ctrl-C, 143 killed."""
    attend()
    show_warnings()
    try:
        code = app(standalone_mode=False)  # or typer would draw boxes round its errors
        if code == STOPPED:  # typer's answer to Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()  # here, where it can fail
    except KeyboardInterrupt:
        code = _say("stopped", ended() or STOPPED)
    except Stopped as stop:
        code = _say(f"stopped: {stop}", ended() or stop.code)
    except BrokenPipeError:  # head has seen enough
        code = NOBODY_READS
    except SystemExit as ending:  # typer's own answer to that is 1; to the shell's Tab it is another
        code = NOBODY_READS if ending.code == 1 else ending.code
    except (ImpastoError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        code = _say(f"error: {message}", 2)
    except Exception as error:
        if out_of_memory(error):
            code = _say("error: there is not enough memory; try a smaller --size or --memory", 2)
        elif isinstance(error, OSError):  # the disk is full, a file vanished
            code = _say(f"error: {error}", 2)
        else:
            raise
    drop_output()
    sys.exit(code)


def _say(message: str, code: int) -> int:
    with suppress(OSError):  # nobody reads it
        print(one_line(message), file=sys.stderr)
    return code
