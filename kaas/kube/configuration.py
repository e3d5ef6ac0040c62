"""Where our own API server is, and who we are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

from kaas.kube.errors import Forbidden

# By itself aiohttp looks for proxies and in ~/.netrc with two threads' help, at each request.
SESSION: Final = {"trust_env": False}


async def configuration(kubeconfig: Path | str | None, context: str | None) -> Configuration:
    """Where the API server is and who we are; Forbidden when that cannot be found out."""
    settings = Configuration()
    try:
        if kubeconfig is None and "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
            load: Any = kube_config.load_incluster_config
            load(client_configuration=settings)
        else:
            file = str(kubeconfig or os.environ.get("KUBECONFIG") or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
            load = kube_config.load_kube_config
            await load(file, context, client_configuration=settings, persist_config=False)
    except (kube_config.ConfigException, OSError, TypeError) as wrong:
        what = f"read kubeconfig {kubeconfig or os.environ.get('KUBECONFIG', '~/.kube/config')}"
        raise Forbidden(what, str(wrong)) from wrong
    settings.proxy = settings.proxy or proxy_of_environment(settings.host)
    settings.client_session_kwargs = SESSION
    return settings


def proxy_of_environment(url: str) -> str | None:
    """The proxy that `HTTPS_PROXY` and its kin name for an address, as kubectl takes it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
