"""`impasto music`: the sound of one recording on the notes and the rhythm of another."""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from impasto import files, options
from impasto.cli import places, terminal
from impasto.cli.options import EVERYDAY, METHOD, OUTPUT, Device, Label, setting
from impasto.cli.places import Overwrite
from impasto.options import option
from impasto.style.settings import SoundSettings

sounding = partial(setting, of=SoundSettings)


def music(
    context: typer.Context,
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The recording to play: its notes and rhythm.")],
    style: Annotated[Path, typer.Argument(metavar="STYLE", help="The recording that shows how it shall sound.")],
    output: Annotated[
        Path,
        option(EVERYDAY, "The sound to write: .wav, .flac, .ogg, .mp3 or .m4a", "-o", "--output", metavar="OUT"),
        places.SOUND,
    ],
    strength: Annotated[float | None, sounding(EVERYDAY, "strength", metavar="X")] = None,
    plot: Annotated[
        bool, option(EVERYDAY, "Also draw the three spectrograms side by side, as OUT with .png", "--plot")
    ] = False,
    method: Annotated[str | None, sounding(METHOD, "method", metavar="NAME")] = None,
    steps: Annotated[int | None, sounding(METHOD, "steps", metavar="N")] = None,
    seed: Annotated[int | None, sounding(METHOD, "seed", metavar="N")] = None,
    label: Label = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, option(OUTPUT, "A JSON object per step, and one at the end", "--json")] = False,
    device: Device = None,
) -> None:
    """Play CONTENT with the sound of STYLE. Of videos, the sound track is heard.

    impasto music song.mp3 fire.wav -o burning.wav
    """
    settings = SoundSettings(**options.given(context.params, SoundSettings))

    from impasto.media import sound
    from impasto.style.music import transferring

    sound.warn_of_mixing(content, output)
    drawn = output.with_suffix(".png")
    if plot:
        files.check_place(drawn)
    run = transferring(content, style, settings)
    begun, so_far, stopped = time.perf_counter(), None, False
    try:
        with terminal.bar(shown=not as_json) as show:
            for so_far in run:
                show(f"loss {so_far.loss:.4g}", round(1000 * so_far.done), 1000)
                if as_json:
                    print(json.dumps({"done": so_far.done, "terms": so_far.terms, "loss": so_far.loss}), flush=True)
    except KeyboardInterrupt:
        if so_far is None:
            raise
        stopped = True
    assert so_far is not None, "a run has one step at least"
    result = so_far.result()
    heard = {"content": sound.read(content), "style": sound.read(style)} if plot else {}  # before one is written over
    result.save(output, label_cn=label == "cn")
    if plot:
        from impasto.media.spectrograms import draw

        draw({**heard, "result": result}, drawn, result.recipe or {})
    seconds = time.perf_counter() - begun
    if as_json:
        print(json.dumps({"output": str(output), "seconds": round(seconds, 3), "stopped": stopped}), flush=True)
    if stopped:
        raise terminal.Stopped(f"{output} is the sound so far ({so_far.done:.0%} of the work)")
    if not as_json:
        print(f"{output}: {result.seconds:.1f} s of sound in {seconds:.1f} s" if sys.stdout.isatty() else output)
