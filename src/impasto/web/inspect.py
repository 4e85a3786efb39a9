"""The tab that says how a file was made."""

import json
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from impasto.errors import PictureError
from impasto.media.inspect import inspect as inspected
from impasto.media.inspect import rows
from impasto.web import work
from impasto.web.limits import Limits
from impasto.web.text import said, t

MAX_RECIPE = 100_000  # characters of what is shown
AT_ONCE = 2  # files that are looked into


def tab(limits: Limits) -> None:
    """Build the tab, inside of a `gr.Blocks`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            file = gr.File(label=t("any file"), height=200, elem_id="file")
        with gr.Column(scale=7, min_width=300):
            table = gr.HTML(f"<p class='line'>{t('inspect hint')}</p>", min_height=60, elem_id="recipe")
            with gr.Accordion(t("as json"), open=False):
                shown = gr.JSON(show_label=False)

    def inspect(file: str | None, request: gr.Request) -> tuple[dict[str, Any] | None, str]:
        """Read the recipe and the AI-content labels in a picture, a clip or a sound. Returns them, and HTML."""
        if file is None:
            return None, work.line(request, "inspect hint")
        with work.one_line():
            content = inspected(file)
            if len(json.dumps(content)) > MAX_RECIPE:
                raise PictureError(f"the recipe is too long for the page; `impasto inspect {Path(file).name}` shows it")
        found = rows(content)
        if not found:
            return content, work.line(request, "no recipe")
        lines = "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in found
        )
        return content, f"<table class='recipe'><caption>{said(request, 'recipe')}</caption>{lines}</table>"

    gr.on([file.upload, file.clear], inspect, file, [shown, table], api_name="inspect", concurrency_limit=AT_ONCE)
