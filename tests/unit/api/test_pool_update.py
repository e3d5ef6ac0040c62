"""What may be said of how the machines of a pool are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.load import ManifestError, parse
from kaas.api.pool_update import PoolUpdate, gives_notice, soak_of, waits_before_drain
from tests.unit.clusters.builders import pool, raw_cluster


def said(**update: Any) -> None:
    parse(raw_cluster(nodePools=[pool(update=update)]))


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"order": -1, "drainTimeoutSeconds": 0, "notice": True},
        {"strategy": "Surge"},
        {"strategy": "Surge", "maxSurge": "25%", "maxUnavailable": 0},
        {"strategy": "NoSurge", "maxUnavailable": "50%"},
        {"strategy": "NoSurge", "maxSurge": 0},
        {"strategy": "BlueGreen", "soakSeconds": 60},
        {"strategy": "Manual"},
        {"strategy": "Manual", "maxSurge": 2, "maxUnavailable": 0},
        {"strategy": "Manual", "maxUnavailable": 0},
    ],
)
def test_what_goes(update: dict[str, Any]) -> None:
    said(**update)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"strategy": "NoSurge", "maxSurge": 1}, "set strategy to Surge"),
        ({"strategy": "NoSurge", "maxUnavailable": 0}, "set 1 or more, or strategy Surge"),
        ({"strategy": "NoSurge", "maxUnavailable": "0%"}, "set 1 or more, or strategy Surge"),
        ({"strategy": "Surge", "maxSurge": 0}, "set strategy to NoSurge"),
        ({"strategy": "Manual", "maxSurge": "0%", "maxUnavailable": 0}, "set 1 or more, or strategy Surge"),
        ({"strategy": "BlueGreen", "maxSurge": 1}, "set strategy to Surge, NoSurge or Manual"),
        ({"maxSurge": 1}, "set strategy to Surge, NoSurge or Manual"),
        ({"maxUnavailable": 1}, "set strategy to Surge, NoSurge or Manual"),
        ({"soakSeconds": 60}, "strategy BlueGreen alone"),
        ({"strategy": "Surge", "soakSeconds": 60}, "strategy BlueGreen alone"),
        ({"strategy": "Surge", "maxSurge": "101%"}, "a percentage in quotes"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_way_out(update: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        said(**update)


def test_notice_is_given_where_there_are_gpus_unless_said_otherwise() -> None:
    assert [gives_notice(PoolUpdate(), gpus=gpus) for gpus in (True, False)] == [True, False]
    assert [gives_notice(PoolUpdate(notice=said), gpus=not said) for said in (True, False)] == [True, False]


def test_machines_of_a_blue_green_pool_wait_for_the_soak() -> None:
    update = PoolUpdate.model_validate({"strategy": "BlueGreen", "notice": False})
    assert waits_before_drain(update, gpus=False)
    assert not waits_before_drain(PoolUpdate(notice=False), gpus=True)
    assert (soak_of(update), soak_of(PoolUpdate(soak_seconds=0))) == (600, 0)
