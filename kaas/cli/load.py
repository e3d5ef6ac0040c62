"""`kaas load`: names, options and help. What it does is imported when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from kaas.cli.command import application, command
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.settings import Output, Settings

_ASKED = "How the source is asked"
_TAKEN = "What is loaded"
_JOB = "As a Job"

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="s3://bucket/prefix/, gs://bucket/prefix/, hf://datasets/owner/name/ or https://host/file. "
        "With / at its end a directory, without one object.",
        show_default=False,
    ),
]
Destination = Annotated[
    Path, typer.Argument(metavar="DIRECTORY", help="Where to, made when it is not there.", show_default=False)
]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB,…", help="Only these. May be repeated.", rich_help_panel=_TAKEN, show_default="all"),
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB,…", help="Not these. May be repeated.", rich_help_panel=_TAKEN)
]
Delete = Annotated[
    bool, typer.Option("--delete", help="Delete files that the source does not have.", rich_help_panel=_TAKEN)
]
DeleteExcluded = Annotated[
    bool,
    typer.Option("--delete-excluded", help="With --delete, those that are left out too.", rich_help_panel=_TAKEN),
]
Verify = Annotated[
    str, typer.Option(metavar="auto|size|off", help="How files are compared with the source.", rich_help_panel=_TAKEN)
]
Owner = Annotated[
    str, typer.Option(metavar="UID:GID[:MODE]", help="Whose the files are.", rich_help_panel=_TAKEN, show_default=False)
]
ShardOf = Annotated[
    str,
    typer.Option(
        "--shard",
        metavar="INDEX/COUNT",
        help="Only this loader's part of several; the first is 0.",
        rich_help_panel=_TAKEN,
        show_default=False,
    ),
]
Sparse = Annotated[bool, typer.Option("--sparse", help="Leave holes where there are zeros.", rich_help_panel=_TAKEN)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be loaded.", rich_help_panel=_TAKEN)]
Endpoint = Annotated[
    str,
    typer.Option(
        metavar="URL", help="Server that speaks the protocol.", rich_help_panel=_ASKED, show_default="the cloud's"
    ),
]
Region = Annotated[
    str, typer.Option(help="Region of an S3 bucket.", rich_help_panel=_ASKED, show_default="asked of the cloud")
]
Anonymous = Annotated[
    bool, typer.Option("--anonymous", help="Ask without credentials.", rich_help_panel=_ASKED, show_default=False)
]
RequesterPays = Annotated[
    bool, typer.Option("--requester-pays", help="Pay for the requests.", rich_help_panel=_ASKED, show_default=False)
]
AllowEndpoints = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST|CIDR,…",
        help="Endpoints beside the public ones; !CIDR for what is never allowed.",
        rich_help_panel=_ASKED,
        show_default="all; with --job public ones only",
    ),
]
MaxRate = Annotated[
    str,
    typer.Option(
        metavar="BYTES",
        help="Bytes a second at most, as 200Mi; this loader's, where there are several.",
        rich_help_panel=_ASKED,
        show_default="no limit",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")]
Job = Annotated[
    bool, typer.Option("--job", help="Lines of JSON, and nothing of this machine's identity.", rich_help_panel=_JOB)
]
TerminationLog = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where the result goes as well.", rich_help_panel=_JOB, show_default=False),
]
Distrust = Annotated[
    str,
    typer.Option(
        metavar="MARK",
        help="Believe no journal but one of this mark, and files for their contents only.",
        rich_help_panel=_JOB,
        show_default=False,
    ),
]
Shards = Annotated[
    int,
    typer.Option(
        min=1, max=64, help="Loaders side by side; which one this is says JOB_COMPLETION_INDEX.", rich_help_panel=_JOB
    ),
]

UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""What is raised for every wrong option; typer does not give it a name of its own."""


class LoadCommand(TyperCommand):
    """A Job whose options are wrong ends with 64, for another try has the same ones; a person's command with 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options."""
        given = tuple(args)  # reading takes them out of the list
        try:
            return super().parse_args(ctx, args)
        except UsageError as wrong:
            if "--job" not in given:
                raise
            _give_up(wrong, _value("--termination-log", given))
            raise typer.Exit(ExitCode.PERMANENT) from wrong


def _value(option: str, words: Sequence[str]) -> str:
    """What an option is given in words that could not be read; "" for nothing."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word == option or word.startswith(f"{option}="):
            return following if word == option else word.partition("=")[2]
    return ""


def _give_up(wrong: Any, last_words: str) -> None:
    from kaas.cli.load_lines import Lines  # noqa: PLC0415 - only a Job needs it
    from kaas.loader.report import Reason, Result  # noqa: PLC0415

    why = f"{wrong.format_message()}: controller and loader are of different versions: give both the same image"
    with Lines(Path(last_words) if last_words else None) as lines:
        lines.result(Result(Reason.FAILED, why))


@command
def load(  # noqa: PLR0913, PLR0917 - one an option
    settings: Settings,
    source: Source,
    destination: Destination,
    include: Include = None,
    exclude: Exclude = None,
    delete: Delete = False,
    delete_excluded: DeleteExcluded = False,
    verify: Verify = "auto",
    owner: Owner = "",
    shard: ShardOf = "",
    sparse: Sparse = False,
    dry_run: DryRun = False,
    endpoint: Endpoint = "",
    region: Region = "",
    anonymous: Anonymous = False,
    requester_pays: RequesterPays = False,
    allow_endpoints: AllowEndpoints = None,
    max_rate: MaxRate = "",
    json: Json = False,
    job: Job = False,
    termination_log: TerminationLog = None,
    shards: Shards = 1,
    distrust: Distrust = "",
) -> int:
    """Load a bucket into a directory: fast, checked, and again from where it was. Exits 0, 64 (wrong) or 75 (later)."""
    try:
        from kaas.cli.load_request import Asked  # noqa: PLC0415 - slow to import
        from kaas.cli.loading import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CliError(f"{error.name} is not installed: install kaas[loader]", ExitCode.PERMANENT) from error

    lines = json or job or settings.output is Output.JSON
    asked = Asked(
        source,
        destination,
        tuple(include or ()),
        tuple(exclude or ()),
        delete,
        verify,
        owner,
        shard,
        shards,
        sparse,
        endpoint,
        region,
        anonymous,
        requester_pays,
        None if allow_endpoints is None else tuple(allow_endpoints),
        job,
        delete_excluded,
        distrust,
        max_rate,
    )
    return run(settings, asked, lines=lines, dry_run=dry_run, termination_log=termination_log)


app = application()
"""With this command alone."""
app.command(cls=LoadCommand)(load)
