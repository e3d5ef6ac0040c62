"""Where `kaas credentials create aws` takes keys from: files and the environment, never arguments."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from configparser import Error as IniError
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kaas.cli.credential_create import content, one_of
from kaas.cli.exits import CliError, ExitCode
from kaas.credentials import terms

DEFAULT_FILE: Final = Path("~/.aws/credentials")  # AWS SDKs and Tools Reference Guide, shared config files
# Names in the files of AWS's tools: INI of profiles, CSV of the IAM console, JSON of `aws iam` and `aws sts`.
PROFILE_FIELDS: Final = {
    "aws_access_key_id": terms.AWS_ACCESS_KEY_ID,
    "aws_secret_access_key": terms.AWS_SECRET_ACCESS_KEY,
    "aws_session_token": terms.AWS_SESSION_TOKEN,
    "region": terms.AWS_REGION,
    "endpoint_url": terms.AWS_ENDPOINT_URL,
}
CSV_FIELDS: Final = {"access key id": terms.AWS_ACCESS_KEY_ID, "secret access key": terms.AWS_SECRET_ACCESS_KEY}
JSON_FIELDS: Final = {
    "AccessKeyId": terms.AWS_ACCESS_KEY_ID,
    "SecretAccessKey": terms.AWS_SECRET_ACCESS_KEY,
    "SessionToken": terms.AWS_SESSION_TOKEN,
}
VARIABLES: Final = (
    terms.AWS_ACCESS_KEY_ID,
    terms.AWS_SECRET_ACCESS_KEY,
    terms.AWS_SESSION_TOKEN,
    terms.AWS_REGION,
    terms.AWS_ENDPOINT_URL,
    terms.AWS_ENDPOINT_URL_S3,
)


@dataclass(frozen=True, slots=True)
class Source:
    """What the options say about where keys are. credentials_file: None for the one that AWS's tools find."""

    profile: str | None = None
    credentials_file: Path | None = None
    access_key_file: Path | None = None
    from_env: bool = False
    role_arn: str | None = None


def values(source: Source, added: Mapping[str, str | None], ca_file: Path | None = None) -> dict[str, bytes]:
    """Values of a Secret by key. added: wins over what the source says; None adds nothing.

    CliError when there is not one source, or nothing in it.
    """
    chosen = one_of(
        {
            "--profile": source.profile or source.credentials_file,
            "--access-key-file": source.access_key_file,
            "--from-env": source.from_env,
            "--role-arn": source.role_arn,
        }
    )
    found = {**_taken(chosen, source), **{key: value for key, value in added.items() if value}}
    encoded = {key: value.encode(errors="surrogatepass") for key, value in found.items()}
    return encoded | ({terms.AWS_CA: content(ca_file)} if ca_file else {})


def _taken(chosen: str, source: Source) -> dict[str, str]:
    if chosen == "--role-arn":
        return {terms.AWS_ROLE_ARN: str(source.role_arn)}
    if chosen == "--from-env":
        return environment(os.environ)
    if source.access_key_file:
        return access_key(content(source.access_key_file), str(source.access_key_file))
    file = source.credentials_file or Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or DEFAULT_FILE)
    return profile(content(file), str(file), source.profile or "default")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What the SDKs' variables hold."""
    found = {key: variables[key] for key in VARIABLES if variables.get(key)}
    if (region := variables.get("AWS_DEFAULT_REGION")) and terms.AWS_REGION not in found:
        found[terms.AWS_REGION] = region
    if terms.AWS_ACCESS_KEY_ID not in found:
        raise _wrong("--from-env: AWS_ACCESS_KEY_ID is not set: export it, or give a file")
    return found


def profile(raw: bytes, file: str, name: str) -> dict[str, str]:
    """What a profile of a credentials file holds. CliError when there is no such profile, or no keys in it."""
    parser = RawConfigParser(default_section="", strict=True)
    try:
        parser.read_string(_text(raw, file))
    except IniError:
        raise _wrong(f"{file}: is no credentials file: it has [profile] and lines `name = value`") from None
    section = name if parser.has_section(name) else f"profile {name}"
    if not parser.has_section(section):
        known = ", ".join(parser.sections()) or "none"
        raise _wrong(f"{file}: has no profile {name!r}; it has {known}: name one of them with --profile")
    found = {key: parser[section][field] for field, key in PROFILE_FIELDS.items() if parser[section].get(field)}
    if terms.AWS_ACCESS_KEY_ID not in found:
        raise _wrong(f"{file}: profile {name!r}: has no aws_access_key_id: keys of roles and SSO cannot be stored")
    return found


def access_key(raw: bytes, file: str) -> dict[str, str]:
    """What a file with one key holds, CSV or JSON. CliError when it is neither."""
    text = _text(raw, file)
    found = _from_json(text) if text.lstrip().startswith("{") else _from_csv(text)
    if terms.AWS_ACCESS_KEY_ID not in found:
        way_out = "give the CSV of the IAM console, or JSON that `aws iam create-access-key` printed"
        raise _wrong(f"{file}: holds no access key: {way_out}")
    return found


def _from_csv(text: str) -> dict[str, str]:
    rows = list(csv.reader(io.StringIO(text)))[:2]
    if len(rows) != 2:  # noqa: PLR2004 - a header and one key
        return {}
    names = [name.strip().lower() for name in rows[0]]
    row = dict(zip(names, rows[1], strict=False))
    return {key: row[name].strip() for name, key in CSV_FIELDS.items() if row.get(name)}


def _from_json(text: str) -> dict[str, str]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    for wrapper in ("AccessKey", "Credentials"):
        if isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    return {key: found[name] for name, key in JSON_FIELDS.items() if isinstance(found.get(name), str)}


def _text(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig")  # the IAM console's CSV begins with a byte order mark
    except UnicodeDecodeError:
        raise _wrong(f"{file}: is not UTF-8 text") from None


def _wrong(message: str) -> CliError:
    return CliError(message, ExitCode.WRONG_INPUT)
