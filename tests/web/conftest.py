"""The page, served for all tests of this folder, and a browser to look at it."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from impasto.web import app
from impasto.web.limits import Limits

MAX_PIXELS = 700_000  # the bundled styles have fewer
MAX_UPLOAD = 3  # MB
MAX_SECONDS = 3.0


@dataclass(frozen=True)
class Served:
    url: str
    files: Path  # where all files of visitors lie
    blocks: Any  # Gradio's page


@pytest.fixture(scope="session")
def page() -> Iterator[Served]:
    """The page with small limits. Gradio is imported here and not above, for it must come after `prepared`."""
    with (
        pytest.MonkeyPatch.context() as patched,
        app.prepared() as folder,
        socket.create_server(("127.0.0.1", 0)) as ear,
    ):
        patched.setenv("GRADIO_HEARTBEAT_INTERVAL", "1")  # seconds until a visitor who left counts as gone
        limits = Limits(MAX_UPLOAD, MAX_PIXELS, max_size=256, max_seconds=MAX_SECONDS)
        guarded = app.application(limits, folder, "127.0.0.1")
        import uvicorn

        server = uvicorn.Server(uvicorn.Config(guarded, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=[[ear]])
        thread.start()
        yield Served(f"http://127.0.0.1:{ear.getsockname()[1]}", folder, guarded.app.routes[-1].app.get_blocks())  # type: ignore[attr-defined]
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"no browser here: {' or '.join(names)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(page: Served, browser: Any) -> Iterator[Visit]:
    """Open the page as a new visitor; nothing may come from, or go to, anywhere else."""
    contexts, elsewhere = [], []

    def opened(width: int = 1440, language: str = "en-GB", scheme: str = "light") -> Any:
        context = browser.new_context(
            locale=language, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        seen = context.new_page()
        seen.on("request", lambda request: _note(request.url, page.url, elsewhere))
        seen.goto(page.url)
        seen.wait_for_selector("#photo input[type=file]", state="attached")
        return seen

    yield opened
    for context in contexts:
        context.close()
    assert not elsewhere


def _note(url: str, own: str, elsewhere: list[str]) -> None:
    if not url.startswith((own, "data:", "blob:")):
        elsewhere.append(url)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "cat & co.jpg"
    Image.fromarray(skimage.data.chelsea()).resize((180, 120)).save(file)
    return file


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    """A one, white on black."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 13:16] = 255
    file = tmp_path / "one.png"
    Image.fromarray(pixels).save(file)
    return file
