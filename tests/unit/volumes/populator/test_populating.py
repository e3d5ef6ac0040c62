"""Claims that are filled before they are bound, in whatever order things happen and wherever the controller ends."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api import crd
from kaas.kube.errors import Conflict, Invalid, NotFound
from kaas.kube.objects import Object, Objects, Ref, condition
from kaas.kube.times import stamp
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.claim import SELECTED_NODE, claim_of, lean
from kaas.volumes.conditions import Told, condition_of
from kaas.volumes.plan import Binding
from kaas.volumes.populator import datasource, watched
from kaas.volumes.populator.plan import Act, Facts, changes, plan
from kaas.volumes.populator.reconciler import REGISTER, PopulatorReconciler
from kaas.volumes.populator.terms import FIELDS, SOURCE, notes_of, prime_name
from kaas.volumes.reasons import Reason
from tests.unit.volumes.builders import NOW, claim, raw_claim

CRD = Path(__file__).parents[4] / "deploy" / "volumes" / "crds.yaml"
SPEC = {
    "source": "s3://models/llama/",
    "path": "/models",
    "requesterPays": True,
    "credentials": "a",
    "shards": 2,
    "maxRate": "1Gi",
}
KEY = ("populate", "team", "data")


def source(**spec: Any) -> Object:
    meta = {"name": "llama", "namespace": "team", "resourceVersion": "1"}
    return {"apiVersion": SOURCE.api_version, "kind": SOURCE.kind, "metadata": meta, "spec": {**SPEC, **spec}}


def target(phase: str = "Pending", **more: Any) -> Object:
    reference = {"apiGroup": "kaas.internal", "kind": "DataSource", "name": "llama"}
    found = raw_claim(
        phase=phase, storageClassName="fast", dataSourceRef=reference, accessModes=["ReadWriteMany"], **more
    )
    found["metadata"]["uid"] = "target"
    if phase == "Pending":
        del found["spec"]["volumeName"]
    return found


def facts(**given_: Any) -> Facts:
    return Facts(**{"target": claim_of(target()), "binding": Binding.IMMEDIATE, "source": source(), **given_})


def test_the_crd_is_that_of_the_model() -> None:
    """`python -m kaas.volumes.populator.datasource > deploy/volumes/crds.yaml` writes it."""
    assert CRD.read_text() == datasource.text()
    assert "DataSource" not in crd.KINDS


def test_every_field_says_what_an_annotation_says() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert properties.keys() == FIELDS.keys()
    assert request_of(notes_of(source())).faults == ()
    assert notes_of(source())[terms.REQUESTER_PAYS] == "true"


@pytest.mark.parametrize(
    ("given_", "reason", "said"),
    [
        ({"source": None}, Reason.PENDING, "DataSource llama is not there"),
        ({"source": source(shards=999)}, Reason.INVALID, "DataSource llama: spec.shards"),
        ({"source": source(maxRate="100Ki")}, Reason.INVALID, "DataSource llama: spec.maxRate: 2 Pods share it"),
        ({"binding": Binding.NO_CLASS}, Reason.PENDING, "StorageClass fast is not there"),
        ({"target": replace(claim_of(target()), storage_class="")}, Reason.PENDING, "names no StorageClass"),
        ({"binding": Binding.FIRST_CONSUMER}, Reason.WAITING, "first Pod"),
        ({"target": claim_of(target(load_source="s3://a-b/c/"))}, Reason.INVALID, "remove those"),
    ],
)
def test_what_keeps_a_claim_from_being_filled_is_said(given_: dict[str, Any], reason: Reason, said: str) -> None:
    found = plan(facts(**given_))
    assert found.act is None
    assert found.told is not None
    assert (found.told.reason, said in found.told.message) == (reason, True)


def test_a_volume_of_the_first_pods_node_is_made_where_that_is() -> None:
    found = facts(binding=Binding.FIRST_CONSUMER, node="n1")
    assert plan(found).act is Act.CREATE
    assert changes(found)[SELECTED_NODE] == "n1"


def test_who_was_bound_without_us_is_none_of_ours() -> None:
    assert plan(facts(target=claim_of(target("Bound")))) == plan(facts(target=claim_of(target("Bound")), source=None))
    assert plan(facts(target=claim_of(target("Bound")))).act is None


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("primed", [True, False])
def test_another_volume_is_not_said_to_be_filled(loaded: bool, primed: bool) -> None:
    """As one that was made by hand, which the binder gives to the claim while its prime is being loaded."""
    said = condition_of(Told(Reason.PENDING, "its volume is being made"), {}, NOW)
    found = claim_of(target("Bound", volumeName="by-hand", condition=said))
    beside = claim(volumeName="made")
    told = Told(Reason.LOADED if loaded else Reason.LOADING, "1B", holds=loaded, load=beside.load)
    beside = replace(beside, condition=condition_of(told, {}, NOW))
    planned = plan(facts(target=found, prime=beside if primed else None))
    assert planned.told is not None
    assert (planned.told.reason, planned.told.holds) == (Reason.FAILED, False)
    assert planned.act is (Act.DELETE if primed else None)


class Killed(Exception):
    """The controller's process has ended."""


class Cluster:
    """Claims, volumes, the binder and the loader, as far as they count."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.objects: dict[tuple[str, str], Object] = {}
        self.kill = 0
        self.version = 0
        self.loads = 0
        self.put(source())
        storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
        self.put({**storage, "provisioner": "csi"})
        self.put(target())

    def put(self, obj: Object) -> Object:
        self.version += 1
        made = copy.deepcopy(obj)
        made["metadata"]["resourceVersion"] = str(self.version)
        made["metadata"].setdefault("uid", f"u{self.version}")
        made["metadata"].setdefault("creationTimestamp", stamp(self.clock.now()))
        self.objects[obj["kind"], obj["metadata"]["name"]] = made
        return copy.deepcopy(made)

    def claim(self, name: str) -> Object | None:
        return self.objects.get(("PersistentVolumeClaim", name))

    @property
    def prime(self) -> Object | None:
        return self.claim(prime_name("target"))

    def _write(self, act: Callable[[], Object]) -> Object:
        self.kill -= 1
        if self.kill == 1:
            raise Killed
        found = act()
        if self.kill == 0:
            raise Killed
        return found

    # -- the controller -----------------------------------------------------------------------------------------------

    async def get(self, ref: Ref) -> Object | None:
        return copy.deepcopy(self.objects.get((ref.kind, ref.name)))

    async def create(self, obj: Object, *, manager: str) -> Object:
        if (obj["kind"], obj["metadata"]["name"]) in self.objects:
            raise Conflict("create", "is there")
        return self._write(lambda: self.put({**obj, "status": {"phase": "Pending"}}))

    async def apply(self, obj: Object, *, manager: str) -> Object:
        raise NotFound("apply", "no such kind")

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        assert all(said["message"] for said in obj["status"]["conditions"]), "a person is told something"
        known = self.claim(obj["metadata"]["name"])
        if known is None:
            raise NotFound("apply", "it is gone")
        assert not self.is_being_bound(), "the binder is in the middle of it, and would begin again later"
        status = {**known["status"], "conditions": obj["status"]["conditions"]}
        return self._write(lambda: self.put({**known, "status": status}))

    async def patch(self, ref: Ref, patch: Object) -> Object:
        known = self.objects.get((ref.kind, ref.name))
        if known is None:
            raise NotFound("patch", "it is gone")
        notes = {**known["metadata"].get("annotations", {}), **patch["metadata"]["annotations"]}
        left = {k: v for k, v in notes.items() if v is not None}
        return self._write(lambda: self.put({**known, "metadata": {**known["metadata"], "annotations": left}}))

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        volume = self.objects[ref.kind, ref.name]
        test, change = operations
        if volume["spec"]["claimRef"]["uid"] != test["value"]:
            raise Invalid("patch", "it is another's")
        assert self.prime is not None
        assert claim_of(self.prime).loaded, "handed over before all is there"
        return self._write(lambda: self.put({**volume, "spec": {**volume["spec"], "claimRef": change["value"]}}))

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        known = self.claim(ref.name)
        if known is None or known["metadata"]["uid"] != uid:
            return False
        owner = self.claim("data")
        if owner and "deletionTimestamp" not in owner["metadata"] and owner["metadata"]["uid"] == "target":
            assert owner["status"]["phase"] == "Bound", "its volume would go with it"
        self._write(lambda: self.objects.pop(("PersistentVolumeClaim", ref.name)))
        return True

    async def emit(self, about: Object, reason: str, message: str, **_: str) -> bool:
        return True

    async def look(self, kill: int = 0) -> None:
        """A new process looks at the claim; it ends before or after one of its writes."""
        index = Index()
        for obj in self.objects.values():
            index.put(lean(obj) if obj["kind"] == "PersistentVolumeClaim" else copy.deepcopy(obj))
        self.kill = kill
        with suppress(Killed):
            await PopulatorReconciler(index, self, self, self.clock).reconcile(KEY)
        self.kill = 0

    # -- Kubernetes, and the controller of loads ----------------------------------------------------------------------

    def provision(self) -> None:
        prime = self.prime
        if prime is not None and prime["status"]["phase"] == "Pending":
            reference = {"uid": prime["metadata"]["uid"], "name": prime["metadata"]["name"]}
            meta = {"name": f"pv-{prime['metadata']['uid']}"}
            self.put(
                {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": {"claimRef": reference}}
            )
            spec = {**prime["spec"], "volumeName": meta["name"]}
            self.put({**prime, "spec": spec, "status": {**prime["status"], "phase": "Bound"}})

    def load(self) -> None:
        prime = self.prime
        if prime is None or prime["status"]["phase"] != "Bound" or claim_of(prime).loaded:
            return
        self.loads += 1
        claim = claim_of(prime)
        told = Told(Reason.LOADED, "1B in 1 file, 1s", holds=True, load=claim.load)
        said = condition_of(told, claim.condition, self.clock.now())
        self.put({**prime, "status": {**prime["status"], "conditions": [said]}})

    def bind(self) -> None:
        """As the volume binder: a volume that names a claim is bound to it, and the claim that had it is lost."""
        for volume in [o for (kind, _), o in self.objects.items() if kind == "PersistentVolume"]:
            found = self.claim(volume["spec"]["claimRef"]["name"])
            if found and found["status"]["phase"] == "Pending" and found["metadata"]["uid"] == "target":
                spec = {**found["spec"], "volumeName": volume["metadata"]["name"]}
                phase = "Bound" if "volumeName" in found["spec"] else "Pending"  # of two writes the second
                self.put({**found, "spec": spec, "status": {**found["status"], "phase": phase}})
                if self.prime is not None:
                    self.put({**self.prime, "status": {**self.prime["status"], "phase": "Lost"}})

    def is_being_bound(self) -> bool:
        """Whether the claim has its volume, and the binder has not said so yet."""
        found, volumes = self.claim("data"), [o for (kind, _), o in self.objects.items() if kind == "PersistentVolume"]
        handed = any(v["spec"]["claimRef"]["uid"] == "target" for v in volumes)
        return found is not None and handed and found["status"]["phase"] == "Pending"

    def told(self) -> tuple[str, str, str]:
        found = condition(self.claim("data") or {}, terms.CONDITION) or {}
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_wherever_it_ends_a_claim_is_filled_once(seed: int) -> None:
    chance, cluster = Random(seed), Cluster()  # noqa: S311 - no secret

    async def live() -> None:
        for _ in range(30):
            match chance.randrange(4):
                case 0:
                    cluster.provision()
                case 1:
                    cluster.load()
                case 2:
                    cluster.bind()
                case _:
                    await cluster.look(kill=chance.randrange(6))
            await cluster.clock.advance(6)
        for _ in range(8):
            cluster.provision()
            cluster.load()
            cluster.bind()
            await cluster.look()

    asyncio.run(live())
    assert cluster.prime is None
    assert cluster.told() == ("True", "Loaded", "1B in 1 file, 1s")
    assert cluster.loads == 1
    assert [o["spec"]["claimRef"]["uid"] for (k, _), o in cluster.objects.items() if k == "PersistentVolume"] == [
        "target"
    ]


@pytest.mark.parametrize("steps", range(4))
async def test_a_claim_that_goes_takes_its_prime_with_it(steps: int) -> None:
    cluster = Cluster()
    await cluster.look()
    for step in (cluster.provision, cluster.load, cluster.bind)[:steps]:
        step()
    found = cluster.claim("data")
    assert found is not None
    going = {**found["metadata"], "deletionTimestamp": stamp(cluster.clock.now())}
    cluster.put({**found, "metadata": going})
    await cluster.look()
    assert cluster.prime is None


async def test_a_prime_of_a_claim_of_the_same_name_before_goes() -> None:
    cluster = Cluster()
    await cluster.look()
    found = cluster.claim("data")
    assert found is not None
    cluster.put({**found, "metadata": {**found["metadata"], "uid": "another"}})
    await cluster.look()
    await cluster.look()
    assert cluster.prime is None
    assert cluster.claim(prime_name("another")) is not None


@pytest.mark.parametrize("kind", ["StatefulSet", "PersistentVolumeClaim"])
async def test_a_claim_that_is_called_like_a_prime_is_none(kind: str) -> None:
    """As `prime-web-0`, of a StatefulSet that deletes its claims when it goes."""
    cluster = Cluster()
    found = raw_claim(storageClassName="fast")
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "data", "uid": "other"}
    cluster.put({**found, "metadata": {**found["metadata"], "name": "prime-web-0", "ownerReferences": [owner]}})
    await cluster.look()
    assert cluster.claim("prime-web-0") is not None
    (claims, _) = watched.interests(Index())
    named = target()
    named["metadata"]["name"] = "prime-data"
    assert list(claims.keys(named)) == [("populate", "team", "prime-data")]


async def test_what_is_changed_in_the_source_is_asked_of_the_prime() -> None:
    cluster = Cluster()
    await cluster.look()
    changed = source(id="2")
    del changed["spec"]["path"]
    cluster.put(changed)
    await cluster.look()
    assert cluster.prime is not None
    notes = cluster.prime["metadata"]["annotations"]
    assert notes[terms.ID] == "2"
    assert terms.PATH not in notes


async def test_a_cluster_that_knows_no_populators_needs_none() -> None:
    cluster = Cluster()
    assert await PopulatorReconciler(Index(), cluster, cluster, cluster.clock).reconcile(REGISTER) is None
