"""The one way in for files: each upload has a folder, within the quotas, and it is gone again if it breaks off."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from gradio.route_utils import GradioMultiPartParser
from gradio.routes import file_upload_statuses
from gradio_client.utils import strip_invalid_filename_characters  # type: ignore[import-untyped]
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from impasto.errors import OutputError
from impasto.web.guard import visitor
from impasto.web.limits import MAX_STYLES
from impasto.web.storage import Storage

TOO_MUCH = 413  # HTTP


def uploading(storage: Storage) -> Callable[..., Awaitable[Response]]:
    """What answers where Gradio's own page sends files to; Gradio's own would leave behind what breaks off."""

    async def upload(request: Request, upload_id: str | None = None) -> Response:
        if upload_id:
            file_upload_statuses.track(upload_id)
        try:
            folder = storage.new(visitor(request.scope))
        except OutputError as error:
            return PlainTextResponse(str(error), TOO_MUCH)
        try:
            files = await _received(request, upload_id, folder, storage)
            storage.settle(folder)
            return JSONResponse(files)
        except BaseException as error:
            storage.discard(folder)
            if isinstance(error, OutputError):
                return PlainTextResponse(str(error), TOO_MUCH)
            if isinstance(error, MultiPartException):
                return PlainTextResponse(error.message, TOO_MUCH if "File size" in error.message else 400)
            if isinstance(error, (ClientDisconnect, KeyError, ValueError, OSError)):
                return PlainTextResponse("this upload cannot be read", 400)
            raise
        finally:
            if upload_id:
                file_upload_statuses.set_done(upload_id)

    return upload


async def _received(request: Request, upload_id: str | None, folder: Path, storage: Storage) -> list[str]:
    """The files of a request, each in a folder of its own in `folder`, under the names that they came with."""

    async def counted() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            storage.grow(folder, len(chunk))
            yield chunk

    parser = GradioMultiPartParser(
        request.headers,
        counted(),  # type: ignore[arg-type]
        max_files=MAX_STYLES,
        max_fields=0,
        upload_dir=folder,
        upload_id=upload_id,
        upload_progress=file_upload_statuses if upload_id else None,
        max_file_size=storage.limits.max_upload * 1e6,
    )
    try:
        form = await parser.parse()
        files = []
        for number, part in enumerate(form.getlist("files")):
            name = strip_invalid_filename_characters(Path(part.filename or "file").name)  # type: ignore[union-attr]
            place = folder / str(number) / (name if name.strip(".") else "file")
            place.parent.mkdir()
            part.file.close()  # type: ignore[union-attr]
            files.append(str(Path(part.file.name).rename(place)))  # type: ignore[union-attr]
        return files
    finally:
        for file in parser._files_to_close_on_error:
            with contextlib.suppress(OSError):
                file.close()
