"""Every rule has a Secret that breaks it, and no other; right Secrets break none."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from kaas.credentials.secrets.check import check
from kaas.credentials.secrets.configuration import LARGEST
from kaas.credentials.secrets.external import TOKEN_FILE
from kaas.credentials.secrets.policy import Policy
from kaas.credentials.secrets.table import ALL
from kaas.credentials.secrets.values import LONGEST
from kaas.credentials.terms import AWS_TYPE, GCP_TYPE
from tests.unit.credentials.secret_examples import (
    EMAIL,
    KEY_ID,
    ROLE,
    SECRET_KEY,
    TEMPORARY_ID,
    Secret,
    aws,
    ca_pem,
    damaged_pem,
    ec_pem,
    encoded,
    external,
    gcp,
    gcp_file,
    key_file,
    keyless,
    rsa_pem,
    s3,
)

ID, KEY, TOKEN, S3 = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"
FILE = "credentials.json"

RIGHT = {
    "key": aws(),
    "key without region": aws(AWS_REGION=None),
    "temporary key": aws(AWS_ACCESS_KEY_ID=TEMPORARY_ID, AWS_SESSION_TOKEN="token" * 100),
    "own service": s3("https://s3.storage.example.com:8443/path"),
    "own service at an address": s3("https://192.0.2.7:9000"),
    "own service at an IPv6 address": s3("https://[2001:db8::7]:9000"),
    "own service with its region": aws(AWS_ENDPOINT_URL="https://ceph.example.com", AWS_REGION="default"),
    "Cloud Storage by HMAC": aws(AWS_ACCESS_KEY_ID="GOOG" + "A" * 20, **{S3: "https://storage.googleapis.com"}),
    "private CA": aws(ca=ca_pem() * 2),
    "government region": aws(AWS_REGION="us-gov-west-1"),
    "role": keyless(),
    "role in China": keyless(AWS_ROLE_ARN="arn:aws-cn:iam::111122223333:role/loader"),
    "key file": gcp(),
    "key file without what is not needed": gcp(auth_uri=None, client_x509_cert_url=None, universe_domain=None),
    "key file from before 2018": gcp(token_uri="https://accounts.google.com/o/oauth2/token"),
    "default account": gcp(client_email="123456-compute@developer.gserviceaccount.com"),
    "account of a domain's project": gcp(client_email="a@p.example.com.iam.gserviceaccount.com"),
    "larger key": gcp(private_key=rsa_pem(3072)),
    "project beside the file": gcp_file(json.dumps(key_file()) + "\n", project_id="other-project-1"),
    "configuration without a key": external(),
    "principal of the pool": external(service_account_impersonation_url=None),
    "token of another name": external(credential_source={"file": TOKEN_FILE + "/other", "format": {"type": "text"}}),
    "shorter life": external(service_account_impersonation={"token_lifetime_seconds": 600}),
    "introspection": external(token_info_url="https://sts.googleapis.com/v1/introspect"),
    "other type": {"type": "Opaque", "data": {"anything": "!"}},
}


def _endpoints(key: str) -> list[tuple[str, Secret, str]]:
    name = "aws-" + key.removeprefix("AWS_").lower().replace("_", "-")
    urls = {
        "url": ("s3.example.com", "ftp://s3.example.com", "//s3.example.com", "https://", "https://s3\\@x.example.com"),
        "userinfo": ("https://user:word@s3.example.com", "https://@s3.example.com"),
        "query": ("https://s3.example.com/?a=b", "https://s3.example.com/#a", "https://s3.example.com?"),
        "host": ("https://2852039166", "https://0xa9fea9fe", "https://169.254.43518", "https://a%2eexample.com"),
        "policy": (
            "https://169.254.169.254",
            "https://[fe80::1]",
            "https://[::ffff:169.254.169.254]/latest",
            "https://[64:ff9b::a9fe:a9fe]",
            "https://[2002:a9fe:a9fe::1]",
            "https://[fd00:ec2::254]",
            "https://metadata.google.internal",
            "https://METADATA.google.internal.",
            "https://0.0.0.0",
        ),
        "plain": ("http://s3.example.com",),
        "loopback": ("https://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:9000"),
    }
    return [(f"{name}-{rule}", s3(url, key), key) for rule, found in urls.items() for url in found]


OTHER_SOURCES: tuple[Any, ...] = (
    {"file": "/etc/shadow"},
    {"file": f"{TOKEN_FILE}/../../x"},
    {"file": TOKEN_FILE.replace("/gcp", "/aws")},
    {"file": f"{TOKEN_FILE}\n"},
    {},
    None,
    [],
)
BROKEN: list[tuple[str, Secret, str]] = [
    ("data-shape", {"type": AWS_TYPE, "data": aws()["data"], "stringData": [1]}, "data"),
    ("data-shape", {"type": AWS_TYPE, "data": aws()["data"], "stringData": {"AWS_REGION": 1}}, "data"),
    ("data-size", aws(ca="x" * 600_000), "data"),
    ("data-size", {"type": GCP_TYPE, "data": {f"k{i}": "" for i in range(1000)}}, "data"),
    ("data-base64", {"type": AWS_TYPE, "data": {**aws()["data"], "AWS_REGION": "eu-central-1"}}, "AWS_REGION"),
    ("key-unknown", aws(AWS_ACCES_KEY="x"), "AWS_ACCES_KEY"),
    ("key-unknown", gcp_file(json.dumps(key_file()), **{"key.json": "{}"}), "key.json"),
    ("text-encoding", aws(AWS_REGION=b"\xff\xfe"), "AWS_REGION"),
    ("text-empty", aws(AWS_REGION=""), "AWS_REGION"),
    ("text-empty", aws(AWS_SESSION_TOKEN="\n"), TOKEN),
    ("text-empty", keyless(AWS_ROLE_ARN=""), "AWS_ROLE_ARN"),
    ("text-long", aws(AWS_ACCESS_KEY_ID=TEMPORARY_ID, AWS_SESSION_TOKEN="x" * (LONGEST + 1)), TOKEN),
    ("text-bom", aws(AWS_ACCESS_KEY_ID="\ufeff" + KEY_ID), ID),
    ("text-line-break", aws(AWS_SECRET_ACCESS_KEY=SECRET_KEY + "\n"), KEY),
    ("text-line-break", aws(AWS_ACCESS_KEY_ID=KEY_ID + "\r\n"), ID),
    ("text-line-break", gcp_file(json.dumps(key_file()), project_id="team-a-123\n"), "project_id"),
    ("text-quotes", aws(AWS_SECRET_ACCESS_KEY=f'"{SECRET_KEY}"'), KEY),
    ("text-quotes", aws(AWS_ACCESS_KEY_ID=f"'{KEY_ID}'"), ID),
    ("text-space", aws(AWS_ACCESS_KEY_ID=f" {KEY_ID}"), ID),
    (
        "text-characters",
        aws(AWS_SECRET_ACCESS_KEY=SECRET_KEY[:20] + "\x00" + SECRET_KEY[20:], **{S3: "https://a.b"}),
        KEY,
    ),
    ("text-characters", aws(AWS_ENDPOINT_URL="https://a.b", AWS_ACCESS_KEY_ID="a\u200bb"), ID),
    ("aws-id-missing", aws(AWS_ACCESS_KEY_ID=None), ID),
    ("aws-secret-missing", aws(AWS_SECRET_ACCESS_KEY=None), KEY),
    *(("aws-id-entity", aws(AWS_ACCESS_KEY_ID=p + "Q7" * 8 + "Q"), ID) for p in ("AROA", "AIDA", "AGPA", "APKA")),
    ("aws-id-twice", aws(AWS_ACCESS_KEY_ID=encoded(KEY_ID).rstrip("=")), ID),
    ("aws-id-shape", aws(AWS_ACCESS_KEY_ID="minio-user-1"), ID),
    ("aws-id-unusual", aws(AWS_ACCESS_KEY_ID="akia" + "q7" * 8), ID),
    ("aws-id-hmac", aws(AWS_ACCESS_KEY_ID="GOOG" + "A" * 57), ID),
    ("aws-secret-is-id", aws(AWS_SECRET_ACCESS_KEY=KEY_ID), KEY),
    ("aws-secret-length", aws(AWS_SECRET_ACCESS_KEY=SECRET_KEY[1:]), KEY),
    ("aws-token-missing", aws(AWS_ACCESS_KEY_ID=TEMPORARY_ID), TOKEN),
    ("aws-token-extra", aws(AWS_SESSION_TOKEN="token" * 100), TOKEN),
    ("aws-region-shape", aws(AWS_REGION="Frankfurt"), "AWS_REGION"),
    ("aws-region-shape", aws(AWS_REGION="eu-central-1a"), "AWS_REGION"),
    ("aws-role-shape", keyless(AWS_ROLE_ARN="arn:aws:iam::111122223333:user/loader"), "AWS_ROLE_ARN"),
    ("aws-role-shape", keyless(AWS_ROLE_ARN="arn:aws:sts::111122223333:assumed-role/a/b"), "AWS_ROLE_ARN"),
    ("aws-role-shape", keyless(AWS_ROLE_ARN=ROLE + "/"), "AWS_ROLE_ARN"),
    ("aws-id-beside-role", keyless(AWS_ACCESS_KEY_ID=KEY_ID), ID),
    ("aws-secret-beside-role", keyless(AWS_SECRET_ACCESS_KEY=SECRET_KEY), KEY),
    ("aws-token-beside-role", keyless(AWS_SESSION_TOKEN="token"), TOKEN),
    ("aws-ca-pem", aws(ca=""), "ca.crt"),
    ("aws-ca-pem", aws(ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "ca.crt"),
    ("aws-ca-key", aws(ca=ca_pem() + ec_pem()), "ca.crt"),
    *_endpoints("AWS_ENDPOINT_URL"),
    *_endpoints("AWS_ENDPOINT_URL_S3"),
    ("gcp-file-missing", gcp_file(None), FILE),
    ("gcp-project-key-shape", gcp_file(json.dumps(key_file()), project_id="123456"), "project_id"),
    ("gcp-file-size", gcp_file(json.dumps(key_file()) + " " * LARGEST), FILE),
    ("gcp-file-empty", gcp_file("\n"), FILE),
    ("gcp-file-encoding", gcp_file(b"\x30\x82\xff"), FILE),
    ("gcp-file-bom", gcp_file("\ufeff" + json.dumps(key_file())), FILE),
    ("gcp-file-twice", gcp_file(encoded(json.dumps(key_file()))), FILE),
    ("gcp-file-twice", gcp_file(encoded(json.dumps(key_file(), indent=2))), FILE),
    ("gcp-file-doubled", gcp_file('{"type": "service_account", "type": "service_account"}'), FILE),
    ("gcp-file-json", gcp_file("{type: service_account}"), FILE),
    ("gcp-file-json", gcp_file("[" * 10_000), FILE),
    ("gcp-file-json", gcp_file('{"a": NaN}'), FILE),
    ("gcp-file-object", gcp_file(json.dumps([key_file()])), FILE),
    ("gcp-file-object", gcp_file('"text"'), FILE),
    ("gcp-type-missing", gcp(type=None), f"{FILE} type"),
    ("gcp-type-person", gcp(type="authorized_user"), f"{FILE} type"),
    ("gcp-type", gcp(type="impersonated_service_account"), f"{FILE} type"),
    ("gcp-client-email-missing", gcp(client_email=None), f"{FILE} client_email"),
    ("gcp-private-key-missing", gcp(private_key=""), f"{FILE} private_key"),
    ("gcp-token-uri-missing", gcp(token_uri=["https://oauth2.googleapis.com/token"]), f"{FILE} token_uri"),
    ("gcp-field-case", gcp(Token_URI="https://example.com"), FILE),
    ("gcp-field-case", gcp(**{"to\u212aen_uri": "https://example.com"}), FILE),
    ("gcp-email-shape", gcp(client_email="someone@example.com"), f"{FILE} client_email"),
    ("gcp-email-shape", gcp(client_email=EMAIL + "\n"), f"{FILE} client_email"),
    ("gcp-token-uri", gcp(token_uri="https://oauth2.googleapis.com.example.com/token"), f"{FILE} token_uri"),
    ("gcp-universe", gcp(universe_domain="example.com"), f"{FILE} universe_domain"),
    ("gcp-universe", external(universe_domain="example.com"), f"{FILE} universe_domain"),
    ("gcp-private-key-id", gcp(private_key_id="x"), f"{FILE} private_key_id"),
    ("gcp-client-id", gcp(client_id="x"), f"{FILE} client_id"),
    ("gcp-project-missing", gcp(project_id=None), f"{FILE} project_id"),
    ("gcp-project-shape", gcp(project_id="My Project"), f"{FILE} project_id"),
    ("gcp-key-escaped", gcp(private_key=rsa_pem().replace("\n", "\\n")), f"{FILE} private_key"),
    ("gcp-key-encrypted", gcp(private_key=rsa_pem(passphrase=b"word")), f"{FILE} private_key"),
    ("gcp-key-form", gcp(private_key=rsa_pem(form=PrivateFormat.TraditionalOpenSSL)), f"{FILE} private_key"),
    ("gcp-key-none", gcp(private_key="key"), f"{FILE} private_key"),
    ("gcp-key-unreadable", gcp(private_key=rsa_pem()[:800]), f"{FILE} private_key"),
    ("gcp-key-kind", gcp(private_key=ec_pem()), f"{FILE} private_key"),
    ("gcp-key-short", gcp(private_key=rsa_pem(1024)), f"{FILE} private_key"),
    ("gcp-key-damaged", gcp(private_key=damaged_pem()), f"{FILE} private_key"),
    ("gcp-external-fields", external(workforce_pool_user_project="team-a-123"), FILE),
    ("gcp-external-fields", external(Token_URL="https://example.com"), FILE),
    ("gcp-external-audience", external(audience="https://example.com"), f"{FILE} audience"),
    ("gcp-external-token-type", external(subject_token_type=None), f"{FILE} subject_token_type"),
    ("gcp-external-token-url", external(token_url="https://sts.example.com/v1/token"), f"{FILE} token_url"),
    ("gcp-external-token-info-url", external(token_info_url="https://example.com"), f"{FILE} token_info_url"),
    (
        "gcp-external-impersonation",
        external(service_account_impersonation_url="https://iamcredentials.googleapis.com/../x:generateAccessToken"),
        f"{FILE} service_account_impersonation_url",
    ),
    *(
        (
            "gcp-external-lifetime",
            external(service_account_impersonation=life),
            f"{FILE} service_account_impersonation",
        )
        for life in ({"token_lifetime_seconds": 60}, {"other": 1}, "1h", {"token_lifetime_seconds": True})
    ),
    (
        "gcp-external-executable",
        external(credential_source={"file": TOKEN_FILE, "executable": {"command": "/bin/sh"}}),
        f"{FILE} credential_source.executable",
    ),
    (
        "gcp-external-source-url",
        external(credential_source={"file": TOKEN_FILE, "url": "http://169.254.169.254"}),
        f"{FILE} credential_source.url",
    ),
    *(("gcp-external-file", external(credential_source=s), f"{FILE} credential_source.file") for s in OTHER_SOURCES),
    (
        "gcp-external-source",
        external(credential_source={"file": TOKEN_FILE, "File": "/etc/shadow"}),
        f"{FILE} credential_source",
    ),
    (
        "gcp-external-format",
        external(credential_source={"file": TOKEN_FILE, "format": {"type": "json"}}),
        f"{FILE} credential_source.format",
    ),
    (
        "gcp-external-project",
        {**external(), "data": {FILE: external()["data"][FILE]}},
        "project_id",
    ),
]
# Broken by a Secret only under a policy of an administrator.
BY_POLICY = {"gcp-external-policy"}
SEVERITIES = {rule.id: rule.severity for rule in ALL}


@pytest.mark.parametrize("found", RIGHT.values(), ids=list(RIGHT))
def test_a_right_secret_breaks_no_rule(found: Secret) -> None:
    assert check(found) == []


@pytest.mark.parametrize(("rule", "found", "key"), BROKEN, ids=[f"{i}-{b[0]}" for i, b in enumerate(BROKEN)])
def test_each_fault_is_found_at_its_key_and_nothing_else_is(rule: str, found: Secret, key: str) -> None:
    assert {(f.rule, f.key, f.severity) for f in check(found)} == {(rule, key, SEVERITIES[rule])}


def test_every_rule_has_a_secret_that_breaks_it() -> None:
    assert {rule.id for rule in ALL} == {rule for rule, _, _ in BROKEN} | BY_POLICY


def test_ids_are_of_one_rule_each() -> None:
    assert [rule for rule, count in Counter(rule.id for rule in ALL).items() if count > 1] == []


@pytest.mark.parametrize("rule", ALL, ids=[rule.id for rule in ALL])
def test_each_rule_says_what_is_wrong_and_the_way_out(rule: Any) -> None:
    assert rule.fault
    assert rule.way_out
    assert rule.message == f"{rule.fault}: {rule.way_out}"


def test_all_faults_are_said_at_once_and_what_is_refused_first() -> None:
    found = check(aws(AWS_REGION="Frankfurt", AWS_ACCESS_KEY_ID=f"{KEY_ID}\n", AWS_SECRET_ACCESS_KEY=None, typo="x"))
    assert [f.severity for f in found] == ["deny", "deny", "deny", "warn"]


def test_what_is_not_allowed_here_is_told_apart_from_what_is_wrong() -> None:
    (found,) = check(external(), Policy(allow_external_account=False))
    assert (found.rule, found.severity) == ("gcp-external-policy", "deny")
