"""What ends a load: the reason, the message, and whether trying again may help. Pure, but for as whom a load runs."""

from __future__ import annotations

import errno
import os
from typing import Final

from kaas.loader.report import Exit, Reason
from kaas.loader.source import Changed, Denied, NotThere, Refused, SourceError, Unreachable


class Fault(Exception):
    """A load cannot go on. The message names the object or file and the way out."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[Fault], tuple[Reason, str]]:
        return Fault, (self.reason, str(self))


_PERMANENT: Final = frozenset(
    {
        Reason.INSUFFICIENT_CAPACITY,
        Reason.SOURCE_NOT_FOUND,
        Reason.ACCESS_DENIED,
        Reason.INVALID_SPEC,
        Reason.INVALID_KEY,
    }
)
_OF_SOURCE: Final[dict[type[SourceError], Reason]] = {
    NotThere: Reason.SOURCE_NOT_FOUND,
    Denied: Reason.ACCESS_DENIED,
    Refused: Reason.INVALID_SPEC,
    Changed: Reason.CHANGED,
    Unreachable: Reason.UNREACHABLE,
}
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})


def exit_code(reason: Reason) -> Exit:
    """Exit code of a load that ended so."""
    if reason is Reason.LOADED:
        return Exit.DONE
    return Exit.PERMANENT if reason in _PERMANENT else Exit.RETRY


def of_source(error: SourceError) -> Fault:
    """The fault that an error of a source is."""
    reason = next((r for kind, r in _OF_SOURCE.items() if isinstance(error, kind)), Reason.FAILED)
    return Fault(reason, str(error))


def of_system(error: OSError, what: str, *, opens: bool = False, written: bool = False) -> Fault:
    """The fault that an error of the destination's file system is. what: the file or directory.

    opens: the load is about to open its journal; written: it has written a file, or a range of one. What could be
    written a moment ago may be again, on another node or after the file system was checked.
    """
    if error.errno in _FULL:
        return Fault(Reason.INSUFFICIENT_CAPACITY, f"{what}: {error.strerror}: make the volume larger")
    if error.errno in _FORBIDDEN:
        who = f"{os.geteuid()}:{os.getegid()}"
        return Fault(
            Reason.FAILED if written else Reason.INVALID_SPEC,
            f"{what}: {error.strerror}: may not be written as {who}: load as an owner who may (of a claim: load-owner, "
            "or its driver's fsGroup); what another owner has loaded needs that owner",
        )
    if error.errno == errno.EROFS:
        if opens:
            return Fault(Reason.INVALID_SPEC, f"{what}: it is read-only: have it mounted for writing")
        return Fault(
            Reason.FAILED, f"{what}: {error.strerror}: it has become so meanwhile: the kernel's log there says why"
        )
    return Fault(Reason.FAILED, f"{what}: {error.strerror or error}")
