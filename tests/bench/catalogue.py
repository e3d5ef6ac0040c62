"""All benchmarks by name, in the order in which they run: the quick ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.bench.bench import Bench
from tests.bench.black_hole import run as black_hole
from tests.bench.calls import run as calls
from tests.bench.credentials_patch import run as credentials_patch
from tests.bench.credentials_serving import run as credentials_serving
from tests.bench.dev_fleet import run as dev_fleet
from tests.bench.failover import run as failover
from tests.bench.figures import Figure
from tests.bench.lab_starts import run as lab_starts
from tests.bench.loader import run as loader
from tests.bench.openstack_life import run as openstack_life
from tests.bench.reconcile import run as reconcile
from tests.bench.repairs_lab import run as repairs_lab
from tests.bench.repairs_planning import run as repairs_planning
from tests.bench.rest import run as rest
from tests.bench.rollouts import run as rollouts
from tests.bench.scale import run as scale
from tests.bench.storm import run as storm
from tests.bench.updates_planning import run as updates_planning
from tests.bench.updates_year import run as updates_year
from tests.bench.volumes import run as volumes
from tests.bench.volumes_webhook import run as volumes_webhook

BENCHMARKS: dict[str, Callable[[Bench], Sequence[Figure]]] = {
    "reconcile": reconcile,
    "repairs-planning": repairs_planning,
    "updates-planning": updates_planning,
    "updates-year": updates_year,
    "rollouts": rollouts,
    "credentials-patch": credentials_patch,
    "credentials": credentials_serving,
    "volumes-webhook": volumes_webhook,
    "volumes": volumes,
    "loader": loader,
    "lab": lab_starts,
    "calls": calls,
    "failover": failover,
    "black-hole": black_hole,
    "scale": scale,
    "storm": storm,
    "rest": rest,
    "dev-fleet": dev_fleet,
    "openstack": openstack_life,
    "repairs-lab": repairs_lab,
}
