"""The tab that repaints a clip."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from impasto.batch.tasks import CONTENT_TYPES
from impasto.errors import ClipError
from impasto.media import clip as clips
from impasto.style.settings import Settings
from impasto.style.source import EXTENSION
from impasto.style.video import COLOURS, QUALITIES, Job, TimedStyle, stylizing
from impasto.web import work
from impasto.web.limits import Limits
from impasto.web.style import style_choice
from impasto.web.text import t
from impasto.web.work import PRIVATE, QUEUE


def tab(limits: Limits) -> None:
    """Build the tab, inside of a `gr.Blocks`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            clip = gr.Video(label=t("clip"), sources=["upload"], height=280, buttons=[], elem_id="clip")
            styles, own_styles = style_choice()
            turns = gr.Checkbox(False, label=t("take turns"), info=t("take turns info"), elem_id="turns")
            quality = work.choice("quality", "quality", QUALITIES, "draft", info=t("clip quality info"))
            strength, brush = work.style_sliders()
            with gr.Accordion(t("more settings"), open=False):
                colour = work.choice("colour", "clip colour", COLOURS, "style")
                size = work.size(limits, 640)
            with gr.Accordion(t("clip mask"), open=False):
                mask = gr.File(
                    label=t("clip mask info"), file_count="single", file_types=[*CONTENT_TYPES, *clips.FORMATS],
                    height=110, elem_classes="own", elem_id="clip-mask",
                )  # fmt: skip
        with gr.Column(scale=6, min_width=300):
            go, stop, view = work.actions("paint clip", "clip hint", "paint-clip")
            with gr.Column(elem_classes="late"):
                painted = gr.Video(label=t("painted clip"), interactive=False, buttons=[], elem_id="painted")
                download = gr.DownloadButton(t("download"), variant="primary")

    def paint(
        request: gr.Request,
        clip: str | None,
        styles: list[str],
        quality: str,
        strength: float,
        brush: float,
        colour: str,
        size: float,
        own_styles: list[str] | None = None,
        turns: bool = False,
        mask: str | None = None,
    ) -> Iterator[dict[Any, Any]]:
        """Repaint a clip in the manner of styles that blend or take turns, without flicker. The sound goes along.

        A mask, a picture or a clip, is white where the style goes. Returns the clip, its file, and HTML.
        """
        clip = work.asked(clip, "needs clip", request)
        with work.one_line():
            chosen = work.pictures_of_styles(styles, own_styles)
        pictures = work.asked(chosen, "needs style", request)
        yield {view: work.line(request, "starting"), painted: None, download: None}
        with work.one_line(), work.new_folder(request) as folder:
            length = _checked(clip, limits)
            if mask is not None and Path(mask).suffix.lower() in CONTENT_TYPES:
                work.computed(work.read, mask, limits)
            elif mask is not None:
                _checked(mask, limits)
            for picture in pictures:
                if Path(picture).suffix != EXTENSION:  # a saved style is small
                    work.computed(work.read, picture, limits)
            file = folder / f"{Path(clip).stem}-{Path(pictures[0]).stem}.mp4"
            settings = Settings(
                quality=quality,
                strength=strength,
                style_scale=brush,
                colour=colour,
                size=int(size),
                device=limits.device,
            )
            if turns and length is None:
                raise ClipError("this clip does not say how long it is, so the styles cannot take turns in it")
            since = [length * i / len(pictures) if turns and length else None for i in range(len(pictures))]
            timed = [TimedStyle(picture, second) for picture, second in zip(pictures, since, strict=True)]
            job = Job(clip, timed, file, mask=mask, end=limits.max_seconds)
            for now, shown in work.watched(  # noqa: B007
                stylizing(job, settings), lambda p: (p.number / p.frames if p.frames else None, p.pixels), request
            ):
                if shown:
                    yield {view: shown}
        yield {
            view: work.line(request, "painted frames", frames=now.number),
            painted: str(file),
            download: str(file),
        }

    inputs = [clip, styles, quality, strength, brush, colour, size, own_styles, turns, mask]
    painting = go.click(paint, inputs, [painted, download, view], api_name="video", show_progress_on=view, **QUEUE)
    stop.click(work.cancelled, None, view, cancels=[painting], **PRIVATE)


def _checked(clip: str, limits: Limits) -> float | None:
    """How long it is, in seconds, where the file says that.

    Raises:
        ClipError: larger or longer than the page allows.
    """
    info = clips.read(clip).info
    if info.width * info.height > limits.max_pixels:
        raise ClipError(f"{clip} has {info.width} × {info.height} pixels, more than the limit of {limits.max_pixels}")
    length = float(info.frames / info.rate) if info.frames else None
    if length is not None and length > limits.max_seconds:
        raise ClipError(f"{clip} is longer than {limits.max_seconds:g} seconds; cut it first")
    return length
