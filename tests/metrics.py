"""Metrics in Prometheus' text format, as the controller and kube-apiserver serve them."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path

Metrics = dict[str, float]
"""Name with labels, as served, to value."""

ACCOUNTS = "apiserver_flowcontrol_dispatched_requests_total"


def parse(text: str) -> Metrics:
    """Every sample of a page of metrics; time stamps and exemplars are left out."""
    found: Metrics = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("} ") if "} " in line else line.partition(" ")
            found[name + "}" if "} " in line else name] = float(rest.split(" ")[0])
    return found


def scrape(port: int) -> Metrics:
    """Metrics of a process on this machine; OSError while nobody listens."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return parse(answer.read().decode())


def scrape_api_server(url: str, certificates: Path) -> Metrics:
    """Metrics of a kube-apiserver, read as its administrator."""
    tls = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    tls.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    with urllib.request.urlopen(f"{url}/metrics", context=tls, timeout=60) as answer:  # noqa: S310 - https
        return parse(answer.read().decode())


def total(metrics: Metrics, name: str, **labels: str) -> float:
    """Sum of all samples of one name that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    samples = ((n, v) for n, v in metrics.items() if n.partition("{")[0] == name)
    return sum(v for n, v in samples if all(w in n for w in wanted))


def of_accounts(metrics: Metrics) -> float:
    """Requests of all ServiceAccounts that kube-apiserver counts, watches and lists of controllers included.

    Its flow schema `service-accounts` takes exactly those; administrators and Cluster API's providers, which enter with
    certificates, are elsewhere. In the lab the controller is the only one with an account.
    """
    return total(metrics, ACCOUNTS, flow_schema="service-accounts")


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> Metrics:
    """What was added between two looks at counters; samples that did not grow are left out."""
    change = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {name: value for name, value in change.items() if value}


def quantile(buckets: Metrics, name: str, q: float) -> float:
    """The q-quantile of a histogram in seconds, as Prometheus estimates it: linear inside a bucket.

    buckets: samples of a histogram, or what was added to them. Not a number when it is empty.
    """
    bounds = sorted((_bound(n), v) for n, v in buckets.items() if n.startswith(f"{name}_bucket{{"))
    if not bounds or not bounds[-1][1]:
        return float("nan")
    rank, low, below = q * bounds[-1][1], 0.0, 0.0
    for bound, count in bounds:
        if count >= rank:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low


def _bound(sample: str) -> float:
    return float(sample.partition('le="')[2].partition('"')[0])
