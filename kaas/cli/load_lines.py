"""A load told to programs: lines of JSON on stdout, and the result in the file for a container's last words."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from kaas.loader.report import Progress, Reason, Result

KILLED: Final = Result(Reason.FAILED, "it was killed before it could say why: by lack of memory, or with its node")


class Lines:
    """Progress and result as lines. last_words: file that has the result too, however the process ends."""

    def __init__(self, last_words: Path | None, out: TextIO | None = None) -> None:
        self._last_words = last_words
        self._out = out or sys.stdout

    def __enter__(self) -> Self:
        self._write(KILLED)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is open."""

    def progress(self, progress: Progress) -> None:
        """A line; the engine reports every two seconds."""
        print(progress.line(), file=self._out, flush=True)

    def result(self, result: Result) -> None:
        """The last line, and the last words."""
        self._write(result)
        print(result.text(), file=self._out, flush=True)

    def _write(self, result: Result) -> None:
        """In place: a container's file of last words is mounted and cannot be replaced."""
        if self._last_words is not None:
            self._last_words.write_text(result.text(), encoding="utf-8")
