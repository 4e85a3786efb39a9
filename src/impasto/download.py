"""What comes from the network: one file, whole and with the right hash, or not at all."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError

TIMEOUT = 30  # seconds without an answer
CHUNK = 2**16  # bytes


def home() -> Path:
    """The folder of all that is fetched: IMPASTO_HOME, or else the user's cache folder."""
    import pooch

    return Path(os.environ.get("IMPASTO_HOME") or pooch.os_cache("impasto")).expanduser()


def fetch(
    target: Path, urls: Sequence[str], known_hash: str, *, retries: int, error: type[ImpastoError], otherwise: str
) -> None:
    """Make sure that `target` is here and has its hash.

    A download goes to a temporary name in the same folder and takes its final name only after the hash check, so that
    an interrupted one leaves nothing behind. A bar shows it where a person is watching.

    Args:
        urls: where the file is, tried in turn.
        known_hash: as pooch writes it, "md5:..." or "sha256:...".
        retries: of a download that breaks off or arrives damaged, before the next address.
        error: what is raised.
        otherwise: the end of its message: what to do instead.

    Raises:
        ImpastoError: no address gave the file, or it cannot be stored.
    """
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    for url in urls:
        names = {"registry": {target.name: known_hash}, "urls": {target.name: url}}
        cache = pooch.create(target.parent, "", retry_if_failed=retries, **names)
        try:
            cache.fetch(target.name, downloader=_download)
            return
        except RequestException as failed:  # an OSError too, so it comes first
            status = None if failed.response is None else failed.response.status_code
            reason = f"the server answers {status}" if status else "no connection, or it broke off"
        except ValueError:  # pooch's word for a wrong hash
            reason = "what came does not have its hash"
        except OSError as failed:
            why = failed.strerror or failed
            raise error(f"cannot store {target}: {why}; choose another IMPASTO_HOME") from failed
    raise error(f"cannot download {target.name} ({reason}); {otherwise}")


def _download(url: str, file: str, _: Any) -> None:
    """Write what is at `url` to `file`, as pooch asks a downloader to."""
    import requests
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
    with requests.get(url, stream=True, timeout=TIMEOUT) as answer, Path(file).open("wb") as output, bar:
        answer.raise_for_status()
        task = bar.add_task("", total=int(answer.headers.get("content-length", 0)) or None)
        for chunk in answer.iter_content(CHUNK):
            output.write(chunk)
            bar.advance(task, len(chunk))
