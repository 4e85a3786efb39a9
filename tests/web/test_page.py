"""The page in a real browser."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.picture import Picture
from impasto.style.stylize import Progress

Visit = Callable[..., Any]  # the fixture in conftest.py

SECONDS = 60_000  # milliseconds: a machine may be busy
TABS = {
    "en-GB": ("Style", "Video", "Music", "Models", "Inspect"),
    "zh-CN": ("风格", "视频", "音乐", "模型", "查看"),
}


def open_tab(seen: Any, name: str) -> None:
    tab = seen.get_by_role("tab", name=name, exact=True)
    if not tab.count():  # a narrow page keeps the last ones in a menu
        seen.locator(".overflow-menu > button").first.click()
        tab = seen.locator(".overflow-dropdown button", has_text=name)
    tab.click()


def upload(seen: Any, place: str, file: Path) -> None:
    seen.set_input_files(f"#{place} input[type=file]", file)


def test_a_photograph_is_painted_and_its_file_carries_the_recipe(visit: Visit, photo: Path, tmp_path: Path) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.wait_for_selector("#photo img")
    seen.get_by_label("Swirl").uncheck()
    seen.get_by_label("Mosaic").check()
    seen.get_by_label("Draft").check()
    seen.click("#paint")
    seen.wait_for_selector("#both img", timeout=SECONDS)
    with seen.expect_download() as download:
        seen.click("#download")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name.endswith("-mosaic.png") and Image.open(file).size == (256, 171)
    found = provenance.inspect(file)
    assert found["recipe"]["content"]["sha256"] == provenance.sha256(photo)
    assert found["recipe"]["settings"]["quality"] == "draft" and found["recipe"]["styles"][0]["name"] == "mosaic.jpg"
    assert found["labels"]["AISystemUsed"] == "Impasto"

    open_tab(seen, "Inspect")
    upload(seen, "file", file)
    seen.wait_for_selector("text=mosaic.jpg")


def test_a_mask_that_is_drawn_keeps_what_is_under_it(visit: Visit, photo: Path, tmp_path: Path) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.get_by_role("button", name="Paint only a part").click()
    seen.wait_for_selector("#mask canvas")
    seen.wait_for_timeout(3000)  # the canvas tells nobody when the photograph lies on it
    seen.locator("#mask").get_by_label("Brush", exact=True).click()
    box = seen.locator("#mask canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.mouse.move(x - 30, y)
    seen.mouse.down()
    seen.mouse.move(x + 30, y, steps=5)
    seen.mouse.up()
    seen.get_by_label("Draft").check()
    seen.click("#paint")
    seen.wait_for_selector("#both img", timeout=SECONDS)
    with seen.expect_download() as download:
        seen.click("#download")
    download.value.save_as(tmp_path / "painted.png")
    assert list(provenance.inspect(tmp_path / "painted.png")["recipe"]["masks"]) == ["protect"]
    with seen.expect_download() as download:
        seen.get_by_role("button", name="Download the mask").click()
    download.value.save_as(tmp_path / "mask.png")
    low, high = Image.open(tmp_path / "mask.png").convert("L").getextrema()
    assert (low, high) == (0, 255)


class Endless:
    """A run that goes on until it is closed, and says so."""

    def __init__(self) -> None:
        self.begun, self.closed = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> Iterator[Progress]:
        try:
            while True:
                self.begun.set()
                time.sleep(0.05)
                picture = Picture(torch.rand(1, 3, 32, 48))
                yield Progress(1, 1, 1, 1, 0.25, {}, (48, 32), lambda picture=picture: picture)  # type: ignore[misc]
        finally:
            self.closed.set()


@pytest.fixture
def endless(page: Any, monkeypatch: pytest.MonkeyPatch) -> Endless:
    run = Endless()
    monkeypatch.setattr("impasto.web.style.stylizing", run)
    return run


def test_cancel_ends_the_work(visit: Visit, photo: Path, endless: Endless) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.wait_for_selector("#photo img")
    seen.click("#paint")
    seen.wait_for_selector("#view img", timeout=SECONDS)  # a preview
    assert "25%" in seen.inner_text("#view")
    assert not endless.closed.is_set()
    seen.click("#cancel")
    assert endless.closed.wait(30)
    seen.wait_for_selector("text=Cancelled.")


def test_closing_the_page_ends_the_work(visit: Visit, photo: Path, endless: Endless) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.wait_for_selector("#photo img")
    seen.click("#paint")
    seen.wait_for_selector("#view img", timeout=SECONDS)
    seen.close()
    assert endless.closed.wait(30)


def test_the_second_of_two_jobs_waits_and_says_so(visit: Visit, photo: Path, endless: Endless) -> None:
    first, second = visit(), visit()
    for seen in (first, second):
        upload(seen, "photo", photo)
        seen.wait_for_selector("#photo img")
    first.click("#paint")
    first.wait_for_selector("#view img", timeout=SECONDS)
    second.click("#paint")
    second.wait_for_selector("text=/queue: 1.1/", timeout=SECONDS)
    first.click("#cancel")
    second.wait_for_selector("#view img", timeout=SECONDS)
    second.click("#cancel")


def test_what_is_no_picture_gets_one_line(visit: Visit, tmp_path: Path) -> None:
    seen = visit()
    (tmp_path / "text.jpg").write_text("not a picture")
    upload(seen, "photo", tmp_path / "text.jpg")
    toast = seen.locator(".toast-body").first
    toast.wait_for()
    said = toast.inner_text()
    assert "text.jpg cannot be read: it is damaged, or not a JPEG" in said
    assert "impasto-web" not in said and "Traceback" not in said


def test_too_large_a_picture_gets_one_line(visit: Visit, tmp_path: Path) -> None:
    seen = visit()
    Image.new("RGB", (1000, 800)).save(tmp_path / "large.png")
    upload(seen, "photo", tmp_path / "large.png")
    seen.locator(".toast-body", has_text="large.png has 1000 × 800 pixels, more than the limit").first.wait_for()


def test_too_large_a_file_is_refused(visit: Visit, tmp_path: Path) -> None:
    seen = visit()
    (tmp_path / "large.bmp").write_bytes(bytes(4_000_000))
    upload(seen, "photo", tmp_path / "large.bmp")
    seen.locator(".toast-body", has_text="size").first.wait_for()
    assert not seen.locator("#photo img").count()


def test_models_draw_and_name_and_show_their_plane(visit: Visit) -> None:
    seen = visit()
    open_tab(seen, "Models")
    seen.get_by_label("Model", exact=True).first.click()
    seen.get_by_role("option", name="mnist-gan").click()
    seen.click("#draw")
    seen.wait_for_selector("#drawn img", timeout=SECONDS)

    open_tab(seen, "Plane")
    seen.wait_for_selector("#plane img", timeout=SECONDS)
    seen.locator("#plane img").click(position={"x": 40, "y": 60})
    seen.wait_for_selector("#here img", timeout=SECONDS)

    open_tab(seen, "Name")
    seen.locator("#digit").get_by_label("Brush", exact=True).click()
    seen.wait_for_timeout(500)
    box = seen.locator("#digit canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.mouse.move(x - 50, y - 90)
    seen.mouse.down()
    seen.mouse.move(x + 50, y - 90, steps=8)
    seen.mouse.move(x - 20, y + 90, steps=12)
    seen.mouse.up()
    seen.wait_for_selector("#digit-named >> text=100%", timeout=SECONDS)
    assert seen.locator("#digit-named h2").inner_text() == "7"


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize(("language", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_tab_fits_in_both_languages(visit: Visit, width: int, language: str, scheme: str) -> None:
    seen = visit(width, language, scheme)
    assert seen.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    for name in TABS[language]:
        open_tab(seen, name)
        seen.wait_for_timeout(300)
        assert seen.evaluate("document.documentElement.scrollWidth") <= width
    assert "__i18n__" not in seen.content()


def test_the_keyboard_reaches_the_styles_and_the_button(visit: Visit) -> None:
    seen = visit()
    reached = set()
    for _ in range(60):
        seen.keyboard.press("Tab")
        reached.add(seen.evaluate("document.activeElement.id || document.activeElement.name || ''"))
    assert "paint" in reached and "cancel" in reached
    seen.get_by_label("Ink").focus()
    seen.keyboard.press("Space")
    assert seen.get_by_label("Ink").is_checked()
