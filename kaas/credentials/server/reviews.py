"""What each path answers: pure reviews of Pods and Secrets, with what has to be looked up for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from kaas.admission.app import Answer, Response, Review, Webhook, refusal
from kaas.credentials import podreview
from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.review import secret_response
from kaas.credentials.secrets.policy import Policy
from kaas.credentials.server.lookups import Lookups
from kaas.credentials.server.metrics import Metrics
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object

T = TypeVar("T")

PODS: Final = "/mutate-pods"
"""Pods of namespaces that have opted in: annotations of their ServiceAccounts count too."""
ANNOTATED_PODS: Final = "/mutate-annotated-pods"
SECRETS: Final = "/validate-secrets"
FIRST_TRY: Final = "/first-try"
"""Behind the path of a webhook for Pods: the API server asks the path itself when this gives no answer."""

SPEAKER: Final = "cloud credentials"

# Words of a warning about a Pod, and what it is counted as. The first that is found counts.
REASONS: Final = {
    "is not there": "missing-secret",
    "is not of type": "wrong-type",
    "itself": "variable-taken",
    "mounts something else": "path-taken",
    "envFrom": "env-from",
    "no container": "no-container",
    "static Pod": "static-pod",
}


class Undecided(Exception):
    """What credentials a Pod gets depends on an object that could not be read."""


def webhooks(lookups: Lookups, metrics: Metrics, policy: Policy) -> dict[str, Webhook]:
    """All webhooks by path."""
    pods = PodReviews(lookups, metrics)
    answers: dict[str, Answer] = {PODS: pods.answer, ANNOTATED_PODS: partial(pods.answer, accounts=False)}
    return {
        **{path + FIRST_TRY: Webhook("pods", answer, again=True, speaker=SPEAKER) for path, answer in answers.items()},
        **{path: Webhook("pods", answer, speaker=SPEAKER) for path, answer in answers.items()},
        SECRETS: Webhook("secrets", SecretReviews(metrics, policy).answer, speaker=SPEAKER),
    }


class PodReviews:
    """Answers about Pods."""

    def __init__(self, lookups: Lookups, metrics: Metrics) -> None:
        self._lookups = lookups
        self._metrics = metrics

    async def answer(self, review: Review, *, accounts: bool = True) -> Response:
        """Answer to one review.

        When an object that decides cannot be read, the Pod is refused: its controller tries again in a moment, while a
        Pod that runs without its credentials would stay so. That can happen to a Pod without annotations only where its
        namespace has opted in.
        """
        try:
            account, needs = await self._account(review, accounts=accounts)
            secrets = await self._secrets(needs)
        except Undecided as problem:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(problem), SPEAKER)
        answer = podreview.answer(review, account, secrets)
        self._counted(answer)
        response: Response = answer.review["response"]
        return response

    async def _account(self, review: Review, *, accounts: bool) -> tuple[Object | None, podreview.Needs]:
        """ServiceAccount that has a say, and what else is needed."""
        needs = podreview.needs(review, accounts=accounts)
        if needs.service_account is None:
            return None, needs
        ask = partial(self._lookups.service_account, needs.namespace, needs.service_account)
        account = await self._looked_up("ServiceAccount", needs.service_account, ask)
        return account, needs if account is None else podreview.needs(review, account)

    async def _secrets(self, needs: podreview.Needs) -> Mapping[str, SecretFacts | None]:
        found = {}
        for name in needs.secrets:
            found[name] = await self._looked_up("Secret", name, partial(self._lookups.secret, needs.namespace, name))
        return found

    async def _looked_up(self, kind: str, name: str, ask: Callable[[], Awaitable[T | None]]) -> T | None:
        try:
            found = await ask()
        except KubeError as failure:
            self._metrics.lookups.labels(kind, type(failure).__name__).inc()
            raise Undecided(f'{kind} "{name}" could not be read ({type(failure).__name__}); try again') from failure
        self._metrics.lookups.labels(kind, "found" if found is not None else "missing").inc()
        return found

    def _counted(self, answer: podreview.Answer) -> None:
        for provider, where in answer.given.items():
            self._metrics.injected.labels(provider, where).inc()
        for warning in answer.warnings:
            self._metrics.warnings.labels("pods", _reason(warning)).inc()


class SecretReviews:
    """Answers about Secrets."""

    def __init__(self, metrics: Metrics, policy: Policy) -> None:
        self._metrics = metrics
        self._policy = policy

    async def answer(self, review: Review) -> Response:
        """Answer to one review."""
        response: Response = secret_response(review["request"], self._policy)
        for _ in response.get("warnings") or ():
            self._metrics.warnings.labels("secrets", "doubtful").inc()
        return response


def _reason(warning: str) -> str:
    return next((reason for words, reason in REASONS.items() if words in warning), "other")
