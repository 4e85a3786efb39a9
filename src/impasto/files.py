"""Writing files so that they appear whole or not at all, by one process at a time, and never over what is read."""

import hashlib
import os
import platform
import re
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from impasto.errors import OutputError

HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
FORGOTTEN = 24 * 3600  # seconds after which nobody on another machine is still at a temporary file
LOCKED_BYTE = 1 << 30  # on Windows, where nobody else could read the byte that is locked


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there takes the place of `path` at the end.

    After an error nothing is left behind, and the file that was there before stays. A link stays a link. Who may read
    the file is as the user has it (umask), though safetensors lets nobody else.
    """
    target = path.resolve()
    part = target.with_name(f".impasto-{HOST}-{os.getpid()}-{uuid.uuid4().hex}{target.suffix}")
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line what keeps the file `path` from being written.

    Raises:
        OutputError: in place of an OSError, or of a ValueError, which a name brings that no file can have.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be written: {why}; make room there or choose another place") from error


def remove_abandoned(folder: Path, below: bool = True) -> None:
    """Delete what processes that were killed left half-written in `folder`, and `below` it."""
    import psutil

    for part in folder.rglob(".impasto-*") if below else folder.glob(".impasto-*"):
        made = re.match(r"\.impasto-([0-9a-f]{8})-(\d+)-", part.name)
        with suppress(OSError):  # somebody else removes it, too
            if part.suffix == ".lock" or (made and made[1] == HOST and psutil.pid_exists(int(made[2]))):
                continue
            if made and made[1] != HOST and time.time() - part.stat().st_mtime < FORGOTTEN:
                continue
            part.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process from writing `path` (a file, there or not) that asks for this lock, too.

    The system ends the lock with this process, however that ends. It lies in a hidden file beside `path`, which is gone
    at the end; a kill leaves it, and the next to lock takes it over. On disks without locks, everybody goes on.

    Raises:
        OutputError: another process has it; the message says which.
    """
    target = path.resolve()
    name = hashlib.sha256(os.path.normcase(target.name).encode(errors="surrogateescape")).hexdigest()[:12]
    place = target.with_name(f".impasto-{name}.lock")
    file: BinaryIO | None = None
    try:
        file = _locked_file(place, path)
        yield
    finally:
        if file is not None:
            with suppress(OSError):  # Windows deletes nothing that is open
                place.unlink()  # while it is locked; later it may be another's
            file.close()
            if os.name == "nt":
                with suppress(OSError):
                    place.unlink()


def _locked_file(place: Path, what: Path) -> BinaryIO | None:
    """The file of the lock, locked, with the number of this process in it; None where there are no locks."""
    while True:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.open("a+b")  # which leaves in it what is there
        except OSError:
            return None  # whoever writes will say why it cannot be
        try:
            if not _lock(file):
                file.seek(0)
                process, _, host = file.read().decode(errors="replace").partition(" ")
                where = f" (process {process}{'' if host == platform.node() else f' on {host}'})" if process else ""
                raise OutputError(f"another impasto is writing {what}{where}; wait for it, or choose another place")
            if place.exists() and os.path.samestat(os.fstat(file.fileno()), place.stat()):
                file.truncate(0)
                file.write(f"{os.getpid()} {platform.node()}".encode())
                file.flush()
                return file
            file.close()  # whoever had it has just deleted it
        except OSError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise


def _lock(file: BinaryIO) -> bool:
    """Lock `file` unless another process has done so. (Of the package filelock nobody learns which process has it.)

    Raises:
        OSError: there are no locks on this disk.
    """
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_hidden(path: Path) -> bool:
    """Whether its name starts with a dot, such as the `._` companions that macOS leaves on other systems' disks."""
    return path.name.startswith(".")


def check_place(path: Path) -> None:
    """Say at the start of a long run whether the file `path` can be written at the end.

    Raises:
        OutputError: a missing or locked folder, a full or read-only disk, a folder where the file should be.
    """
    try:
        if not path.parent.is_dir():
            if url := _address(path):
                raise OutputError(f"{url} is an address, not a file; write to a file, and send that")
            raise OutputError(f"{path}: there is no folder {path.parent}; create it first")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is {'a folder' if path.is_dir() else 'no ordinary file'}; name a file")
        if not os.access(path if path.exists() else path.parent, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise PermissionError
        tempfile.TemporaryFile(dir=path.parent).close()  # asks the file system itself: permissions tell root nothing
    except PermissionError as error:
        raise OutputError(f"{path}: no permission to write here; choose another place") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be written: {why}; make room there or choose another place") from error


def check_folder(path: Path) -> None:
    """Say at the start of a long run whether files can be written in the folder `path`, which need not be there yet.

    Raises:
        OutputError: a file of that name, or a place where no folder can be made.
    """
    nearest = next(place for place in (path.absolute(), *path.absolute().parents) if os.path.lexists(place))
    if url := _address(path):
        raise OutputError(f"{url} is an address, not a folder; write to a folder, and send that")
    if not nearest.is_dir():
        raise OutputError(f"{path}: {nearest} is no folder; choose another place")
    check_place(nearest / "file")


def check_apart(output: Path, inputs: Iterable[Path], *, overwrite: bool | None = False) -> None:
    """Refuse to write over what is read, be it under another name of the same file, or into a folder that is read.

    Args:
        overwrite: the user has asked for that, of a file; None where it never makes sense.

    Raises:
        OutputError: `output` is one of `inputs`, and nobody asked for that.
    """
    written = identity(output)
    for file in inputs if written is not None else ():
        if identity(file) != written:
            continue
        if output.is_dir():
            raise OutputError(f"{output} is the folder that is read: name another one")
        if not overwrite:
            offer = "" if overwrite is None else ", or say --overwrite"
            raise OutputError(f"{output} is what is read: name another file{offer}")


def absent(path: str | os.PathLike[str]) -> str:
    """What to say of a file that is not there."""
    if url := _address(path):
        return f"{url} is an address, not a file; download it first"
    return f"{path} does not exist; check the name"


def _address(path: str | os.PathLike[str]) -> str | None:
    """The address that somebody named instead of a file, if it is one."""
    found = re.match(r"([a-z][a-z0-9+.-]+):/+(?=[^/])", str(path), re.IGNORECASE)  # of // a Path keeps one
    return f"{found[1]}://{str(path)[found.end() :]}" if found else None


def identity(path: Path) -> tuple[int, int] | None:
    """What all names of a file (or folder) share; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return found.st_dev, found.st_ino
