"""Draw the pictures of the page in the docs: what a browser shows of it. Needs Chromium.

python tools/draw_page.py
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

PICTURES = Path("docs/pictures")
WIDEST = 1200  # pixels
MINUTES = 10 * 60_000  # milliseconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        photo = Path(folder) / "coffee.png"
        Image.fromarray(data.coffee()).save(photo)
        server = subprocess.Popen(
            [sys.executable, "-m", "impasto", "web", "--port", "7869"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            style(browser, photo, Path(folder) / "shot.png")
            phone(browser, photo, Path(folder) / "shot.png")
        finally:
            server.terminate()
            server.wait()


def style(browser: Any, photo: Path, shot: Path) -> None:
    """The Style tab after a run."""
    seen = opened(browser, photo, viewport={"width": 1440, "height": 860}, locale="en-GB")
    seen.get_by_label("Swirl").uncheck()
    seen.get_by_label("Meadow").check()
    seen.click("#paint")
    seen.wait_for_selector("#both img", timeout=MINUTES)
    seen.wait_for_timeout(2000)
    seen.screenshot(path=shot)
    kept(shot, "web-style.jpg")


def phone(browser: Any, photo: Path, shot: Path) -> None:
    """The same on a phone, in Chinese and dark, while a picture is painted."""
    seen = opened(browser, photo, viewport={"width": 360, "height": 900}, locale="zh-CN", color_scheme="dark")
    seen.click("#paint")
    seen.wait_for_selector("#paint-view .track", timeout=MINUTES)
    seen.wait_for_timeout(8000)
    seen.screenshot(path=shot, full_page=True)
    kept(shot, "web-phone.jpg")


def opened(browser: Any, photo: Path, **context: Any) -> Any:
    seen = browser.new_context(reduced_motion="reduce", **context).new_page()
    seen.goto("http://127.0.0.1:7869")
    seen.set_input_files("#photo input[type=file]", photo)
    seen.wait_for_selector("#photo img")
    return seen


def kept(shot: Path, name: str) -> None:
    picture = Image.open(shot).convert("RGB")
    picture.thumbnail((WIDEST, picture.height))
    picture.save(PICTURES / name, quality=85)
    print(PICTURES / name, flush=True)


if __name__ == "__main__":
    main()
