"""`manifest.jsonl`: a line for each picture that was painted, or could not be. It is what a batch goes on from."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from impasto.files import writing

NAME = "manifest.jsonl"
Record = dict[str, Any]  # output, key, status ("done" or "failed"), and what came of it


def done(folder: Path) -> dict[str, str | None]:
    """The key of each output whose last record says that it is done, else None. A line that a kill cut off is none."""
    keys = {}
    for record in records(folder):
        keys[record["output"]] = record.get("key") if record.get("status") == "done" else None
    return keys


class Manifest:
    """The manifest of a folder, open for more records. Each leaves this process before the next is taken."""

    def __init__(self, folder: Path):
        self._place = folder / NAME
        with writing(self._place):
            self._file = self._place.open("a+b")
        self._file.seek(0, os.SEEK_END)
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # a line that a kill cut off
                self._file.write(b"\n")

    def add(self, record: Record) -> None:
        """Write a line, whole even if the process is killed after it.

        Raises:
            OutputError: the disk is full.
        """
        with writing(self._place):
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # a full disk has been said already
            self._file.close()


def records(folder: Path) -> Iterator[Record]:
    """Every record, in the order in which they were written."""
    file = folder / NAME
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and isinstance(record.get("output"), str):
                yield record
