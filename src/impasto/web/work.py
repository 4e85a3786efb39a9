"""What the tabs share: files of a visit, one thread for all computing, a view of the work, errors in a line."""

import asyncio
import base64
import contextlib
import contextvars
import functools
import html
import io
import re
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import torch
from gradio.components.image_editor import AcceptBlobs
from gradio.context import LocalContext
from gradio.utils import LRUCache, get_upload_folder
from PIL import Image, ImageChops
from starlette.exceptions import HTTPException
from torch import Tensor

from impasto.bundled import style_picture
from impasto.device import free_memory, release_memory
from impasto.errors import ImpastoError, SettingsError, out_of_memory
from impasto.media import picture
from impasto.media.picture import Picture, fit, to_integers
from impasto.web.guard import visitor
from impasto.web.limits import MAX_STYLES, Limits
from impasto.web.storage import Storage
from impasto.web.text import said, t

T = TypeVar("T")

PAUSE = 0.4  # seconds from one view of the work to the next
VIEW_SIDE = 480  # pixels of the long side of a view
BYTES_OF_A_PIXEL = 60  # that a picture takes while it is read: 81 megapixels took 4 GB
MAX_LAYERS = 4  # of a drawing
SHEETS = 16  # drawings that wait for what is to be done with them
UNTIL_CLOSED = 0.1  # seconds until a page has heard that its connection is closed
QUEUE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}  # of every event that computes
PRIVATE: dict[str, Any] = {"api_visibility": "private"}  # of every event that is only the page's own

storage: Storage = None  # type: ignore[assignment]  # of all visitors; the application sets it
_told: deque[tuple[str, str]] = deque(maxlen=200)  # the latest notices, by job
# Gradio asks for each step from another thread, but torch keeps its modes (gradients, autocast) per thread.
_engine = ThreadPoolExecutor(1, "engine")


def photograph(**more: Any) -> gr.Image:
    """A place for a picture whose file comes as it is: Gradio would refuse what only the engine reads, by a traceback.

    No subclass: for each of those, Gradio writes a file beside its source.
    """
    place = gr.Image(type="filepath", sources=["upload", "clipboard"], **more)
    place.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return place


def sheet(limits: Limits, **more: Any) -> gr.ImageEditor:
    """A place to draw. What comes back is the ink alone, white on black; None for nothing.

    Gradio would decode whatever is sent, and keep all drawings that nobody asks for again.
    """
    place = gr.ImageEditor(type="pil", sources=(), transforms=(), layers=False, buttons=[], **more)
    place.blob_storage = LRUCache(SHEETS)

    def ink(payload: Any) -> Image.Image | None:
        if payload is None:
            return None
        sent = place.blob_storage.pop(payload.id, None) if payload.id else payload
        layers = [layer for layer in (sent.layers if sent else []) if layer]
        if len(layers) > MAX_LAYERS:
            raise gr.Error(f"a drawing has at most {MAX_LAYERS} layers", print_exception=False)
        with one_line():
            inks = [_alpha(layer if isinstance(layer, bytes) else layer.path, limits) for layer in layers]
        drawn = functools.reduce(ImageChops.lighter, inks) if inks else None
        return drawn if drawn is not None and drawn.getbbox() else None

    def accept_blobs(data: AcceptBlobs) -> None:
        try:
            if data.data["type"] == "layer" and not 0 <= int(data.data["index"] or 0) < MAX_LAYERS:
                raise ValueError
            type(place).accept_blobs(place, data)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise HTTPException(400, "this is no drawing") from error

    accept_blobs._is_server_fn = True  # type: ignore[attr-defined]
    place.preprocess = ink  # type: ignore[method-assign, assignment]
    place.accept_blobs = accept_blobs
    return place


def _alpha(layer: bytes | str, limits: Limits) -> Image.Image:
    """How opaque a layer is, white on black."""
    if isinstance(layer, bytes):
        with tempfile.NamedTemporaryFile(dir=get_upload_folder(), suffix=".png") as file:
            file.write(layer)
            file.flush()
            return _alpha(file.name, limits)
    seen = read(layer, limits)
    alpha = torch.ones_like(seen.pixels[:, :1]) if seen.alpha is None else seen.alpha
    return Image.fromarray(alpha[0, 0].mul(255).round().byte().numpy())


def read(path: str | Path, limits: Limits) -> Picture:
    """The one way in for pictures of visitors.

    Raises:
        PictureError: it is none, or larger than the limit, or than memory has room for now.
    """
    return picture.read(path, most_pixels(limits))


def most_pixels(limits: Limits) -> int:
    """Pixels of a picture that is read now, at most."""
    return min(limits.max_pixels, free_memory() // BYTES_OF_A_PIXEL)


def pictures_of_styles(bundled: list[str], own: list[str] | None) -> list[str | Path]:
    """The pictures that a job takes its style from, each once.

    Raises:
        SettingsError: so many that a job would take too long.
    """
    chosen = list(dict.fromkeys([*map(style_picture, bundled or ()), *(own or ())]))
    if len(chosen) > MAX_STYLES:
        raise SettingsError(f"{len(chosen)} styles are more than the limit of {MAX_STYLES}")
    return chosen


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


@contextlib.contextmanager
def new_folder(request: gr.Request) -> Iterator[Path]:
    """A new folder for what one job writes. It goes when the visitor does, and at once if the job is not finished.

    Raises:
        OutputError: a quota is used up.
    """
    assert request.request is not None
    folder = storage.new(visitor(request.request.scope), request.session_hash or "")
    try:
        yield folder
    except BaseException:
        _engine.submit(storage.discard, folder)  # after what the engine still does there
        raise
    storage.settle(folder)


def forget(request: gr.Request) -> None:
    """Delete what a visitor's jobs wrote."""
    storage.leave(request.session_hash or "")


def refuse_in_one_line(page: gr.Blocks) -> None:
    """Let values that no component takes be answered with a line, not a traceback, and no file be read but uploads."""
    usual = page.preprocess_data

    async def preprocess_data(block_fn: Any, inputs: list[Any], *more: Any, **words: Any) -> list[Any]:
        what = f"/{block_fn.api_name}" if block_fn.api_name else "this"
        try:
            if not _uploaded(inputs):
                raise gr.Error("only files that were uploaded here are read, and they go after a time; upload it again")
            return await usual(block_fn, inputs, *more, **words)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            message = f"{what} does not take these values; the page's link to its API lists what it takes"
            raise gr.Error(message, print_exception=False) from error

    page.preprocess_data = preprocess_data  # type: ignore[method-assign]


def share_queue(page: gr.Blocks, most: int) -> None:
    """Let no visitor have more than so many jobs waiting, so that others find a place, too.

    A page listens to all of its jobs on one connection, which Gradio closes after the last. To a page that heard of a
    new job first it would seem open still, and the page would wait for ever: so the answer comes a moment later.
    """
    queue = page._queue
    usual = queue.push

    async def push(body: Any, request: Any, username: str | None) -> Any:
        who = visitor(request.scope)
        waiting = (event for line in queue.event_queue_per_concurrency_id.values() for event in line.queue)
        if sum(visitor(event.request.scope) == who for event in waiting) >= most:
            return False, f"{most} of your jobs are waiting; give the next when one of them is done", "queue_full"
        answer = await usual(body, request, username)  # the job is begun already
        await asyncio.sleep(UNTIL_CLOSED)
        return answer

    queue.push = push  # type: ignore[method-assign]


def files_of_jobs(page: gr.Blocks) -> set[Path]:
    """The files that are named by jobs which wait or are worked on."""
    events = list(page._queue.event_ids_to_events.values())  # from another thread than Gradio's, and so all at once
    return {Path(path) for event in events if event.data is not None for path in _paths(event.data.data)}


def _uploaded(value: Any) -> bool:
    """Whether all files that are given lie among those of visitors."""
    return all(Path(path).resolve().is_relative_to(storage.root.resolve()) for path in _paths(value))


def _paths(value: Any) -> Iterator[str]:
    """The files that are given as a value, in a list or an editor's sheet perhaps."""
    if isinstance(value, dict) and "path" in value:
        yield str(value["path"])
    else:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for one in inner:
            yield from _paths(one)


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
    return " ".join(re.sub(rf"{re.escape(get_upload_folder())}/[^/]+/(\d+/)?", "", message).split())


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
        _engine.submit(release_memory)


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
                done, seen = computed(look, at)
                view = viewed(request, done, now - begun, seen)
            yield at, view


def viewed(request: gr.Request, done: float | None, seconds: float, seen: Tensor | None) -> str:
    """The view of work of which the share `done` took so many `seconds`."""
    shown = "" if seen is None else f'<img alt="" src="{_data_url(seen)}">'
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
