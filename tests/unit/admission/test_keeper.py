"""Years of certificates in a moment: whatever happens, what is served is trusted and valid."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from kaas.admission import certificates, secret
from kaas.admission.certificates import CA_LIFE, LEAF_LIFE, Lives, Pair, Step
from kaas.admission.keeper import Keeper, Keeping
from kaas.admission.tls import Tls
from kaas.kube.errors import Unavailable
from tests.unit.admission.store import CONFIGURATION, Object, Store

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("kaas-credentials.kaas-credentials.svc",)
SECRET = "kaas-credentials-tls"
KEEPING = Keeping("kaas-credentials", NAMES, SECRET, "kaas-credentials")
DAY = timedelta(days=1)


class Replica:
    """A keeper with its own idea of nothing but the time."""

    def __init__(self, store: Store, now: datetime = START, keeping: Keeping = KEEPING) -> None:
        self.now = now
        self.tls = Recorder()
        self._keeper = Keeper(store, self.tls, keeping, lambda: self.now)

    async def look(self, after: timedelta = timedelta()) -> None:
        self.now += after
        await self._keeper.look()


class Recorder(Tls):
    """Also says what is served."""

    def load(self, leaf: Pair) -> bool:
        changed = super().load(leaf)
        self.leaf = leaf.parsed
        return changed


def installed() -> Store:
    store = Store()
    for path in KEEPING.configurations:
        store.put(path, CONFIGURATION)
    store.writes.clear()
    return store


def trusted(store: Store) -> list[list[x509.Certificate]]:
    """CAs by webhook."""
    found = [webhook for path in KEEPING.configurations for webhook in store.objects[path]["webhooks"]]
    bundles = [base64.b64decode(webhook["clientConfig"]["caBundle"]) for webhook in found]
    return [x509.load_pem_x509_certificates(bundle) for bundle in bundles]


def is_trusted(leaf: x509.Certificate, store: Store, now: datetime) -> bool:
    return all(
        any(certificates.is_signed(leaf, ca) and now < ca.not_valid_after_utc for ca in cas) for cas in trusted(store)
    )


async def test_the_first_look_makes_everything() -> None:
    store = installed()
    replica = Replica(store)
    await replica.look()
    made = secret.read(store.objects[KEEPING.path])
    assert made is not None
    assert certificates.names_of(replica.tls.leaf) == list(NAMES)
    assert replica.tls.leaf.not_valid_after_utc == START + LEAF_LIFE
    assert made.ca.parsed.not_valid_after_utc == START + CA_LIFE
    assert is_trusted(replica.tls.leaf, store, START)
    assert store.objects[KEEPING.path]["type"] == "kubernetes.io/tls"


async def test_nothing_is_written_when_nothing_is_due() -> None:
    store = installed()
    replica = Replica(store)
    await replica.look()
    store.writes.clear()
    for _ in range(5):
        await replica.look(DAY)
    assert store.writes == []


async def test_a_second_replica_takes_over_what_the_first_made() -> None:
    store = installed()
    first, second = Replica(store), Replica(store)
    await first.look()
    store.writes.clear()
    await second.look()
    assert second.tls.leaf == first.tls.leaf
    assert store.writes == []


async def test_a_leaf_is_renewed_when_two_thirds_of_its_life_are_over() -> None:
    store = installed()
    replica = Replica(store)
    await replica.look()
    first = replica.tls.leaf
    await replica.look(LEAF_LIFE * 2 / 3 - timedelta(seconds=1))
    assert replica.tls.leaf == first
    await replica.look(timedelta(seconds=1))
    assert replica.tls.leaf != first
    assert len(trusted(store)[0]) == 1


async def test_a_new_authority_is_trusted_before_it_signs_and_the_old_one_while_it_is_served() -> None:
    store = installed()
    replica = Replica(store)
    await replica.look()
    (first,) = trusted(store)[0]
    await replica.look(CA_LIFE * 2 / 3)
    assert len(trusted(store)[0]) == 2
    assert certificates.is_signed(replica.tls.leaf, first)
    await replica.look(KEEPING.lives.settled)
    new = trusted(store)[0][0]
    assert new != first
    assert certificates.is_signed(replica.tls.leaf, new)
    await replica.look(LEAF_LIFE)
    assert trusted(store)[0] == [new]


async def test_a_new_authority_does_not_sign_while_a_configuration_cannot_hear_of_it() -> None:
    store = installed()
    replica = Replica(store)
    await replica.look()
    missing = store.objects.pop(KEEPING.configurations[1])
    await replica.look(CA_LIFE * 2 / 3)
    authority = store.objects[KEEPING.path]["data"]["ca.crt"]
    await replica.look(DAY)
    assert store.objects[KEEPING.path]["data"]["ca.crt"] == authority
    store.put(KEEPING.configurations[1], missing)
    await replica.look()
    await replica.look()
    assert store.objects[KEEPING.path]["data"]["ca.crt"] != authority


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_in_thirty_years_what_is_served_is_trusted(seed: int) -> None:
    """Replicas look in any order, end and begin, sleep for days, lose the Secret: no API server meets a stranger."""
    chance, store = random.Random(seed), installed()  # noqa: S311 - a test's
    replicas = [Replica(store), Replica(store)]
    now = START
    for _ in range(700):
        now += chance.choice([timedelta(seconds=5), timedelta(minutes=15), DAY, 20 * DAY, 29 * DAY])
        if chance.random() < 0.05:
            replicas[chance.randrange(2)] = Replica(store)
        if chance.random() < 0.02:
            store.objects.pop(KEEPING.path, None)
        for replica in chance.sample(replicas * 3, 6):
            replica.now = now
            await replica.look()
            served = [r.tls.leaf for r in replicas if r.tls.expires]
            assert all(is_trusted(leaf, store, now) for leaf in served if leaf.not_valid_after_utc > now)
        assert all(r.tls.leaf.not_valid_after_utc > now for r in replicas)


async def test_of_two_that_begin_at_once_one_gives_way() -> None:
    store = installed()
    slow = Late(store)
    winner, loser = Replica(store), Replica(slow)
    await winner.look()
    await loser.look()
    assert loser.tls.leaf == winner.tls.leaf


class Late(Store):
    """Does not see the Secret at first, as when both replicas begin at once."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.objects = store.objects
        self._blind = True

    async def get(self, path: str) -> Object | None:
        if path == KEEPING.path and self._blind:
            self._blind = False
            return None
        return await super().get(path)


async def test_certificates_of_somebody_else_are_served_and_never_changed() -> None:
    store = installed()
    ca = certificates.new_ca(START, 10 * DAY)
    leaf = certificates.new_leaf(ca, ["other"], START, DAY)
    data = {"ca.crt": ca.certificate, "tls.crt": leaf.certificate, "tls.key": leaf.key}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    store.put(KEEPING.path, {"metadata": {"name": SECRET}, "data": encoded})
    store.writes.clear()
    replica = Replica(store)
    await replica.look()
    await replica.look(9 * DAY)
    assert replica.tls.leaf == leaf.parsed
    assert trusted(store)[0] == [ca.parsed]
    assert KEEPING.path not in store.writes


@pytest.mark.parametrize("damage", ["tls.crt", "tls.key", "ca.crt", "ca.key"])
async def test_a_damaged_secret_is_made_anew(damage: str) -> None:
    store = installed()
    await Replica(store).look()
    store.objects[KEEPING.path]["data"][damage] = base64.b64encode(b"-----BEGIN NOTHING-----").decode()
    replica = Replica(store, START + LEAF_LIFE)
    await replica.look()
    assert is_trusted(replica.tls.leaf, store, replica.now)


async def test_names_of_two_versions_do_not_take_turns() -> None:
    store = installed()
    old, new = Replica(store), Replica(store, keeping=replace(KEEPING, names=("other.example.com",)))
    await old.look()
    await new.look()
    store.writes.clear()
    for replica in (old, new, old, new):
        await replica.look(timedelta(seconds=5))
    assert store.writes == []
    assert set(certificates.names_of(old.tls.leaf)) == {*NAMES, "other.example.com"}


async def test_what_fails_is_tried_again() -> None:
    class Away(Store):
        async def get(self, path: str) -> Object | None:
            raise Unavailable(f"GET {path}", "no answer")

    tries = 0

    async def sleep(seconds: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            raise KeyboardInterrupt

    keeper = Keeper(Away(), Tls(), KEEPING)
    with pytest.raises(KeyboardInterrupt):
        await keeper.run(sleep)


def test_steps_without_a_due_date_do_nothing() -> None:
    lives = Lives()
    made = certificates.take(Step.BEGIN, None, NAMES, START, lives)
    assert certificates.next_step(made, NAMES, START, lives, trusted=True) is Step.NOTHING
    assert certificates.take(Step.NOTHING, made, NAMES, START, lives) is made
