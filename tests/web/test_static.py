"""The page that needs no server, from a server that only gives files; and its graph outside of any browser."""

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from impasto.cli.export import export
from impasto.errors import ImpastoError
from impasto.media import picture
from impasto.media.inspect import inspect
from impasto.media.picture import resize
from impasto.style import browser as static
from impasto.style import draft

SECONDS = 300_000  # milliseconds: a machine may be busy
LEVEL = 1 / 255


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, ThreadingHTTPServer]]:
    """The page in a folder, and what serves the folder."""
    pytest.importorskip("onnxscript")
    if shutil.which("npm") is None:
        pytest.skip("no npm here")
    folder = tmp_path / "page"
    export("draft", web=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, server
    server.shutdown()
    thread.join()


def given(pixels: Any, height: int, width: int, file: Path) -> tuple[Path, Tensor]:
    small = resize(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, height, width)
    Image.fromarray((255 * small[0].permute(1, 2, 0)).round().byte().numpy()).save(file)
    return file, picture.read(file).pixels


def painted(content: Tensor, style: Tensor, freedom: float) -> Tensor:
    model = draft.load()
    return draft.Canvas(model, content).painted([draft.region_of([draft.Canvas(model, style).seen()])], freedom=freedom)


def test_the_page_and_its_graph_paint_what_draft_paints(
    served: tuple[Path, ThreadingHTTPServer], browser: Any, tmp_path: Path
) -> None:
    """One test, for the folder takes a minute to write."""
    folder, server = served
    photo, content = given(data.astronaut(), 150, 203, tmp_path / "photo.png")
    painting, style = given(data.coffee(), 128, 192, tmp_path / "painting.png")

    context = browser.new_context(viewport={"width": 360, "height": 800}, locale="zh-CN")
    seen, elsewhere = context.new_page(), []
    own = f"http://127.0.0.1:{server.server_port}/"
    seen.on("request", lambda r: None if r.url.startswith((own, "data:", "blob:")) else elsewhere.append(r.url))
    slow: list[Any] = []  # the style that a page begins with comes after the painting was chosen, and changes nothing
    seen.route("**/styles/*", lambda route: slow.append(route))
    seen.goto(own)
    seen.set_input_files("#photo", photo)
    seen.set_input_files("#painting", painting)
    seen.wait_for_selector("#painting-shown:visible", timeout=SECONDS)
    assert seen.locator("#paint").is_disabled()
    for late in slow:
        late.continue_()
    seen.wait_for_selector("#paint:enabled", timeout=SECONDS)
    seen.click("#paint")
    seen.wait_for_selector("#save:visible", timeout=SECONDS)
    with seen.expect_download() as download:
        seen.click("#save")
    download.value.save_as(tmp_path / "out.png")
    found, wanted = picture.read(tmp_path / "out.png").pixels, painted(content, style, 0.5)
    assert found.shape == wanted.shape and (found - wanted).abs().mean() < 2 * LEVEL
    assert inspect(tmp_path / "out.png")["labels"]["AISystemUsed"] == "Impasto"
    assert "203 × 150 像素" in seen.inner_text("#said") and not elsewhere
    assert seen.locator("html").evaluate("page => page.scrollWidth") <= 360

    (tmp_path / "text.png").write_text("no picture")
    seen.set_input_files("#photo", tmp_path / "text.png")
    seen.locator("#said", has_text="无法读取").wait_for()

    server.shutdown()  # from now on there is no network
    context.set_offline(True)
    seen.reload()
    seen.set_input_files("#photo", photo)
    seen.wait_for_selector("#paint:enabled", timeout=SECONDS)
    seen.click("#paint")
    seen.wait_for_selector("#picture:visible", timeout=SECONDS)
    context.close()

    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(folder / "draft.onnx")
    for (height, width), (high, wide), freedom in (((150, 121), (144, 160), 0.5), ((128, 231), (137, 203), 0.25)):
        content, style = content[..., :height, :width], resize(style, high, wide)
        content = resize(content, height, width)
        inputs = {"content": content.numpy(), "style": style.numpy(), "freedom": np.array(freedom, np.float32)}
        (result,) = session.run(None, inputs)
        wanted = painted(content, style[..., : high // 16 * 16, : wide // 16 * 16], freedom)
        assert (torch.from_numpy(result) - wanted).abs().mean() < LEVEL
    licence = (folder / "runtime" / "LICENSE.txt").read_text()
    assert "MIT License" in licence and len(list((folder / "styles").iterdir())) == 6


def test_a_folder_with_something_in_it_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ImpastoError, match="is there already"):
        static.write(tmp_path, print)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("answer", "said"), [("exit 1", "did not give"), ("echo x > a.tgz", "another onnxruntime-web")]
)
def test_what_npm_does_wrong_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, said: str
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{answer}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/bin:/usr/bin")
    with pytest.raises(ImpastoError, match=said):
        static.write(tmp_path / "page", print)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImpastoError, match=r"install Node\.js"):
        static.write(tmp_path / "page", print)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bin"]
