"""Exit codes, and the error that ends a command with one clear message."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script learns from how a command ended. The table in `EXIT_CODES` says it to people."""

    DONE = 0
    FAILED = 1
    WRONG_INPUT = 2
    NOT_FOUND = 3
    NO_ANSWER = 4
    INTERNAL = 5
    TO_DO = 10
    BLOCKED = 11
    PERMANENT = 64
    RETRY = 75
    INTERRUPTED = 130


EXIT_CODES = {
    ExitCode.DONE: "done; `plan`: nothing to do",
    ExitCode.FAILED: "not reached in time, or not there yet; `credentials`: would be refused",
    ExitCode.WRONG_INPUT: "wrong option or manifest; the message names object, field and way out",
    ExitCode.NOT_FOUND: "there is no such Cluster, node, Site, Rollout or Addon",
    ExitCode.NO_ANSWER: "the API server could not be reached, or does not allow it",
    ExitCode.INTERNAL: "an error of kaas itself; `-v` shows where",
    ExitCode.TO_DO: "`plan`: there is something to do",
    ExitCode.BLOCKED: "`plan`: the next step waits for something",
    ExitCode.PERMANENT: "`load`: it would not go better again; the message says what is wrong",
    ExitCode.RETRY: "`load`: it may go better later; the same command goes on from there",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}


class CliError(Exception):
    """Ends a command. The message names the object, the field and the way out."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        self.code = code
        super().__init__(message)
