"""What libraries raise, as errors of a source: which may go better next time, in one line and with no secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from obstore import exceptions as obs

from kaas.loader.source import Changed, Denied, NotThere, Refused, SourceError, Unreachable

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>\s*(\w{1,64})\s*</Code>")
_KIND: Final = re.compile(r"kind: (\w+)")
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")

EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired", "TokenRefreshRequired"}
)
ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect", "Redirect", "301", "307"}
)
"""Codes that say another region. Source: Amazon S3 API reference, error responses."""
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404", "InvalidRange", "416", "PreconditionFailed", "412"})
_BUSY: Final = frozenset(
    {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "RequestLimitExceeded"}
)

_SAID: Final = {
    "InvalidAccessKeyId": "there is no such access key",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "InvalidObjectState": "it is archived: restore it before it is loaded",
    "NoSuchBucket": "there is no such bucket",
    "AllAccessDisabled": "the bucket is disabled",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, or that it said nothing. status: of HTTP, 0 without an answer. code: the store's own word.

    way: what can be done about credentials, when nobody could be asked for the lack of them.
    """

    status: int
    code: str = ""
    wait: float = 0.0
    region: str = ""
    detail: str = ""
    way: str = ""


class StillExpired(boto.BotoCoreError):  # type: ignore[misc]
    """Keys were renewed, and what came has expired already."""

    fmt = "keys were renewed and have expired still"


def error_of(answer: Answer, what: str, *, listed: bool = False) -> SourceError:
    """The error of an answer. what: bucket and key, for the message. listed: it was there a moment ago."""
    said = _said(answer)
    if listed and (answer.code in _GONE or (answer.status in {404, 412, 416} and answer.code != "NoSuchBucket")):
        return Changed(f"{what}: is not what was listed any more ({said})")
    if answer.status == 404:  # noqa: PLR2004 - of HTTP
        return NotThere(f"{what}: {said}: correct the address")
    if answer.way:
        return Denied(f"{what}: {said}: {answer.way}")
    if (answer.code in EXPIRED or answer.status in {401, 403}) and answer.code != "InvalidObjectState":
        return Denied(f"{what}: access denied ({said}): give credentials that may list and read it")
    if answer.code in _BUSY or answer.status in {0, 408, 429} or answer.status >= 500:  # noqa: PLR2004
        return Unreachable(f"{what}: no good answer ({said})", answer.wait)
    return Refused(f"{what}: {_refusal(answer, said)}")


def _refusal(answer: Answer, said: str) -> str:
    if answer.code in ELSEWHERE or answer.status in {301, 307}:
        where = f"in region {answer.region}: name that region" if answer.region else "elsewhere: name its region"
        return f"the bucket is {where}"
    return f"the server refuses ({said})"


def _said(answer: Answer) -> str:
    words = [_SAID.get(answer.code, answer.code), str(answer.status or ""), answer.detail]
    return ", ".join(dict.fromkeys(w for w in words if w)) or "nothing"


def of_obstore(error: BaseException) -> Answer:
    """What an error of obstore says. Its text quotes headers and bodies, so only known parts of it are taken."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    if isinstance(error, FileNotFoundError):
        return Answer(status or 404, code)
    if isinstance(error, obs.PreconditionError):
        return Answer(status or 412, code)
    if isinstance(error, obs.PermissionDeniedError | obs.UnauthenticatedError):
        return Answer(status or 403, code)
    return Answer(status, code) if status else _unanswered(text)


def _unanswered(text: str) -> Answer:
    """Of an error that came without an answer, or with one that makes no sense."""
    if "redirect without LOCATION" in text:
        return Answer(301)
    if "non-partial response" in text:
        return Answer(200, detail="it answers no ranges")
    if "InvalidCertificate(" in text:
        return Answer(495, detail="its certificate is not trusted here: add its CA")
    kind = found[1] if (found := _KIND.search(text)) else "an answer that makes no sense"
    return Answer(
        0, detail={"Connect": "no connection", "Interrupted": "cut off", "Timeout": "too slow"}.get(kind, kind)
    )


def of_botocore(error: Exception) -> Answer:
    """What an error of botocore says."""
    if isinstance(error, boto.ClientError):
        return _client_error(error)
    name = type(error).__name__
    if isinstance(error, boto.NoCredentialsError):
        way = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ask anonymously when it is public"
        return Answer(0, detail="no credentials were found", way=way)
    way = next((way for kind, way in _DENIED.items() if isinstance(error, kind)), "")
    if way:
        return Answer(0, detail=name, way=way)
    if isinstance(error, boto.SSLError):
        return Answer(495, detail="its certificate is not trusted here: add its CA")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | boto.IncompleteReadError | ResponseParserError):
        return Answer(0, detail=name)
    return Answer(400, detail=name)


_DENIED: Final[dict[type[Exception], str]] = {
    boto.PartialCredentialsError: "set both, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    boto.CredentialRetrievalError: "see why credential_process gives none",
    boto.TokenRetrievalError: "sign in again",
    boto.ProfileNotFound: "there is no such profile: correct AWS_PROFILE",
    boto.ConfigParseError: "correct the file that AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE names",
    boto.UnauthorizedSSOTokenError: "sign in again",
    StillExpired: "keys were renewed and have expired still: see who gives them, and this machine's clock",
}
"""Why there are no credentials, and what to do. What the errors say quotes output of programs."""


def _client_error(error: Any) -> Answer:
    response: dict[str, Any] = error.response
    details, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    region = str(headers.get("x-amz-bucket-region") or details.get("Region") or "")
    return Answer(
        int(meta.get("HTTPStatusCode") or 0),
        _word(details.get("Code")),
        seconds(headers.get("retry-after")),
        region if _REGION.fullmatch(region) else "",
    )


def _word(code: object) -> str:
    return re.sub(r"\W", "", str(code or ""))[:64]


def seconds(text: str | None) -> float:
    """Of a Retry-After header with a number; 0 for a date or none."""
    return min(float(text), 300.0) if text and text.strip().isdigit() else 0.0
