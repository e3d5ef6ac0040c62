"""What goes through a fleet by hand beside versions: images and class revisions, alone and together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.rollout import ANNOTATION_ROLLOUT_ABORT, ANNOTATION_ROLLOUT_RETRY
from kaas.api.rollout_acts import Act, abort_text
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import State
from kaas.updates.rollouts.goal import carried_by
from kaas.updates.rollouts.turns import Turns
from tests.unit.updates.rollouts.carrying import CLASS, NEWER, RELEASES, fleet, has, image, left_out, south, wishes
from tests.unit.updates.rollouts.fleet import HOUR, NEW, NOW, OLD, FakeCluster, Fleet, clusters, rollout, stage


def test_an_image_goes_through_its_stages_and_nothing_else_with_it() -> None:
    found = Fleet(
        rollout(stage("canary", soakSeconds=3600), stage("prod"), image=NEWER),
        [*clusters("canary", 1), *clusters("prod", 2)],
        releases=RELEASES,
    )
    found.settle()
    assert found.status.brings == f"node image {NEWER}"
    assert [(i.version, i.image, i.site) for i in found.status.images] == [(str(OLD), NEWER, None)]
    assert (found.turn("prod-0"), found.cluster("prod-0").image) != (None, NEWER)
    found.until_state(State.COMPLETED)
    assert found.status.message == f"3 of 3 Clusters have node image {NEWER}"
    assert {c.image for c in found.clusters} == {NEWER}
    assert {c.running for c in found.clusters} == {OLD}
    begun = sorted(c.begun for c in found.clusters if c.begun)
    assert [b - begun[0] for b in begun] == [timedelta(), 2 * HOUR, 3 * HOUR]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"image": NEWER}, (str(OLD), NEWER, "kaas-dev-1")),
        ({"classRevision": CLASS}, (str(OLD), f"ubuntu-{OLD}", CLASS)),
        ({"image": NEWER, "classRevision": CLASS}, (str(OLD), NEWER, CLASS)),
        ({"version": str(NEW), "image": f"ubuntu-{NEW}", "classRevision": CLASS}, (str(NEW), f"ubuntu-{NEW}", CLASS)),
    ],
)
def test_all_that_is_carried_is_one_replacement_and_one_turn(
    spec: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    found = fleet(clusters("prod", 1), **spec)
    found.settle()
    found.until_state(State.COMPLETED)
    assert has(found, "prod-0") == expected
    assert sum("begins" in line for line in found.log) == 1
    assert found.member("prod-0").left_out == ()


def test_a_member_that_has_a_part_is_not_through_before_it_has_all() -> None:
    found = fleet([FakeCluster("one", {"stage": "prod"}, image=NEWER)], image=NEWER, classRevision=CLASS)
    found.settle()
    assert found.states() == {"one": "Running"}
    assert f"one begins ClusterClass {CLASS}" in found.log[-1]
    found.until_state(State.COMPLETED)
    assert has(found, "one") == (str(OLD), NEWER, CLASS)


def test_who_has_it_all_is_through_without_a_turn() -> None:
    found = fleet([FakeCluster("one", {"stage": "prod"}, image=NEWER)], image=NEWER)
    found.settle()
    record = found.member("one")
    assert (record.state, record.reason, record.message) == (
        State.COMPLETED,
        "RunsAlready",
        f"had node image {NEWER} already",
    )
    assert found.cluster("one").begun is None


@pytest.mark.parametrize(
    ("cluster", "spec", "reason", "words"),
    [
        ({"updates": wishes(nodeImages={"channel": "None"})}, {"image": NEWER}, "NodeImagesNone", "nodeImages.channel"),
        ({"updates": wishes(channel="None")}, {"image": NEWER}, "ChannelNone", "its spec.updates.channel is None"),
        ({"running": NEW}, {"image": NEWER}, "OtherVersion", f"runs {NEW}, and {NEWER} is a node image of {OLD}"),
        ({"image": f"ubuntu-{OLD}-3"}, {"image": NEWER}, "HasNewerImage", f"has node image ubuntu-{OLD}-3, newer"),
        ({"image": None}, {"image": NEWER}, "ImageUnknown", "it is not known which node image"),
        ({"site": "south"}, {"image": NEWER}, "SiteImage", f"Site south names node image theirs for {OLD}"),
        ({"running": None}, {"image": NEWER}, "NotRunning", "no control plane ran yet"),
        (
            {"updates": wishes(classRevision={"channel": "None"})},
            {"classRevision": CLASS},
            "ClassRevisionNone",
            "classRevision.channel",
        ),
        (
            {"newest_revision": "kaas-openstack-7"},
            {"classRevision": CLASS},
            "OtherClassRevision",
            "is kaas-openstack-7",
        ),
    ],
)
def test_who_takes_nothing_of_it_is_skipped_and_told_why(
    cluster: dict[str, Any], spec: dict[str, Any], reason: str, words: str
) -> None:
    found = fleet([FakeCluster("one", {"stage": "prod"}, **cluster), *clusters("prod", 1)], **spec)
    found.sites, found.releases = (
        [south("theirs")],
        [
            *RELEASES,
            image(f"ubuntu-{OLD}-3", regular="2026-12-20"),
        ],
    )
    found.settle()
    record = found.member("one")
    assert (record.state, record.reason) == (State.SKIPPED, reason)
    assert record.message is not None
    assert words in record.message
    found.until_state(State.COMPLETED)
    assert found.states()["prod-0"] == "Completed"


def test_what_a_member_does_not_take_is_left_out_and_the_rest_is_brought() -> None:
    pinned = FakeCluster("pinned", {"stage": "prod"}, asked=str(OLD))
    found = fleet([pinned, *clusters("prod", 1)], version=str(NEW), classRevision=CLASS)
    found.settle()
    assert left_out(found, "pinned") == {"Kubernetes": "Pinned"}
    found.until_state(State.COMPLETED)
    assert has(found, "pinned") == (str(OLD), f"ubuntu-{OLD}", CLASS)
    assert (found.member("pinned").state, found.member("pinned").message) == (
        State.COMPLETED,
        "without Kubernetes (Pinned)",
    )
    assert found.status.message == f"2 of 2 Clusters have {NEW}, ClusterClass {CLASS}"


def test_who_stops_taking_a_part_while_it_waits_is_brought_the_rest() -> None:
    found = fleet(clusters("prod", 2), image=NEWER, classRevision=CLASS, at_once=1)
    found.settle()
    found.cluster("prod-1").updates = wishes(nodeImages={"channel": "None"})
    found.until_state(State.COMPLETED)
    assert left_out(found, "prod-1") == {"NodeImages": "NodeImagesNone"}
    assert has(found, "prod-1") == (str(OLD), f"ubuntu-{OLD}", CLASS)


def test_a_version_by_itself_beside_an_image_is_no_change_by_hand() -> None:
    """Kubernetes is not carried: whoever is brought to another version meanwhile has an image of that."""
    found = fleet(clusters("prod", 2), image=NEWER, at_once=1)
    found.settle()
    other = found.cluster("prod-1")
    other.running, other.image, other.asked = NEW, f"ubuntu-{NEW}", "1.37"
    found.until_state(State.COMPLETED)
    assert (found.member("prod-1").state, found.member("prod-1").reason) == (State.SKIPPED, "OtherVersion")


def test_a_part_that_fails_stops_it_and_is_tried_again() -> None:
    found = fleet(clusters("prod", 2), image=NEWER, at_once=1)
    found.cluster("prod-0").fails = True
    found.settle()
    found.until_state(State.STOPPED)
    assert found.states() == {"prod-0": "Failed", "prod-1": "NotStarted"}
    bad = found.cluster("prod-0")
    bad.fails, bad.stopped = False, None
    found.say(ANNOTATION_ROLLOUT_RETRY, "team/prod-0")
    found.until_state(State.COMPLETED)
    assert {c.image for c in found.clusters} == {NEWER}


def test_an_aborted_one_holds_what_it_carries_and_nothing_else() -> None:
    found = fleet(clusters("prod", 2), image=NEWER, at_once=1)
    found.settle()
    found.annotate({ANNOTATION_ROLLOUT_ABORT: abort_text(Act(at=found.now, by="ben", reason="it does not boot"))})
    found.until_state(State.STOPPED)
    ruling = Turns([found.rollout]).of_member(found.cluster("prod-1").member(found.now), found.now)
    assert ruling.image is not None
    assert (ruling.image.allowed, ruling.kubernetes, ruling.class_revision) == (False, None, None)
    assert found.cluster("prod-1").image == f"ubuntu-{OLD}"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": "ubuntu-none"}, "there is no Release with node image ubuntu-none"),
        ({"image": f"ubuntu-{OLD}-9"}, f"the Release of node image ubuntu-{OLD}-9 is a preview, or has expired"),
        ({"version": str(NEW), "image": NEWER}, f"{NEWER} is a node image of {OLD}, not of {NEW}"),
        ({"version": "v1.36.9", "image": NEWER}, "there is no Release of v1.36.9"),
        ({"classRevision": "kaas-dev-7"}, f"the newest of their kaas is {CLASS}; make a Rollout of it"),
    ],
)
def test_what_can_be_brought_to_nobody_does_not_begin(spec: dict[str, Any], words: str) -> None:
    found = fleet(clusters("prod", 1), **spec)
    found.releases = [*RELEASES, image(f"ubuntu-{OLD}-9", regular="2027-02-01")]
    found.settle()
    assert (found.status.state, found.status.reason) == (State.NOT_STARTED, "NoRelease")
    assert words in (found.status.message or "")
    assert found.cluster("prod-0").begun is None


def test_a_site_that_names_the_image_has_it() -> None:
    found = fleet([FakeCluster("one", {"stage": "prod"}, site="south")], image="theirs")
    found.sites = [south("theirs")]
    found.settle()
    found.until_state(State.COMPLETED)
    assert has(found, "one")[1] == "theirs"


@pytest.mark.parametrize(
    ("spec", "kinds"),
    [
        ({"version": "v1.36.3"}, "Kubernetes"),
        ({"image": NEWER, "classRevision": CLASS, "frobs": 1}, "NodeImages ClassRevision"),
        ({"channel": "Regular"}, "Kubernetes"),
        ({"channel": "Regular", "updates": ["NodeImages"]}, "NodeImages"),
        ({"channel": "Regular", "updates": ["NodeImages", "Frobs"]}, "Kubernetes NodeImages ClassRevision"),
        ({"channel": "Regular", "updates": "NodeImages"}, "Kubernetes NodeImages ClassRevision"),
        ({"channel": "Regular", "updates": [{}]}, "Kubernetes NodeImages ClassRevision"),
        ({"frobs": 1}, "Kubernetes NodeImages ClassRevision"),
        (None, "Kubernetes NodeImages ClassRevision"),
    ],
)
def test_what_cannot_be_read_may_carry_what_it_names_or_anything(spec: Any, kinds: str) -> None:
    assert carried_by(spec) == set(kinds.split())


def test_two_rollouts_share_a_cluster_by_what_they_carry() -> None:
    old = rollout(stage("prod"), name="versions", created="2026-01-01T00:00:00Z")
    young = rollout(stage("prod"), name="all", version=str(NEW), image=NEWER, classRevision=CLASS)
    one = clusters("prod", 1, newest_revision=CLASS)[0].member(NOW)
    turns = Turns([young, old])
    assert turns.owners(one, NOW) == {"Kubernetes": "versions", "NodeImages": "all", "ClassRevision": "all"}
    ruling = turns.of_member(one, NOW)
    assert ruling.class_revision is not None
    assert (ruling.class_revision.version, ruling.class_revision.class_revision) == (None, CLASS)


def test_who_has_its_version_from_another_rollout_has_the_image_of_what_runs() -> None:
    found = fleet(clusters("prod", 1), version=str(NEW), image=f"ubuntu-{NEW}")
    found.taken = {("team", "prod-0"): {Kind.KUBERNETES: "versions"}}
    found.settle()
    assert left_out(found, "prod-0") == {"Kubernetes": "InOtherRollout", "NodeImages": "OtherVersion"}
    assert not Turns([found.rollout]).of_member(found.cluster("prod-0").member(NOW), NOW)
    older = rollout(stage("prod"), name="versions", created="2026-01-01T00:00:00Z")
    fresh = found.rollout.model_copy(update={"status": found.status.model_copy(update={"stages": ()})})
    assert Turns([older, fresh]).owners(found.cluster("prod-0").member(NOW), NOW) == {"Kubernetes": "versions"}
