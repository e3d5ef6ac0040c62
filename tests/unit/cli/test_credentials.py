"""`kaas credentials`: what is checked, what is made, and that no value is said."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kaas.credentials.secrets.check import check
from tests.unit.cli.running import documents, kaas, write
from tests.unit.credentials.secret_examples import (
    EMAIL,
    KEY_ID,
    PROVIDER,
    ROLE,
    SECRET_KEY,
    TEMPORARY_ID,
    aws,
    ca_pem,
    gcp,
    key_file,
)

DOUBTFUL = aws(AWS_REGION="Frankfurt")
WRONG = aws(AWS_SECRET_ACCESS_KEY=f"{SECRET_KEY}\n")
PROFILES = f"""
[default]
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET_KEY}

[temporary]
aws_access_key_id = {TEMPORARY_ID}
aws_secret_access_key = {SECRET_KEY}
aws_session_token = token%token
region = eu-west-1
[sso]
sso_session = somewhere
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The computer's own keys are nobody's business here."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    profiles = tmp_path / "credentials"
    profiles.write_text(PROFILES)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))


def made(*arguments: str | Path, stdin: str | None = None) -> dict[str, str]:
    """Values of the right Secret that is printed."""
    result = kaas("credentials", "create", *arguments, stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, "")
    (secret,) = documents(result.stdout)
    assert check(secret) == []
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


@contextmanager
def api_server() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """URL of an API server that accepts all that is applied, and what was."""
    requests: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def kubeconfig(folder: Path, url: str) -> Path:
    named = {"clusters": [{"name": "a", "cluster": {"server": url}}], "users": [{"name": "a", "user": {}}]}
    contexts = [{"name": "a", "context": {"cluster": "a", "user": "a"}}]
    file = folder / "kubeconfig"
    config = {"apiVersion": "v1", "kind": "Config", **named, "contexts": contexts, "current-context": "a"}
    file.write_text(json.dumps(config))
    return file


# --- check --------------------------------------------------------------------------------------------------------


def test_a_right_secret_is_right(tmp_path: Path) -> None:
    result = kaas("credentials", "check", "-f", write(tmp_path, aws()))
    assert result.exit_code == 0
    assert result.stdout.endswith("Secret cloud: right\n")


def test_a_wrong_one_is_named_with_place_key_and_way_out_but_no_value(tmp_path: Path) -> None:
    result = kaas("credentials", "check", "-f", write(tmp_path, aws(), WRONG, gcp()))
    assert result.exit_code == 1
    assert "document 2: Secret cloud: would be refused" in result.stdout
    assert "✘ AWS_SECRET_ACCESS_KEY: ends with a line break: " in result.stdout
    assert SECRET_KEY[:6] not in result.output


def test_warnings_fail_when_asked(tmp_path: Path) -> None:
    file = write(tmp_path, DOUBTFUL)
    assert kaas("credentials", "check", "-f", file).exit_code == 0
    result = kaas("credentials", "check", "--strict", "-f", file)
    assert result.exit_code == 1
    assert "would be accepted with warnings" in result.stdout


def test_directories_lists_and_stdin_are_read(tmp_path: Path) -> None:
    write(tmp_path, {"kind": "List", "items": [aws(), {"kind": "Pod"}, gcp()]}, {"kind": "ConfigMap"})
    assert kaas("credentials", "check", "-f", tmp_path).stdout.count(": right") == 2
    assert kaas("credentials", "check", "-f", "-", stdin=json.dumps(WRONG)).exit_code == 1


def test_programs_get_the_rules(tmp_path: Path) -> None:
    found: Any = json.loads(kaas("credentials", "check", "-o", "json", "-f", write(tmp_path, WRONG)).stdout)
    assert [f["rule"] for f in found[0]["findings"]] == ["text-line-break"]


def test_an_administrators_policy_counts(tmp_path: Path) -> None:
    file = write(tmp_path, aws(AWS_ENDPOINT_URL="https://s3.example.com"))
    assert kaas("credentials", "check", "-f", file).exit_code == 0
    policy = '{"endpointHosts": ["s3.example.org"]}'
    assert kaas("credentials", "check", "-f", file, "--policy", policy).exit_code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Pod", "there is no Secret of type kaas.internal/aws-credentials or kaas.internal/gcp-credentials"),
        ("a: *value-of-something", "stdin, line 1: is not YAML"),
        ("a: b: c", "is not YAML"),
    ],
)
def test_what_cannot_be_checked_is_wrong_input(text: str, said: str) -> None:
    result = kaas("credentials", "check", "-f", "-", stdin=text)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "value-of" not in result.stderr


def test_a_file_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    assert kaas("credentials", "check", "-f", tmp_path / "none.yaml").exit_code == 2


# --- create -------------------------------------------------------------------------------------------------------


def test_a_profile_becomes_a_secret() -> None:
    assert made("aws", "cloud", "--profile", "default", "--region", "eu-central-1") == {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "eu-central-1",
    }


def test_a_temporary_key_comes_with_its_token_and_region() -> None:
    values = made("aws", "cloud", "--profile", "temporary")
    assert (values["AWS_SESSION_TOKEN"], values["AWS_REGION"]) == ("token%token", "eu-west-1")


def test_the_consoles_csv_becomes_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "key.csv"
    file.write_text(f"\ufeffAccess key ID,Secret access key\r\n{KEY_ID},{SECRET_KEY}\r\n")
    assert made("aws", "cloud", "--access-key-file", file)["AWS_SECRET_ACCESS_KEY"] == SECRET_KEY


@pytest.mark.parametrize("wrapper", ["AccessKey", "Credentials"])
def test_what_aws_prints_becomes_a_secret(wrapper: str) -> None:
    printed = {wrapper: {"AccessKeyId": TEMPORARY_ID, "SecretAccessKey": SECRET_KEY, "SessionToken": "token"}}
    values = made("aws", "cloud", "--access-key-file", "-", stdin=json.dumps(printed))
    assert values["AWS_SESSION_TOKEN"] == "token"


def test_the_environment_becomes_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert made("aws", "cloud", "--from-env")["AWS_REGION"] == "eu-central-1"


def test_another_service_comes_with_its_ca(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(ca_pem())
    options = ("--endpoint-url", "https://s3.example.com", "--ca-file", tmp_path / "ca.pem")
    values = made("aws", "cloud", "--profile", "default", *options)
    assert (values["AWS_ENDPOINT_URL"], values["ca.crt"]) == ("https://s3.example.com", ca_pem())


def test_a_role_needs_no_key() -> None:
    assert made("aws", "cloud", "--role-arn", ROLE) == {"AWS_ROLE_ARN": ROLE}


def test_a_key_file_is_stored_as_it_is_with_its_project(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key_file(), indent=2) + "\n")
    assert made("gcp", "cloud", "--key-file", file) == {
        "credentials.json": file.read_text(),
        "project_id": "team-a-123",
    }


def test_a_provider_needs_no_key() -> None:
    options = ("--workload-identity-provider", PROVIDER, "--service-account", EMAIL, "--project", "team-a-123")
    values = made("gcp", "cloud", *options)
    assert json.loads(values["credentials.json"])["audience"] == f"//iam.googleapis.com/{PROVIDER}"


def test_the_namespace_is_the_users() -> None:
    result = kaas("-n", "team-a", "credentials", "create", "aws", "cloud", "--role-arn", ROLE, "-o", "json")
    assert json.loads(result.stdout)["metadata"] == {"name": "cloud", "namespace": "team-a"}


def test_what_would_be_refused_is_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "key.csv"
    file.write_text(f"Access key ID,Secret access key\n{KEY_ID},{KEY_ID}\n")
    result = kaas("credentials", "create", "aws", "cloud", "--access-key-file", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "AWS_SECRET_ACCESS_KEY: is an access key id" in result.stderr
    assert KEY_ID not in result.stderr


def test_what_is_doubtful_is_printed_and_said() -> None:
    result = kaas("credentials", "create", "aws", "cloud", "--profile", "default", "--region", "Frankfurt")
    assert result.exit_code == 0
    assert documents(result.stdout)
    assert "AWS_REGION: does not look like a region" in result.stderr


def test_it_is_applied_into_the_namespace_and_its_values_are_not_printed(tmp_path: Path) -> None:
    with api_server() as (url, requests):
        cluster = ("--kubeconfig", kubeconfig(tmp_path, url), "-n", "team-a")
        result = kaas("credentials", "create", "aws", "cloud", "--profile", "default", "--apply", *cluster)
    assert (result.exit_code, result.stdout) == (0, "Secret team-a/cloud applied\n")
    ((path, body),) = requests
    assert path.startswith("/api/v1/namespaces/team-a/secrets/cloud?")
    assert base64.b64decode(body["data"]["AWS_ACCESS_KEY_ID"]).decode() == KEY_ID


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("aws", "cloud"), "where from? give one of --profile, --access-key-file, --from-env, --role-arn"),
        (("aws", "cloud", "--from-env", "--role-arn", ROLE), "--from-env and --role-arn exclude each other"),
        (("aws", "cloud", "--from-env"), "AWS_ACCESS_KEY_ID is not set"),
        (("aws", "cloud", "--profile", "other"), "has no profile 'other'; it has default, temporary, sso"),
        (("aws", "cloud", "--profile", "sso"), "has no aws_access_key_id"),
        (("aws", "Cloud", "--role-arn", ROLE), "Secret 'Cloud': is no name"),
        (("gcp", "cloud"), "where from? give one of --key-file, --workload-identity-provider"),
        (("gcp", "cloud", "--key-file", "-", "--service-account", EMAIL), "a key file has its own"),
    ],
)
def test_what_cannot_be_made_is_wrong_input(arguments: tuple[str, ...], said: str) -> None:
    result = kaas("credentials", "create", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("text", ["", "a,b", f"{KEY_ID}\n{SECRET_KEY}", "{", '{"AccessKey": [1]}', "\udcff"])
def test_a_file_without_a_key_is_said_without_what_it_holds(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(text.encode(errors="surrogateescape"))
    result = kaas("credentials", "create", "aws", "cloud", "--access-key-file", file)
    assert result.exit_code == 2
    assert KEY_ID not in result.stderr


def test_a_file_of_profiles_that_is_none_is_said_without_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "profiles"
    file.write_text(f"{KEY_ID}\n{SECRET_KEY}\n")
    result = kaas("credentials", "create", "aws", "cloud", "--credentials-file", file, "-v")
    assert result.exit_code == 2
    assert KEY_ID not in result.stderr
