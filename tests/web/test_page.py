"""The page in a real browser."""

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.media import clip
from impasto.media.clip import Info
from impasto.media.inspect import inspect
from impasto.media.picture import Picture
from impasto.style.settings import Settings
from impasto.style.stylize import Job, Progress, running

Visit = Callable[..., Any]  # the fixture in conftest.py

SECONDS = 150_000  # milliseconds: a machine may be busy
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


def test_a_photograph_is_painted_but_for_a_mask_and_its_file_carries_the_recipe(
    visit: Visit, photo: Path, tmp_path: Path
) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.wait_for_selector("#photo img")
    seen.get_by_role("button", name="Paint only a part").click()
    seen.wait_for_selector("#mask canvas")
    seen.wait_for_timeout(3000)  # the canvas tells nobody when the photograph lies on it
    drawn_stroke(seen, "#mask", (-30, 0), (30, 0))
    seen.get_by_label("Swirl").uncheck()
    seen.get_by_label("Mosaic").check()
    seen.get_by_label("Draft").check()
    seen.click("#paint")
    seen.wait_for_selector("#both img", timeout=SECONDS)
    with seen.expect_download() as download:
        seen.click("#download-mask")
    download.value.save_as(tmp_path / "mask.png")
    assert Image.open(tmp_path / "mask.png").convert("L").getextrema() == (0, 255)
    with seen.expect_download() as download:
        seen.click("#download")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name.endswith("-mosaic.png") and Image.open(file).size == (256, 171)
    found = inspect(file)
    assert found["recipe"]["content"]["sha256"] == provenance.sha256(photo)
    assert found["recipe"]["settings"]["quality"] == "draft" and found["recipe"]["styles"][0]["name"] == "mosaic.jpg"
    assert found["recipe"]["masks"]["protect"]["sha256"] == provenance.sha256(tmp_path / "mask.png")
    assert found["labels"]["AISystemUsed"] == "Impasto"

    seen.get_by_role("button", name="Again with another seed").click()
    seen.locator(".toast-body", has_text="A draft has no seed").first.wait_for()

    open_tab(seen, "Inspect")
    upload(seen, "file", file)
    seen.wait_for_selector("text=mosaic.jpg")


def drawn_stroke(seen: Any, editor: str, *corners: tuple[int, int]) -> None:
    """Draw from corner to corner, in pixels from the middle of the sheet."""
    seen.locator(editor).get_by_label("Brush", exact=True).click()
    seen.wait_for_timeout(500)
    box = seen.locator(f"{editor} canvas").first.bounding_box()
    (x, y), *others = ((box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 + y) for x, y in corners)
    seen.mouse.move(x, y)
    seen.mouse.down()
    for x, y in others:
        seen.mouse.move(x, y, steps=10)
    seen.mouse.up()


def test_two_clicks_lead_to_a_picture_and_its_draft_is_there_while_fine_works(visit: Visit, endless: "Endless") -> None:
    seen = visit()
    seen.click("#try-chelsea")
    seen.wait_for_selector("#photo img")
    seen.click("#paint")
    seen.wait_for_selector("#both img", timeout=SECONDS)
    assert endless.begun.wait(30) and not endless.closed.is_set()
    seen.click("#paint-cancel")
    assert endless.closed.wait(30)


class Endless:
    """A run that goes on until it is closed, and says so. Its draft is done at once."""

    def __init__(self) -> None:
        self.begun, self.closed = threading.Event(), threading.Event()

    def __call__(self, job: Job, settings: Settings) -> Iterator[Progress]:
        if settings.quality == "draft":
            yield from running(job, settings)
            return
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
    monkeypatch.setattr("impasto.web.style.running", run)
    return run


def test_cancel_ends_the_work(visit: Visit, photo: Path, endless: Endless) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.wait_for_selector("#photo img")
    seen.click("#paint")
    seen.wait_for_selector("#paint-view img", timeout=SECONDS)  # a preview
    assert "25%" in seen.inner_text("#paint-view")
    assert not endless.closed.is_set()
    seen.click("#paint-cancel")
    assert endless.closed.wait(30)
    seen.wait_for_selector("text=Cancelled.")


def test_closing_the_page_ends_the_work(visit: Visit, photo: Path, endless: Endless) -> None:
    seen = visit()
    upload(seen, "photo", photo)
    seen.wait_for_selector("#photo img")
    seen.click("#paint")
    seen.wait_for_selector("#paint-view img", timeout=SECONDS)
    seen.close()
    assert endless.closed.wait(30)


def test_the_second_of_two_jobs_waits_and_says_so(visit: Visit, photo: Path, endless: Endless) -> None:
    first, second = visit(), visit()
    for seen in (first, second):
        upload(seen, "photo", photo)
        seen.wait_for_selector("#photo img")
    first.click("#paint")
    first.wait_for_selector("#paint-view img", timeout=SECONDS)
    second.click("#paint")
    second.wait_for_selector("text=/queue: 1.1/", timeout=SECONDS)
    first.click("#paint-cancel")
    assert endless.closed.wait(30)
    endless.closed.clear()
    second.wait_for_selector("#paint-view img", timeout=SECONDS)
    second.click("#paint-cancel")
    assert endless.closed.wait(30)  # or nobody's job would come any more


def test_what_is_no_picture_gets_one_line(visit: Visit, tmp_path: Path) -> None:
    seen = visit()
    (tmp_path / "text.jpg").write_text("not a picture")
    upload(seen, "photo", tmp_path / "text.jpg")
    toast = seen.locator(".toast-body").first
    toast.wait_for()
    said = toast.inner_text()
    assert "text.jpg is a text, which is not read here" in said
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


def test_a_clip_and_a_film_are_shown(visit: Visit, tmp_path: Path) -> None:
    with clip.write(tmp_path / "clip.mp4", Info(64, 48, Fraction(12))) as out:
        for index in range(3):
            out.add(torch.rand(1, 3, 48, 64), Fraction(index, 12))
    seen = visit()
    open_tab(seen, "Video")
    upload(seen, "clip", tmp_path / "clip.mp4")
    seen.wait_for_selector("#clip video")
    seen.click("#paint-clip")
    seen.wait_for_selector("#painted video", timeout=SECONDS)  # and visible, as all that is waited for
    open_tab(seen, "Models")
    seen.click("#draw")
    seen.wait_for_selector("#film video", timeout=SECONDS)


@pytest.mark.parametrize("model", ["mnist-gan", "mnist-vae"])
def test_a_click_is_heard_while_the_page_still_answers_a_choice(visit: Visit, model: str) -> None:
    seen = visit()
    open_tab(seen, "Models")
    seen.get_by_label("Model", exact=True).first.click()
    seen.get_by_role("option", name=model, exact=True).click()
    seen.click("#draw")
    seen.wait_for_selector("#drawn img", timeout=SECONDS)


def test_models_name_and_show_their_plane(visit: Visit) -> None:
    seen = visit()
    open_tab(seen, "Models")
    open_tab(seen, "Plane")
    seen.wait_for_selector("#plane img", timeout=SECONDS)
    seen.locator("#plane img").click(position={"x": 40, "y": 60})
    seen.wait_for_selector("#here img", timeout=SECONDS)

    open_tab(seen, "Name")
    drawn_stroke(seen, "#digit", (-50, -90), (50, -90), (-20, 90))
    seen.wait_for_selector("#digit-named >> text=100%", timeout=SECONDS)
    assert seen.locator("#digit-named h2").inner_text() == "7"


@pytest.mark.parametrize(("language", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_tab_fits_in_both_languages(visit: Visit, language: str, scheme: str) -> None:
    seen = visit(360, language, scheme)
    assert seen.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    for width in (360, 1440):
        seen.set_viewport_size({"width": width, "height": 900})
        seen.wait_for_timeout(500)
        for name in TABS[language]:
            open_tab(seen, name)
            seen.wait_for_timeout(200)
            assert seen.evaluate("document.documentElement.scrollWidth") <= width
            assert "__i18n__" not in seen.inner_text("body")


def test_the_keyboard_reaches_the_styles_and_the_button(visit: Visit) -> None:
    seen = visit()
    reached = set()
    for _ in range(60):
        seen.keyboard.press("Tab")
        reached.add(seen.evaluate("document.activeElement.id || document.activeElement.name || ''"))
    assert "paint" in reached and "paint-cancel" in reached
    seen.get_by_label("Ink").focus()
    seen.keyboard.press("Space")
    assert seen.get_by_label("Ink").is_checked()
