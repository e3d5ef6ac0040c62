"""Make SQLite bear many threads and two processes: WAL, patience, early write locks, a pool of connections.

A deferred transaction that reads first and writes later cannot be upgraded once somebody else has committed.
oslo.db's enginefacade says which transactions are writers, so those begin IMMEDIATE. What is still refused as "database
is locked" is shown as a deadlock, which the projects know how to retry.
"""

from __future__ import annotations

from typing import Any

from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import enginefacade, engines, exc_filters
from sqlalchemy import event, exc, pool, text
from sqlalchemy.engine import Engine

PRAGMAS = ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = OFF", "cache_size = -8000")
BEGUN = "in_transaction"
WRITER = "kaas_writer"


def prepare() -> None:
    """Change oslo.db of this process; before any engine is made."""
    _pool_connections()
    _begin_writers_early()
    exc_filters.filters("sqlite", exc.OperationalError, r".*database (table )?is locked.*")(_as_deadlock)


def _pool_connections() -> None:
    # oslo.db opens SQLite anew for every transaction; a pool saves the time to parse the schema each time.
    original = engines._init_connection_args

    def init_connection_args(url: Any, engine_args: dict[str, Any], kw: dict[str, Any]) -> None:
        original(url, engine_args, kw)
        if engine_args.get("poolclass") is pool.NullPool:
            engine_args.update(poolclass=pool.QueuePool, pool_size=8, max_overflow=200)
            engine_args["connect_args"]["check_same_thread"] = False

    engines._init_connection_args = init_connection_args
    event.listen(pool.Pool, "checkin", lambda _dbapi, record: record.info.pop(BEGUN, None))
    event.listen(Engine, "connect", _set_pragmas)


def _set_pragmas(connection: Any, _record: Any) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")


def writing(engine: Any) -> Any:
    """The engine for transactions that write, and so take their lock when they begin."""
    return engine.execution_options(**{WRITER: True})


def _begin_writers_early() -> None:
    factory = enginefacade._TransactionFactory
    original = factory._create_session

    def create_session(self: Any, mode: Any, bind: Any = None) -> Any:
        if not self._started:
            self._start()
        if bind is None and mode is enginefacade._WRITER and self._writer_engine.dialect.name == "sqlite":
            bind = writing(self._writer_engine)
        return original(self, mode, bind=bind)

    factory._create_session = create_session
    event.listen(Engine, "begin", _begin)


def _begin(connection: Any) -> None:
    wanted = connection.dialect.name == "sqlite" and connection.get_execution_options().get(WRITER)
    if wanted and BEGUN not in connection.info:
        connection.execute(text("BEGIN IMMEDIATE"))
        connection.info[BEGUN] = True


def _as_deadlock(error: Any, _match: Any, _engine: Any, _disconnect: Any) -> None:
    raise db_exception.DBDeadlock(error)
