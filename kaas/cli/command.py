"""Turns a function into a command: shared options are added, errors become one message and an exit code."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import typer

from kaas.cli.exits import CliError, ExitCode
from kaas.cli.settings import SHARED, Settings
from kaas.kube.errors import Forbidden, Invalid, KubeError, NotFound, Unavailable

P = ParamSpec("P")

_CODES: dict[type[KubeError], ExitCode] = {
    Invalid: ExitCode.WRONG_INPUT,
    NotFound: ExitCode.NOT_FOUND,
    Forbidden: ExitCode.NO_ANSWER,
    Unavailable: ExitCode.NO_ANSWER,
}


def application(**said: Any) -> typer.Typer:
    """The command `kaas`, with the shared options and nothing else yet. said: more for typer."""
    settings = {"help_option_names": ["-h", "--help"]}
    found = typer.Typer(name="kaas", pretty_exceptions_enable=False, context_settings=settings, **said)
    found.callback()(callback)
    return found


def command(function: Callable[Concatenate[Settings, P], int | None]) -> Callable[..., None]:
    """A command for typer from a function of Settings and its own options, which returns its exit code."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    named = {p.name for p in own}
    shared = [name for name in SHARED if name not in named]

    def run(**values: Any) -> None:
        context: typer.Context = values.pop("ctx")
        settings = settings_of(context).overridden({name: values.pop(name) for name in shared})
        work: Any = function
        raise typer.Exit(guarded(lambda: work(settings, **values), settings))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    _declare(run, [_keyword("ctx", typer.Context), *own, *(_shared(name) for name in shared)])
    return run


def callback(**values: Any) -> None:
    """Takes the shared options that stand before the command's name."""
    context: typer.Context = values.pop("ctx")
    context.obj = Settings().overridden(values)


def settings_of(context: typer.Context) -> Settings:
    """What was said before the command's name."""
    found = context.find_root().obj
    return found if isinstance(found, Settings) else Settings()


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _shared(name: str) -> inspect.Parameter:
    return _keyword(name, SHARED[name], getattr(Settings(), name))


def _declare(run: Any, parameters: list[inspect.Parameter]) -> None:
    """Give a function these parameters, in the two places where typer looks for them."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature([p.replace(kind=keyword) for p in parameters])
    run.__annotations__ = {p.name: p.annotation for p in parameters}


_declare(callback, [_keyword("ctx", typer.Context), *map(_shared, SHARED)])
callback.__doc__ = None  # the command's help stands at the application


def guarded(work: Callable[[], int | None], settings: Settings) -> int:
    """Exit code of some work; what it raises is said on stderr."""
    try:
        return work() or ExitCode.DONE
    except KeyboardInterrupt:
        return _said("interrupted", ExitCode.INTERRUPTED)
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if settings.verbose:
            traceback.print_exc()
        return _said(*explained(error))


def explained(error: Exception) -> tuple[str, ExitCode]:
    """What to say about an error, and its exit code."""
    if isinstance(error, CliError):
        return str(error), error.code
    if isinstance(error, KubeError):
        return str(error), next((c for kind, c in _CODES.items() if isinstance(error, kind)), ExitCode.FAILED)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}", ExitCode.WRONG_INPUT
    return f"{type(error).__name__}: {error} (an error of kaas itself: `-v` shows where)", ExitCode.INTERNAL


def _said(message: str, code: ExitCode) -> ExitCode:
    typer.echo(f"kaas: {message}", err=True)
    return code
