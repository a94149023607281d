"""The composition root: the only file that knows every concrete class."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from secrets import token_hex

import aiohttp
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential

from bridge import __version__
from bridge.adapters.registry import Resources, find_adapters
from bridge.core.case import Verdict
from bridge.core.content import Content
from bridge.core.errors import BridgeError, InvalidInput, PermanentError, StoreUnavailable
from bridge.core.events import Event
from bridge.core.planning import Policy
from bridge.core.ports import Adapter, AdminOutbox, Part
from bridge.core.posting import Posting
from bridge.core.target import Target
from bridge.dispatch.dispatcher import Dispatcher
from bridge.dispatch.parts import Expiry, PhotoDesk
from bridge.dispatch.photo_fetch import PhotoFetcher
from bridge.dispatch.retention import Retention
from bridge.dispatch.team import Led, Team
from bridge.intake.accept import Intake
from bridge.intake.amqp import AmqpIntake
from bridge.intake.status import StatusPublisher
from bridge.policy import Configured, adapter_configs, load_policy, with_secret
from bridge.service import Role, Service, Stop
from bridge.settings import Loaded
from bridge.store import backup, cases
from bridge.store.backup import Copied
from bridge.store.database import Database, make_folder, read_url
from bridge.store.migrate import fits, migrate
from bridge.store.notices import Notices
from bridge.store.outbox import AdminOutboxStore
from bridge.store.work import WorkStore
from bridge.store.workers import Member
from bridge.web.metrics import Metrics
from bridge.web.server import WebServer, make_app

_PROCESS = token_hex(4)  # no two processes may take each other's claims for their own, whatever they are called

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
    configured: Configured
    intake: Intake
    bell: Bell

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


async def prepare(database: Database) -> None:
    """Bring SQLite up to date; refuse a PostgreSQL that is not, and go by its clock."""
    if database.is_sqlite:
        await migrate(database)
    elif not await database.read(fits):
        raise BridgeError("the database has another schema than this version needs; run: burgernet-bridge migrate")
    await database.set_clock()


@asynccontextmanager
async def open_adapters(loaded: Loaded, outbox: AdminOutbox) -> AsyncIterator[dict[str, Adapter]]:
    """Open every installed adapter with its own settings."""
    types = find_adapters()
    configs = adapter_configs(loaded, types)
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
    cookies = aiohttp.DummyCookieJar()
    async with AsyncExitStack() as stack, aiohttp.ClientSession(connector=connector, cookie_jar=cookies) as session:
        resources = Resources(session, outbox)
        yield {name: await stack.enter_async_context(found(configs[name], resources)) for name, found in types.items()}


@asynccontextmanager
async def open_bridge(loaded: Loaded) -> AsyncIterator[Bridge]:
    """Put a bridge together; ``InvalidInput`` names every fault of the files."""
    database = open_database(loaded)
    try:
        async with open_adapters(loaded, AdminOutboxStore(database, database.clock)) as adapters:
            capabilities = {name: adapter.capabilities for name, adapter in adapters.items()}
            configured = load_policy(loaded, find_adapters(), capabilities)
            await _prepare_patiently(database)
            bell = Bell()
            intake = Intake(
                database,
                lambda: configured.policy,
                max_lifetime=timedelta(seconds=loaded.settings.cases.max_lifetime),
                photo_wait=loaded.settings.photos.wait,
                tell=bool(loaded.settings.queue.url.get_secret_value()),
                wake=bell.ring,
                clock=lambda: datetime.fromtimestamp(database.clock(), UTC),
            )
            yield Bridge(loaded, database, adapters, configured, intake, bell)
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


async def serve(loaded: Loaded, roles: Collection[Role] = ()) -> None:
    """Run the bridge, or only some of its roles, until it is told to stop."""
    async with assembled(loaded, roles) as (bridge, service):
        log.info(
            "starting",
            version=__version__,
            targets=len(bridge.policy.targets),
            worker=_worker(loaded),
            roles=sorted(roles or Role),
        )
        await service.run()


@asynccontextmanager
async def assembled(loaded: Loaded, roles: Collection[Role] = ()) -> AsyncIterator[tuple[Bridge, Service]]:
    """Put together the bridge, or only some of its roles, ready to run.

    ``BridgeError`` when another one runs on the same embedded store, which serves one process with all roles.
    """
    _check_roles(loaded, roles)
    with _only_one(loaded):
        async with open_bridge(loaded) as bridge, _photo_fetcher(loaded) as fetcher:
            yield bridge, await _Assembly(bridge, frozenset(roles or Role)).put_together(fetcher)


def _check_roles(loaded: Loaded, roles: Collection[Role]) -> None:
    settings = loaded.settings
    is_whole = not roles or set(roles) == set(Role)
    if not is_whole and read_url(settings.store.url.get_secret_value()).get_backend_name() == "sqlite":
        raise InvalidInput(
            "--role: an embedded store (SQLite) serves one process with all roles;"
            " allowed: no --role, or a store.url that begins with postgresql://"
        )
    if not is_whole and Role.INTAKE in roles and not settings.queue.url.get_secret_value():
        raise InvalidInput("--role: intake takes events from a queue, and queue.url is empty; allowed: amqp://…")


class _Assembly:
    """The parts of one process, and the order in which they stop."""

    def __init__(self, bridge: Bridge, roles: frozenset[Role]) -> None:
        self._bridge = bridge
        self._settings = bridge.loaded.settings
        self._database = bridge.database
        self._roles = roles
        self._worker = _worker(bridge.loaded)
        self._metrics = Metrics(bridge.database.clock)
        self._tell = bool(self._settings.queue.url.get_secret_value())
        self._parts: dict[str, Part] = {}
        self._stops: list[Stop] = []
        self._team: Team | None = None

    async def put_together(self, fetcher: PhotoFetcher) -> Service:
        """Make the parts of every role; what the others need at their stop stops last."""
        if not self._database.is_sqlite:
            self._add_team()
        if Role.INTAKE in self._roles:
            await self._add_intake()
        if Role.DISPATCH in self._roles:
            await self._add_dispatch(fetcher)
        if Role.WEB in self._roles:
            app = make_app(self._parts, self._database, self._metrics)
            self._parts["web"] = WebServer(self._settings.web, app)
        if self._team:
            self._stops.append(Stop("workers", self._team.leave))
        return Service(self._parts, self._stops, self._settings.service.stop_timeout)

    def _add_team(self) -> None:
        me = Member(self._worker, frozenset(self._roles), __version__)
        needed = [role for role in Role if role is not Role.INTAKE or self._tell] if Role.WEB in self._roles else ()
        self._team = Team(self._database, me, self._bridge.bell.ring, needed)
        self._parts["workers"] = self._team

    async def _add_intake(self) -> None:
        await self._bridge.intake.replan()
        if self._tell:
            queue = AmqpIntake(self._settings.queue, self._accept, self._metrics.event)
            self._parts["queue"] = queue
            self._stops.append(Stop("queue", queue.stop_consuming))

    async def _accept(self, event: Event) -> Verdict:
        accepted = await self._bridge.intake.accept(event)
        self._metrics.accepted(event.time)
        return accepted.verdict

    async def _add_dispatch(self, fetcher: PhotoFetcher) -> None:
        bridge, database, timing = self._bridge, self._database, self._settings.dispatch.timing
        store = WorkStore(
            database,
            bridge.policy.adapters,
            bridge.find_target,
            timing,
            worker=self._worker,
            tell=self._tell,
            random=Random(),
        )
        if database.is_sqlite:
            await store.release_all(database.clock())
        dispatcher = Dispatcher(
            store, bridge.adapters, timing, on_step=self._metrics.step, random=Random(), clock=database.clock
        )
        photos = PhotoDesk(database, bridge.intake, fetcher, database.clock)
        bridge.bell.listeners += [dispatcher.wake, photos.wake]
        self._parts["dispatcher"] = dispatcher
        self._parts["photos"] = self._led(photos)
        self._parts["expiry"] = self._led(Expiry(bridge.intake))
        days, configured = self._settings.retention.days, bridge.configured.by_digest
        erased = self._metrics.erased
        retention = Retention(database, days, configured, erased, busy=lambda: dispatcher.busy, clock=database.clock)
        self._parts["retention"] = self._led(retention)
        if self._tell:
            name = await _instance(database)
            notices = Notices(database)
            status = StatusPublisher(self._settings.queue, notices, name, busy=lambda: dispatcher.busy)
            self._parts["status"] = self._led(status)
            bridge.bell.listeners.append(status.wake)
        self._stops.append(Stop("dispatcher", dispatcher.stop))

    def _led(self, part: Part) -> Part:
        """Of many processes one runs it; an embedded store has no others."""
        return Led(part, self._team) if self._team else part


def _photo_fetcher(loaded: Loaded) -> PhotoFetcher:
    photos = loaded.settings.photos
    return PhotoFetcher(
        frozenset(photos.allow_hosts),
        max_bytes=photos.max_bytes,
        max_pixels=photos.max_pixels,
        max_side=photos.max_side,
        timeout=photos.timeout,
    )


def _worker(loaded: Loaded) -> str:
    name = loaded.settings.service.name or f"{socket.gethostname()}/{os.getpid()}"
    return f"{name[:40]}/{_PROCESS}"


async def _instance(database: Database) -> str:
    """Name this bridge for good, so that the ids of its status events never clash with another's."""
    return await database.write(cases.instance_name)


@contextmanager
def _only_one(loaded: Loaded) -> Iterator[None]:
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


async def back_up(loaded: Loaded, path: Path) -> Copied:
    """Copy the store to a file, while the bridge runs or not."""
    backup.check_there(loaded.settings.store.url.get_secret_value())
    database = open_database(loaded)
    try:
        return await backup.back_up(database, path)
    finally:
        await database.close()


async def restore(loaded: Loaded, path: Path, *, moved: bool) -> Copied:
    """Fill an empty store from a backup; ``moved``: nothing has run since it was made."""
    with _only_one(loaded):
        database = open_database(loaded)
        try:
            async with open_adapters(loaded, _NoOutbox()) as adapters:
                can = None if moved else {name: adapter.capabilities for name, adapter in adapters.items()}
            return await backup.restore(database, path, can, loaded.settings.dispatch.timing)
        finally:
            await database.close()


@asynccontextmanager
async def open_policy(loaded: Loaded) -> AsyncIterator[tuple[dict[str, Adapter], Configured]]:
    """Open adapters and policy without a store, for questions that change nothing."""
    async with open_adapters(loaded, _NoOutbox()) as adapters:
        capabilities = {name: adapter.capabilities for name, adapter in adapters.items()}
        yield adapters, load_policy(loaded, find_adapters(), capabilities)


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
        problems += configured.templates.check()
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(*problems)
    policy = configured.policy
    return f"good: {len(policy.targets)} targets, {len(policy.rules)} rules, templates complete"
