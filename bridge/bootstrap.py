"""The composition root: the only file that knows every concrete class."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential

from bridge.adapters.registry import NoCounter, Resources, find_adapters
from bridge.core.content import Content
from bridge.core.errors import BridgeError, InvalidInput, PermanentError, StoreUnavailable
from bridge.core.planning import Policy
from bridge.core.ports import Adapter, AdminOutbox, Counter, Displays, Orders
from bridge.core.posting import Posting
from bridge.core.target import Target
from bridge.core.trace import UNTRACED, Tracer
from bridge.intake.accept import Intake
from bridge.policy import Configured, Current, adapter_configs, load_policy, rules_path, with_secret
from bridge.rulebook.trial import Played, load_tests, play, trials_path
from bridge.settings import Loaded
from bridge.store import backup
from bridge.store.backup import Copied
from bridge.store.counters import CounterStore
from bridge.store.database import Database, check_there, make_folder, read_url
from bridge.store.displays import DisplayStore
from bridge.store.migrate import fits, migrate
from bridge.store.orders import OrderStore
from bridge.store.outbox import AdminOutboxStore

log = structlog.get_logger()


class Bell:
    """Rings for everyone who must look now: the intake rings, the dispatcher and the photo desk listen."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Tell all listeners."""
        for listener in self.listeners:
            listener()


@dataclass(frozen=True)
class Bridge:
    """A bridge, put together: everything a command may need of it."""

    loaded: Loaded
    database: Database
    adapters: Mapping[str, Adapter]
    current: Current
    intake: Intake
    bell: Bell
    http: aiohttp.ClientSession
    displays: DisplayStore
    orders: OrderStore

    @property
    def configured(self) -> Configured:
        """What decides, with all that belongs to it."""
        return self.current.configured

    @property
    def policy(self) -> Policy:
        """What decides."""
        return self.configured.policy

    def find_target(self, digest: str, read: Callable[[], str]) -> Target:
        """Find a target by its digest: as it is configured, else as it was when something was put there.

        Where only its secret or its rules changed it is the same place; one whose secret is gone is tried without.
        """
        if found := self.configured.by_digest.get(digest):
            return found
        old = Target.model_validate_json(read())
        place = (old.id, old.adapter, old.address)
        if now := next((one for one in self.policy.targets if (one.id, one.adapter, one.address) == place), None):
            return now
        try:
            return with_secret(old)
        except InvalidInput as error:
            log.warning("what stands at a target that is no longer listed may stay: its secret is gone", why=str(error))
            return old


def open_database(loaded: Loaded) -> Database:
    """Open the store of the settings; a relative SQLite path starts at the working directory."""
    return Database(loaded.settings.store.url.get_secret_value())


def open_existing(loaded: Loaded) -> Database:
    """Open the store to look at it; ``BridgeError`` when there is none, rather than make an empty one."""
    check_there(loaded.settings.store.url.get_secret_value())
    return open_database(loaded)


async def prepare(database: Database) -> None:
    """Bring SQLite up to date; refuse a PostgreSQL that is not, and go by its clock."""
    if database.is_sqlite:
        await migrate(database)
    elif not await database.read(fits):
        raise BridgeError("the database has another schema than this version needs; run: burgernet-bridge migrate")
    await database.set_clock()


class Opened(NamedTuple):
    """Adapters that are open, by name, and the HTTP session that they share."""

    adapters: dict[str, Adapter]
    http: aiohttp.ClientSession


@asynccontextmanager
async def open_adapters(
    loaded: Loaded,
    outbox: AdminOutbox,
    displays: Displays | None = None,
    orders: Orders | None = None,
    counter: Counter | None = None,
) -> AsyncIterator[Opened]:
    """Open every installed adapter with its own settings."""
    types = find_adapters()
    configs = adapter_configs(loaded, types)
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
    cookies = aiohttp.DummyCookieJar()
    async with AsyncExitStack() as stack, aiohttp.ClientSession(connector=connector, cookie_jar=cookies) as session:
        resources = Resources(session, outbox, displays, orders, counter or NoCounter())
        yield Opened(
            {name: await stack.enter_async_context(found(configs[name], resources)) for name, found in types.items()},
            session,
        )


@asynccontextmanager
async def open_bridge(loaded: Loaded, tracer: Tracer = UNTRACED) -> AsyncIterator[Bridge]:
    """Put a bridge together; ``InvalidInput`` names every fault of the files."""
    database = open_database(loaded)
    try:
        bell = Bell()
        displays = DisplayStore(database, loaded.settings.display.dead_man, bell.ring)
        outbox = AdminOutboxStore(database, database.clock)
        orders, counter = OrderStore(database, loaded.settings.web.public_url, bell.ring), CounterStore(database)
        async with open_adapters(loaded, outbox, displays, orders, counter) as (adapters, http):
            capabilities = {name: adapter.capabilities for name, adapter in adapters.items()}
            current = Current(load_policy(loaded, find_adapters(), capabilities))
            for finding in current.configured.findings:
                log.warning("a rule is not what it seems; nothing is unsafe by it", finding=finding)
            for mended in current.configured.mended:
                log.warning("mended", what=mended)
            await _prepare_patiently(database)
            intake = Intake(
                database,
                lambda: current.configured.policy,
                max_lifetime=timedelta(seconds=loaded.settings.cases.max_lifetime),
                photo_wait=loaded.settings.photos.wait,
                tell=bool(loaded.settings.queue.url.get_secret_value()),
                wake=bell.ring,
                clock=lambda: datetime.fromtimestamp(database.clock(), UTC),
                tracer=tracer,
            )
            yield Bridge(loaded, database, adapters, current, intake, bell, http, displays, orders)
    finally:
        await database.close()


def _tell_of_waiting(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("the store is not there yet", tries=state.attempt_number, error=str(error))


async def _prepare_patiently(database: Database) -> None:
    """Wait a while for a database that is not there yet: machines start in any order."""
    patient = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(120),
        before_sleep=_tell_of_waiting,
        reraise=True,
    )
    await patient(prepare, database)


@contextmanager
def only_one(loaded: Loaded) -> Iterator[None]:
    """Hold the embedded store alone: two dispatchers on one SQLite would take each other for dead."""
    url = read_url(loaded.settings.store.url.get_secret_value())
    if url.get_backend_name() != "sqlite":
        yield
        return
    database = Path(url.database or "")
    make_folder(url)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BridgeError(f"another bridge runs on {database}; one at a time, or use PostgreSQL") from None
        yield


def is_running(loaded: Loaded) -> bool:
    """Tell whether a bridge holds this embedded store."""
    try:
        with only_one(loaded):
            return False
    except BridgeError:
        return True


async def back_up(loaded: Loaded, path: Path) -> Copied:
    """Copy the store to a file, while the bridge runs or not."""
    database = open_existing(loaded)
    try:
        return await backup.back_up(database, path)
    finally:
        await database.close()


async def restore(loaded: Loaded, path: Path, *, moved: bool) -> Copied:
    """Fill an empty store from a backup; ``moved``: nothing has run since it was made."""
    backup.check_file(path)
    with only_one(loaded):
        database = open_database(loaded)
        try:
            async with open_adapters(loaded, _NoOutbox()) as (adapters, _):
                can = None if moved else {name: adapter.capabilities for name, adapter in adapters.items()}
            return await backup.restore(database, path, can, loaded.settings.dispatch.timing)
        finally:
            await database.close()


@asynccontextmanager
async def open_policy(
    loaded: Loaded, database: Database | None = None
) -> AsyncIterator[tuple[dict[str, Adapter], Configured]]:
    """Open adapters and policy for questions that change nothing; ``database``: where to look what screens say."""
    displays = DisplayStore(database, loaded.settings.display.dead_man, lambda: None) if database else None
    async with open_adapters(loaded, _NoOutbox(), displays) as (adapters, _):
        capabilities = {name: adapter.capabilities for name, adapter in adapters.items()}
        yield adapters, load_policy(loaded, find_adapters(), capabilities)


@asynccontextmanager
async def open_if_there(loaded: Loaded) -> AsyncIterator[Database | None]:
    """Open the store to look at it, if there is one."""
    try:
        database = open_existing(loaded)
    except BridgeError:
        yield None
        return
    try:
        yield database
    finally:
        await database.close()


class _NoOutbox:
    async def put(self, posting: Posting, content: Content) -> None:
        raise PermanentError(f"nothing is kept here: {posting.id}, revision {content.revision}")


async def check(loaded: Loaded) -> str:
    """Check all files; say in one line that they are good, or raise ``InvalidInput`` with every fault."""
    problems: list[str] = []
    types = find_adapters()
    configs = {name: found.Config() for name, found in types.items()}
    try:
        read_url(loaded.settings.store.url.get_secret_value())
    except InvalidInput as error:
        problems += error.problems
    try:
        configs = adapter_configs(loaded, types)
    except InvalidInput as error:
        problems += error.problems
    async with aiohttp.ClientSession() as session:
        resources = Resources(session, _NoOutbox())
        capabilities = {}
        for name, found in types.items():
            try:
                capabilities[name] = found(configs[name], resources).capabilities
            except InvalidInput as error:
                problems += [f"adapters.{name}: {line}" for line in error.problems]
                capabilities[name] = found(found.Config(), resources).capabilities
    try:
        configured = load_policy(loaded, types, capabilities)
        asks = [one.id for one in configured.policy.targets if one.adapter == "work_order"]
        if asks and not loaded.settings.web.public_url:
            problems.append(
                f"web.public_url: is empty, and target {asks[0]} needs it for suppliers to confirm; allowed: a URL"
            )
        problems += [*configured.templates.check(), *configured.findings, *configured.mended]
        played = play_tests(loaded, configured)
        problems += [line for one in played for line in one.problems()]
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(*problems)
    policy = configured.policy
    counts = f"{len(policy.targets)} targets, {len(policy.rules)} rules, {len(played)} tests of rules"
    return f"good: {counts}, templates complete"


def play_tests(loaded: Loaded, configured: Configured, path: Path | None = None) -> list[Played]:
    """Play the tests of the rules; without ``path`` those that stand beside them, if there are any."""
    beside = trials_path(rules_path(loaded))
    if path is None and not beside.is_file():
        return []
    adapters = configured.policy.adapters
    return play(*load_tests(path or beside, adapters), configured.policy.rules, adapters)
