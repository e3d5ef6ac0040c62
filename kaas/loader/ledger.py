"""The journal's tables: what the source has, what is there, and which ranges of large files are.

SQLite keeps millions of rows in little memory and survives being cut off. Its own locks are not used: the journal has
one lock for all of its files.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from kaas.loader.source import Algorithm, Checksum, Entry

VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE entry (
  name TEXT PRIMARY KEY, key TEXT, size INTEGER, version TEXT, algorithm TEXT, sum TEXT,
  seen INTEGER, mtime INTEGER
) WITHOUT ROWID;
CREATE TABLE directory (path TEXT PRIMARY KEY, seen INTEGER) WITHOUT ROWID;
CREATE TABLE part (name TEXT PRIMARY KEY, size INTEGER, version TEXT, piece INTEGER, algorithm TEXT) WITHOUT ROWID;
CREATE TABLE piece (name TEXT, number INTEGER, sum TEXT, PRIMARY KEY (name, number)) WITHOUT ROWID;
"""
_UPSERT: Final = """
INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (name) DO UPDATE SET
  mtime = CASE WHEN size = excluded.size AND version = excluded.version AND version <> '' THEN mtime END,
  key = excluded.key, size = excluded.size, version = excluded.version,
  algorithm = excluded.algorithm, sum = excluded.sum, seen = excluded.seen
"""
_COLUMNS: Final = "name, key, size, version, algorithm, sum, mtime"


@dataclass(frozen=True, slots=True)
class Known:
    """An entry of the listing. mtime: in nanoseconds, of the file when it was made of this version; None: it is not."""

    entry: Entry
    mtime: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A large file that was begun. piece: bytes of a range; algorithm: of the sums of ranges, None without such."""

    name: str
    size: int
    version: str
    piece: int
    algorithm: Algorithm | None


class Ledger:
    """The tables. Used by one thread at a time. sqlite3.Error when the file is damaged or cannot be written."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(
            f"file:{quote(str(path))}?vfs=unix-none", uri=True, check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA cache_size = -8192")
        self._prepare()

    def _prepare(self) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found == VERSION and self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
            return
        if found or self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("the journal is of another version, or damaged")
        self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def begin(self) -> None:
        """Begin a transaction; one that a listing left open when it broke off ends: what it has taken is true."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def commit(self) -> None:
        """End it; returns when it is on the disk."""
        self._db.execute("COMMIT")

    def recall(self, name: str) -> str:
        """A word that was remembered; "" when it was not."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def remember(self, name: str, value: str) -> None:
        """Remember a word."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def forget(self) -> None:
        """Forget every file: they are of another source."""
        for table in ("entry", "directory", "part", "piece"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from here

    def comparing(self, *, sums: bool) -> None:
        """Take note whether files are compared by sums from now on: for who does, those are not there that were not."""
        if sums and self.recall("compared") == "no":
            self._db.execute("UPDATE entry SET mtime = NULL")
        self.remember("compared", "yes" if sums else "no")

    def take(self, entries: Sequence[Entry], directories: Iterable[str], listing: int) -> None:
        """Take a page of listing number `listing`. What is there of another version is not there any more."""
        self._db.executemany(_UPSERT, [(*_row(e), listing) for e in entries])
        self._db.executemany("INSERT OR REPLACE INTO directory VALUES (?, ?)", [(d, listing) for d in directories])

    def missing(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Bytes and files of a page that was taken which are not there."""
        return self._sum(
            "SELECT coalesce(sum(size), 0), count(*) FROM entry WHERE mtime IS NULL AND name IN",
            [e.name for e in entries],
        )

    def absent(self, listing: int) -> Iterator[tuple[str, int]]:
        """Names and sizes of what a listing has had so far and is not there."""
        return iter(self._db.execute("SELECT name, size FROM entry WHERE mtime IS NULL AND seen = ?", (listing,)))

    def is_absent(self, name: str) -> bool:
        """Whether an object of the listing is not there."""
        found = self._db.execute("SELECT 1 FROM entry WHERE mtime IS NULL AND name = ?", (name,))
        return found.fetchone() is not None

    def _sum(self, query: str, names: Sequence[str]) -> tuple[int, int]:
        size, count = 0, 0
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            row = self._db.execute(f"{query} ({','.join('?' * len(some))})", some).fetchone()
            size, count = size + row[0], count + row[1]
        return size, count

    def end_listing(self, listing: int) -> None:
        """Forget what a whole listing did not have."""
        self._db.execute("DELETE FROM entry WHERE seen <> ?", (listing,))
        self._db.execute("DELETE FROM directory WHERE seen <> ?", (listing,))

    def clash(self) -> str | None:
        """A name that is a file and the directory of another; None when there is none."""
        row = self._db.execute("SELECT entry.name FROM entry JOIN directory ON entry.name = directory.path LIMIT 1")
        return next((str(name) for (name,) in row), None)

    def below(self, name: str) -> str:
        """A file below a directory."""
        query = "SELECT name FROM entry WHERE name > ? AND name < ? LIMIT 1"
        row = self._db.execute(query, (f"{name}/", f"{name}0")).fetchone()
        return str(row[0]) if row else f"{name}/"

    def totals(self) -> tuple[int, int]:
        """Bytes and files of the listing."""
        row = self._db.execute("SELECT coalesce(sum(size), 0), count(*) FROM entry").fetchone()
        return int(row[0]), int(row[1])

    def digest(self) -> str:
        """Of all names, sizes and versions, in the order of names."""
        found = hashlib.sha256()
        for name, size, version in self._db.execute("SELECT name, size, version FROM entry ORDER BY name"):
            found.update(f"{name}\0{size}\0{version}\0".encode())
        return found.hexdigest()

    def known(self, after: str, count: int) -> list[Known]:
        """So many entries of the listing behind a name, in the order of names."""
        query = f"SELECT {_COLUMNS} FROM entry WHERE name > ? ORDER BY name LIMIT ?"  # noqa: S608
        return [_known(row) for row in self._db.execute(query, (after, count))]

    def has(self, name: str) -> bool:
        """Whether the listing has an object of this name."""
        return self._db.execute("SELECT 1 FROM entry WHERE name = ?", (name,)).fetchone() is not None

    def size(self, name: str) -> int | None:
        """Bytes of an object of the listing; None when it has none of this name."""
        row = self._db.execute("SELECT size FROM entry WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else None

    def needs_directory(self, path: str) -> bool:
        """Whether the listing has a directory of this path, itself or of files in it."""
        return self._db.execute("SELECT 1 FROM directory WHERE path = ?", (path,)).fetchone() is not None

    def directories(self) -> Iterator[str]:
        """All directories of the listing, each behind the one that it is in."""
        return (str(path) for (path,) in self._db.execute("SELECT path FROM directory ORDER BY path").fetchall())

    def made(self, name: str, size: int, version: str, mtime: int) -> None:
        """A file of this version is there."""
        query = "UPDATE entry SET mtime = ? WHERE name = ? AND size = ? AND version = ?"
        self._db.execute(query, (mtime, name, size, version))

    def lost(self, names: Iterable[str]) -> None:
        """Files are not there any more as they were made."""
        self._db.executemany("UPDATE entry SET mtime = NULL WHERE name = ?", [(name,) for name in names])

    def begun(self, part: Part) -> None:
        """A large file is begun, from nothing."""
        self.ended(part.name)
        algorithm = part.algorithm.value if part.algorithm else None
        row = (part.name, part.size, part.version, part.piece, algorithm)
        self._db.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?)", row)

    def came(self, name: str, number: int, total: int) -> None:
        """A range of a large file is there."""
        self._db.execute("INSERT OR REPLACE INTO piece VALUES (?, ?, ?)", (name, number, f"{total:x}"))

    def ended(self, name: str) -> None:
        """A large file is no part any more."""
        self._db.execute("DELETE FROM part WHERE name = ?", (name,))
        self._db.execute("DELETE FROM piece WHERE name = ?", (name,))

    def part(self, name: str) -> Part | None:
        """A large file that was begun."""
        row = self._db.execute("SELECT size, version, piece, algorithm FROM part WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        return Part(name, row[0], row[1], row[2], Algorithm(row[3]) if row[3] else None)

    def pieces(self, name: str) -> Iterator[tuple[int, int]]:
        """Number and sum of each range of a large file that is there."""
        rows = self._db.execute("SELECT number, sum FROM piece WHERE name = ?", (name,))
        return ((number, int(total, 16)) for number, total in rows)

    def parts(self) -> list[str]:
        """Names of all large files that were begun."""
        return [str(name) for (name,) in self._db.execute("SELECT name FROM part")]

    def close(self) -> None:
        """Close the file, and tidy up beside it."""
        self._db.close()


def _row(entry: Entry) -> tuple[Any, ...]:
    key = None if entry.key == entry.name else entry.key
    checksum = entry.checksum
    found = (checksum.algorithm.value, checksum.value) if checksum else (None, None)
    return (entry.name, key, entry.size, entry.version, *found)


def _known(row: tuple[Any, ...]) -> Known:
    name, key, size, version, algorithm, total, mtime = row
    checksum = Checksum(Algorithm(algorithm), total) if algorithm else None
    return Known(Entry(key or name, name, size, version, checksum), mtime)
