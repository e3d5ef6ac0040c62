"""`kaas credentials`: names, options and help. What a command does is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaas.cli.command import command
from kaas.cli.options import Files
from kaas.cli.settings import Settings

HELP = {"context_settings": {"help_option_names": ["-h", "--help"]}, "no_args_is_help": True}

Strict = Annotated[bool, typer.Option("--strict", help="Warnings fail too.")]
Decided = Annotated[
    str,
    typer.Option("--policy", metavar="JSON", help="What is accepted, as the webhook's option.", show_default=False),
]
Apply = Annotated[bool, typer.Option("--apply", help="Apply it to the cluster in place of printing it.")]
SecretName = Annotated[str, typer.Argument(help="Name of the Secret.", show_default=False)]
Profile = Annotated[str | None, typer.Option(help="Profile of the credentials file to take.", show_default=False)]
CredentialsFile = Annotated[
    Path | None,
    typer.Option(help="Credentials file of AWS's tools.", show_default="as they find it: ~/.aws/credentials"),
]
AccessKeyFile = Annotated[
    Path | None,
    typer.Option(
        help="File with a key: the CSV of the IAM console, or JSON that `aws iam create-access-key` or "
        "`aws sts assume-role` printed; `-` for stdin.",
        show_default=False,
    ),
]
FromEnvironment = Annotated[
    bool, typer.Option("--from-env", help="Take AWS_ACCESS_KEY_ID and its companions from the environment.")
]
RoleArn = Annotated[
    str | None, typer.Option(help="Role for Pods to assume with their own token, without keys.", show_default=False)
]
Region = Annotated[str | None, typer.Option(help="Region.", show_default="the profile's or environment's")]
EndpointUrl = Annotated[str | None, typer.Option(help="Address of another service that speaks S3.", show_default=False)]
CaFile = Annotated[
    Path | None, typer.Option(help="Certificates of the CA that the service's own is from.", show_default=False)
]
KeyFile = Annotated[
    Path | None, typer.Option(help="JSON key file of a service account; `-` for stdin.", show_default=False)
]
Provider = Annotated[
    str | None,
    typer.Option(
        "--workload-identity-provider",
        metavar="projects/…/providers/…",
        help="Provider to exchange the Pods' own tokens at, without a key.",
        show_default=False,
    ),
]
ServiceAccount = Annotated[
    str | None,
    typer.Option(metavar="EMAIL", help="Service account to act as.", show_default="none: the pool's principal itself"),
]
Project = Annotated[str | None, typer.Option(help="Project for programs that need one.", show_default="the file's")]

app = typer.Typer(help="Secrets with cloud credentials: check them, and make right ones.", **HELP)  # type: ignore[arg-type]
create = typer.Typer(help="Make a right Secret, and print or apply it.", **HELP)  # type: ignore[arg-type]
app.add_typer(create, name="create")


@app.command()
@command
def check(settings: Settings, files: Files, strict: Strict = False, decided: Decided = "") -> int:
    """Check Secrets in files as the webhook does, without a cluster. Ends with 1 when one would be refused."""
    from kaas.cli.credential_check import check as run  # noqa: PLC0415

    return run(settings, files, strict=strict, decided=decided)


@create.command()
@command
def aws(  # noqa: PLR0913, PLR0917 - one an option
    settings: Settings,
    name: SecretName,
    profile: Profile = None,
    credentials_file: CredentialsFile = None,
    access_key_file: AccessKeyFile = None,
    from_env: FromEnvironment = False,
    role_arn: RoleArn = None,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
    ca_file: CaFile = None,
    apply: Apply = False,
) -> int:
    """Make a Secret for AWS, or for another service that speaks S3, from one of four sources."""
    from kaas.cli import credential_aws, credential_create  # noqa: PLC0415

    source = credential_aws.Source(profile, credentials_file, access_key_file, from_env, role_arn)
    added = {"AWS_REGION": region, "AWS_ENDPOINT_URL": endpoint_url}
    values = credential_aws.values(source, added, ca_file)
    return credential_create.create(settings, name, "aws", values, apply=apply)


@create.command()
@command
def gcp(
    settings: Settings,
    name: SecretName,
    key_file: KeyFile = None,
    provider: Provider = None,
    service_account: ServiceAccount = None,
    project: Project = None,
    apply: Apply = False,
) -> int:
    """Make a Secret for Google Cloud from a key file, or one without a key."""
    from kaas.cli import credential_create, credential_gcp  # noqa: PLC0415

    values = credential_gcp.values(key_file, provider, service_account, project)
    return credential_create.create(settings, name, "gcp", values, apply=apply)
