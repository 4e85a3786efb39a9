"""How the page looks: paper and ink, one colour, the fonts of the visitor's own system."""

import base64
import io
from typing import Any

import gradio as gr
from PIL import Image

from impasto.bundled import STYLES

THUMBNAIL = (168, 126)  # pixels
SANS = ["system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"]
MONO = ["ui-monospace", "SF Mono", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Warm paper by day, a dark studio by night."""
    blue = gr.themes.Color(
        "#eef2fb", "#dbe4f6", "#b9caee", "#8ea9e2", "#6486d3", "#3f63bd", "#2f4f9e", "#263f7f", "#1f3266", "#18274f",
        "#101a36", name="ultramarine",
    )  # fmt: skip
    stone = gr.themes.Color(
        "#fbf9f5", "#f4f0e8", "#e7e0d3", "#d3c9b8", "#a89d8b", "#7d7365", "#5d554a", "#453f37", "#2b2723", "#1d1a17",
        "#141210", name="stone",
    )  # fmt: skip
    values: dict[str, Any] = {
        "body_background_fill": "*neutral_50",
        "body_background_fill_dark": "*neutral_950",
        "body_text_color": "*neutral_800",
        "body_text_color_dark": "*neutral_100",
        "body_text_color_subdued": "*neutral_600",
        "body_text_color_subdued_dark": "*neutral_400",
        "block_background_fill": "white",
        "block_background_fill_dark": "*neutral_900",
        "block_border_color": "*neutral_200",
        "block_border_color_dark": "*neutral_800",
        "block_label_background_fill": "white",
        "block_label_background_fill_dark": "*neutral_900",
        "block_label_border_width": "0px",
        "block_label_text_color": "*neutral_600",
        "block_label_text_color_dark": "*neutral_400",
        "block_title_text_color": "*neutral_800",
        "block_title_text_color_dark": "*neutral_100",
        "block_title_text_weight": "600",
        "block_info_text_color": "*neutral_600",
        "block_info_text_color_dark": "*neutral_400",
        "block_shadow": "none",
        "border_color_primary": "*neutral_200",
        "border_color_primary_dark": "*neutral_800",
        "input_background_fill": "*neutral_50",
        "input_background_fill_dark": "*neutral_950",
        "input_border_color": "*neutral_300",
        "input_border_color_dark": "*neutral_700",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "button_primary_background_fill_dark": "*primary_500",
        "button_primary_background_fill_hover_dark": "*primary_600",
        "button_primary_text_color": "white",
        "button_secondary_background_fill": "*neutral_100",
        "button_secondary_background_fill_hover": "*neutral_200",
        "button_secondary_background_fill_dark": "*neutral_800",
        "button_secondary_background_fill_hover_dark": "*neutral_700",
        "button_cancel_background_fill": "transparent",
        "button_cancel_background_fill_hover": "*neutral_200",
        "button_cancel_background_fill_dark": "transparent",
        "button_cancel_background_fill_hover_dark": "*neutral_800",
        "button_cancel_text_color": "*neutral_700",
        "button_cancel_text_color_dark": "*neutral_200",
        "button_cancel_border_color": "*neutral_300",
        "button_cancel_border_color_dark": "*neutral_700",
        "button_border_width": "1px",
        "slider_color": "*primary_600",
        "slider_color_dark": "*primary_400",
        "checkbox_label_background_fill": "transparent",
        "checkbox_label_background_fill_dark": "transparent",
        "checkbox_label_background_fill_selected": "*primary_50",
        "checkbox_label_background_fill_selected_dark": "*primary_950",
        "checkbox_label_border_color_selected": "*primary_500",
        "checkbox_label_border_color_selected_dark": "*primary_400",
        "checkbox_label_border_width": "1px",
    }
    return gr.themes.Base(
        primary_hue=blue, neutral_hue=stone, font=SANS, font_mono=MONO, radius_size="md", text_size="md"
    ).set(**values)


def css() -> str:
    """The theme's finishing, and the bundled styles as pictures on their boxes."""
    return CSS + "".join(
        f'.styles label:nth-of-type({number})::before {{ background-image: url("{_thumbnail(name)}") }}\n'
        for number, name in enumerate(STYLES, 1)
    )


def _thumbnail(name: str) -> str:
    """In the page itself, so that nothing of the installation is served."""
    data = io.BytesIO()
    with Image.open(STYLES[name]) as whole:
        whole.resize(THUMBNAIL, Image.Resampling.LANCZOS).save(data, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


# What comes late is hidden until there is something in it. (Gradio cuts selectors at every comma: none inside :has.)
CSS = """
.gradio-container > .main { max-width: 1240px !important; margin: 0 auto !important; padding: 0 20px 24px !important; }
.masthead { display: flex; align-items: baseline; flex-wrap: wrap; gap: 2px 16px; padding: 10px 2px 0; }
.masthead h1 { margin: 0; font: italic 600 34px/1.1 Georgia, "Songti SC", "Noto Serif CJK SC", serif;
  letter-spacing: -.01em; color: var(--primary-600); }
.dark .masthead h1 { color: var(--primary-300); }
.masthead p { margin: 0; color: var(--body-text-color-subdued); }
.styles .wrap { display: grid !important; grid-template-columns: repeat(3, 1fr); gap: 8px; }
.styles label { display: grid !important; grid-template-columns: auto 1fr; padding: 0 6px 6px !important;
  overflow: hidden; gap: 6px; }
.styles label::before { content: ""; grid-column: 1 / -1; margin: 0 -6px; aspect-ratio: 4 / 3;
  background-size: cover; background-position: center; }
.styles label span { margin: 0 !important; font-size: 13px; }
.samples { gap: 6px; margin-top: -8px; }
.choice label { padding: 6px 12px !important; }
.late:not(:has(img)):not(:has(video)):not(:has(audio)) { display: none !important; }
.work img { display: block; width: 100%; max-height: 600px; object-fit: contain; border-radius: 8px; }
.work .track { height: 6px; margin: 12px 0 6px; border-radius: 3px; overflow: hidden;
  background: var(--neutral-200); }
.dark .work .track { background: var(--neutral-800); }
.work .track i { display: block; height: 100%; background: var(--primary-500); transition: width .4s linear; }
.work p, .line { margin: 4px 2px; color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums; }
.small .image-frame, .small .image-container button { width: 100% !important; }
.small img { width: 100% !important; max-height: 520px; object-fit: contain !important; image-rendering: pixelated; }
input[type=range]::-webkit-slider-thumb { background: var(--primary-600) !important; border: 2px solid white; }
input[type=range]::-moz-range-thumb { background: var(--primary-600) !important; border: 2px solid white; }
:focus-visible { outline: 2px solid var(--primary-500) !important; outline-offset: 2px; }
.own .wrap { font-size: 14px; line-height: 1.3; padding-top: 22px; } .own .icon-wrap { display: none; }
.recipe { width: 100%; border-collapse: collapse; font-size: 14px; }
.recipe caption { text-align: start; font-weight: 600; padding: 4px 8px; }
.recipe th, .recipe td { text-align: start; vertical-align: top; padding: 4px 8px; overflow-wrap: anywhere;
  border: 0 solid var(--border-color-primary) !important; border-top-width: 1px !important; }
.recipe th { font-weight: 500; color: var(--body-text-color-subdued); width: 34%; }
.dark input[type=range] { --neutral-200: var(--neutral-700); }
footer .divider { display: none !important; }
@media (max-width: 480px) { .gradio-container > .main { padding: 0 10px 16px !important; }
  .masthead h1 { font-size: 28px; } }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; } }
"""
