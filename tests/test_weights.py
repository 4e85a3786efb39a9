"""Weight files: fetched from a server on this machine, checked, placed whole or not at all."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from impasto import download, weights
from impasto.errors import WeightsError

CONTENT = bytes(range(256)) * 1024  # several chunks


class Server(ThreadingHTTPServer):
    """Serves CONTENT, and sends only half of it to the first `broken` requests."""

    broken = 0
    requests = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path != "/tiny.bin":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        half = self.server.requests <= self.server.broken
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if half else CONTENT)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # seconds between looks at shutdown
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty IMPASTO_HOME, and no pause between two attempts."""
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "home"


@pytest.fixture
def tiny(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> weights.WeightFile:
    """A small file in the registry that the local server has."""
    tiny = weights.WeightFile(
        name="tiny",
        file="tiny.bin",
        licence="CC0-1.0",
        what="a test",
        url=f"http://127.0.0.1:{server.server_port}/tiny.bin",
        hash="sha256:" + hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
    )
    monkeypatch.setitem(weights.REGISTRY, "tiny", tiny)
    return tiny


def files_below(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file()]


def one_line(error: pytest.ExceptionInfo[WeightsError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.usefixtures("tiny")
def test_a_file_is_fetched_at_first_use_and_kept(server: Server, home: Path) -> None:
    file = weights.path("tiny")
    assert file == home / "weights" / "tiny.bin"
    assert file.read_bytes() == CONTENT
    assert weights.path("tiny") == weights.fetch("tiny") == file
    assert server.requests == 1
    assert files_below(home) == ["tiny.bin"]


@pytest.mark.usefixtures("tiny")
def test_the_hash_for_the_recipe_is_that_of_the_file() -> None:
    assert weights.sha256_of("tiny") == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.usefixtures("tiny")
def test_a_download_that_breaks_off_is_tried_again(server: Server, home: Path) -> None:
    server.broken = weights.RETRIES
    assert weights.path("tiny").read_bytes() == CONTENT
    assert server.requests == weights.RETRIES + 1
    assert files_below(home) == ["tiny.bin"]


def test_a_download_that_always_breaks_off_leaves_nothing(server: Server, home: Path, tiny: weights.WeightFile) -> None:
    server.broken = 99
    with pytest.raises(WeightsError, match="broke off") as error:
        weights.path("tiny")
    assert "--weights PATH" in one_line(error)
    assert server.requests == weights.RETRIES + 1
    assert files_below(home) == []


def test_a_file_with_another_hash_is_refused(
    home: Path, tiny: weights.WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(weights.REGISTRY, "tiny", replace(tiny, hash="md5:" + "0" * 32))
    with pytest.raises(WeightsError, match="hash") as error:
        weights.fetch("tiny")
    assert "tiny.bin" in one_line(error)
    assert files_below(home) == []


@pytest.mark.usefixtures("tiny")
def test_a_copy_by_hand_that_broke_off_is_replaced(home: Path) -> None:
    file = weights.where("tiny")
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT[:1000])
    assert weights.path("tiny").read_bytes() == CONTENT


@pytest.mark.usefixtures("tiny")
def test_fetch_repairs_a_damaged_file(home: Path) -> None:
    file = weights.path("tiny")
    file.write_bytes(CONTENT[::-1])
    assert weights.fetch("tiny").read_bytes() == CONTENT


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_download_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(url: str, file: str, _: object) -> None:
        Path(file).write_bytes(CONTENT[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.path("tiny")
    assert files_below(home) == []


def test_without_a_network_one_line_says_what_to_do(
    home: Path, tiny: weights.WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/tiny.bin"
        monkeypatch.setitem(weights.REGISTRY, "tiny", replace(tiny, url=url))
        with pytest.raises(WeightsError, match="no connection") as error:
            weights.path("tiny")
    message = one_line(error)
    for part in ("tiny.bin", url, "--weights PATH", "IMPASTO_HOME", str(home / "weights" / "tiny.bin")):
        assert part in message
    assert files_below(home) == []


def test_a_file_that_the_server_does_not_have_is_named_with_the_status(
    tiny: weights.WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(weights.REGISTRY, "tiny", replace(tiny, url=f"{tiny.url}.old"))
    with pytest.raises(WeightsError, match="404") as error:
        weights.path("tiny")
    one_line(error)


@pytest.mark.usefixtures("tiny")
def test_a_folder_that_cannot_be_written_is_named(home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match="IMPASTO_HOME") as error:
        weights.path("tiny")
    assert str(home) in one_line(error)


def test_the_listing_says_what_is_here_and_fetches_nothing(server: Server, tiny: weights.WeightFile) -> None:
    def line() -> weights.Listed:
        return next(line for line in weights.listing() if line.name == "tiny")

    assert not line().present
    assert server.requests == 0
    file = weights.fetch("tiny")
    assert line() == ("tiny", len(CONTENT), "CC0-1.0", "a test", True, file)


def test_without_impasto_home_files_lie_in_the_cache_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMPASTO_HOME", raising=False)
    assert weights.where("vgg19").is_relative_to(pooch.os_cache("impasto"))


def test_a_bundled_file_missing_from_the_installation_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    with pytest.raises(WeightsError, match=r"compact\.safetensors is missing"):
        weights.path("compact")


def test_unknown_weights_are_refused_with_those_that_exist() -> None:
    with pytest.raises(WeightsError, match="compact, anystyle, vgg16, vgg19"):
        weights.path("vgg11")
