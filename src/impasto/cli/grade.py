"""`impasto grade`: the colours of a reference on a picture or a clip, and the look as a LUT."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from impasto import options
from impasto.bundled import STYLES, style_picture
from impasto.cli import places, terminal
from impasto.cli.options import EVERYDAY, OUTPUT, REGIONS, setting
from impasto.cli.places import Overwrite
from impasto.errors import SettingsError
from impasto.options import option
from impasto.style.settings import ClipSettings, GradeSettings

look = partial(setting, EVERYDAY, of=GradeSettings)


def grade(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="PHOTO|CLIP", help="What shall have other colours.")],
    output: Annotated[
        Path,
        option(EVERYDAY, "The picture or the clip to write, as its extension says", "-o", "--output", metavar="OUT"),
        places.GRADED,
    ],
    reference: Annotated[
        str | None,
        typer.Argument(metavar="REFERENCE", help="A picture that has the colours.", autocompletion=lambda: [*STYLES]),
    ] = None,
    lut: Annotated[
        Path | None,
        option(EVERYDAY, "Also write the look: a .cube of 33 points, or a .png as HaldCLUT", metavar="FILE"),
        places.LOOK,
    ] = None,
    apply: Annotated[
        Path | None, option(EVERYDAY, "Instead of REFERENCE a look that is there: .cube or HaldCLUT", metavar="FILE")
    ] = None,
    method: Annotated[str | None, look("method", metavar="NAME")] = None,
    strength: Annotated[float | None, look("strength", metavar="X")] = None,
    skin: Annotated[float | None, look("skin", metavar="X")] = None,
    mask: Annotated[
        Path | None, option(REGIONS, "Where the colours change (white), and are looked at", metavar="FILE")
    ] = None,
    reference_mask: Annotated[
        Path | None, option(REGIONS, "Where REFERENCE is looked at (white)", metavar="FILE")
    ] = None,
    crf: Annotated[int | None, setting(OUTPUT, "crf", of=ClipSettings, metavar="N")] = None,
    bits: Annotated[int | None, setting(OUTPUT, "bits", of=ClipSettings, metavar="N")] = None,
    resume: Annotated[
        bool, option(OUTPUT, "Go on with what an interrupted run has left of a clip", "--resume")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Give PHOTO or CLIP the colours of REFERENCE, without its texture. A clip has one look for each scene.

    impasto grade photo.jpg painting.jpg -o graded.png --lut look.cube

    impasto grade clip.mp4 --apply look.cube -o graded.mp4
    """
    from impasto.media import picture
    from impasto.style.grade import Job, Progress, graded, grading

    begun = time.perf_counter()
    clip = ClipSettings(**options.given(context.params, ClipSettings))
    job = Job(
        source=source,
        reference=None if reference is None else style_picture(reference),
        look=apply,
        mask=mask,
        reference_mask=reference_mask,
        **options.given(context.params, GradeSettings),
    )
    if not source.exists():
        raise SettingsError(f"{source} does not exist; check the name")
    if output.suffix.lower() in picture.FORMATS:
        if clip.crf is not None or resume:
            raise SettingsError("--crf and --resume are for clips; leave them out")
        result, found = graded(job)
        result.save(output, bits=clip.bits)
        if lut is not None:
            found.save(lut)
        height, width = result.pixels.shape[2:]
        done = f"{width} × {height} pixels in {time.perf_counter() - begun:.1f} s"
    else:
        looks, last = 0, None
        steps = grading(job, output, one_look=lut is not None, crf=clip.crf, bits=clip.bits, resume=resume)
        try:
            with terminal.bar() as show:
                show("looking at the clip", 0, 1)
                for step in steps:
                    if isinstance(step, Progress):
                        last = step
                        show(f"frame {step.number}, {step.speed:.2g} a second", step.number, step.frames or step.number)
                    else:
                        looks += 1
                        if lut is not None:
                            step.save(lut)
        except KeyboardInterrupt:
            steps.close()  # type: ignore[attr-defined]  # makes what is done playable
            said = "nothing is done yet" if last is None else f"{last.number} frames are done"
            raise terminal.Stopped(f"{said}; go on with the same command and --resume") from None
        done = "was complete" if last is None else f"{last.number} frames, {looks} looks, {last.speed:.2g} a second"
    print(f"{output}: {done}" if sys.stdout.isatty() else output)
