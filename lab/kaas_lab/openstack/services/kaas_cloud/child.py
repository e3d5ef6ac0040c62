"""Work that must not leave a trace in the process that asks for it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec

Arguments = ParamSpec("Arguments")


def in_child(work: Callable[Arguments, object], *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
    """Run `work` in a fork, for oslo.config's global configuration can be parsed only once. Exits when it fails."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(*args, **kwargs)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{work.__name__} failed")
