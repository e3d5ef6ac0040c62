"""Clients of S3 with what a Pod has: keys, files that change, or the Pod's own token."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from kaas.admission.certificates import Pair
from kaas.credentials.terms import AWS_ANNOTATION, AWS_MODE_ANNOTATION, AWS_REGION_ANNOTATION, AWS_ROLE_ANNOTATION
from tests.contract.credentials.clients.amazon import REGION, Amazon
from tests.contract.credentials.clients.issuer import Issuer
from tests.contract.credentials.clients.sandbox import Sandbox
from tests.contract.credentials.clients.team import NAME, sandbox, secret

PROGRAMS = Path(__file__).parent / "programs"
S5CMD = Path(sys.executable).with_name("s5cmd")
# s5cmd has a name of its own for an endpoint, so its users hand it on, here by a shell.
SHELL = f"""
s5cmd() {{ {S5CMD} --endpoint-url "${{AWS_ENDPOINT_URL_S3:-$AWS_ENDPOINT_URL}}" "$@"; }}
printf "content of $1" > "$HOME/$1" && s5cmd cp "$HOME/$1" "s3://team-data/$1" && s5cmd cat "s3://team-data/$1"
"""
PROGRAM = {
    "boto3": ("sh", "-c", f'echo "$1" | {sys.executable} {PROGRAMS / "with_boto3.py"}', "sh"),
    "obstore": (sys.executable, str(PROGRAMS / "with_obstore.py")),
    "s5cmd": ("sh", "-c", SHELL, "sh"),
}
BY_NAME = {AWS_ANNOTATION: "team-aws"}
FILES = {**BY_NAME, AWS_MODE_ANNOTATION: "file"}


@pytest.fixture
def aws_values(aws: Amazon) -> dict[str, str]:
    """Values of a right Secret with a key of its own."""
    return {**aws.key(), "AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": aws.url}


def keyless(aws: Amazon) -> dict[str, str]:
    return {"AWS_ROLE_ARN": aws.role, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": aws.url}


def used(pod: Sandbox, client: str, key: str) -> CompletedProcess[str]:
    """What a client says that writes an object and reads it."""
    return pod.run(*PROGRAM[client], key)


@pytest.mark.parametrize("client", PROGRAM)
def test_keys(client: str, aws_values: dict[str, str], issuer: Issuer, tmp_path: Path) -> None:
    pod = sandbox(tmp_path, issuer, secret("aws", aws_values), annotations=BY_NAME)
    done = used(pod, client, "one")
    assert done.stdout.strip().endswith("content of one"), done.stderr


@pytest.mark.parametrize("client", PROGRAM)
def test_temporary_keys(client: str, aws: Amazon, aws_values: dict[str, str], issuer: Issuer, tmp_path: Path) -> None:
    values = {**aws_values, **aws.temporary_key("someone")}
    pod = sandbox(tmp_path, issuer, secret("aws", values), annotations=BY_NAME)
    done = used(pod, client, "temporary")
    assert done.stdout.strip().endswith("content of temporary"), done.stderr


@pytest.mark.parametrize("client", PROGRAM)
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("AWS_SECRET_ACCESS_KEY", "x" * 40, "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "AKIA" + "X" * 16, "InvalidAccessKeyId"),
    ],
)
def test_wrong_keys_are_refused(
    client: str, name: str, value: str, code: str, aws_values: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    pod = sandbox(tmp_path, issuer, secret("aws", {**aws_values, name: value}), annotations=BY_NAME)
    done = used(pod, client, "two")
    assert code in done.stdout + done.stderr


def test_a_service_with_a_ca_of_its_own(
    aws: Amazon, ca: Pair, aws_values: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    values = {**aws_values, "AWS_ENDPOINT_URL_S3": aws.secure_url}
    right, none = secret("aws", {**values, "ca.crt": ca.certificate}), secret("aws", values)
    for name, made, works in (("right", right, True), ("none", none, False)):
        pod = sandbox(tmp_path / name, issuer, made, annotations=BY_NAME)
        done = used(pod, "boto3", "three")
        assert (done.stdout == "content of three\n") == works, done.stderr
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


@pytest.mark.parametrize("moved", [False, True], ids=["mounted", "moved"])
def test_keys_in_files(moved: bool, aws_values: dict[str, str], issuer: Issuer, tmp_path: Path) -> None:
    pod = sandbox(tmp_path, issuer, secret("aws", aws_values), annotations=FILES, moved=moved)
    assert "AWS_ACCESS_KEY_ID" not in pod.environment
    done = used(pod, "boto3", "four")
    assert done.stdout == "content of four\n", done.stderr


def test_keys_in_files_change_while_a_program_runs(
    aws: Amazon, aws_values: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    first = {name: aws_values[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    pod = sandbox(tmp_path, issuer, secret("aws", aws_values), annotations=FILES)
    path = late_clock(tmp_path / "bin")
    with conversation(pod, path) as say:
        assert say("before") == "content of before"
        aws.revoke(first)
        assert say("between") == "InvalidAccessKeyId"
        pod.refresh({"team-aws": secret("aws", {**aws_values, **aws.key()})})
        assert say("after") == "content of after"


def late_clock(directory: Path) -> str:
    """A path with a `date` that is 16 minutes late: botocore sees keys that soon expire, and asks for them anew."""
    directory.mkdir()
    late = directory / "date"
    late.write_text(
        '#!/bin/sh\n[ "$1" = +%s ] && exec /bin/sh -c "echo \\$((\\$(/bin/date +%s) - 960))"\nexec /bin/date "$@"\n'
    )
    late.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@contextmanager
def conversation(pod: Sandbox, path: str) -> Iterator[Callable[[str], str]]:
    """One program that runs on, object by object."""
    process = pod.start(sys.executable, str(PROGRAMS / "with_boto3.py"), PATH=path)
    assert process.stdin is not None
    assert process.stdout is not None
    words, answers = process.stdin, process.stdout

    def say(key: str) -> str:
        words.write(f"{key}\n")
        return answers.readline().strip()

    try:
        yield say
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.mark.parametrize("client", ["boto3", "s5cmd"])
@pytest.mark.parametrize("where", ["Secret", "ServiceAccount"])
def test_no_keys_at_all(client: str, where: str, aws: Amazon, issuer: Issuer, tmp_path: Path) -> None:
    if where == "Secret":
        made = secret("aws", keyless(aws))
        pod = sandbox(tmp_path, issuer, made, annotations=BY_NAME)
        network = {}
    else:
        account = {AWS_ROLE_ANNOTATION: aws.role, AWS_REGION_ANNOTATION: REGION}
        pod = sandbox(tmp_path, issuer, account=account)
        network = {"AWS_ENDPOINT_URL": aws.url}  # in place of a way to Amazon
    aws.sessions.clear()
    done = pod.run(*PROGRAM[client], "five", **network)
    assert done.stdout.strip().endswith("content of five"), done.stderr
    assert set(aws.sessions) == {("team:trainer", NAME)}


def test_somebody_elses_token_is_refused(aws: Amazon, tmp_path: Path) -> None:
    made = secret("aws", keyless(aws))
    done = used(sandbox(tmp_path, Issuer(), made, annotations=BY_NAME), "boto3", "six")
    assert "InvalidIdentityToken" in done.stdout + done.stderr
