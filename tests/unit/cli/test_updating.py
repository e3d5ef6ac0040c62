"""How the feature of updates is put together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kaas.api.parsed import Parsed
from kaas.api.rollout import Rollout
from kaas.cli.connections import Connections
from kaas.cli.updating import CurrentTurns
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.runtime.index import Index
from kaas.updates.rollouts.turns import Turns, UnreadRollout
from tests.unit.updates.subjects import NOW, cluster


def rollout(version: str, revision: str) -> Object:
    kind = resources.ROLLOUT
    spec = {"version": version, "stages": [{"name": "all", "selector": {}}]}
    meta = {"name": "fleet", "resourceVersion": revision}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec}


def test_rollouts_are_read_anew_only_when_they_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def turns(rollouts: Sequence[Rollout], unread: Sequence[UnreadRollout] = ()) -> Turns:
        read.extend(str(r.spec.version) for r in rollouts)
        return Turns(rollouts, unread)

    monkeypatch.setattr("kaas.cli.updating.Turns", turns)
    index = Index()
    found = CurrentTurns(index, Parsed())
    team = cluster()
    assert not found.of(team, NOW)
    index.put(rollout("v1.36.3", "1"))
    for _ in range(3):
        turn = found.of(team, NOW).kubernetes
        assert turn is not None
        assert (str(turn.version), turn.allowed) == ("v1.36.3", False)
    index.put(rollout("v1.36.4", "2"))
    turn = found.of(team, NOW).kubernetes
    assert turn is not None
    assert str(turn.version) == "v1.36.4"
    assert read == ["v1.36.3", "v1.36.4"]


async def test_connections_that_nobody_has_opened_say_so() -> None:
    with pytest.raises(RuntimeError, match="no feature has opened"):
        await Connections().client(("tenants", "team"))
