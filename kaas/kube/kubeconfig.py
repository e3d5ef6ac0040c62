"""The way to an API server from a kubeconfig that somebody else wrote: nothing in it is run, no file is read for it."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from typing import Any

import yaml
from kubernetes.aio.client import ApiClient, Configuration

from kaas.kube.client import KubeClient, Limits, RequestHook
from kaas.kube.configuration import SESSION
from kaas.kube.errors import Forbidden

CONNECTIONS = 16  # at once to one server

# What would have us run a program, read a file of ours, speak to somebody else, or believe anybody.
_REFUSED_OF_USER = ("exec", "auth-provider", "tokenFile", "client-certificate", "client-key", "as", "username")
_REFUSED_OF_CLUSTER = ("certificate-authority", "insecure-skip-tls-verify", "proxy-url")


def connect(what: str, content: bytes, *, limits: Limits | None = None, hook: RequestHook | None = None) -> KubeClient:
    """Client for the current context of a kubeconfig in YAML; no request is sent yet. Needs a running event loop.

    Known are an address, an authority, and a client certificate or token, all inline, as Cluster API writes them;
    Forbidden, with `what`, for anything else.
    """
    try:
        return KubeClient(_api(content), limits=limits, hook=hook)
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as wrong:
        raise Forbidden(what, f"no usable kubeconfig: {type(wrong).__name__}") from wrong  # its words may be a secret
    except (binascii.Error, ssl.SSLError) as wrong:
        raise Forbidden(what, f"no usable kubeconfig: a certificate or key in it can't be read: {wrong}") from wrong
    except _Refused as wrong:
        raise Forbidden(what, str(wrong)) from wrong


class _Refused(Exception):
    """The kubeconfig asks for what is not done with one that came out of a Secret."""


def _api(content: bytes) -> ApiClient:
    document = yaml.load(content, Loader=yaml.CSafeLoader)
    context = _named(document, "context", document["current-context"])
    cluster = _named(document, "cluster", context["cluster"])
    user = _named(document, "user", context["user"])
    refused = [k for k in _REFUSED_OF_USER if user.get(k)] + [k for k in _REFUSED_OF_CLUSTER if cluster.get(k)]
    if refused:
        raise _Refused(f"its kubeconfig has {', '.join(refused)}, which is not accepted: give certificates or a token")
    settings = Configuration(
        host=str(cluster["server"]).rstrip("/"),
        ca_cert_data=_inline(cluster, "certificate-authority-data").decode() or None,
        tls_server_name=cluster.get("tls-server-name"),
        connection_pool_maxsize=CONNECTIONS,
        client_session_kwargs=SESSION,
    )
    if token := user.get("token"):
        settings.api_key["BearerToken"] = f"Bearer {token}"
    api = ApiClient(settings)
    if certificate := _inline(user, "client-certificate-data"):
        _identify(api.rest_client.ssl_context, certificate, _inline(user, "client-key-data"))
    return api


def _identify(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Have our certificate shown; ssl wants it in a file, which is ours alone and gone at once."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in document[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, Any] = entry[kind]
            return found
    raise LookupError(f"there is no {kind} of that name")


def _inline(section: dict[str, Any], key: str) -> bytes:
    return base64.b64decode(section.get(key) or "", validate=False)
