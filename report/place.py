"""Where a site is built: a folder without anybody else's files, one build at a time, and a site that is replaced whole."""

import ctypes
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.records import ROOT
from lib.errors import BadValue

OURS = ROOT / "_build"  # where builds go unless told otherwise
MARK = ".book"  # says that a folder is a build's, and is locked while one is at work there


class BuildFailed(RuntimeError):
    """A chapter did not execute, or Jupyter Book or the browser that prints found something to complain about."""


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold `folder` for one build, after any that is at work there; yields the lock, which a child that inherits it keeps.

    Raises:
        BadValue: a file; a folder that cannot be written, or with files that no build made.
    """
    if folder.exists() and not folder.is_dir():
        raise BadValue(f"{folder}: expected a folder to build in, got a file")
    held_before = folder.is_relative_to(OURS) or (folder / MARK).is_file()
    if folder.is_dir() and not held_before and (there := next(folder.iterdir(), None)):
        expected = "an empty folder, or one that an earlier build made"
        raise BadValue(f"{folder}: expected {expected}, got one that holds {there.name!r}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder / MARK)
        lock = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadValue(f"{folder}: cannot be built in ({error})") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: waiting for another build to end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def check_writable(path: Path) -> None:
    """See that a file can be written at `path`, by one in the nearest folder above it that is there.

    Raises:
        BadValue: it cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=next(one for one in path.absolute().parents if one.exists())) as file:
            file.write(b"0")
    except OSError as error:
        raise BadValue(f"{path}: cannot be written ({error})") from error


def replace(site: Path, new: Path) -> None:
    """Put the folder `new` where `site` is, in one step where the kernel has one: whoever looks finds a whole site."""
    if not site.exists():
        new.rename(site)
        return
    if not _exchanged(new, site):
        aside = site.with_name(f"{site.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        site.rename(aside)
        new.rename(site)
        new = aside
    shutil.rmtree(new)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the two have changed places, by Linux's `renameat2`, which other systems and some file systems lack."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    from_here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(from_here, os.fsencode(one), from_here, os.fsencode(other), exchange) == 0)
