"""A bare API server with the kinds of kaas, Cluster API and CAPO, and nobody who acts on them: only we are measured."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice

import urllib3
import yaml
from kaas_lab import build, management, manifests, processes
from kaas_lab.api_server import ApiRefused
from kaas_lab.layout import Layout
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from kaas.kube import resources
from kaas.kube.objects import Object
from tests.bench import fleet
from tests.bench.bench import Bench
from tests.bench.controllers import until
from tests.e2e.platform import CRDS, RBAC, Platform

PROGRAMS = ("capi-core", "capi-cabpk", "capi-kcp", "capo")
FILLED = (
    *(resources.CLUSTER, resources.SITE, resources.RELEASE, resources.CLUSTER_CLASS, resources.CAPI_CLUSTER),
    *(resources.KUBEADM_CONTROL_PLANE, resources.MACHINE_DEPLOYMENT, resources.MACHINE, resources.OPENSTACK_CLUSTER),
    *(resources.OPENSTACK_MACHINE, resources.OPENSTACK_SERVER, resources.OPENSTACK_CLUSTER_IDENTITY),
    resources.NODE_REPAIR_TEMPLATE,
)
BATCH = 100  # objects a transaction; etcd takes 128 operations
PARALLEL = 4
OLD_PATHS = {"Node": "minions", "Secret": "secrets"}  # of kinds that are no custom resources


@contextmanager
def bare(bench: Bench, name: str) -> Iterator[Platform]:
    """A platform with neither controllers nor webhooks, ended with everything in it."""
    state = bench.directory(name)
    with free_slot(state) as layout:
        try:
            build.ensure(["openstack"], layout, Reporter())
            bench.say("a bare API server starts")
            found = management.up(layout, (), extra_crds=_crds())
            _end(layout, "kube-controller-manager")
            platform = Platform(layout, found.api)
            platform.apply(*yaml.safe_load_all(RBAC.read_text()))
            yield platform
        finally:
            processes.stop_all(state, patience=2.0)


def own_crds() -> list[Object]:
    """Kinds of kaas."""
    return [d for file in sorted(CRDS.glob("*.yaml")) for d in yaml.safe_load_all(file.read_text())]


def _crds() -> list[Object]:
    """Kinds of kaas, Cluster API and CAPO; without webhooks nothing converts between versions."""
    loaded = [d for program in PROGRAMS for d in manifests.load(program, 1, "")]
    theirs = [d for d in loaded if d["kind"] == "CustomResourceDefinition"]
    for crd in theirs:
        crd["spec"].pop("conversion", None)
    return own_crds() + theirs


def _end(layout: Layout, name: str) -> None:
    processes.stop([pid for pid, known in processes.find(layout.state).items() if known == name])


def fill(bench: Bench, platform: Platform, clusters: int, see: Callable[[Object], None] = lambda _: None) -> int:
    """Put a fleet that stands ready into the store; returns the number of objects. see: is shown each."""
    bench.say(f"filling in {clusters} Clusters")
    count = 0

    def counted() -> Iterator[Object]:
        nonlocal count
        for obj in _objects(clusters):
            count += 1
            see(obj)
            yield obj

    newest = Store(platform.layout).put(counted())
    _wait_until_seen(platform, newest)
    return count


def _wait_until_seen(platform: Platform, newest: int) -> None:
    """Return when the API server's caches have read the store: what it makes of it is no part of our start."""
    for resource in FILLED:
        path = f"{resource.path()[1:]}?limit=1&resourceVersionMatch=NotOlderThan&resourceVersion={newest}"
        until(f"{resource} in the API server's cache", partial(_is_answered, platform, path))


def _is_answered(platform: Platform, path: str) -> bool:
    try:
        return bool(platform.get(path))
    except ApiRefused:
        return False


def _objects(clusters: int) -> Iterator[Object]:
    yield from (*fleet.shared(), fleet.identity())
    for number in range(clusters):
        yield from fleet.standing(number)


class Store:
    """etcd itself: ten times as fast as through the API server, which keeps custom resources as JSON."""

    def __init__(self, layout: Layout) -> None:
        self._url = f"http://127.0.0.1:{layout.management_port(management.ETCD)}/v3/kv/txn"
        self._pool = urllib3.PoolManager(maxsize=PARALLEL, block=True)

    def put(self, objects: Iterable[Object]) -> int:
        """Write objects as they are; returns the store's newest revision, which is a resource version."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            return max(pool.map(self._transaction, _batches(objects)))

    def _transaction(self, batch: tuple[Object, ...]) -> int:
        puts = [{"requestPut": {"key": _encoded(_path(o)), "value": _encoded(json.dumps(o))}} for o in batch]
        answer = self._pool.request("POST", self._url, json={"success": puts})
        assert answer.status == 200, answer.data
        return int(answer.json()["header"]["revision"])


def _batches(objects: Iterable[Object]) -> Iterator[tuple[Object, ...]]:
    rest = iter(objects)
    while batch := tuple(islice(rest, BATCH)):
        yield batch


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _path(obj: Object) -> str:
    """Where kube-apiserver keeps an object."""
    resource = resources.find(obj["apiVersion"], obj["kind"])
    plural = OLD_PATHS.get(obj["kind"]) or (resource.plural if resource else "")
    assert plural, obj["kind"]
    group, namespace = obj["apiVersion"].rpartition("/")[0], obj["metadata"].get("namespace")
    return "/".join(filter(None, ("/registry", group, plural, namespace, obj["metadata"]["name"])))
