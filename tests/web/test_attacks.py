"""The page under attack: a real process, asked over real sockets for what no honest visitor asks for."""

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import torch
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its processes get no SIGTERM")

NAME, PASSWORD = "studio", "a b&c"
JSON, FORM = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
SHEET = {"background": None, "layers": [], "composite": None}
Answer = tuple[int, http.client.HTTPMessage, bytes]


class Server:
    """A process of its own, and what it says to one visitor."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        words = [sys.executable, "-m", "impasto", "web", "--port", str(self.port), *options]
        environment = {**os.environ, "TMPDIR": str(folder), "IMPASTO_AUTH": f"{NAME}:{PASSWORD}"}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("Impasto paints at")
        (self.files,) = folder.glob("impasto-web-*")

    def ask(self, method: str, path: str, body: Any = None, cookie: str = "", **headers: str) -> Answer:
        """Send a request; words of headers are joined by "_" here."""
        said = {name.replace("_", "-"): value for name, value in headers.items()} | (
            {"Cookie": cookie} if cookie else {}
        )
        if isinstance(body, dict):
            body, said = json.dumps(body).encode(), {**JSON, **said}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            line.request(method, path, body, said)
            answer = line.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            line.close()

    def login(self, password: str = PASSWORD) -> Answer:
        return self.ask("POST", "/login", urlencode({"username": NAME, "password": password}), **FORM)

    def visitor(self) -> str:
        """The cookie of a new visitor."""
        status, headers, _ = self.login()
        assert status == 200
        return "; ".join(cookie.partition(";")[0] for cookie in headers.get_all("set-cookie") or ())

    def upload(self, cookie: str, *files: tuple[str, bytes]) -> Answer:
        return self.ask(
            "POST", "/gradio_api/upload", form(*files), cookie, Content_Type="multipart/form-data; boundary=b"
        )

    def uploaded(self, cookie: str, name: str, data: bytes) -> dict[str, Any]:
        status, _, answer = self.upload(cookie, (name, data))
        assert status == 200, answer
        return given(json.loads(answer)[0])

    def call(self, cookie: str, name: str, *data: Any) -> tuple[str, Any]:
        """How a job ends, and with what."""
        status, _, answer = self.ask("POST", f"/gradio_api/call/{name}", {"data": data}, cookie)
        assert status == 200, answer
        _, _, lines = self.ask("GET", f"/gradio_api/call/{name}/{json.loads(answer)['event_id']}", cookie=cookie)
        event, _, content = lines.decode().strip().split("\n\n")[-1].partition("\n")
        return event.removeprefix("event: "), json.loads(content.removeprefix("data: "))

    def memory(self, what: str = "VmHWM") -> int:
        """The most bytes that it ever took, or with "VmRSS" those of now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(what))


def given(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def form(*files: tuple[str, bytes]) -> bytes:
    part = '--b\r\nContent-Disposition: form-data; name="files"; filename="{}"\r\n\r\n'
    return b"".join(part.format(name).encode() + data + b"\r\n" for name, data in files) + b"--b--\r\n"


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), "white").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--max-pixels", "700000", "--max-upload", "1", "--max-visitor", "3", "--host-name", "studio.example")
    served = Server(tmp_path_factory.mktemp("server"), *options)
    yield served
    served.process.send_signal(signal.SIGTERM)
    served.process.communicate(timeout=60)
    assert "Traceback" not in served.log.read_text()  # of anything below


@pytest.fixture
def cookie(server: Server) -> str:
    return server.visitor()


def soon(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:99", 200), ("localhost", 200), ("[::1]:80", 200), ("studio.example", 200),
        ("STUDIO.example.:8", 200),
        ("evil.example", 421), ("studio.example.evil", 421), ("8.8.8.8", 421), ("127.0.0.1.nip.io", 421), ("", 421),
        ("localhost@evil", 421), ("a b", 421),
    ],
)  # fmt: skip
def test_the_page_answers_to_its_own_names_only(server: Server, host: str, status: int) -> None:
    assert server.ask("GET", "/", Host=host)[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://studio.example", 401), ("https://studio.example:443", 401), ("https://evil.example", 403),
        ("null", 403),
        ("http://studio.example:8080", 403), ("https://studio.example.evil", 403), ("http://[", 403),
    ],
)  # fmt: skip
def test_another_page_is_answered_nothing(server: Server, origin: str, status: int) -> None:
    answer = server.ask("POST", "/gradio_api/queue/join", {"data": []}, Host="studio.example", Origin=origin)
    assert answer[0] == status
    for method, more in (("GET", {}), ("OPTIONS", {"Access_Control_Request_Method": "POST"})):
        status, headers, _ = server.ask(method, "/", Host="studio.example", Origin="https://evil.example", **more)
        assert status == 403 and "access-control-allow-origin" not in headers


def test_another_page_embeds_nothing_but_may_link_here(server: Server) -> None:
    assert server.ask("GET", "/theme.css", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert server.ask("GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


def test_who_has_no_password_gets_the_login_page_and_nothing_else(server: Server) -> None:
    assert b"auth_required" in server.ask("GET", "/")[2]
    job = {"session_hash": "a", "fn_index": 0, "event_id": "b", "data": []}
    for path in (
        "queue/join",
        "cancel",
        "reset",
        "call/latent",
        "upload",
        "component_server",
        "vibe-edit",
        "run/latent",
    ):
        assert server.ask("POST", f"/gradio_api/{path}", job)[0] == 401, path
    for path in ("/config", "//config", "/gradio_api/heartbeat/a", "/gradio_api/info", "/gradio_api/startup-events",
                 "/gradio_api/app_id", "/gradio_api/user", "/gradio_api/token", "/gradio_api/queue/status",
                 "/assets/../config", "/monitoring/a", "/gradio_api/file=/etc/passwd"):  # fmt: skip
        assert server.ask("GET", path)[0] in (401, 403, 404), path
        assert server.ask("GET", path, cookie="access-token-x=guess")[0] in (401, 403, 404), path


def test_what_nobody_needs_is_not_there_with_a_password_either(server: Server, cookie: str) -> None:
    for path in ("vibe-code", "proxy=http://a.hf.space", "deep_link?session_hash=a", "file=https://example.com/a.png"):
        assert server.ask("GET", f"/gradio_api/{path}", cookie=cookie)[0] == 404, path
    assert server.ask("POST", "/gradio_api/run/latent", {"data": [0.5, 0.5]}, cookie)[0] == 404
    assert server.ask("DELETE", "/config", cookie=cookie)[0] == 404


def test_cookies_and_answers_tell_the_browser_to_keep_others_out(server: Server) -> None:
    _, headers, _ = server.login()
    cookies = headers.get_all("set-cookie") or []
    assert len(cookies) == 2 and all("samesite=lax" in one.lower() and "httponly" in one.lower() for one in cookies)
    for path in ("/", "/theme.css", "/config"):
        headers = server.ask("GET", path)[1]
        assert headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_passwords_cannot_be_tried_out(server: Server) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        found = [answer[0] for answer in threads.map(server.login, ["guess"] * 8)]
    tried = found.count(400)
    assert 1 <= tried <= time.monotonic() - begun and found.count(429) == 8 - tried  # a second for each, at least
    assert server.login()[0] == 200


def test_no_visitor_holds_the_page_up(server: Server, cookie: str) -> None:
    lines = []
    for number in range(60):
        line = socket.create_connection(("127.0.0.1", server.port))
        line.sendall(
            f"GET /gradio_api/heartbeat/a{number} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode()
        )
        lines.append(line)
    answers = [line.recv(12)[-3:] for line in lines]
    assert answers.count(b"200") == 30 and answers.count(b"429") == 30
    assert server.ask("GET", "/gradio_api/heartbeat/a", cookie=cookie)[0] == 429
    assert server.ask("GET", "/config", cookie=server.visitor())[0] == 200
    for line in lines:
        line.close()


@pytest.mark.parametrize(
    "body",
    [b"x" * 100_000, b'{"data": [NaN, 1]}', b'{"data": [1e999, 1]}', b'{"data": [-Infinity, 1]}', b"[" * 60_000, b"no",
     b'{"data": [0, 0], "session_hash": "' + b"a" * 1000 + b'"}', b'{"data": [0, 0], "session_hash": []}', b"\xff"],
)  # fmt: skip
def test_what_a_request_says_is_short_and_json(server: Server, cookie: str, body: bytes) -> None:
    status, _, _ = server.ask("POST", "/gradio_api/call/latent", body, cookie, **JSON)
    assert status == (413 if len(body) == 100_000 else 400)


def test_a_body_without_end_is_cut_off(server: Server, cookie: str) -> None:
    for path in ("call/latent", "component_server", "upload"):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            head = (f"POST /gradio_api/{path} HTTP/1.1", "Host: localhost", f"Cookie: {cookie}",
                    "Content-Type: multipart/form-data; boundary=b", "Transfer-Encoding: chunked")  # fmt: skip
            line.sendall("\r\n".join((*head, "", "")).encode())
            chunk, sent = form(("a.png", b""))[:-9] + bytes(100_000), 0
            try:
                while sent < 20_000_000:
                    line.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    sent, chunk = sent + len(chunk), bytes(100_000)
            except OSError:
                pass
            assert b" 4" in line.recv(16)[:12] or sent < 20_000_000


def test_unknown_jobs_are_answered_in_a_line(server: Server, cookie: str) -> None:
    for path, body in (
        ("call/nothing", {"data": []}), ("call/v2/nothing", {}), ("call/v2/latent", {"across": 1}),
        ("queue/join", {"data": [], "fn_index": 99_999, "session_hash": "a"}),
        ("queue/join", {"data": [], "fn_index": None, "session_hash": "a"}),
        ("component_server", {"data": {}, "component_id": 10**9, "session_hash": "a", "fn_name": "accept_blobs"}),
    ):  # fmt: skip
        status, _, answer = server.ask("POST", f"/gradio_api/{path}", body, cookie)
        assert 400 <= status < 500 and b"Traceback" not in answer, path


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("latent", [-5, 0.5], "minimum"), ("latent", ["x", 0.5], "does not take"), ("latent", [], "does not take"),
        ("latent", [{"a": 1}, None], "does not take"), ("latent", [10**400, 0.5], "maximum"),
        ("sample", ["mnist-gan", 10**6, "", 0], "maximum"), ("sample", ["mnist-gan", 1, "0-999999999", 0], "label"),
        ("sample", ["none", 1, "", 0], "not in the list"), ("interpolate", ["mnist-vae", 2, 2, "", -1], "minimum"),
        ("classify", ["/etc/passwd", "mnist-cnn"], "does not take"),
        ("classify", [given("/etc/passwd"), "mnist-cnn"], "uploaded"),
        ("classify", [given("https://example.com/a.png"), "mnist-cnn"], "uploaded"),
        ("inpaint", [{**SHEET, "layers": [given("/etc/passwd")]}, "lower", "mnist-pixelcnn", 1, 0], "uploaded"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_answered_in_a_line(
    server: Server, cookie: str, name: str, data: list[Any], said: str
) -> None:
    event, answer = server.call(cookie, name, *data)
    assert event == "error" and said in answer["error"] and "\n" not in answer["error"]


def style(photo: Any, styles: list[str], mask: Any = None, own: list[Any] | None = None) -> list[Any]:
    return [photo, styles, "draft", 1, 1, 1, "style", 128, 0, "", "protect", mask, own]


def test_a_style_given_a_thousand_times_is_one(server: Server, cookie: str, tmp_path: Path) -> None:
    from impasto.media.inspect import inspect

    photo = server.uploaded(cookie, "a.png", png(64, 48))
    event, answer = server.call(cookie, "style", *style(photo, ["swirl"] * 5000, own=[photo, photo]))
    assert event == "complete", answer
    names = [one["name"] for one in inspect(answer[1]["path"])["recipe"]["styles"]]
    assert names == ["swirl.jpg", "a.png"]
    many = [server.uploaded(cookie, f"{number}.png", png(8, 8)) for number in range(9)]
    event, answer = server.call(cookie, "style", *style(photo, [], own=many))
    assert event == "error" and answer["error"] == "9 styles are more than the limit of 8"


def test_no_visitor_fills_the_queue(server: Server, cookie: str) -> None:
    def begun(cookie: str, name: str, data: list[Any]) -> tuple[int, bytes]:
        status, _, answer = server.ask("POST", f"/gradio_api/call/{name}", {"data": data}, cookie)
        return status, answer

    long = style(server.uploaded(cookie, "a.png", png(64, 48)), ["swirl"])
    long[2] = "fine"
    assert begun(cookie, "style", long)[0] == 200
    answers = [begun(cookie, "latent", [0.5, 0.5]) for _ in range(15)]
    refused = [json.loads(answer)["detail"] for status, answer in answers if status == 503]
    assert len(refused) in (5, 6) and set(refused) == {
        "10 of your jobs are waiting; give the next when one of them is done"
    }
    assert server.call(server.visitor(), "latent", 0.5, 0.5)[0] == "complete"
    assert server.call(cookie, "latent", 0.5, 0.5)[0] == "complete"


def test_sessions_are_forgotten(server: Server, cookie: str) -> None:
    before = server.memory("VmRSS")
    for number in range(1000):
        job = {"data": {}, "component_id": 1, "session_hash": f"new{number}", "fn_name": "none"}
        assert server.ask("POST", "/gradio_api/component_server", job, cookie)[0] == 404
    assert server.memory("VmRSS") - before < 1.2e8  # each takes 0.3 MB


def test_every_picture_has_its_pixels_counted_before_it_is_read(server: Server, cookie: str) -> None:
    photo, large = (server.uploaded(cookie, "a.png", png(*side)) for side in ((64, 48), (9000, 9000)))
    assert server.memory() < 2e9
    before, sheet = server.memory(), {**SHEET, "background": large, "layers": [large], "composite": large}
    for name, data in (
        ("classify", [large, "mnist-cnn"]),
        ("inpaint", [sheet, "lower", "mnist-pixelcnn", 1, 0]),
        ("style", style(photo, ["swirl"], sheet)),
        ("style", style(photo, [], own=[large])),
        ("style", style(large, ["swirl"])),
    ):
        event, answer = server.call(cookie, name, *data)
        assert event == "error" and "a.png has 9000 × 9000 pixels, more than the limit" in answer["error"]
    assert server.memory() - before < 4e8  # 81 megapixels take gigabytes


def test_a_drawing_has_few_layers(server: Server, cookie: str) -> None:
    layer = server.uploaded(cookie, "a.png", png(28, 28))
    event, answer = server.call(cookie, "inpaint", {**SHEET, "layers": [layer] * 200}, "lower", "mnist-pixelcnn", 1, 0)
    assert event == "error" and answer["error"] == "a drawing has at most 4 layers"
    config = json.loads(server.ask("GET", "/config", cookie=cookie)[2])
    editor = next(one["id"] for one in config["components"] if one["type"] == "imageeditor")
    for index, status in (("1000000000", 400), ("-7", 400), ("x", 400), ("0", 200)):
        words = {"type": "layer", "index": index, "id": "a", "component_id": str(editor), "session_hash": "a",
                 "fn_name": "accept_blobs"}  # fmt: skip
        fields = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in words.items())
        body = fields.encode() + form(("blob", png(8, 8)))
        kind = "multipart/form-data; boundary=b"
        found = server.ask("POST", "/gradio_api/component_server", body, cookie, Content_Type=kind)[0]
        assert found == status, index


def test_uploads_have_a_quota_for_each_visitor(server: Server, cookie: str) -> None:
    data = os.urandom(900_000)
    assert [server.upload(cookie, ("a.bin", data))[0] for _ in range(5)] == [200, 200, 200, 413, 413]
    _, _, answer = server.upload(cookie, ("a.bin", data))
    assert answer.startswith(b"your files here would be more than the limit of 3 MB")
    assert server.upload(server.visitor(), ("a.bin", data))[0] == 200


def test_uploads_are_no_way_around_the_limits(server: Server, cookie: str) -> None:
    before = set(server.files.rglob("*"))
    field = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n' + bytes(1000) + b"\r\n--b--\r\n"
    kind = {"Content_Type": "multipart/form-data; boundary=b"}
    assert server.upload(cookie, ("a", bytes(1_100_000)))[0] == 413
    assert server.upload(cookie, *[("a", b"")] * 50)[0] == 400
    for body in (field, b"nothing", b""):
        assert server.ask("POST", "/gradio_api/upload?upload_id=a", body, cookie, **kind)[0] in (200, 400)
    assert server.ask("POST", "/gradio_api/upload", b"nothing", cookie)[0] == 400
    status, _, answer = server.upload(cookie, ("../../a/../..", b"x"), ("..", b"x"), ("a" * 500, b"x"))
    assert status == 200
    assert all(Path(one).resolve().is_relative_to(server.files.resolve()) for one in json.loads(answer))
    assert len([one for one in set(server.files.rglob("*")) - before if one.is_file()]) == 3


def test_a_broken_upload_leaves_nothing(server: Server, cookie: str) -> None:
    before = set(server.files.iterdir())
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        head = (f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Length: 900000\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\n\r\n")  # fmt: skip
        line.sendall(head.encode() + form(("a.png", bytes(500_000)))[:-9])
        soon(lambda: bool(set(server.files.iterdir()) - before))
    soon(lambda: set(server.files.iterdir()) <= before)


def test_a_cancelled_job_leaves_nothing_and_one_that_waits_does_not_run(server: Server, cookie: str) -> None:
    config = json.loads(server.ask("GET", "/config", cookie=cookie)[2])
    number = {one["api_name"]: one["id"] for one in config["dependencies"]}

    def join(name: str, *data: Any) -> dict[str, Any]:
        job = {"fn_index": number[name], "session_hash": "visit"}
        _, _, answer = server.ask("POST", "/gradio_api/queue/join", {**job, "data": data}, cookie)
        return {**job, "event_id": json.loads(answer)["event_id"]}

    before = set(server.files.iterdir())
    running = join("sample", "mnist-pixelcnn", 100, "", 0)
    soon(lambda: bool(set(server.files.iterdir()) - before))
    waiting = join("interpolate", "mnist-vae", 1, 2, "", 0)
    for job in (waiting, running):
        assert server.ask("POST", "/gradio_api/cancel", job, cookie)[0] == 200
    assert server.call(cookie, "latent", 0.5, 0.5)[0] == "complete"  # the next in the queue
    assert not list(server.files.rglob("*interpolated*"))
    soon(lambda: not [one for one in set(server.files.iterdir()) - before if not list(one.glob("image.*"))])


def test_a_recipe_too_long_for_the_page_is_said(server: Server, cookie: str, tmp_path: Path) -> None:
    from impasto.media.picture import Picture

    Picture(torch.zeros(1, 3, 8, 8), recipe={f"key {n}": n for n in range(30_000)}).save(tmp_path / "b.png")
    long = server.uploaded(cookie, "b.png", (tmp_path / "b.png").read_bytes())
    event, answer = server.call(cookie, "inspect", long)
    assert event == "error" and answer["error"].startswith("the recipe is too long for the page")
