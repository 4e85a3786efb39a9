"""`impasto web`: the same work on a page in the browser."""

import ipaddress
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
    max_upload: Annotated[float | None, limit("max_upload", metavar="MB")] = None,
    max_pixels: Annotated[int | None, limit("max_pixels", metavar="N")] = None,
    max_size: Annotated[int | None, limit("max_size", metavar="PX")] = None,
    max_seconds: Annotated[float | None, limit("max_seconds", metavar="SECONDS")] = None,
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

    from impasto.device import pick_device
    from impasto.web import app

    pick_device(device)
    with app.prepared():
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise SettingsError("the page needs Gradio; install it with: pip install 'impasto[web]'") from error
        page = app.serve(
            limits,
            server_name=host,
            server_port=port,
            auth=(user, password) if auth else None,
            root_path=root_path,
        )
        try:
            print(f"Impasto paints at {page.local_url} until Ctrl-C", flush=True)
            page.block_thread()
        except KeyboardInterrupt:  # which Gradio takes for the usual end, too, but only once it waits for it
            page.close(verbose=False)


def _own(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
