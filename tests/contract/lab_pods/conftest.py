"""A namespace of the workload lab for each test."""

from __future__ import annotations

import pytest

from tests.contract.lab_pods.cluster import Cluster, fresh
from tests.contract.workloads import WorkloadLab


@pytest.fixture
def cluster(workload_lab: WorkloadLab) -> Cluster:
    """A namespace that nobody else uses."""
    return fresh(workload_lab)
