"""`impasto web` before it serves anything."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Impasto = Callable[..., Any]  # the fixture in conftest.py


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "studio.example"])
def test_others_are_let_in_only_with_a_password(impasto: Impasto, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMPASTO_AUTH", raising=False)
    code, out, err = impasto("web", "--host", host)
    assert (code, out) == (2, "")
    assert err == f"error: {host} lets others in: add --auth USER:PASSWORD, or set IMPASTO_AUTH\n"


@pytest.mark.parametrize("auth", ["name", "name:", ":password", ""])
def test_a_password_has_a_name(impasto: Impasto, auth: str) -> None:
    assert impasto("web", "--auth", auth) == (2, "", "error: --auth and IMPASTO_AUTH take USER:PASSWORD\n")


def test_the_password_may_come_from_the_environment(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_AUTH", "nameless")
    assert impasto("web", "--host", "0.0.0.0").err == "error: --auth and IMPASTO_AUTH take USER:PASSWORD\n"


@pytest.mark.skipif(sys.platform == "win32", reason="its processes get no such signal")
def test_a_server_starts_beside_a_proxy_and_leaves_nothing_behind(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "impasto", "web", "--port", str(free_port())]
    nowhere = f"http://127.0.0.1:{free_port()}"  # a proxy is for what lies elsewhere
    environment = {**os.environ, "TMPDIR": str(tmp_path), "http_proxy": nowhere, "no_proxy": "example.org"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Impasto paints at http://127.0.0.1:")
        assert list(tmp_path.glob("impasto-web-*"))
        server.send_signal(signal.SIGTERM)  # as what stops services does
        assert server.wait(60) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="its processes get no such signal")
def test_ctrl_c_ends_it_while_it_starts(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "impasto", "web", "--port", str(free_port())]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as server:
        assert server.stdout is not None and server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_named_at_once(impasto: Impasto) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = impasto("web", "--port", port)
    assert said.code == 2 and said.err.startswith(f"error: nothing can be served at 127.0.0.1, port {port}: ")


@pytest.mark.parametrize("name", ["http://studio.example", "studio.example:80", "*", "a b"])
def test_a_host_name_is_a_name(impasto: Impasto, name: str) -> None:
    assert (
        impasto("web", "--host-name", name).err
        == f"error: --host-name takes a name such as studio.example, not {name}\n"
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_device_that_is_not_there_is_named_at_once(impasto: Impasto) -> None:
    assert "no device 'abacus'" in impasto("web", "--device", "abacus").err
