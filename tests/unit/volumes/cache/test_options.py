"""Options of the cache, and its page."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kaas.cli.exits import CliError
from kaas.cli.volumes_controller import limits_of
from kaas.volumes.cache.keeper import Births
from kaas.volumes.cache.plan import Reason
from kaas.volumes.cache.reconciler import CacheMetrics
from tests.unit.cli.running import kaas

TEXT = (Path(__file__).parents[4] / "docs" / "volumes-cache.md").read_text()


def test_sizes_are_of_a_class_or_of_any() -> None:
    limits = limits_of(["fast=1Ti", "10Gi"], 5, 7, 60)
    assert (limits.room("fast"), limits.room("slow")) == (1 << 40, 10 << 30)
    assert (limits.per_namespace, limits.unused, limits.cut_within) == (5, timedelta(days=7), timedelta(seconds=60))
    assert limits_of([], 5, 7, 60).room("fast") is None


@pytest.mark.parametrize("wrong", ["fast=many", "fast", "=1Gi", "fast="])
def test_a_size_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(CliError, match="--cache-size"):
        limits_of([wrong], 5, 7, 60)


def test_the_page_has_every_option_metric_and_reason() -> None:
    for option in re.findall(r"--(?:no-)?cache-[a-z-]+", kaas("volumes", "controller", "--help").stdout):
        assert option.replace("--no-", "--") in TEXT, option
    registry = CollectorRegistry()
    Births(registry)
    CacheMetrics(registry)
    for metric in registry.collect():
        assert metric.name + ("_total" if metric.type == "counter" else "") in TEXT
    for reason in set(Reason) - {Reason.LEFT_OVER}:
        assert f"`{reason}`" in TEXT
