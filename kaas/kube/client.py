"""One client for one API server: one TLS context, one pool of connections, a time limit on every call.

Writes are server-side apply under our field manager; what fails without having been decided is repeated a few times.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
from kubernetes.aio.client import ApiClient

from kaas.api.constants import FIELD_MANAGER, STATUS_MANAGER
from kaas.kube import resources
from kaas.kube.answers import decoded, items, of_a_budget, seconds, with_query
from kaas.kube.configuration import configuration
from kaas.kube.errors import Conflict, KubeError, NotFound, Unavailable, error_for
from kaas.kube.objects import Object, Objects, Ref, ref_of
from kaas.kube.resources import Resource

USER_AGENT = f"kaas/{distribution_version('kaas')}"

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

Resources = list[Resource]
Names = list[str]
Propagation = Literal["Background", "Foreground", "Orphan"]
RequestHook = Callable[[str, str, int, float], None]
"""Called after every request with verb, kind, HTTP status (0: no answer) and seconds."""

_RETRIED = frozenset({429, 500, 502, 503, 504})
_UNDECIDED = frozenset({429, 503})  # the server says that it did nothing: safe for any verb
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a connection and a whole request may take, and how often a request that failed is sent in all."""

    connect: float = 5.0
    request: float = 30.0
    attempts: int = 4


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list. token: for the next part, empty in the last. version: of the list, where a watch goes on."""

    items: Objects
    token: str
    version: str


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, ready to be sent as often as it takes."""

    verb: str
    method: str
    path: str
    what: str
    kind: str
    body: Object | Objects | None = None
    content_type: str = JSON
    idempotent: bool = True
    once: bool = False


class KubeClient:
    """Reads and writes objects of one API server. Made by `connect`; closed by `close` or as a context manager."""

    def __init__(self, api: ApiClient, *, limits: Limits | None = None, hook: RequestHook | None = None) -> None:
        self._api: Any = api  # the package is untyped where it matters
        self._limits = limits or Limits()
        self._hook = hook
        self._discovered: dict[tuple[str, str], Resource] = {}
        api.user_agent = USER_AGENT

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | str | None = None,
        context: str | None = None,
        *,
        limits: Limits | None = None,
        hook: RequestHook | None = None,
    ) -> Self:
        """Client for a kubeconfig's context.

        Without a kubeconfig: `$KUBECONFIG`, else the Pod's own account, else `~/.kube/config`. No request is sent yet.
        """
        return cls(ApiClient(await configuration(kubeconfig, context)), limits=limits, hook=hook)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self._api.configuration.host)

    async def get(self, ref: Ref) -> Object | None:
        """Object, or None when it (or its kind) is not there."""
        return await self._found("get", "GET", ref)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        *,
        field_selector: str | None = None,
        metadata_only: bool = False,
    ) -> Objects:
        """All objects of a kind, with apiVersion and kind filled in; `namespace` None means everywhere.

        metadata_only: the server sends no spec, status or data.
        """
        query = {"labelSelector": label_selector} if label_selector else {}
        query |= {"fieldSelector": field_selector} if field_selector else {}
        path = with_query(resource.path(namespace), query)
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" if metadata_only else JSON
        call = _Call("list", "GET", path, f"list {resource}", resource.kind)
        return items(resource, await self._send(call, accept=accept))

    async def page(self, resource: Resource, *, limit: int, token: str = "", namespace: str | None = None) -> Page:
        """At most `limit` objects of a kind, namespace None: of all; Unavailable when what answers is not a list."""
        query = {"limit": str(limit)} | ({"continue": token} if token else {})
        what = f"list {resource}"
        path = with_query(resource.path(namespace), query)
        answer = await self._send(_Call("list", "GET", path, what, resource.kind))
        meta = answer.get("metadata")
        if not isinstance(meta, dict) or "items" not in answer or not meta.get("resourceVersion"):
            raise Unavailable(what, "the answer is no list: something else than an API server answers here")
        return Page(items(resource, answer), str(meta.get("continue") or ""), str(meta["resourceVersion"]))

    async def apply(self, obj: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:
        """Server-side apply, forced, unknown fields refused; returns the object as the server has it now.

        manager: who owns the fields; another than the controller's for what a person writes.
        """
        return await self._apply(obj, manager, "", dry_run=dry_run)

    async def apply_status(self, obj: Object, *, manager: str = STATUS_MANAGER) -> Object:
        """Server-side apply of `status` alone. Give name and status; whatever else `obj` says is left out."""
        slim = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {k: obj["metadata"][k] for k in ("name", "namespace") if obj["metadata"].get(k)},
            "status": obj.get("status") or {},
        }
        return await self._apply(slim, manager, "/status", dry_run=False)

    async def _apply(self, obj: Object, manager: str, suffix: str, *, dry_run: bool) -> Object:
        ref = ref_of(obj)
        resource = await self.resource(ref.api_version, ref.kind)
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = with_query(resource.path(ref.namespace, ref.name) + suffix, query)
        verb, what = ("apply_status", "apply status of") if suffix else ("apply", "apply")
        return await self._send(_Call(verb, "PATCH", path, f"{what} {ref}", ref.kind, obj, APPLY))

    async def patch_finalizers(self, obj: Object, finalizers: Names) -> Object:
        """Set the finalizers of `obj` as it was read: Conflict when it changed since."""
        ref = ref_of(obj)
        resource = await self.resource(ref.api_version, ref.kind)
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": obj["metadata"]["resourceVersion"]}}
        path = with_query(resource.path(ref.namespace, ref.name), {"fieldManager": FIELD_MANAGER})
        what = f"set finalizers of {ref}"
        return await self._send(_Call("patch", "PATCH", path, what, ref.kind, patch, MERGE_PATCH, idempotent=False))

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge patch, of a subresource as `status` when named; NotFound when the object is not there.

        With `metadata.resourceVersion` in it: Conflict when the object changed since. Without, it may be sent twice.
        """
        resource = await self.resource(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name) + (f"/{subresource}" if subresource else "")
        path = with_query(path, {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"})
        what = f"patch {subresource} of {ref}" if subresource else f"patch {ref}"
        twice = "resourceVersion" not in (patch.get("metadata") or {})
        return await self._send(_Call("patch", "PATCH", path, what, ref.kind, patch, MERGE_PATCH, idempotent=twice))

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        """JSON Patch (RFC 6902): Invalid when a `test` in it fails, NotFound when the object is not there."""
        resource = await self.resource(ref.api_version, ref.kind)
        path = with_query(resource.path(ref.namespace, ref.name), {"fieldManager": FIELD_MANAGER})
        call = _Call("patch", "PATCH", path, f"patch {ref}", ref.kind, operations, JSON_PATCH, idempotent=False)
        return await self._send(call)

    async def evict(self, pod: Object) -> str:
        """Have a Pod deleted in its own time, if its PodDisruptionBudgets allow.

        Empty when it was asked to end or is gone; otherwise why a budget does not allow it, as the server says it.
        """
        ref, named = ref_of(pod), {k: pod["metadata"][k] for k in ("name", "namespace")}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
        body["deleteOptions"] = {"preconditions": {"uid": pod["metadata"]["uid"]}}
        path = resources.POD.path(ref.namespace, ref.name) + "/eviction"
        try:
            await self._send(_Call("evict", "POST", path, f"evict {ref}", ref.kind, body, once=True))
        except (NotFound, Conflict):  # gone, or another Pod has its name
            return ""
        except Unavailable as refusal:
            if not of_a_budget(refusal):
                raise
            return ": ".join(dict.fromkeys([refusal.message, *(c.message for c in refusal.causes if c.message)]))
        return ""

    async def create(self, obj: Object, *, manager: str = FIELD_MANAGER) -> Object:
        """Create an object; Conflict when the name is taken. Also for `generateName`."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        meta = obj["metadata"]
        what = f"create {obj['kind']} {meta.get('name') or meta.get('generateName')}"
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        path = with_query(resource.path(meta.get("namespace")), query)
        return await self._send(_Call("create", "POST", path, what, obj["kind"], obj, idempotent=False))

    async def replace(self, obj: Object) -> Object:
        """Replace an object as it was read (with its resourceVersion): Conflict when it changed since."""
        ref = ref_of(obj)
        resource = await self.resource(ref.api_version, ref.kind)
        path = with_query(resource.path(ref.namespace, ref.name), {"fieldManager": FIELD_MANAGER})
        return await self._send(_Call("update", "PUT", path, f"replace {ref}", ref.kind, obj, idempotent=False))

    async def delete(self, ref: Ref, *, uid: str | None = None, propagation: Propagation = "Background") -> bool:
        """Ask for deletion; False when it is not there. With `uid`, Conflict when another object has the name now."""
        options: Object = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._found("delete", "DELETE", ref, options) is not None

    async def read(self, path: str, *, accept: str = JSON) -> Object:
        """Answer of a path that is asked in no other way. accept: the form that it is wanted in, as a Table."""
        return await self._send(_Call("get", "GET", path, f"read {path.partition('?')[0]}", "Raw"), accept=accept)

    async def version(self) -> Object:
        """Answer of `/version`; `gitVersion` is the server's version."""
        return await self._send(_Call("get", "GET", "/version", "read the version", "Version"))

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Plural and scope of a kind: from the table, else asked once. NotFound when the server has no such kind."""
        known = resources.find(api_version, kind) or self._discovered.get((api_version, kind))
        if known:
            return known
        for found in await self.served(api_version):
            self._discovered[(api_version, found.kind)] = found
        if (api_version, kind) not in self._discovered:
            raise NotFound(f"find {kind}", f"the API server has no kind {kind} in {api_version}")
        return self._discovered[(api_version, kind)]

    async def served(self, api_version: str) -> Resources:
        """Kinds that the server serves in a group and version; empty when it does not know the version."""
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{api_version}" if group else f"/api/{version}"
        try:
            answer = await self._send(_Call("get", "GET", path, f"discover {api_version}", "APIResourceList"))
        except NotFound:
            return []
        kinds = [r for r in answer["resources"] if "/" not in r["name"]]
        return [Resource(group, version, r["kind"], r["name"], bool(r["namespaced"])) for r in kinds]

    async def group_versions(self, group: str) -> Names:
        """Versions that the server serves in a group, the preferred one first; empty when there is no such group."""
        try:
            answer = await self._send(_Call("get", "GET", f"/apis/{group}", f"discover {group}", "APIGroup"))
        except NotFound:
            return []
        preferred = answer["preferredVersion"]["version"]
        return [preferred, *(v["version"] for v in answer["versions"] if v["version"] != preferred)]

    async def watch_session(self, response_class: type[aiohttp.ClientResponse]) -> aiohttp.ClientSession:
        """Open a session for any number of watches on the running event loop, with our TLS context and credentials."""
        headers = {"User-Agent": USER_AGENT, **await self._credentials()}
        connector = aiohttp.TCPConnector(limit=0, ssl=self._api.rest_client.ssl_context)
        return aiohttp.ClientSession(connector=connector, headers=headers, response_class=response_class)

    async def watch(self, resource: Resource, version: str, *, limit: int, silence: float) -> aiohttp.ClientResponse:
        """Begin a watch with bookmarks behind a list's `version`; its lines are JSON. Close it.

        limit: seconds after which the server ends it. silence: seconds without a byte after which reading it is a
        TimeoutError. Not repeated: raises what aiohttp raises when the server can't be reached or falls silent.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(limit),
        }
        return await self._open(f"watch {resource}", with_query(resource.path(), query), JSON, silence)

    async def text(self, path: str, *, silence: float) -> aiohttp.ClientResponse:
        """Begin to read a text that may be long, as `/metrics`. Close it. Not repeated, and raises as `watch` does."""
        # API servers refuse to give a Pod's log, which is plain text, to who takes nothing else.
        return await self._open(f"read {path}", path, "text/plain, */*", silence)

    async def _open(self, what: str, path: str, accept: str, silence: float) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "User-Agent": USER_AGENT, **await self._credentials()}
        connect = self._limits.connect
        times = aiohttp.ClientTimeout(connect=2 * connect, sock_connect=connect, sock_read=silence)
        answer = await self._api.rest_client.request("GET", self.server + path, headers=headers, _request_timeout=times)
        response: aiohttp.ClientResponse = answer.response
        if response.status != HTTPStatus.OK:
            raise error_for(what, response.status, await response.read())
        return response

    async def _credentials(self) -> dict[str, str]:
        auth = await self._api.configuration.auth_settings()
        return {a["key"]: a["value"] for a in auth.values() if a.get("in") == "header" and a.get("value")}

    async def _found(self, verb: str, method: str, ref: Ref, body: Object | None = None) -> Object | None:
        """Answer, or None when there is no such object or kind."""
        try:
            resource = await self.resource(ref.api_version, ref.kind)
            path = resource.path(ref.namespace, ref.name)
            return await self._send(_Call(verb, method, path, f"{verb} {ref}", ref.kind, body))
        except NotFound:
            return None

    async def _send(self, call: _Call, *, accept: str = JSON) -> Object:
        """Send until it is decided, at most `attempts` times."""
        delay = _FIRST_DELAY
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return await self._once(call, accept)
            except _Retry as failure:
                if call.once or attempt == self._limits.attempts:
                    raise failure.error from failure.__cause__
                pause = max(delay, failure.after) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
            await asyncio.sleep(min(pause, _LONGEST_DELAY))
            delay *= 3
        raise AssertionError("attempts is at least 1")

    async def _once(self, call: _Call, accept: str) -> Object:
        start = asyncio.get_running_loop().time()
        code = 0
        try:
            code, retry_after, body = await self._exchange(call, accept)
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            said = str(failure) or type(failure).__name__
            error = Unavailable(call.what, f"{self.server} did not answer: {said}")
            if call.idempotent or isinstance(failure, aiohttp.ClientConnectorError):
                raise _Retry(error) from failure
            raise error from failure
        finally:
            if self._hook:
                self._hook(call.verb, call.kind, code, asyncio.get_running_loop().time() - start)
        if code < HTTPStatus.MULTIPLE_CHOICES:
            return decoded(call.what, body)
        raise _refusal(call, code, retry_after, body)

    async def _exchange(self, call: _Call, accept: str) -> tuple[int, float, bytes]:
        """One request: status, seconds that the server asks to wait, and body."""
        headers = {"Accept": accept, "Content-Type": call.content_type, "User-Agent": USER_AGENT}
        headers |= await self._credentials()
        limit = aiohttp.ClientTimeout(total=self._limits.request, sock_connect=self._limits.connect)
        answer = await self._api.rest_client.request(
            call.method, self.server + call.path, headers=headers, body=call.body, _request_timeout=limit
        )
        body = await answer.read()
        return int(answer.status), seconds(answer.headers.get("Retry-After")), body


class _Retry(Exception):
    """The request may be sent again, not before `after` seconds."""

    def __init__(self, error: KubeError, after: float = 0.0) -> None:
        self.error = error
        self.after = after
        super().__init__(str(error))


def _refusal(call: _Call, code: int, retry_after: float, body: bytes) -> Exception:
    error = error_for(call.what, code, body)
    if isinstance(error, Unavailable) and code in (_RETRIED if call.idempotent else _UNDECIDED):
        return _Retry(error, retry_after)
    return error
