"""`impasto video`: repaint a clip in the manner of pictures."""

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from impasto import files, options
from impasto.bundled import STYLES, style_picture
from impasto.cli import places, terminal
from impasto.cli.options import (
    EVERYDAY,
    MACHINE,
    OUTPUT,
    REGIONS,
    Device,
    Freedom,
    Label,
    Memory,
    Precision,
    Strength,
    StyleScale,
    StyleWeights,
    setting,
)
from impasto.cli.places import Overwrite
from impasto.errors import SettingsError
from impasto.options import option
from impasto.style.settings import ClipSettings, Settings

TIME = "Time"
moment = partial(setting, TIME, of=ClipSettings)


def video(
    context: typer.Context,
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video, or a folder of numbered frames.")],
    output: Annotated[
        Path,
        option(
            EVERYDAY,
            "The clip to write: .mp4, .webm, .mov, .mkv, .gif, or a folder for frames (or frame_%05d.png, .tif)",
            "-o",
            "--output",
            metavar="OUT",
        ),
        places.CLIP,
    ],
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STYLE",
            help="The picture that shows how; several blend, or take turns as A.jpg@0 B.jpg@5s.",
            autocompletion=lambda: [*STYLES],
        ),
    ] = None,
    style: Annotated[list[str] | None, option(EVERYDAY, "The same as STYLE behind CLIP", metavar="STYLE")] = None,
    key: Annotated[
        list[str] | None,
        option(EVERYDAY, "A frame that you painted over, and its second: frame.png@2.5s", metavar="FILE@SECOND"),
    ] = None,
    key_mask: Annotated[
        list[Path] | None, option(REGIONS, "Where a key frame is painted (white)", metavar="FILE")
    ] = None,
    quality: Annotated[
        Literal["draft", "fine"],
        typer.Option(
            help="How much work: draft, or fine, which takes seconds a frame", metavar="NAME", rich_help_panel=EVERYDAY
        ),
    ] = "draft",
    preview: Annotated[
        bool, option(EVERYDAY, "Only paint a strip of five frames, as OUT with .preview.png", "--preview")
    ] = False,
    resume: Annotated[bool, option(EVERYDAY, "Go on with what an interrupted run has left", "--resume")] = False,
    size: Annotated[int | None, setting(EVERYDAY, "size", unset="the clip's own", metavar="PX")] = None,
    freedom: Freedom = None,
    strength: Strength = None,
    style_scale: StyleScale = None,
    style_weights: StyleWeights = None,
    steadiness: Annotated[float | None, moment("steadiness", metavar="X")] = None,
    fade: Annotated[float | None, moment("fade", metavar="SECONDS")] = None,
    start: Annotated[float | None, moment("start", metavar="SECONDS")] = None,
    end: Annotated[float | None, moment("end", metavar="SECONDS")] = None,
    fps: Annotated[float | None, moment("fps", metavar="N")] = None,
    rate: Annotated[float | None, moment("rate", metavar="N")] = None,
    colour: Annotated[
        Literal["style", "luminance"],
        typer.Option(
            "--colour",
            "--color",
            help="The style's colours, or the clip's own",
            metavar="MODE",
            rich_help_panel=REGIONS,
        ),
    ] = "style",
    mask: Annotated[
        Path | None, option(REGIONS, "Where the style goes (white), a picture or a clip", metavar="FILE")
    ] = None,
    crf: Annotated[int | None, setting(OUTPUT, "crf", of=ClipSettings, metavar="N")] = None,
    bits: Annotated[int | None, setting(OUTPUT, "bits", of=ClipSettings, metavar="N")] = None,
    label: Label = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, option(OUTPUT, "A JSON object per frame, and one at the end", "--json")] = False,
    device: Device = None,
    precision: Precision = None,
    memory: Memory = None,
    weights: Annotated[
        Path | None,
        option(MACHINE, "The any-style network from this file, which train anystyle made", metavar="FILE"),
    ] = None,
) -> None:
    """Repaint CLIP in the manner of STYLE, or as key frames that you painted, without flicker. The sound goes along.

    impasto video clip.mp4 swirl -o painted.mp4

    impasto video clip.mp4 swirl@0 mosaic@5s -o painted.mp4

    impasto video clip.mp4 --key painted.png@0 --key later.png@5s -o painted.mp4
    """
    settings = Settings(**options.given(context.params, Settings))
    chosen = [*(styles or ()), *(style or ())]
    if not chosen and not key:
        raise SettingsError("name a clip and a style: impasto video CLIP STYLE -o OUT; or a --key")

    from impasto.style.keyframes import keys_of
    from impasto.style.video import Job, TimedStyle, stylizing
    from impasto.style.video import preview as previewed

    job = Job(
        clip,
        [TimedStyle(style_picture(name), since) for name, since in map(_timed, chosen)],
        output,
        keys=keys_of([_timed(name) for name in key or ()], key_mask or ()),
        mask=mask,
        weights=weights,
        label_cn=label == "cn",
        resume=resume,
        **options.given(context.params, ClipSettings),
    )
    if preview:
        strip = output.with_name(f"{output.stem}.preview.png")
        pictures = [*(style.picture for style in job.styles), *(one.painting for one in job.keys)]
        read = [clip, *(Path(str(picture)) for picture in pictures), *([mask] if mask else []), *(key_mask or ())]
        files.check_apart(strip, read, overwrite=overwrite)
        previewed(job, settings).save(strip, label_cn=job.label_cn)
        print(json.dumps({"output": str(strip)}) if as_json else strip)
        return
    last = None
    frames = stylizing(job, settings)
    try:
        with terminal.bar(shown=not as_json) as show:
            for at in frames:
                shown = " and ".join(at.keys) or "all keys"
                if at.pixels is None:
                    show(f"{shown}, followed back to frame {at.number}", at.number, at.frames or at.number)
                    continue
                last = at
                said = f"frame {at.number}, {at.speed:.2g} a second" + (f", as {shown}" if key else "")
                show(said, at.number, at.frames or at.number)
                if as_json:
                    record = {"frame": at.number, "frames": at.frames, "speed": at.speed, "left": at.left}
                    print(json.dumps(record | ({"keys": at.keys} if key else {})), flush=True)
    except KeyboardInterrupt:
        frames.close()  # type: ignore[attr-defined]  # makes what is done playable
        done = "nothing is done yet" if last is None else f"{last.number} frames are done"
        raise terminal.Stopped(f"{done}; go on with the same command and --resume") from None
    if as_json:
        print(json.dumps({"output": str(output), "frames": last.number if last else 0}))
    else:
        said = f"{output}: {last.number} frames, {last.speed:.2g} a second" if last else f"{output}: was complete"
        print(said if sys.stdout.isatty() else output)


def _timed(name: str) -> tuple[str, float | None]:
    """A picture and its second: "A.jpg@5", "A.jpg@5.2s" or "A.jpg@1:30", unless a file has that very name.

    Raises:
        SettingsError: what stands behind the @ is no second.
    """
    picture, at, said = name.rpartition("@")
    if not at or Path(name).exists():
        return name, None
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d*\.?\d+|\d+\.)s?", said)
    if match is not None:
        hours, minutes, seconds = match.groups()
        return picture, 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds)
    if Path(picture).exists() or picture in STYLES:
        raise SettingsError(f"{name}: {said!r} is no second, such as 2.5s or 1:30")
    return name, None
