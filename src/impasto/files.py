"""Writing files so that they appear whole or not at all, whatever happens on the way."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there takes the place of `path` at the end.

    After an error nothing is left behind, and the file that was there before stays. A link stays a link.
    """
    target = path.resolve()
    part = target.with_name(f".impasto-{uuid.uuid4().hex}{target.suffix}")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
