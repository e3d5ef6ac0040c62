"""Where the API server is and how to be known to it: from inside a Pod, or from a kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaas.admission.files import in_memory

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a Pod's account: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod"""


class AccessError(Exception):
    """There is no way to an API server; the message says which file or variable is at fault."""


@dataclass(frozen=True)
class Access:
    """server: https URL. token_file: read again and again, since the kubelet renews it. tls: None for plain HTTP."""

    server: str
    tls: ssl.SSLContext | None
    token: str = ""
    token_file: Path | None = None


def find(kubeconfig: Path | None, context: str | None = None) -> Access:
    """The way that was asked for: a kubeconfig; without one `$KUBECONFIG`, else the account of the Pod we run in."""
    if kubeconfig is None and (named := os.environ.get("KUBECONFIG")):
        kubeconfig = Path(named)
    return from_kubeconfig(kubeconfig, context) if kubeconfig else in_cluster()


def in_cluster(account: Path = ACCOUNT) -> Access:
    """The API server of the cluster we run in. Raises AccessError outside of one."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").is_file():
        raise AccessError(f"not in a Pod with an account at {account}: give --kubeconfig")
    tls = ssl.create_default_context(cafile=str(account / "ca.crt"))
    return Access(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", tls, "", account / "token")


def own_namespace(default: str, account: Path = ACCOUNT) -> str:
    """Namespace of the Pod we run in."""
    try:
        return (account / "namespace").read_text().strip() or default
    except OSError:
        return default


def from_kubeconfig(path: Path, context: str | None = None) -> Access:
    """The API server of a kubeconfig's context. Client certificates and tokens are known, programs and proxies are not.

    Raises AccessError when the file cannot be used.
    """
    import yaml  # noqa: PLC0415 - in a Pod nobody needs it, nor its megabyte

    try:
        document = yaml.safe_load(path.read_text())
        chosen = _named(document, "context", context or document["current-context"])
        cluster = _named(document, "cluster", chosen["cluster"])
        user = _named(document, "user", chosen["user"])
        return _access(path.parent, cluster, user)
    except (OSError, yaml.YAMLError, ssl.SSLError, LookupError, TypeError, ValueError) as error:
        raise AccessError(f"{path}: no usable kubeconfig: {type(error).__name__}: {error}") from error


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in document[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, Any] = entry[kind]
            return found
    raise LookupError(f"there is no {kind} {name!r}")


def _access(directory: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Access:
    if "exec" in user or "auth-provider" in user:
        raise ValueError("its user is known by a program, which is not supported: use a token or a client certificate")
    server, token_file = str(cluster["server"]).rstrip("/"), user.get("tokenFile")
    tls = _tls(directory, cluster, user) if server.startswith("https:") else None
    return Access(server, tls, str(user.get("token") or ""), directory / token_file if token_file else None)


def _tls(directory: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    authority = _content(directory, cluster, "certificate-authority")
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if certificate := _content(directory, user, "client-certificate"):
        with in_memory(certificate) as chain, in_memory(_content(directory, user, "client-key")) as key:
            tls.load_cert_chain(chain, key)
    return tls


def _content(directory: Path, section: dict[str, Any], key: str) -> bytes:
    """What a section says inline (`<key>-data`) or in a file, relative to the kubeconfig; empty when neither."""
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data)
    return (directory / section[key]).read_bytes() if section.get(key) else b""
