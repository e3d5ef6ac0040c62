"""The ladders that ship."""

from __future__ import annotations

import pytest

from kaas.api.repair import Action, RepairPolicy
from kaas.repairs.ladders import LADDERS, PoolKind, kind_of, policy_for
from kaas.repairs.signals import SIGNALS
from kaas.repairs.subject import bare_metal
from kaas.repairs.xids import Bucket, entry

RANK = {action: rank for rank, action in enumerate(Action)}


def actions(policy: RepairPolicy) -> list[Action]:
    return [step.action for step in policy.steps]


@pytest.mark.parametrize("kind", PoolKind)
def test_each_ladder_is_one_that_users_may_write(kind: PoolKind) -> None:
    policy = policy_for(kind)
    assert RepairPolicy.model_validate(policy.to_json()) == policy
    assert policy is LADDERS[kind]
    assert policy.limits.max_in_flight == 1
    assert len(set(actions(policy))) == len(policy.steps)


@pytest.mark.parametrize("kind", [k for k in PoolKind if k is not PoolKind.DEV])
def test_it_drains_before_pods_end_and_reboots_before_it_replaces(kind: PoolKind) -> None:
    steps = actions(policy_for(kind))
    assert steps.index(Action.DRAIN) < steps.index(Action.SOFT_REBOOT)
    assert steps[-1] in (Action.REPLACE, Action.QUARANTINE)
    assert Action.QUARANTINE not in steps[:-1]


def test_bare_metal_is_never_replaced_and_ends_with_a_person() -> None:
    policy = policy_for(PoolKind.BARE_METAL)
    assert Action.REPLACE not in actions(policy)
    assert actions(policy)[-1] is Action.QUARANTINE
    assert bare_metal(policy)
    assert [k for k in PoolKind if bare_metal(policy_for(k))] == [PoolKind.BARE_METAL]


def test_a_control_planes_disk_is_never_written_anew() -> None:
    assert Action.REBUILD not in actions(policy_for(PoolKind.CONTROL_PLANE))


@pytest.mark.parametrize("kind", PoolKind)
def test_every_signal_finds_a_step_that_can_help(kind: PoolKind) -> None:
    policy = policy_for(kind)
    hardest = max(RANK[a] for a in actions(policy))
    metal = bare_metal(policy)
    assert all(RANK[s.entered(metal=metal)] <= hardest for s in SIGNALS)


@pytest.mark.parametrize("kind", [PoolKind.GPU_VM, PoolKind.BARE_METAL])
@pytest.mark.parametrize("bucket", [b for b in Bucket if b is not Bucket.IGNORE])
def test_every_gpu_fault_finds_a_step_that_can_help(kind: PoolKind, bucket: Bucket) -> None:
    steps = actions(policy_for(kind))
    wanted = entry(bucket, steps)
    assert wanted is not None
    assert max(map(RANK.__getitem__, steps)) >= RANK[wanted]
    assert bucket is not Bucket.SUPPORT or wanted is steps[-1] is Action.QUARANTINE


@pytest.mark.parametrize(
    ("provider", "control_plane", "metal", "gpus", "kind"),
    [
        ("openstack", False, False, 0, PoolKind.VM),
        ("openstack", False, False, 1, PoolKind.GPU_VM),
        ("openstack", False, True, 8, PoolKind.BARE_METAL),
        ("openstack", False, True, 0, PoolKind.BARE_METAL),
        ("openstack", True, False, 0, PoolKind.CONTROL_PLANE),
        ("openstack", True, True, 8, PoolKind.CONTROL_PLANE),
        ("dev", True, False, 0, PoolKind.DEV),
        ("dev", False, False, 8, PoolKind.DEV),
    ],
)
def test_which_ladder_a_pool_has(provider: str, control_plane: bool, metal: bool, gpus: int, kind: PoolKind) -> None:
    assert kind_of(provider, control_plane=control_plane, metal=metal, gpus=gpus) is kind
