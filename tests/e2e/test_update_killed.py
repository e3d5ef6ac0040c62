"""An update of a control plane and two pools, its controller killed with SIGKILL at every step: it is one update."""

from __future__ import annotations

import pytest

from tests.e2e.killing import is_one_update_when_killed
from tests.e2e.platform import Platform, until
from tests.e2e.updating import Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
NAME = "killed"
FLAVORS = {"cpu": "m1.medium", "dgx": "g1.a100x8"}
SIZES = {"cpu": 5, "dgx": 2}


def test_an_update_whose_controller_is_killed_at_every_step_is_one_update(dev: Platform) -> None:
    pools = [{"name": name, "flavor": FLAVORS[name], "replicas": size} for name, size in SIZES.items()]
    subject = Updated.of(dev, NAME, pools, site="dev", controlPlane={"replicas": 1, "flavor": "m1.medium"})
    dev.apply(release(NEW, f"ubuntu-2404-kube-{NEW}"))
    subject.apply(OLD)
    until("Ready", subject.is_ready)
    is_one_update_when_killed(subject, SIZES, 1, OLD, NEW)
    subject.delete()
