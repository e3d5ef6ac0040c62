"""AWS as far as clients of S3 need it: moto with real keys, policies and signatures, over http and https."""

from __future__ import annotations

import io
import itertools
import json
import math
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import boto3
from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.contract.credentials.clients.issuer import Issuer, Refused

BUCKET = "team-data"
REGION = "eu-central-1"
AUDIENCE = "sts.amazonaws.com"
_HOST = "127.0.0.1"
_ALLOWED = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
_TRUSTED = {"Effect": "Allow", "Principal": {"Federated": "*"}, "Action": "sts:AssumeRoleWithWebIdentity"}
_REFUSED = b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>%s</Message></Error></ErrorResponse>"

Environ = dict[str, Any]
Start = Callable[..., Any]


def _form(environ: Environ) -> dict[str, list[str]]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode("latin-1"))


@contextmanager
def _signatures(unsigned: float) -> Iterator[None]:
    """So many requests are taken without a signature: of the whole process, in which others play S3 too."""
    before, settings.INITIAL_NO_AUTH_ACTION_COUNT = settings.INITIAL_NO_AUTH_ACTION_COUNT, unsigned
    try:
        yield
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = before


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Amazon:
    """One account. url, secure_url: of all its services. sessions: of roles, as they were asked for."""

    issuer: Issuer
    url: str = ""
    secure_url: str = ""
    role: str = ""
    sessions: list[tuple[str, str]] = field(default_factory=list)
    _app: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))
    _users: Iterator[int] = field(default_factory=itertools.count)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _free: float = 0  # requests that are taken without a signature

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """WSGI. Every request must be signed, but for the one that brings a token instead."""
        asked = _form(environ) if environ["PATH_INFO"] == "/" else {}
        with self._turn, _signatures(self._free):
            if asked.get("Action") == ["AssumeRoleWithWebIdentity"]:
                return self._session(environ, start, asked)
            return list(self._app(environ, start))

    def _session(self, environ: Environ, start: Start, asked: dict[str, list[str]]) -> Iterable[bytes]:
        """As the real service does, and moto does not, look at the token first."""
        try:
            account = self.issuer.account(asked["WebIdentityToken"][0], AUDIENCE)
        except Refused as error:
            start("400 Bad Request", [("Content-Type", "text/xml")])
            return [_REFUSED % str(error).encode()]
        self.sessions.append((account, asked["RoleSessionName"][0]))
        with _signatures(math.inf):
            return list(self._app(environ, start))

    @contextmanager
    def _unsigned(self) -> Iterator[None]:
        self._free = math.inf
        try:
            yield
        finally:
            self._free = 0

    def key(self) -> dict[str, str]:
        """A new access key of a new user, who may use S3, as a Secret has it."""
        with self._unsigned():
            iam, name = self._client("iam"), f"loader-{next(self._users)}"
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="s3", PolicyDocument=_policy(_ALLOWED))
            made = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}

    def revoke(self, key: dict[str, str]) -> None:
        """Delete an access key."""
        with self._unsigned():
            iam, key_id = self._client("iam"), key["AWS_ACCESS_KEY_ID"]
            owner = iam.get_access_key_last_used(AccessKeyId=key_id)["UserName"]
            iam.delete_access_key(UserName=owner, AccessKeyId=key_id)

    def temporary_key(self, session: str) -> dict[str, str]:
        """A key with a session token, from another way to the role."""
        with self._unsigned():
            asked = {"RoleArn": self.role, "RoleSessionName": session}
            made = self._client("sts").assume_role(**asked)["Credentials"]
        names = {
            "AccessKeyId": "ACCESS_KEY_ID",
            "SecretAccessKey": "SECRET_ACCESS_KEY",
            "SessionToken": "SESSION_TOKEN",
        }
        return {f"AWS_{name}": made[key] for key, name in names.items()}

    def furnish(self) -> None:
        """A bucket, and a role that may use it."""
        with self._unsigned():
            iam = self._client("iam")
            made = iam.create_role(RoleName="loader", AssumeRolePolicyDocument=_policy(_TRUSTED))
            iam.put_role_policy(RoleName="loader", PolicyName="s3", PolicyDocument=_policy(_ALLOWED))
            self.role = made["Role"]["Arn"]
            place = {"LocationConstraint": REGION}
            self._client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)

    def _client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "AKIAADMINISTRATOR000", "aws_secret_access_key": "-"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)


@contextmanager
def amazon(issuer: Issuer, tls: ssl.SSLContext) -> Iterator[Amazon]:
    """The account, served while the context lasts."""
    account = Amazon(issuer)
    with ExitStack() as stack:
        ports = [stack.enter_context(_serving(account, context)) for context in (None, tls)]
        account.url, account.secure_url = f"http://{_HOST}:{ports[0]}", f"https://{_HOST}:{ports[1]}"
        account.furnish()
        yield account


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Nothing: a test says what went wrong."""


@contextmanager
def _serving(app: Amazon, tls: ssl.SSLContext | None) -> Iterator[int]:
    server = make_server(_HOST, 0, app, threaded=True, request_handler=_Quiet, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
