"""The page: joins the tabs, and serves them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto import errors
from impasto.web.limits import Limits

if TYPE_CHECKING:
    import gradio as gr

CLEAN_EVERY, CLEAN_AFTER = 600, 4 * 3600  # seconds: uploads and previews go when they are so old
WAITING = 20  # jobs in the queue at most


@contextlib.contextmanager
def prepared() -> Iterator[Path]:
    """A place of this run alone for all of its files, gone at its end. Gradio, which it is for, must come after it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with tempfile.TemporaryDirectory(prefix="impasto-web-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        yield Path(folder)


def build(limits: Limits) -> "gr.Blocks":
    """The page, not yet served."""
    import gradio as gr

    from impasto.web import inspect, models, music, style, video, work
    from impasto.web.text import t

    errors.listener = work.notice
    tabs = {"style": style, "video": video, "music": music, "models": models, "inspect": inspect}
    with gr.Blocks(title="Impasto", analytics_enabled=False, delete_cache=(CLEAN_EVERY, CLEAN_AFTER)) as page:
        gr.HTML(f"<header class='masthead'><h1>Impasto</h1><p>{t('tagline')}</p></header>")
        with gr.Tabs():
            for name, built in tabs.items():
                with gr.Tab(t(f"tab {name}"), id=name):
                    built.tab(limits)
        page.unload(work.forget)
    return page.queue(max_size=WAITING)


def serve(limits: Limits, **more: Any) -> "gr.Blocks":
    """Serve the page, and return it when it answers.

    Args:
        more: of Gradio's `launch`, such as server_name, server_port and auth.
    """
    from impasto.web import text, theme

    # Gradio asks its own server for a page before it returns, and no proxy leads there.
    direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "localhost", more.get("server_name")]
    os.environ["no_proxy"] = ",".join(filter(None, direct))
    page = build(limits)
    page.launch(
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=round(limits.max_upload * 1_000_000),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        _frontend=False,  # it is served all the same, but a slow machine's first page need not come within 3 seconds
        i18n=text.translations(),
        theme=theme.theme(),
        css=theme.css(),
        **more,
    )
    return page
