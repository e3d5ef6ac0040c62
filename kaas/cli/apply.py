"""`kaas apply`: Clusters, Sites, Releases and what they need beside them, and the wait until Clusters are Ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kaas.api.constants import API_VERSION
from kaas.cli import manifests, progress
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.manifests import ORDER, Document, wrong
from kaas.cli.output import as_list, console, emit
from kaas.cli.progress import Views
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.view import NOT_LOOKED_AT
from kaas.clusters.observe import Key
from kaas.kube.errors import Invalid, KubeError, NotFound
from kaas.kube.objects import Object, ref_of
from kaas.runtime.clock import SystemClock

CLUSTER = (API_VERSION, "Cluster")


def apply(settings: Settings, files: Sequence[Path], *, wait: bool, timeout: float) -> None:
    """Apply the files' objects; with `wait`, return when every Cluster of them is Ready as it says now."""
    found = manifests.read(files)
    applied: list[Object] = []
    try:
        run(_apply(settings, found, applied, wait=wait, timeout=timeout))
    except KeyboardInterrupt as stop:
        raise CliError(interrupted(applied), ExitCode.INTERRUPTED) from stop


def interrupted(applied: Iterable[Object]) -> str:
    """What stays after Ctrl-C."""
    names = ", ".join(str(ref_of(o)) for o in applied)
    if not names:
        return "interrupted; nothing is applied"
    return f"interrupted; applied and going on without you: {names} (see `kaas status`, end it with `kaas delete`)"


async def _apply(
    settings: Settings,
    found: Iterable[Document],
    applied: list[Object],
    *,
    wait: bool,
    timeout: float,  # noqa: ASYNC109 - handed on
) -> None:
    async with session(settings) as connected:
        documents = placed(found, connected.namespace, explicit=settings.namespace is not None)
        await checked(connected, documents)
        for document in documents:
            applied.append(await connected.write(document.object))
            if settings.output is None:
                console(settings).print(f"{ref_of(document.object)} applied", markup=False)
        if wait:
            await _wait(settings, connected, applied, timeout)
        if settings.output is not None:
            emit(as_list(applied), settings.output)


# --- checks before anything is written ----------------------------------------------------------------------------


def placed(found: Iterable[Document], namespace: str, *, explicit: bool) -> list[Document]:
    """Documents in the order in which they can be applied, each with its namespace.

    namespace: of those that say none. explicit: the user named it, so another one in a file is a mistake.
    """
    documents: list[Document] = []
    faults: list[str] = []
    for document in sorted(found, key=lambda d: ORDER[d.group_kind]):
        said = document.object["metadata"].get("namespace")
        if document.group_kind[1] not in ("Cluster", "Secret", "ConfigMap", "NodeRepairTemplate"):
            documents.append(document)
        elif document.group_kind == CLUSTER and explicit and said and said != namespace:
            name = document.object["metadata"]["name"]
            way_out = f"is {said!r}, and `-n {namespace}` was given: leave out one of them"
            faults.append(f"{document.place}: Cluster {name!r}: metadata.namespace: {way_out}")
        else:
            meta = {**document.object["metadata"], "namespace": said or namespace}
            documents.append(Document(document.place, {**document.object, "metadata": meta}))
    if faults:
        raise wrong(faults)
    return documents


async def checked(session: Session, documents: Iterable[Document]) -> list[Object]:
    """What the API server would make of the documents; nothing is written. CliError with all that it refuses.

    An object in a namespace that is itself among the documents cannot be tried yet: it is given back as it is.
    """
    coming = {d.object["metadata"]["name"] for d in documents if d.group_kind[1] == "Namespace"}
    found: list[Object] = []
    faults: list[str] = []
    for document in documents:
        try:
            found.append(await session.write(document.object, dry_run=True))
        except NotFound as error:
            if not _waits_for_namespace(document, coming):
                raise _not_ready(document, error) from error
            found.append(document.object)
        except Invalid as error:
            faults.extend(refusals(document, error))
    if faults:
        raise wrong(faults)
    return found


def _waits_for_namespace(document: Document, coming: Iterable[str]) -> bool:
    return document.object["metadata"].get("namespace") in coming


def _not_ready(document: Document, error: KubeError) -> CliError:
    """Its namespace or its kind is not there."""
    namespace = document.object["metadata"].get("namespace")
    if namespace and f'"{namespace}"' in error.message:
        way_out = f"there is no namespace {namespace!r}; create it, or add it to the files"
    else:
        way_out = f"{error.message}; install the kinds with `kaas crds --install`"
    return CliError(f"{document.place}: {ref_of(document.object)}: {way_out}", ExitCode.WRONG_INPUT)


def refusals(document: Document, error: Invalid) -> list[str]:
    """One line for each cause: in our own words where a check without the server finds it too, they say the way out."""
    try:
        manifests.checked([document])
    except CliError as ours:
        return [str(ours)]
    begin = f"{document.place}: {document.group_kind[1]} {document.object['metadata']['name']!r}"
    return [f"{begin}: {said}" for said in error.causes or (error.message,)]


# --- waiting ------------------------------------------------------------------------------------------------------


async def _wait(settings: Settings, connected: Session, applied: Iterable[Object], timeout: float) -> None:  # noqa: ASYNC109
    wanted: dict[Key, int] = {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o["metadata"].get("generation", 0)
        for o in applied
        if (o["apiVersion"], o["kind"]) == CLUSTER
    }
    last: dict[Key, object] = {}

    def reached(views: Views) -> bool:
        last.update(views)
        return are_ready(views)

    screen = console(settings, stderr=settings.output is not None)
    with progress.display(screen, "waiting until Ready") as display:
        done = not wanted or await progress.follow(connected, [*wanted], reached, display, SystemClock(), timeout)
    if not done:
        raise CliError(not_ready(await progress.look(connected, [*wanted]), timeout))
    if settings.output is None:
        for namespace, name in wanted:
            screen.print(f"Cluster {namespace}/{name} is Ready", markup=False)


def are_ready(views: Views) -> bool:
    """Whether every Cluster is Ready for the generation that it has now; a deleted one never will be."""
    if gone := [f"{n}/{name}" for (n, name), v in views.items() if v is None]:
        raise CliError(f"Cluster {', '.join(gone)} was deleted meanwhile", ExitCode.NOT_FOUND)
    return all(v is not None and v.current and v.phase == "Ready" for v in views.values())


def not_ready(views: Views, timeout: float) -> str:
    """What is still in the way of each Cluster, in the deepest words."""
    lines = [f"not Ready after {timeout:.0f} s; it goes on without you (`kaas status`)"]
    for (namespace, name), found in views.items():
        if found is not None and not (found.current and found.phase == "Ready"):
            said = found.why or NOT_LOOKED_AT
            lines.append(f"Cluster {namespace}/{name}: {found.phase}: {said}")
    return "\n      ".join(lines)
