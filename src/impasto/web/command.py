"""`impasto web`: the same work on a page in the browser."""

import ipaddress
import re
import socket
from functools import partial
from typing import Annotated

import typer

from impasto import options
from impasto.errors import SettingsError
from impasto.web.limits import Limits

PASSWORD = "IMPASTO_AUTH"  # environment variable
limit = partial(options.setting, None, of=Limits)


def web(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to answer on.", metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.", min=1, max=65535, metavar="N")] = 7860,
    auth: Annotated[
        str | None,
        typer.Option(
            help=f"Let in only who knows this; better set as {PASSWORD}, for a command line can be seen.",
            envvar=PASSWORD,
            metavar="USER:PASSWORD",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(help="A name that a proxy, or the DNS, gives this page; may be repeated.", metavar="NAME"),
    ] = None,
    max_upload: Annotated[float | None, limit("max_upload", metavar="MB")] = None,
    max_pixels: Annotated[int | None, limit("max_pixels", metavar="N")] = None,
    max_size: Annotated[int | None, limit("max_size", metavar="PX")] = None,
    max_seconds: Annotated[float | None, limit("max_seconds", metavar="SECONDS")] = None,
    max_visitor: Annotated[float | None, limit("max_visitor", metavar="MB")] = None,
    max_stored: Annotated[float | None, limit("max_stored", metavar="MB")] = None,
    max_hours: Annotated[float | None, limit("max_hours", metavar="HOURS")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = Limits.device,
    root_path: Annotated[
        str | None, typer.Option(help="The path that a proxy serves the page under.", metavar="/PATH")
    ] = None,
) -> None:
    """Serve a page that does all this in the browser, on this machine only unless told otherwise.

    impasto web
    """
    limits = Limits(**options.given(context.params, Limits))
    user, colon, password = (auth or "").partition(":")
    if auth is not None and not (user and password):
        raise SettingsError(f"--auth and {PASSWORD} take USER:PASSWORD")
    if not (_own(host) or colon):
        raise SettingsError(f"{host} lets others in: add --auth USER:PASSWORD, or set {PASSWORD}")

    for name in host_name or ():
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", name, re.ASCII):
            raise SettingsError(f"--host-name takes a name such as studio.example, not {name}")

    from impasto.device import configure_cpu, pick_device
    from impasto.web import app

    pick_device(device)
    configure_cpu()
    with _listening(host, port) as ear, app.prepared() as files:
        try:
            import gradio  # noqa: F401
            import uvicorn
        except ImportError as error:
            raise SettingsError("the page needs Gradio; install it with: pip install 'impasto[web]'") from error
        page = app.application(
            limits,
            files,
            host,
            names=host_name or (),
            auth=(user, password) if auth else None,
            root_path=root_path,
        )
        # h11, for it bounds what comes before a body.
        config = uvicorn.Config(
            page, http="h11", ws="none", limit_concurrency=1000, timeout_graceful_shutdown=1, log_level="warning"
        )
        shown = f"[{host}]" if ":" in host else host
        try:
            print(f"Impasto paints at http://{shown}:{port}/ until Ctrl-C", flush=True)
            uvicorn.Server(config).run(sockets=[ear])
        except KeyboardInterrupt:
            pass


def _listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections, before there is anybody to answer them."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        raise SettingsError(f"nothing can be served at {host}, port {port}: {error.strerror or error}") from error


def _own(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
