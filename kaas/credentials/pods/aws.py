"""AWS: keys as environment variables, keys in files that are read anew, or a role and no key at all."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.groups import (
    KEPT,
    Bundle,
    Entry,
    Group,
    Mount,
    annotation_item,
    from_pod,
    from_secret,
    literal,
    projected_volume,
    secret_volume,
    token_source,
)
from kaas.credentials.pods.process import CONFIG, CONFIG_FILE, PROCESS, PROCESS_FILE
from kaas.credentials.pods.wanted import Choice
from kaas.credentials.terms import (
    AWS_ACCESS_KEY_ID,
    AWS_CA,
    AWS_CONFIG_ANNOTATION,
    AWS_ENDPOINT_URL,
    AWS_ENDPOINT_URL_S3,
    AWS_MOUNT,
    AWS_PROCESS_ANNOTATION,
    AWS_REGION,
    AWS_ROLE_ARN,
    AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN,
    AWS_TOKEN_FILE,
    AWS_TYPE,
    AWS_VOLUME,
    TOKEN_MOUNT,
    TOKEN_VOLUME,
)

AUDIENCE: Final = "sts.amazonaws.com"
"""Client id of an OIDC provider in IAM, as its own documentation has it set."""

# Every variable by which an SDK finds out whose credentials it uses (the credential chains of botocore and the Go SDK).
IDENTITY: Final = frozenset(
    {
        AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY,
        AWS_SESSION_TOKEN,
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        AWS_ROLE_ARN,
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    }
)
_FILES: Final = Mount(AWS_VOLUME, AWS_MOUNT)
_TOKEN: Final = Mount(TOKEN_VOLUME, TOKEN_MOUNT)
# There is no metadata server to be found outside AWS; to look for it costs seconds and ends in a misleading error.
_NO_METADATA: Final = Group((literal("AWS_EC2_METADATA_DISABLED", "true"),), quiet=True)
_CA_BUNDLE: Final = Group((literal("AWS_CA_BUNDLE", f"{AWS_MOUNT}/{AWS_CA}"),), mounts=(_FILES,))

_SHORTEST_SESSION, _LONGEST_SESSION = 2, 64  # AWS STS API, AssumeRoleWithWebIdentity, RoleSessionName


@lru_cache(KEPT)
def aws_bundle(choice: Choice, facts: SecretFacts | None, rotating: bool, expiration: int, session: str) -> Bundle:
    """What containers get for AWS. facts: None for a Secret that is not there yet, which is taken for one with keys.

    rotating: keys in files. expiration: of a projected token, in seconds. session: see session_of.
    """
    if choice.role or (facts and facts.role):
        return _keyless(choice, facts, expiration, session)
    return _rotating(choice, facts) if rotating else _keys(choice, facts)


def session_of(pod_name: str) -> str:
    """A name for a Pod's sessions in the cloud's audit log; empty when the Pod's own will do.

    pod_name: empty while it is not generated yet; those that are generated are short enough.
    """
    if not pod_name or _SHORTEST_SESSION <= len(pod_name) <= _LONGEST_SESSION:
        return ""
    return f"pod-{pod_name}"[:_LONGEST_SESSION]


def _keys(choice: Choice, facts: SecretFacts | None) -> Bundle:
    secret = choice.secret
    identity = Group(
        (
            from_secret(AWS_ACCESS_KEY_ID, secret),
            from_secret(AWS_SECRET_ACCESS_KEY, secret),
            from_secret(AWS_SESSION_TOKEN, secret, optional=True),
        ),
        rivals=IDENTITY,
        leads=True,
    )
    groups = (identity, *_settings(secret, facts))
    return Bundle("aws", choice.where, secret, groups, _ca_volume(secret, facts), warnings=_doubts(facts))


def _rotating(choice: Choice, facts: SecretFacts | None) -> Bundle:
    """Both names of one file: else keys of a credentials file in the image would win, and old SDKs read only that."""
    path = f"{AWS_MOUNT}/{CONFIG_FILE}"
    entries = (literal("AWS_CONFIG_FILE", path), literal("AWS_SHARED_CREDENTIALS_FILE", path))
    identity = Group(entries, rivals=IDENTITY, mounts=(_FILES,), leads=True)
    items = [annotation_item(AWS_CONFIG_ANNOTATION, CONFIG_FILE), annotation_item(AWS_PROCESS_ANNOTATION, PROCESS_FILE)]
    sources = ({"secret": {"name": choice.secret}}, {"downwardAPI": {"items": items}})
    return Bundle(
        "aws",
        choice.where,
        choice.secret,
        (identity, *_settings(choice.secret, facts)),
        {AWS_VOLUME: projected_volume(AWS_VOLUME, *sources)},
        {AWS_CONFIG_ANNOTATION: CONFIG, AWS_PROCESS_ANNOTATION: PROCESS},
        warnings=_doubts(facts),
    )


def _keyless(choice: Choice, facts: SecretFacts | None, expiration: int, session: str) -> Bundle:
    role = literal(AWS_ROLE_ARN, choice.role) if choice.role else from_secret(AWS_ROLE_ARN, choice.secret)
    file = literal("AWS_WEB_IDENTITY_TOKEN_FILE", f"{TOKEN_MOUNT}/{AWS_TOKEN_FILE}")
    entries = (role, file, _session(session))
    identity = Group(entries, rivals=IDENTITY, mounts=(_TOKEN,), leads=True)
    if choice.secret:
        settings, volumes = _settings(choice.secret, facts), _ca_volume(choice.secret, facts)
    else:
        settings, volumes = _annotated(choice), {}
    token = token_source(AUDIENCE, expiration, AWS_TOKEN_FILE)
    return Bundle("aws", choice.where, choice.secret or choice.role, (identity, *settings), volumes, tokens=(token,))


def _session(session: str) -> Entry:
    name = "AWS_ROLE_SESSION_NAME"
    return literal(name, session) if session else from_pod(name, "metadata.name")


def _settings(secret: str, facts: SecretFacts | None) -> tuple[Group, ...]:
    """Botocore reads the region from one variable, the other SDKs from the other."""
    region = Group(
        (
            from_secret(AWS_REGION, secret, optional=True),
            from_secret("AWS_DEFAULT_REGION", secret, AWS_REGION, optional=True),
        )
    )
    endpoint = Group(
        (
            from_secret(AWS_ENDPOINT_URL, secret, optional=True),
            from_secret(AWS_ENDPOINT_URL_S3, secret, optional=True),
        )
    )
    ca = (_CA_BUNDLE,) if facts and AWS_CA in facts.keys else ()
    return (region, endpoint, *ca, _NO_METADATA)


def _annotated(choice: Choice) -> tuple[Group, ...]:
    if not choice.region:
        return (_NO_METADATA,)
    entries = (literal(AWS_REGION, choice.region), literal("AWS_DEFAULT_REGION", choice.region))
    return (Group(entries), _NO_METADATA)


def _ca_volume(secret: str, facts: SecretFacts | None) -> dict[str, Entry]:
    return {AWS_VOLUME: secret_volume(AWS_VOLUME, secret, AWS_CA)} if facts and AWS_CA in facts.keys else {}


def _doubts(facts: SecretFacts | None) -> tuple[str, ...]:
    """What keeps a Pod from starting, of a Secret that nobody checked: one of our type cannot be like this."""
    if facts is None or facts.role or facts.type == AWS_TYPE:
        return ()
    missing = [k for k in (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) if k not in facts.keys]
    return (f"it has no key {' and no key '.join(missing)}: the Pod cannot start",) if missing else ()
