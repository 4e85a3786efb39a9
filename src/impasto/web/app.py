"""The page: joins the tabs, and answers as an ASGI application."""

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto import errors
from impasto.web.limits import Limits

if TYPE_CHECKING:
    import gradio as gr

    from impasto.web.guard import Guard

WAITING = 20  # jobs in the queue at most
SESSIONS = 200  # whose pages Gradio remembers, the latest, 0.3 MB each


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
    with gr.Blocks(title="Impasto", analytics_enabled=False) as page:
        gr.HTML(f"<header class='masthead'><h1>Impasto</h1><p>{t('tagline')}</p></header>")
        with gr.Tabs():
            for name, built in tabs.items():
                with gr.Tab(t(f"tab {name}"), id=name):
                    built.tab(limits)
        page.unload(work.forget)
    work.refuse_in_one_line(page)
    page.queue(max_size=WAITING, api_open=False)
    page.state_session_capacity = SESSIONS
    work.share_queue(page, WAITING // 2)
    return page


def application(
    limits: Limits,
    files: Path,
    host: str,
    *,
    names: Iterable[str] = (),
    auth: tuple[str, str] | None = None,
    root_path: str | None = None,
) -> "Guard":
    """The page, to be served by any ASGI server.

    Args:
        files: of `prepared`.
        host: what the server is bound to.
        names: by which it is known besides.
        auth: the name and the password that a visitor needs.
        root_path: that a proxy serves the page under.
    """
    import fastapi
    import gradio as gr
    from fastapi.middleware.cors import CORSMiddleware
    from fastapi.responses import PlainTextResponse
    from gradio.route_utils import FnIndexInferError

    from impasto.web import text, theme, work
    from impasto.web.guard import Guard
    from impasto.web.storage import Storage
    from impasto.web.uploads import uploading

    storage = work.storage = Storage(files, limits)

    @contextlib.asynccontextmanager
    async def sweeping(_: object) -> AsyncIterator[None]:
        with storage.swept(lambda: work.files_of_jobs(page)):
            yield

    whole = fastapi.FastAPI(lifespan=sweeping, docs_url=None, redoc_url=None, openapi_url=None)
    whole.add_middleware(CORSMiddleware)  # of no other origin: Gradio would let in any
    whole.post("/gradio_api/upload", response_model=None)(uploading(storage))
    page = build(limits)
    gr.mount_gradio_app(
        whole,
        page,
        "",
        auth=auth,
        root_path=root_path,
        max_file_size=round(limits.max_upload * 1_000_000),
        footer_links=["api"],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        i18n=text.translations(),
        theme=theme.theme(),
        css=theme.css(),
    )
    page.has_launched = True  # or else Gradio itself would read any file
    inner: Any = whole.routes[-1].app  # type: ignore[attr-defined]

    async def not_understood(*_: object) -> PlainTextResponse:
        return PlainTextResponse("this request cannot be understood; see the page's link to its API", 400)

    for kind in (KeyError, TypeError, ValueError, FnIndexInferError):
        inner.add_exception_handler(kind, not_understood)  # of Gradio's routes: jobs have their own way
    return Guard(whole, host, names, inner.tokens.get if auth else None)
