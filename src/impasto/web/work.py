"""What the tabs share: files of a visit, one thread for all computing, a view of the work, errors in a line."""

import base64
import contextlib
import contextvars
import html
import io
import re
import secrets
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_upload_folder
from PIL import Image
from torch import Tensor

from impasto.errors import ImpastoError, out_of_memory
from impasto.media.picture import fit, to_integers
from impasto.web.limits import Limits
from impasto.web.text import said, t

T = TypeVar("T")

PAUSE = 0.4  # seconds from one view of the work to the next
VIEW_SIDE = 480  # pixels of the long side of a view
QUEUE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}  # of every event that computes
PRIVATE: dict[str, Any] = {"api_visibility": "private"}  # of every event that is only the page's own

_told: deque[tuple[str, str]] = deque(maxlen=200)  # the latest notices, by job
_folders: defaultdict[str, list[Path]] = defaultdict(list)  # by session
# Gradio asks for each step from another thread, but torch keeps its modes (gradients, autocast) per thread.
_engine = ThreadPoolExecutor(1, "engine")


def photograph(**more: Any) -> gr.Image:
    """A place for a picture whose file comes as it is: Gradio would refuse what only the engine reads, by a traceback.

    No subclass: for each of those, Gradio writes a file beside its source.
    """
    place = gr.Image(type="filepath", sources=["upload", "clipboard"], **more)
    place.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return place


def choice(label: str, kind: str, names: Iterable[str], value: str, **more: Any) -> gr.Radio:
    """One of a few: the words for them begin with their `kind`."""
    choices = [(str(t(f"{kind} {name}")), name) for name in names]
    return gr.Radio(choices, value=value, label=t(label), elem_classes="choice", **more)


def style_sliders() -> tuple[gr.Slider, gr.Slider]:
    """How hard a style presses, and how broad its brush is."""
    with gr.Row():
        strength = gr.Slider(0, 2, 1, step=0.05, label=t("strength"), info=t("strength info"))
        brush = gr.Slider(0.25, 4, 1, step=0.05, label=t("brush"), info=t("brush info"))
    return strength, brush


def size(limits: Limits, usual: int) -> gr.Slider:
    """The long side of a result, pixels."""
    largest = max(256, limits.max_size)
    return gr.Slider(128, largest, min(usual, largest), step=32, label=t("size"), info=t("size info"))


def seed() -> gr.Number:
    """The field for the seed: whole numbers from 0 up that JavaScript can hold."""
    return gr.Number(0, label=t("seed"), precision=0, minimum=0, maximum=2**53)


def actions(label: str, hint: str, name: str) -> tuple[gr.Button, gr.Button, gr.HTML]:
    """The button that starts the work, the one that ends it, and the place for the view of it.

    Args:
        name: by which they are found in the page: NAME, NAME-cancel and NAME-view.
    """
    with gr.Row(elem_classes="actions"):
        go = gr.Button(t(label), variant="primary", scale=3, elem_id=name)
        stop = gr.Button(t("cancel"), variant="stop", scale=1, min_width=90, elem_id=f"{name}-cancel")
    return go, stop, gr.HTML(f"<p class='line'>{t(hint)}</p>", min_height=60, elem_id=f"{name}-view")


def new_folder(request: gr.Request) -> Path:
    """A new folder for what one job writes. Its name cannot be guessed, and it goes when the visitor does."""
    folder = Path(get_upload_folder()) / secrets.token_urlsafe(24)
    folder.mkdir(parents=True)
    _folders[request.session_hash or ""].append(folder)
    return folder


def forget(request: gr.Request) -> None:
    """Delete what a visitor's jobs wrote."""
    for folder in _folders.pop(request.session_hash or "", []):
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Say on the page, in one line, what its visitor can mend; anything else is a bug, for the server's log."""
    try:
        yield
    except (ImpastoError, MemoryError, OSError, RuntimeError) as error:
        if isinstance(error, ImpastoError):
            message = _public(str(error))
        elif out_of_memory(error):
            message = "there is not enough memory for this; try a smaller size"
        elif isinstance(error, OSError):
            message = "the server could not read or write a file; try again"
        else:
            raise
        raise gr.Error(html.escape(message, quote=False), duration=20, print_exception=False) from error


def notice(message: str) -> bool:
    """Show a warning to the visitor whose job it comes from, once; False where it comes from no job."""
    event = LocalContext.event_id.get(None)
    if event is None:
        return False
    if (event, message) not in _told:
        _told.append((event, message))
        gr.Warning(html.escape(_public(message), quote=False), duration=20)
    return True


def _public(message: str) -> str:
    """One line, without the place where the server keeps an upload, which is not the visitor's affair."""
    return " ".join(re.sub(rf"{re.escape(get_upload_folder())}/[^/]+/", "", message).split())


def asked(value: T | None, what: str, request: gr.Request) -> T:
    """`value`, or a line that says what is missing."""
    if not value:
        raise gr.Error(said(request, what), duration=10, print_exception=False)
    return value


def computed(call: Callable[..., T], *words: Any, **more: Any) -> T:
    """What `call` returns, computed by the one thread that does all of it."""
    here = contextvars.copy_context()  # by it Gradio knows whose job gives a warning
    return _engine.submit(here.run, call, *words, **more).result()


def steps(run: Iterator[T]) -> Iterator[T]:
    """`run`, step by step in the thread that computes; closing this closes it, and so ends the work."""
    try:
        while (at := computed(next, run, None)) is not None:
            yield at
    finally:
        _engine.submit(run.close)  # type: ignore[attr-defined]  # without waiting: Gradio closes from its event loop


def watched(
    run: Iterator[T], look: Callable[[T], tuple[float | None, Tensor | None]], request: gr.Request
) -> Iterator[tuple[T, str | None]]:
    """`run`, with a view of the work as HTML now and then (else None), about two or three a second.

    Args:
        look: gives the share that is done, in (0, 1], and the picture so far [1, 3, H, W], where they are known.
    """
    begun = time.perf_counter()
    shown = begun - PAUSE
    with contextlib.closing(steps(run)) as going:  # type: ignore[type-var]  # a generator
        for at in going:
            view = None
            if (now := time.perf_counter()) - shown >= PAUSE:
                shown = now
                done, picture = computed(look, at)
                view = viewed(request, done, now - begun, picture)
            yield at, view


def viewed(request: gr.Request, done: float | None, seconds: float, picture: Tensor | None) -> str:
    """The view of work of which the share `done` took so many `seconds`."""
    shown = "" if picture is None else f'<img alt="" src="{_data_url(picture)}">'
    if done is None:
        return f'<div class="work">{shown}{line(request, "working")}</div>'
    left = seconds * (1 - done) / done
    clock = f"{left // 60:.0f}:{left % 60:02.0f}"
    return (
        f'<div class="work">{shown}<div class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * done:.0f}"><i style="width:{done:.1%}"></i></div>'
        f"{line(request, 'done and left', share=f'{done:.0%}', left=clock)}</div>"
    )


def line(request: gr.Request, what: str, **values: object) -> str:
    """A line in the place of the view."""
    return f'<p class="line" role="status">{html.escape(said(request, what, **values))}</p>'


def cancelled(request: gr.Request) -> str:
    """What the view says after Cancel."""
    return line(request, "cancelled")


def image(pixels: Tensor) -> Image.Image:
    """A picture [1, 3, H, W] in [0, 1] for the page."""
    return Image.fromarray(to_integers(pixels))


def _data_url(pixels: Tensor) -> str:
    """A small copy inside the page: a file for each view would fill the disk."""
    data = io.BytesIO()
    small = fit(pixels, VIEW_SIDE) if max(pixels.shape[2:]) > VIEW_SIDE else pixels
    image(small).save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
