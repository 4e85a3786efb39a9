"""What a request must be before the page answers it, and what every answer says to the browser."""

import asyncio
import ipaddress
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_TARGET = 4096  # bytes of a path with its query
MAX_BODY = 64_000  # bytes of what is no file: pictures are named there, and come as files
MAX_SHEET = 4_000_000  # bytes of a drawing from the page
MAX_NAME = 100  # characters of a name for a session
BODY_WAIT = 30  # seconds from one piece of a body to the next
LOGIN_WAIT = 1.0  # seconds that a wrong password takes
LOGINS = 20  # at a time, one for each address

# What the login page is made of, and what the page and its programs ask for. Gradio has more, which nobody needs here.
OPEN = re.compile(r"/|/login/?|/logout|/theme\.css|/favicon\.ico|/(assets|static|svelte)/.*")
INSIDE = re.compile(
    r"/(config|manifest\.json)/?|/gradio_api/((info|app_id|user|login_check|token|startup-events|cancel|reset|upload"
    r"|upload_progress|component_server|openapi\.json|theme\.css|queue/(join|data|status))/?"
    r"|heartbeat/[\w-]{1,100}|call/(v2/)?\w+(/\w*)?|file=(?!.*://).+)"
)
STREAM = re.compile(r"/gradio_api/(heartbeat/.*|queue/data|upload_progress|call/(v2/)?\w+/\w+)")
UPLOAD = re.compile(r"/gradio_api/(upload|component_server)/?")
AT_ONCE = {"stream": (30, 300), "upload": (6, 24), "other": (100, 500)}  # requests for one visitor, and for all

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
}


class Guard:
    """Stands before `app`.

    Args:
        host: what the server is bound to.
        names: by which it is known besides.
        user_of: who a token stands for; None where nobody needs a password.
    """

    def __init__(
        self, app: ASGIApp, host: str, names: Iterable[str], user_of: Callable[[str], str | None] | None
    ) -> None:
        self.app, self.host, self.user_of = app, host, user_of
        self.names = {name.lower() for name in names}
        self.logging_in: set[str] = set()
        self.at_once: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        send = _with_headers(send)
        headers, address = Headers(scope=scope), (scope["client"] or ("?",))[0]
        token = next(filter(self.user_of, _tokens(headers)), None) if self.user_of else None
        scope["visitor"] = token or address
        status, why = self._refused(scope, headers, signed_in=not self.user_of or token is not None)
        if status:
            return await PlainTextResponse(why, status)(scope, receive, send)
        # Which name the page has, is for Host alone to say.
        scope["headers"] = [h for h in scope["headers"] if h[0] not in (b"x-forwarded-host", b"x-gradio-server")]
        path = scope["path"]
        kind = "stream" if STREAM.fullmatch(path) else "upload" if UPLOAD.fullmatch(path) else "other"
        of_one, of_all = AT_ONCE[kind]
        if self.at_once[kind, scope["visitor"]] >= of_one or self.at_once[kind, ""] >= of_all:
            return await PlainTextResponse("too many requests at once", 429)(scope, receive, send)
        counted = (kind, scope["visitor"]), (kind, "")
        self.at_once.update(counted)
        try:
            if kind == "upload":
                await self.app(
                    scope, _piecewise(receive, None if path.rstrip("/").endswith("upload") else MAX_SHEET), send
                )
            else:
                try:
                    body = await _whole(_piecewise(receive, MAX_BODY))
                    if body and not path.startswith("/login"):
                        _check_json(body)
                except HTTPException as error:
                    return await PlainTextResponse(error.detail, error.status_code)(scope, receive, send)
                receive = _again(body, receive)
                if path.startswith("/login") and self.user_of:
                    await self._log_in(address, scope, receive, send)
                else:
                    await self.app(scope, receive, send)
        finally:
            self.at_once.subtract(counted)
            for one in counted:
                if not self.at_once[one]:
                    del self.at_once[one]

    def _refused(self, scope: Scope, headers: Headers, signed_in: bool) -> tuple[int, str]:
        """Status and reason of a refusal; 0 for none."""
        host, origin, path = headers.get("host", ""), headers.get("origin"), scope["path"]
        if not self._answers_to(host):
            return 421, "the page does not answer to this name; its owner can add it with --host-name"
        if origin is not None and not _same(origin, host):
            return 403, "the page answers to no other page"
        navigates = headers.get("sec-fetch-mode") == "navigate" and path == "/"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not navigates:
            return 403, "the page answers to no other page"
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
            return 414, "too long an address"
        reading = scope["method"] in ("GET", "HEAD")
        if OPEN.fullmatch(path) and (reading or (path.startswith("/login") and scope["method"] == "POST")):
            return 0, ""
        if not signed_in:
            return 401, "log in first"
        if not INSIDE.fullmatch(path) or not (reading or scope["method"] == "POST"):
            return 404, "there is nothing here"
        return 0, ""

    def _answers_to(self, host: str) -> bool:
        """Whether `host`, of a request, is a name of this server: another one leads here by a trick with its DNS."""
        found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+?)\.?(:\d{1,5})?", host, re.ASCII)
        if not found:
            return False
        name = found[1].lower()
        if name in self.names or name == self.host.lower():
            return True
        address, bound = _address(name.strip("[]")), _address(self.host)
        if self.host == "localhost" or (bound and bound.is_loopback):
            return name == "localhost" or bool(address and address.is_loopback)
        if bound and bound.is_unspecified:  # a name could be anybody's, an address not
            own = socket.gethostname().lower()
            return address is not None or name in ("localhost", own, f"{own}.local")
        return address is not None and address == bound

    async def _log_in(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in one of an address at a time, and take time to say no: passwords cannot be tried out."""
        if address in self.logging_in or len(self.logging_in) >= LOGINS:
            return await PlainTextResponse("too many logins at once; try again", 429)(scope, receive, send)

        async def slowly(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await asyncio.sleep(LOGIN_WAIT)
            await send(message)

        self.logging_in.add(address)
        try:
            await self.app(scope, receive, slowly)
        finally:
            self.logging_in.discard(address)


def visitor(scope: Any) -> str:
    """Whose request it is: who logged in, or else where from."""
    return str(scope["visitor"])


def _tokens(headers: Headers) -> list[str]:
    """What this page, or another of Gradio's, gave a visitor who logged in."""
    cookies = cookie_parser(headers.get("cookie", ""))
    return [value for name, value in cookies.items() if name.startswith("access-token-")]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _same(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from `host`, both as a browser says them: ports may be left out."""
    scheme, _, site = origin.lower().partition("://")
    port = {"http": ":80", "https": ":443"}.get(scheme)
    return port is not None and site.removesuffix(port) == host.lower().removesuffix(port)


def _with_headers(send: Send) -> Send:
    """Every answer says that it is nobody's frame, and gives its cookies to no other page."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                (name, re.sub(rb"(?i)samesite=none", b"SameSite=Lax", value) if name == b"set-cookie" else value)
                for name, value in message.get("headers", [])
            ]
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return with_headers


def _piecewise(receive: Receive, limit: int | None) -> Receive:
    """`receive`, of no more than so many bytes, and none that keeps one waiting.

    Raises:
        HTTPException: more come, or none do.
    """
    seen, complete = 0, False

    async def piece() -> Message:
        nonlocal seen, complete
        if complete:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_WAIT)
        except TimeoutError as error:
            raise HTTPException(408, "too slow") from error
        seen += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if limit is not None and seen > limit:
            raise HTTPException(413, f"more than {limit} bytes, which is too much here")
        return message

    return piece


async def _whole(receive: Receive) -> bytes:
    """The body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "broken off")
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, and goes on."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _check_json(body: bytes) -> None:
    """Refuse what is no JSON by the book: NaN passes every comparison with a limit.

    Raises:
        HTTPException: it is not.
    """

    def finite(text: str) -> float:
        if not abs(number := float(text)) < float("inf"):
            raise ValueError(text)
        return number

    try:
        said = json.loads(body, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "this is no JSON, or numbers in it are none") from error
    session = said.get("session_hash") if isinstance(said, dict) else None
    if session is not None and not (isinstance(session, str) and 0 < len(session) <= MAX_NAME):
        raise HTTPException(400, f"a session_hash is a text of at most {MAX_NAME} characters")
