"""Output of commands: standard output, or a file that appears only when it is complete."""

from __future__ import annotations

import argparse
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO

from django.core.management.base import CommandError, OutputWrapper

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@contextmanager
def destination(path: str | None, stdout: OutputWrapper) -> Iterator[Callable[[str], object]]:
    """Yield a function that writes UTF-8 text with unchanged line ends to ``stdout`` or to ``whole_file(path)``."""
    if path is None:
        yield lambda text: stdout.write(text, ending="")
        stdout.flush()
        return
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text.write
        text.detach()


@contextmanager
def whole_file(path: str) -> Iterator[IO[bytes]]:
    """Yield a file that appears under its name once it is complete and synced, readable only by its owner.

    Until then, and after a failure, an existing file stays unchanged. Raises ``CommandError`` with path and reason.
    """
    target = Path(path)
    if target.is_dir():
        raise CommandError(f"Cannot write {path}: it is a folder.")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from error
    try:
        with open(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def day(text: str) -> date:
    """Parse a date like ``2026-11-30``. Raises ``argparse.ArgumentTypeError``."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-11-30.")
