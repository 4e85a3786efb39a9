"""The tab that plays a recording with the sound of another."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from impasto.media import sound
from impasto.style.music import transferring
from impasto.style.settings import SoundSettings
from impasto.web import work
from impasto.web.limits import Limits
from impasto.web.text import t
from impasto.web.work import PRIVATE, QUEUE


def tab(limits: Limits) -> None:
    """Build the tab, inside of a `gr.Blocks`."""
    defaults = SoundSettings()
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            content = gr.Audio(
                label=t("content sound"), sources=["upload"], type="filepath", buttons=[], elem_id="content-sound"
            )
            style = gr.Audio(
                label=t("style sound"), sources=["upload"], type="filepath", buttons=[], elem_id="style-sound"
            )
            strength = gr.Slider(
                0, 2, defaults.strength, step=0.05, label=t("strength"), info=t("strength info")
            )  # fmt: skip
            steps = gr.Slider(20, 600, defaults.steps, step=10, label=t("steps"), info=t("steps info"))
            seed = work.seed()
        with gr.Column(scale=6, min_width=300):
            go, stop, view = work.actions("transfer", "music hint", "transfer")
            with gr.Column(elem_classes="late"):
                played = gr.Audio(
                    label=t("result"), interactive=False, type="filepath", buttons=[], elem_id="played"
                )  # fmt: skip
                with gr.Row():
                    download = gr.DownloadButton(t("download"), variant="primary")
                    again = gr.Button(t("again"))

    def transfer(
        content: str | None, style: str | None, strength: float, steps: float, seed: float, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        """Play one recording, its notes and rhythm, with the sound of another.

        Returns the sound, its file, and HTML.
        """
        content, style = (work.asked(given, "needs sounds", request) for given in (content, style))
        yield {view: work.line(request, "starting"), played: None, download: None}
        with work.one_line(), work.new_folder(request) as folder:
            for given in (content, style):
                work.computed(sound.read, given, limits.max_seconds)
            settings = SoundSettings(strength=strength, steps=int(steps), seed=int(seed or 0), device=limits.device)
            run = transferring(content, style, settings)
            for now, shown in work.watched(run, lambda p: (p.done, None), request):  # noqa: B007
                if shown:
                    yield {view: shown}
            result = work.computed(now.result)
            file = folder / f"{Path(content).stem}-{Path(style).stem}.wav"
            result.save(file)
        yield {
            view: work.line(request, "played", seconds=round(result.seconds, 1)),
            played: str(file),
            download: str(file),
        }

    inputs, outputs = [content, style, strength, steps, seed], [played, download, view]
    running = go.click(transfer, inputs, outputs, api_name="music", show_progress_on=view, **QUEUE)
    reseeded = again.click(lambda: random.randrange(1, 10**6), None, seed, **PRIVATE)
    rerunning = reseeded.success(transfer, inputs, outputs, show_progress_on=view, **QUEUE, **PRIVATE)
    stop.click(work.cancelled, None, view, cancels=[running, rerunning], **PRIVATE)
