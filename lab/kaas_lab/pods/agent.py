"""The process that plays a lab's nodes and its CSI driver."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import partial

from kaas_lab import processes
from kaas_lab.certificates import ADMINISTRATORS
from kaas_lab.layout import Layout

from . import directory, image_table, logserver, nodes_file, sandbox
from .attachments import Attachments
from .client import Client, connected
from .container import NAMES
from .faults import Faults, Kind
from .making import Making
from .node import Node, Site
from .nodeobject import NodeSpec
from .servers import KUBELET_PORT
from .storage import classes, directories
from .storage.directories import Directories
from .storage.origins import Origins
from .storage.provisioner import Provisioner
from .storage.snapshotter import Snapshotter

Work = Coroutine[None, None, None]
API_PORT = 2  # offset, as management has it


async def serve(layout: Layout) -> None:
    """Run until SIGTERM or SIGINT; then every container is ended, and what was mounted is taken away."""
    processes.stop([pid for pid, name in processes.find(layout.state).items() if name.startswith(NAMES)], 0.0)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        tasks = [asyncio.create_task(work) for work in await _works(layout, stack)]
        stop = asyncio.create_task(ended.wait())
        await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    directories.release(layout.state)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


async def _works(layout: Layout, stack: AsyncExitStack) -> list[Work]:
    root, port = directory(layout.state), layout.management_port(API_PORT)
    server = f"https://127.0.0.1:{port}"
    faults, stores = Faults(root), Directories(root)
    making = Making(
        state=layout.state.resolve(),
        table=image_table(layout.state),
        server=("127.0.0.1", port),
        is_isolated=sandbox.is_possible(),
        unpullable=lambda image: faults.has(Kind.UNPULLABLE, image),
    )
    site = Site(root / "running", stores.volumes, making, Attachments())
    storage = await stack.enter_async_context(
        connected(server, layout.certificates, "system:lab:storage", ADMINISTRATORS)
    )
    works = await _driver(storage, stores, faults)
    for number, document in enumerate(json.loads(nodes_file(layout.state).read_text())):
        spec = NodeSpec(**document)
        user = f"system:node:{spec.name}"
        client = await stack.enter_async_context(connected(server, layout.certificates, user, "system:nodes"))
        client.is_cut = partial(faults.has, Kind.NODE_AWAY, spec.name)
        node = Node(client, spec, site, number, layout.management_port(KUBELET_PORT + number))
        app = logserver.application(node.workers.values)
        runner = await logserver.serve(app, node.port, logserver.context(layout.certificates))
        stack.push_async_callback(runner.cleanup)
        works.append(node.run())
    return works


async def _driver(client: Client, stores: Directories, faults: Faults) -> list[Work]:
    for path, document in classes.documents():
        await client.create(path, document)
    origins = Origins(client, stores, faults)
    return [Provisioner(client, stores, origins, faults).run(), Snapshotter(client, stores, faults).run()]
