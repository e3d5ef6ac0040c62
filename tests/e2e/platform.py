"""A platform as its users have it: a lab, the controller under its own account, and the command."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kaas_lab import lab, management, processes
from kaas_lab.api_server import ApiRefused, ApiServer
from kaas_lab.layout import Layout
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from kaas.kube.client import KubeClient
from tests.e2e.kept import Kept

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RBAC = ROOT / "deploy/rbac.yaml"
CRDS = ROOT / "deploy/crds"
CONTROLLER = "kaas-controller"
METRICS_OFFSET = 90
PATIENCE = 1800.0  # seconds: a shared machine may be slow, and a wait that is over ends at once

# A line of the controller's metrics; labels come in the order of the alphabet.
REQUEST = re.compile(r'kaas_api_requests_total\{code="[^"]*",kind="(?P<kind>\w+)",verb="(?P<verb>\w+)"\}')

Object = dict[str, Any]


class TooLateError(AssertionError):
    """A condition did not come true; the message says what was seen last."""


def until(what: str, check: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true answer of `check`; TooLateError with the last one otherwise."""
    end = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > end:
            raise TooLateError(f"{what}: not after {seconds:.0f} s; last: {found!r}")
        time.sleep(0.5)
    return found


@dataclass
class Platform:
    """One running platform. `kubeconfig` is its administrator's."""

    layout: Layout
    api: ApiServer
    controllers: list[Kept] = field(default_factory=list)

    @property
    def examples(self) -> Path:
        return EXAMPLES

    @property
    def kubeconfig(self) -> Path:
        return self.layout.kubeconfig

    def kaas(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command as an administrator; with `check` a failure shows what it said."""
        argv = [sys.executable, "-m", "kaas", "--kubeconfig", str(self.kubeconfig), *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=2 * PATIENCE)
        if check and done.returncode:
            raise AssertionError(
                f"kaas {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def cluster(self, name: str) -> Object:
        """A Cluster as it is; empty when it is gone."""
        return self.get(f"apis/kaas.internal/v1alpha1/namespaces/default/clusters/{name}")

    def get(self, path: str) -> Object:
        """An object or list, empty when there is none."""
        try:
            return self.api.request("GET", path)
        except ApiRefused as refused:
            if ": 404 " in str(refused):
                return {}
            raise

    def apply(self, *documents: Object) -> None:
        """Server-side apply as a user's tool does it."""

        async def send() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                for document in documents:
                    await client.apply(document, manager="test")

        asyncio.run(send())

    def items(self, path: str) -> list[Object]:
        """Objects of a list; none when the kind is not served."""
        found: list[Object] = self.get(path).get("items") or []
        return found

    def phase(self, name: str) -> str:
        return str(self.cluster(name).get("status", {}).get("phase") or "")

    def condition(self, name: str, kind: str) -> Object:
        conditions = self.cluster(name).get("status", {}).get("conditions") or []
        return next((c for c in conditions if c["type"] == kind), {})

    def start_controller(self) -> None:
        """Run the controller with the account and rights that it has in production."""
        port = self.layout.management_port(METRICS_OFFSET)
        argv = [sys.executable, "-m", "kaas", "--kubeconfig", self.account(), "controller"]
        argv += ["--metrics-port", str(port)]
        log = self.layout.logs / f"{CONTROLLER}.log"
        self.controllers.append(Kept(lambda: processes.spawn(self.layout.state, CONTROLLER, argv, log=log), log))
        until("the controller leads", self._controller_leads)

    def stop_controller(self, *, hard: bool = False) -> None:
        """End the controller; `hard` as a kill -9 does."""
        self.controllers.pop().end(hard=hard)

    def metrics(self) -> dict[str, float]:
        """The controller's metrics: name with labels to value."""
        port = self.layout.management_port(METRICS_OFFSET)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (x.split(" ")[:2] for x in lines if x and x[0] != "#")}

    def writes(self) -> Counter[str]:
        """What the controller has written since it was started, as `verb Kind`: its Lease aside."""
        found: Counter[str] = Counter()
        for name, number in self.metrics().items():
            request = REQUEST.fullmatch(name)
            if request and _is_write(name):
                found[f"{request['verb']} {request['kind']}"] += int(number)
        return found

    def written(self) -> Counter[str]:
        """The same without statuses and Events."""
        found = self.writes()
        return Counter(
            {k: n for k, n in found.items() if not k.startswith("apply_status ") and not k.endswith(" Event")}
        )

    def _controller_leads(self) -> bool:
        self.controllers[-1].runs()
        try:
            return self.metrics().get("kaas_leading") == 1.0
        except OSError:
            return False

    def account(self) -> str:
        """A kubeconfig of the controller's ServiceAccount."""
        path = "api/v1/namespaces/kaas-system/serviceaccounts/kaas-controller/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
        token = self.api.request("POST", path, body)["status"]["token"]
        config = json.loads(self.kubeconfig.read_text())
        config["users"] = [{"name": "admin", "user": {"token": token}}]
        file = self.layout.state / "controller.kubeconfig"
        file.write_text(json.dumps(config))
        file.chmod(0o600)
        return str(file)


def _is_write(name: str) -> bool:
    return not any(f'verb="{v}"' in name for v in ("get", "list")) and 'kind="Lease"' not in name


@contextmanager
def platform(state: Path, options: lab.Options) -> Iterator[Platform]:
    """A platform for tests, ended with everything in it."""
    with free_slot(state) as layout:
        try:
            lab.up(layout, options, Reporter())
            found = Platform(layout, management.api_server(layout))
            found.apply(*yaml.safe_load_all(RBAC.read_text()))
            found.start_controller()
            yield found
            for controller in found.controllers:
                controller.runs()
        finally:
            lab.down(state)


def secret_text(secret: Object, key: str) -> str:
    """One value of a Secret."""
    return base64.b64decode(secret["data"][key]).decode()
