"""The tab of the model families: draw, walk a plane of pictures, name, interpolate, complete."""

import functools
import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
from PIL import Image, ImageOps
from torch import Tensor

from impasto import bundled
from impasto.media import animation
from impasto.models import drawing, library
from impasto.models.latent import latents_at
from impasto.models.library import TOP
from impasto.web import work
from impasto.web.limits import Limits
from impasto.web.text import said, t
from impasto.web.work import PRIVATE, QUEUE

MADE = {name: json.loads((folder / "config.json").read_text()) for name, folder in bundled.models().items()}
FAMILY = {name: made["family"] for name, made in MADE.items()}
DRAWING = [name for name, family in FAMILY.items() if family != "cnn"]
DECODING = [name for name in DRAWING if FAMILY[name] in ("gan", "vae", "diffusion")]
# A digit is drawn here, white on black.
COMPLETING = [name for name in DRAWING if FAMILY[name] != "gan" and MADE[name]["data"]["name"] == "mnist"]
DIGITS, PLANE = "mnist-cnn", "mnist-vae2d"
SHOWN = 308  # pixels of the side of a single small picture
BUTTONS: Any = ["download", "fullscreen"]  # of a picture: not the one that sends it to a web site
CANVAS = 280  # pixels of the side of the sheet to draw a digit on


def tab(limits: Limits) -> None:
    """Build the tab, inside of a `gr.Blocks`."""
    load = functools.cache(functools.partial(library.trained, device=limits.device))
    with gr.Tabs():
        with gr.Tab(t("tab sample")):
            _sample(load)
        with gr.Tab(t("tab latent")) as plane:
            _latent(load, plane)
        with gr.Tab(t("tab classify")):
            _classify(load, limits)
        with gr.Tab(t("tab interpolate")):
            _interpolate(load)
        with gr.Tab(t("tab inpaint")):
            _inpaint(load, limits)
        with gr.Tab(t("tab compare")):
            _compare(load)


def _sample(load: Any) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            model = gr.Dropdown(DRAWING, value="mnist-diffusion", label=t("model"), elem_id="model")
            n = gr.Slider(1, 100, 16, step=1, label=t("how many"))
            labels = gr.Textbox("", label=t("classes"), info=t("classes info"), max_lines=1)
            seed = work.seed()
            with gr.Accordion(t("card"), open=False):
                card = gr.Markdown(_card("mnist-diffusion"), elem_classes="card")
        with gr.Column(scale=7, min_width=300):
            go, stop, view = work.actions("draw", "sample hint", "draw")
            drawn = _drawn("drawn")
            film = gr.Video(
                label=t("film"), elem_id="film", elem_classes="late", interactive=False, loop=True, buttons=[]
            )

    def sample(model: str, n: float, labels: str, seed: float, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Draw pictures with a trained model. Returns the sheet of them, how it took shape as a clip, and HTML."""
        yield {view: work.line(request, "starting"), drawn: None, film: None}
        with work.one_line(), work.new_folder(request) as folder:
            drawer = work.computed(load, model)
            sheets: list[Tensor] = []
            steps = drawing.drawing(drawer, int(n), labels=labels or None, seed=int(seed or 0))
            for step, shown in work.watched(steps, _sketch, request):
                sheets.append(step.result().pixels)
                if shown:
                    yield {view: shown}
            step.result().save(folder / f"{model}.png")
            if len(sheets) > 1:
                animation.save(sheets, folder / f"{model}.mp4", step.recipe)
        yield {
            view: None,
            drawn: str(folder / f"{model}.png"),
            film: str(folder / f"{model}.mp4") if len(sheets) > 1 else None,
        }

    drawn_anew = go.click(
        sample, [model, n, labels, seed], [drawn, film, view], api_name="sample", show_progress_on=view, **QUEUE
    )
    stop.click(work.cancelled, None, view, cancels=[drawn_anew], **PRIVATE)
    model.change(_card, model, card, show_progress="hidden", **PRIVATE)


def _latent(load: Any, plane: gr.Tab) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=300):
            chart = gr.Image(label=t("plane"), interactive=False, type="pil", elem_id="plane", buttons=[])
        with gr.Column(scale=4, min_width=300):
            gr.HTML(f"<p class='line'>{t('plane hint')}</p>")
            right = gr.Slider(0.005, 0.995, 0.5, step=0.005, label=t("right"), buttons=[])
            up = gr.Slider(0.005, 0.995, 0.5, step=0.005, label=t("up"), buttons=[])
            here = gr.Image(label=t("here"), interactive=False, type="pil", elem_id="here", buttons=[])

    def draw_plane() -> Image.Image:
        with work.one_line():
            return work.image(work.computed(lambda: drawing.latent_plane(load(PLANE)).pixels))

    def latent(right: float, up: float) -> Image.Image:
        """Draw the picture at a place of the plane of mnist-vae2d: shares of its width and height, from 0 to 1."""
        with work.one_line():
            return _enlarged(work.computed(lambda: load(PLANE).model.decode(latents_at(right, up))))

    def clicked(chart: Image.Image, at: gr.SelectData) -> tuple[float, float]:
        x, y = at.index
        return round(x / chart.width, 3), round(1 - y / chart.height, 3)

    plane.select(draw_plane, None, chart, show_progress="minimal", **QUEUE, **PRIVATE)
    chart.select(clicked, chart, [right, up], show_progress="hidden", **PRIVATE)
    gr.on(
        [right.change, up.change], latent, [right, up], here, api_name="latent", show_progress="hidden",
        trigger_mode="always_last", **QUEUE,
    )  # fmt: skip


def _classify(load: Any, limits: Limits) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            sheet = _sheet(limits, t("draw a digit"), "digit")
            digit = gr.Label(label=t("it is"), num_top_classes=TOP, elem_id="digit-named")
        with gr.Column(min_width=300):
            picture = work.photograph(label=t("picture to name"), height=324)
            named = gr.Label(label=t("it is"), num_top_classes=TOP)
            classifiers = [name for name, family in FAMILY.items() if family == "cnn"]
            model = gr.Dropdown(classifiers, value=classifiers[0], label=t("model"), info=t("classifiers info"))

    def classify(picture: str | None, model: str) -> dict[str, float] | None:
        """Say which of a classifier's classes a picture shows, with the confidence in each of the first five."""
        if picture is None:
            return None
        with work.one_line():
            found = work.computed(lambda: load(model).classify(work.read(picture, limits)))
        return {one["class"]: one["confidence"] for one in found}

    def name_digit(sheet: Image.Image | None, request: gr.Request) -> dict[str, float] | None:
        if sheet is None:
            return None
        with work.one_line(), work.new_folder(request) as folder:
            # As MNIST has them: in a box of 20 of the 28 pixels.
            ImageOps.expand(ImageOps.pad(sheet.crop(sheet.getbbox()), (200, 200)), 40).save(folder / "digit.png")
            return classify(str(folder / "digit.png"), DIGITS)

    sheet.change(name_digit, sheet, digit, show_progress="hidden", trigger_mode="always_last", **QUEUE, **PRIVATE)
    gr.on([picture.change, model.change], classify, [picture, model], named, api_name="classify", **QUEUE)


def _interpolate(load: Any) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            model = gr.Dropdown(DECODING, value="mnist-vae", label=t("model"))
            rows = gr.Slider(1, 10, 5, step=1, label=t("rows"))
            columns = gr.Slider(2, 16, 10, step=1, label=t("columns"))
            labels = gr.Textbox("", label=t("classes"), info=t("classes info"), max_lines=1)
            seed = work.seed()
        with gr.Column(scale=7, min_width=300):
            go = gr.Button(t("interpolate"), variant="primary")
            drawn = gr.Image(label=t("drawn"), type="filepath", interactive=False, buttons=BUTTONS)

    def interpolate(model: str, rows: float, columns: float, labels: str, seed: float, request: gr.Request) -> str:
        """Draw how one picture turns into another, a row for each two. Returns the sheet."""
        with work.one_line(), work.new_folder(request) as folder:
            sheet = work.computed(
                lambda: drawing.interpolation(
                    load(model), int(rows), int(columns), labels=labels or None, seed=int(seed or 0)
                )
            )
            file = folder / f"{model}-interpolated.png"
            sheet.save(file)
        return str(file)

    go.click(interpolate, [model, rows, columns, labels, seed], drawn, api_name="interpolate", **QUEUE)


def _inpaint(load: Any, limits: Limits) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            sheet = _sheet(limits, t("draw a part"), "part")
            part = work.choice("part", "part", drawing.HALVES, "lower")
            model = gr.Dropdown(COMPLETING, value="mnist-pixelcnn", label=t("model"))
            n = gr.Slider(1, 25, 9, step=1, label=t("how many"))
            seed = work.seed()
        with gr.Column(scale=7, min_width=300):
            go, stop, view = work.actions("complete", "inpaint hint", "complete")
            drawn = _drawn("completed")

    def inpaint(
        sheet: Image.Image | None, part: str, model: str, n: float, seed: float, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        """Complete what is drawn on a sheet: half of it is drawn anew. Returns the completions, and HTML."""
        ink = work.asked(sheet, "needs drawing", request)
        yield {view: work.line(request, "starting"), drawn: None}
        with work.one_line(), work.new_folder(request) as folder:
            drawer = work.computed(load, model)
            ink.save(folder / "drawn.png")
            steps = drawing.inpainting(drawer, [folder / "drawn.png"], part=part, n=int(n), seed=int(seed or 0))
            for step, shown in work.watched(steps, _sketch, request):  # noqa: B007
                if shown:
                    yield {view: shown}
            step.result().save(folder / "completed.png")
        yield {view: None, drawn: str(folder / "completed.png")}

    completing = go.click(
        inpaint, [sheet, part, model, n, seed], [drawn, view], api_name="inpaint", show_progress_on=view, **QUEUE
    )
    stop.click(work.cancelled, None, view, cancels=[completing], **PRIVATE)


def _compare(load: Any) -> None:
    go, stop, view = work.actions("compare", "compare hint", "compare")
    drawn = _drawn("compared")
    table = gr.HTML(elem_id="figures", elem_classes="card")

    def compare(request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Draw pictures with every bundled model. Returns the sheet of them, a table as HTML, and HTML."""
        yield {view: work.line(request, "starting"), drawn: None, table: ""}
        with work.one_line(), work.new_folder(request) as folder:
            loaded = work.computed(lambda: [load(name) for name in DRAWING])

            def look(shown: list[drawing.Glance]) -> tuple[float, Tensor]:
                return len(shown) / len(loaded), drawing.comparison(shown).pixels

            for shown, seen in work.watched(drawing.glances(loaded), look, request):  # noqa: B007
                if seen:
                    yield {view: seen}
            work.computed(lambda: drawing.comparison(shown).save(folder / "models.png"))
        rows = [
            (one.name, model.family, f"{model.megabytes:.1f}", f"{one.seconds:.2g}", "; ".join(bundled.in_brief(kept)))
            for one, model, kept in zip(shown, loaded, map(bundled.figures, DRAWING), strict=True)
        ]
        heads = [said(request, word) for word in ("model", "family", "megabytes", "seconds", "figures")]
        yield {view: None, drawn: str(folder / "models.png"), table: _table(heads, rows)}

    comparing = go.click(compare, None, [drawn, table, view], api_name="compare", show_progress_on=view, **QUEUE)
    stop.click(work.cancelled, None, view, cancels=[comparing], **PRIVATE)


def _sheet(limits: Limits, label: Any, name: str) -> gr.ImageEditor:
    """A sheet to draw a digit on."""
    return work.sheet(
        limits, label=label, elem_id=name, height=420, placeholder=t("sheet hint"), fixed_canvas=True,
        canvas_size=(CANVAS, CANVAS), brush=gr.Brush(default_size=12, colors=["#2f4f9e"], color_mode="fixed"),
    )  # fmt: skip


def _drawn(name: str) -> gr.Image:
    """A place for what a model drew."""
    return gr.Image(
        label=t("drawn"), type="filepath", interactive=False, elem_id=name, elem_classes="small late", buttons=BUTTONS
    )  # fmt: skip


def _sketch(step: drawing.Progress) -> tuple[None, Tensor]:
    """A view of the sheet. How much of the work is done, a model does not say."""
    return None, step.result().pixels


def _enlarged(pictures: Tensor) -> Image.Image:
    """The first of small pictures [N, C, S, S], each pixel a square."""
    return work.image(pictures[:1].expand(1, 3, -1, -1)).resize((SHOWN, SHOWN), Image.Resampling.NEAREST)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table."""
    lines = [("th", heads), *(("td", row) for row in rows)]
    cells = ("".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in line) for kind, line in lines)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def _card(model: str) -> str:
    return (bundled.models()[model] / "card.md").read_text()
