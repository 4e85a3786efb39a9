"""The tab that repaints a photograph."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from impasto.batch.tasks import STYLE_TYPES
from impasto.bundled import STYLES, photograph
from impasto.media.picture import Picture, fit
from impasto.style.settings import COLOURS, QUALITIES, Quality, Settings
from impasto.style.stylize import Job, running
from impasto.web import work
from impasto.web.limits import Limits
from impasto.web.text import said, t
from impasto.web.work import PRIVATE, QUEUE

EDITOR_SIDE = 800  # pixels of the long side of the picture to draw a mask on
FREEDOM = Quality.freedom
TO_TRY = ("chelsea", "coffee", "rocket")


def style_choice() -> tuple[gr.CheckboxGroup, gr.File]:
    """The bundled styles, and a place for one's own."""
    choices = [(str(t(f"style {name}")), name) for name in STYLES]
    bundled = gr.CheckboxGroup(
        choices, value=["swirl"], label=t("styles"), info=t("several blend"), elem_classes="styles"
    )
    own = gr.File(
        label=t("own styles"), file_count="multiple", file_types=[*STYLE_TYPES], height=110,
        elem_classes="own",
    )  # fmt: skip
    return bundled, own


def _samples() -> dict[str, gr.Button]:
    """Photographs to try, for who has none at hand."""
    with gr.Row(elem_classes="samples"):
        return {name: gr.Button(t(f"photo {name}"), size="sm", min_width=80, elem_id=f"try-{name}") for name in TO_TRY}


def _save_original(photo: str, like: Picture, file: Path, limits: Limits) -> None:
    """The photograph at the size of what became of it, to compare."""
    work.read(photo, limits).fitted(max(like.pixels.shape[2:])).save(file)


def tab(limits: Limits) -> None:
    """Build the tab, inside of a `gr.Blocks`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            photo = work.photograph(label=t("photograph"), height=280, elem_id="photo")
            samples = _samples()
            styles, own_styles = style_choice()
            quality = work.choice("quality", "quality", QUALITIES, "fine", info=t("quality info"))
            freedom = gr.Slider(0, 1, FREEDOM, step=0.05, label=t("freedom"), info=t("freedom info"))
            strength, brush = work.style_sliders()
            with gr.Accordion(t("more settings"), open=False):
                colour = work.choice("colour", "colour", COLOURS, "style")
                size = work.size(limits, 768)
                with gr.Row():
                    seed = work.seed()
                    init = gr.Dropdown(
                        [(str(t(f"init {name or 'quality'}")), name) for name in ("", "content", "noise")],
                        value="", label=t("init"), info=t("init info"),
                    )  # fmt: skip
            with gr.Accordion(t("mask"), open=False) as mask_part:
                where = work.choice("mask what", "mask", ("protect", "only"), "protect")
                mask = work.sheet(
                    limits,
                    elem_id="mask",
                    label=t("mask drawn"),
                    height=420,
                    brush=gr.Brush(default_size=40, colors=["#e5484d"], color_mode="fixed"),
                )
        with gr.Column(scale=6, min_width=300, elem_classes="result"):
            go, stop, view = work.actions("paint", "style hint", "paint")
            with gr.Column(elem_classes="late"):
                both = gr.ImageSlider(
                    label=t("before and after"), max_height=640, buttons=["fullscreen"], elem_id="both"
                )  # fmt: skip
                with gr.Row():
                    download = gr.DownloadButton(t("download"), variant="primary", elem_id="download")
                    mask_file = gr.DownloadButton(t("download mask"), visible=False, elem_id="download-mask")
                    again = gr.Button(t("again"))

    def paint(
        request: gr.Request,
        photo: str | None,
        styles: list[str],
        quality: str,
        strength: float,
        brush: float,
        freedom: float,
        colour: str,
        size: float,
        seed: float,
        init: str,
        mask_means: str,
        mask: Image.Image | None = None,
        own_styles: list[str] | None = None,
    ) -> Iterator[dict[Any, Any]]:
        """Repaint a photograph in the manner of styles that blend.

        Returns the picture before and after, the file of the picture with its recipe, the file of its mask, and HTML.
        """
        photo = work.asked(photo, "needs photograph", request)
        with work.one_line():
            chosen = work.pictures_of_styles(styles, own_styles)
        pictures = work.asked(chosen, "needs style", request)
        yield {view: work.line(request, "starting"), both: None, download: None, mask_file: None}
        with work.one_line(), work.new_folder(request) as folder:
            mask_drawn = None
            if mask is not None:
                mask_drawn = folder / "mask.png"  # of what stays as it is
                (mask if mask_means == "protect" else ImageOps.invert(mask)).save(mask_drawn)
            job = Job(photo, pictures, protect=mask_drawn, max_pixels=work.most_pixels(limits))
            rung = QUALITIES.get(quality)
            settings = Settings(
                quality=quality,
                strength=strength,
                style_scale=brush,
                colour=colour,
                size=int(size),
                seed=int(seed or 0),
                device=limits.device,
                init=init or None,
                freedom=freedom if freedom != FREEDOM and quality != "gatys" else None,
            )
            before = folder / "before.jpg"
            if rung and rung.match_layers:  # what takes a while has a draft to look at
                quick = replace(settings, quality="draft", init=None)
                drafted = work.computed(lambda: [*running(job, quick)][-1].result())
                drafted.save(folder / "draft.jpg")
                _save_original(photo, drafted, before, limits)
                yield {both: (str(before), str(folder / "draft.jpg"))}
            watched = work.watched(running(job, settings), lambda p: (p.done, p.result().on_white()), request)
            for now, shown in watched:  # noqa: B007
                if shown:
                    yield {view: shown}
            result = work.computed(now.result)
            file = folder / f"{Path(photo).stem}-{Path(pictures[0]).stem}.png"
            result.save(file)
            height, width = result.pixels.shape[2:]
            _save_original(photo, result, before, limits)
        yield {
            view: work.line(request, "painted picture", width=width, height=height),
            both: (str(before), str(file)),
            download: str(file),
            mask_file: mask_drawn and str(mask_drawn),
        }

    def show_on_canvas(photo: str | None, request: gr.Request) -> dict[str, Any] | None:
        """Put the photograph under the mask; one that cannot be read is refused here already."""
        if photo is None:
            return None
        with work.one_line():
            pixels = work.read(photo, limits).on_white()
            small = fit(pixels, min(EDITOR_SIDE, max(pixels.shape[2:])))
            return {"background": work.image(small), "layers": [], "composite": None}

    def another(quality: str, init: str, request: gr.Request) -> tuple[int, str]:
        if quality == "draft":
            raise gr.Error(said(request, "draft has no seed"), duration=10, print_exception=False)
        return random.randrange(1, 10**6), init or "noise"

    def offered(name: str) -> Callable[[gr.Request], str]:
        def given(request: gr.Request) -> str:
            with work.one_line(), work.new_folder(request) as folder:
                return str(shutil.copy(photograph(name), folder))

        return given

    for name, button in samples.items():
        button.click(offered(name), None, photo, show_progress="hidden", **PRIVATE)
    inputs = [photo, styles, quality, strength, brush, freedom, colour, size, seed, init, where, mask, own_styles]
    outputs = [both, download, mask_file, view]
    painting = go.click(
        paint, inputs, outputs, api_name="style", show_progress="full", show_progress_on=view, **QUEUE
    )  # fmt: skip
    reseeded = again.click(another, [quality, init], [seed, init], **PRIVATE)
    repainting = reseeded.success(paint, inputs, outputs, show_progress_on=view, **QUEUE, **PRIVATE)
    for run in (painting, repainting):
        run.success(lambda file: gr.update(visible=bool(file)), mask_file, mask_file, show_progress="hidden", **PRIVATE)
    stop.click(work.cancelled, None, view, cancels=[painting, repainting], **PRIVATE)
    gr.on([photo.change, mask_part.expand], show_on_canvas, photo, mask, show_progress="hidden", **PRIVATE)
