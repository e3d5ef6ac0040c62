"""Shared options, exit codes and what errors look like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kaas.cli.command import callback, command
from kaas.cli.exits import EXIT_CODES, CliError, ExitCode
from kaas.cli.options import duration
from kaas.cli.settings import Output, Settings
from kaas.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable
from tests.unit.cli.running import kaas

HELP = """
import sys
from kaas.cli.entry import main
sys.argv = ["kaas", "--help"]
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
SLOW = {"aiohttp", "kaas_lab", "kopf", "kubernetes", "openstack", "pydantic", "yaml"}


def _app(raised: Exception | None = None) -> tuple[typer.Typer, list[Settings]]:
    """An application with one command that tells its settings, and ends as it is told."""
    seen: list[Settings] = []
    app = typer.Typer()
    app.callback()(callback)

    @app.command()
    @command
    def look(settings: Settings) -> int:
        seen.append(settings)
        if raised:
            raise raised
        return ExitCode.BLOCKED

    return app, seen


@pytest.mark.parametrize(
    "arguments",
    [
        ["look", "-n", "a", "--context", "c", "-o", "json", "--no-color", "-v", "--kubeconfig", "k"],
        ["-n", "a", "--context", "c", "-o", "json", "--no-color", "-v", "--kubeconfig", "k", "look"],
        ["-n", "b", "-v", "--no-color", "--kubeconfig", "k", "look", "-n", "a", "--context", "c", "-o", "json"],
    ],
)
def test_shared_options_stand_before_or_after_the_command(arguments: list[str]) -> None:
    app, seen = _app()
    assert CliRunner().invoke(app, arguments).exit_code == 11
    assert seen == [Settings(Path("k"), "c", "a", Output.JSON, no_color=True, verbose=True)]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (CliError("so it is", ExitCode.NOT_FOUND), 3),
        (Invalid("apply x", "so it is"), 2),
        (NotFound("get x", "so it is"), 3),
        (Forbidden("get x", "so it is"), 4),
        (Unavailable("get x", "so it is"), 4),
        (Conflict("create x", "so it is"), 1),
        (KubeError("do x", "so it is"), 1),
        (ValueError("so it is"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(raised: Exception, code: int) -> None:
    result = CliRunner().invoke(_app(raised)[0], ["look"])
    assert result.exit_code == code
    assert result.stderr.startswith("kaas: ")
    assert ("so it is" in result.stderr) == (code != 130)
    assert "Traceback" not in result.stderr
    assert not result.stdout


def test_verbose_shows_where_it_came_from() -> None:
    assert "Traceback" in CliRunner().invoke(_app(ValueError("so it is"))[0], ["look", "-v"]).stderr


def test_every_exit_code_is_explained_in_help_and_documentation() -> None:
    assert EXIT_CODES.keys() == set(ExitCode)
    text = kaas("--help").stdout
    documentation = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in text
        assert f"| {code} | {meaning} |" in documentation


def test_every_command_is_documented() -> None:
    from kaas.cli.main import app  # noqa: PLC0415 - not a test of importing

    documentation = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    for registered in app.registered_commands:
        assert registered.callback is not None
        assert f"## `kaas {registered.callback.__name__}" in documentation


def test_help_imports_nothing_slow() -> None:
    """Help and completion are used all day."""
    result = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert "Exit codes" in result.stdout
    assert not SLOW & set(result.stderr.split())


def test_the_lab_is_imported_when_it_is_used() -> None:
    result = kaas("lab", "--help")
    assert result.exit_code == 0
    assert "down" in result.stdout


def test_version() -> None:
    assert kaas("version").stdout.startswith("kaas 0.")
    assert kaas("version", "-o", "yaml").stdout.startswith("version: ")


def test_crds_are_printed() -> None:
    assert kaas("crds").stdout.count("kind: CustomResourceDefinition") == 7


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("45s", 45), ("30m", 1800), ("1h30m", 5400)])
def test_duration(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1d", "-1", "1.5h", "1h 30m"])
def test_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30m"):
        duration(text)


def test_wrong_duration_is_wrong_usage() -> None:
    result = kaas("apply", "-f", "x", "--timeout", "soon")
    assert result.exit_code == 2
    assert "--timeout" in result.stderr


def test_no_kubeconfig(tmp_path: Path) -> None:
    result = kaas("status", "--kubeconfig", tmp_path / "none")
    assert result.exit_code == 2
    assert "there is no such file; name" in result.stderr


def test_unknown_context(tmp_path: Path) -> None:
    file = tmp_path / "config"
    cluster = {"clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}], "users": []}
    contexts = [{"name": "one", "context": {"cluster": "x", "user": ""}}]
    file.write_text(str({"apiVersion": "v1", **cluster, "contexts": contexts, "current-context": "one"}))
    result = kaas("status", "--kubeconfig", file, "--context", "two")
    assert result.exit_code == 2
    assert "has no context 'two'; it has one" in result.stderr


def test_an_api_server_that_is_away(tmp_path: Path) -> None:
    file = tmp_path / "config"
    cluster = {"clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}], "users": []}
    contexts = [{"name": "one", "context": {"cluster": "x", "user": ""}}]
    file.write_text(str({"apiVersion": "v1", **cluster, "contexts": contexts, "current-context": "one"}))
    result = kaas("status", "--kubeconfig", file)
    assert result.exit_code == 4
    assert "http://127.0.0.1:9 did not answer" in result.stderr
