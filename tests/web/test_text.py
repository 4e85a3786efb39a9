"""The words of the page."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


def test_every_word_is_in_both_languages_with_the_same_blanks(page: Any) -> None:
    from impasto.web.text import WORDS

    for key, (english, chinese) in WORDS.items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), key


@pytest.mark.parametrize(
    ("wanted", "said_so"), [("zh-CN,zh;q=0.9,en;q=0.8", "已取消。"), ("en", "Cancelled."), ("", "Cancelled.")]
)
def test_the_browser_says_which(page: Any, wanted: str, said_so: str) -> None:
    from impasto.web.text import said

    request: Any = SimpleNamespace(headers={"accept-language": wanted})
    assert said(request, "cancelled") == said_so


def test_no_word_is_left_over(page: Any) -> None:
    from impasto import web
    from impasto.web.text import WORDS

    sources = "".join(file.read_text() for file in Path(web.__file__).parent.glob("*.py") if file.name != "text.py")
    families = ("style ", "quality ", "colour ", "clip colour ", "init ", "part ", "mask ", "tab ", "photo ")
    left = {key for key in WORDS if f'"{key}"' not in sources and f"'{key}'" not in sources}
    assert {key for key in left if not key.startswith(families)} == set()
