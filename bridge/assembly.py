"""Puts one running process together: the parts of its roles, and the order in which they stop."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from random import Random

import structlog
from aiohttp import web

from bridge import __version__
from bridge.adapters.email import EmailConfig
from bridge.adapters.operators import OperatorHook, OperatorMail
from bridge.adapters.registry import find_adapters
from bridge.bootstrap import Bridge, only_one, open_bridge
from bridge.core.case import Verdict
from bridge.core.errors import InvalidInput
from bridge.core.events import Event
from bridge.core.ports import Part
from bridge.core.trace import UNTRACED, Tracer
from bridge.dispatch.dispatcher import Dispatcher
from bridge.dispatch.escalation import Escalation, Limits, Way
from bridge.dispatch.parts import Expiry, PhotoDesk
from bridge.dispatch.photo_fetch import PhotoFetcher
from bridge.dispatch.planner import Planner
from bridge.dispatch.retention import Retention
from bridge.dispatch.team import Led, Team
from bridge.dispatch.watch import Auditor, Heartbeat
from bridge.intake.amqp import AmqpIntake
from bridge.intake.status import StatusPublisher
from bridge.policy import adapter_configs
from bridge.reload import Reloader, read_anew
from bridge.service import Role, Service, Stop
from bridge.settings import Loaded
from bridge.store import cases
from bridge.store.database import PROCESS, Database, read_url
from bridge.store.notices import Notices
from bridge.store.work import WorkStore
from bridge.store.workers import Member
from bridge.web.displays import DisplayPages
from bridge.web.metrics import Metrics
from bridge.web.orders import OrderPages
from bridge.web.server import WebServer, make_app

YOUNG = 10_000  # new objects after which Python looks for garbage: after its 700, that takes a tenth of a fan-out

log = structlog.get_logger()


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
        # What is there by now stays. To look through it (150,000 objects) at each full collection would stop the loop
        # for tens of milliseconds, and an ending may be waiting.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, 10, 10)
        await service.run()


@asynccontextmanager
async def assembled(loaded: Loaded, roles: Collection[Role] = ()) -> AsyncIterator[tuple[Bridge, Service]]:
    """Put together the bridge, or only some of its roles, ready to run.

    ``BridgeError`` when another one runs on the same embedded store, which serves one process with all roles.
    """
    _check_roles(loaded, roles)
    metrics = Metrics()
    with only_one(loaded):
        async with (
            _tracer(loaded, metrics) as tracer,
            open_bridge(loaded, tracer) as bridge,
            _photo_fetcher(loaded) as fetcher,
            AsyncExitStack() as stack,
        ):
            assembly = _Assembly(bridge, frozenset(roles or Role), metrics, tracer, stack)
            yield bridge, await assembly.put_together(fetcher)


@asynccontextmanager
async def _tracer(loaded: Loaded, metrics: Metrics) -> AsyncIterator[Tracer]:
    """Trace if that is asked for; OpenTelemetry is not even loaded where it is not."""
    if not loaded.settings.tracing.endpoint:
        yield UNTRACED
        return
    from bridge.tracing import open_tracer  # noqa: PLC0415

    async with open_tracer(loaded.settings.tracing, _worker(loaded), metrics.spans_dropped) as tracer:
        yield tracer


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

    def __init__(
        self, bridge: Bridge, roles: frozenset[Role], metrics: Metrics, tracer: Tracer, stack: AsyncExitStack
    ) -> None:
        self._stack = stack  # what is opened for the process, and closed when it ends
        self._bridge = bridge
        self._settings = bridge.loaded.settings
        self._database = bridge.database
        self._roles = roles
        self._worker = _worker(bridge.loaded)
        self._metrics = metrics
        self._tracer = tracer
        self._tell = bool(self._settings.queue.url.get_secret_value())
        self._parts: dict[str, Part] = {}
        self._stops: list[Stop] = []
        self._team: Team | None = None
        self._busy: list[Callable[[], bool]] = []  # who has so much to do that what can wait should
        self._on_change: list[Callable[[], None]] = []  # who must know that another policy decides

    async def put_together(self, fetcher: PhotoFetcher) -> Service:
        """Make the parts of every role; what the others need at their stop stops last."""
        if not self._database.is_sqlite:
            self._add_team()
        if Role.INTAKE in self._roles:
            self._add_intake()
        if Role.DISPATCH in self._roles:
            await self._add_dispatch(fetcher)
        reloader = self._add_reloader()
        if Role.WEB in self._roles:
            app = make_app(self._parts, self._database, self._metrics)
            self._add_displays(app)
            self._parts["web"] = WebServer(self._settings.web, app)
        if self._team:
            self._stops.append(Stop("workers", self._team.leave))
        return Service(self._parts, self._stops, self._settings.service.stop_timeout, reloader.hang_up)

    def _add_displays(self, app: web.Application) -> None:
        bridge, settings = self._bridge, self._settings.display
        coat = bridge.loaded.path(settings.coat_of_arms) if settings.coat_of_arms else None
        pages = DisplayPages(bridge.displays, lambda: bridge.policy.targets, settings, coat, self._database.clock)
        pages.add_to(app)
        OrderPages(bridge.orders).add_to(app)
        bridge.displays.listeners.append(pages.wake)
        bridge.bell.listeners.append(pages.wake)
        self._parts["displays"] = pages

    def _add_reloader(self) -> Reloader:
        bridge, types = self._bridge, find_adapters()
        capabilities = {name: adapter.capabilities for name, adapter in bridge.adapters.items()}
        read = partial(read_anew, bridge.loaded, types, capabilities)
        reloader = Reloader(self._database, bridge.current, read, self._worker, self._on_change)
        self._metrics.watch(reloader)
        self._parts["policy"] = reloader
        return reloader

    def _add_team(self) -> None:
        me = Member(self._worker, frozenset(self._roles), __version__)
        needed = [role for role in Role if role is not Role.INTAKE or self._tell] if Role.WEB in self._roles else ()
        self._team = Team(self._database, me, self._bridge.bell.ring, needed)
        self._parts["workers"] = self._team

    def _add_intake(self) -> None:
        if self._tell:
            queue = AmqpIntake(self._settings.queue, self._accept, self._metrics.event, tracer=self._tracer)
            self._parts["queue"] = queue
            self._busy.append(lambda: queue.busy)
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
            traced=self._tracer is not UNTRACED,
        )
        if database.is_sqlite:
            await store.release_all(database.clock())
        dispatcher = Dispatcher(
            store,
            bridge.adapters,
            timing,
            on_step=self._metrics.step,
            random=Random(),
            clock=database.clock,
            tracer=self._tracer,
        )
        wait = self._settings.photos.wait
        photos = PhotoDesk(database, bridge.intake, fetcher, database.clock, longest=wait)
        planner = Planner(bridge.intake)
        self._busy.append(lambda: dispatcher.busy)
        bridge.bell.listeners += [dispatcher.wake, photos.wake, planner.wake]
        self._parts["dispatcher"] = dispatcher
        self._parts["photos"] = self._led(photos)
        self._parts["planner"] = self._led(planner)
        self._parts["expiry"] = self._led(Expiry(bridge.intake))
        self._on_change += [store.forget_targets, planner.judge]
        await self._add_watches()
        days, erased = self._settings.retention.days, self._metrics.erased

        def configured() -> Collection[str]:
            return bridge.configured.by_digest

        retention = Retention(database, days, configured, erased, busy=self._is_busy, clock=database.clock)
        self._parts["retention"] = self._led(retention)
        if self._tell:
            name = await _instance(database)
            notices = Notices(database)
            status = StatusPublisher(self._settings.queue, notices, name, busy=self._is_busy)
            self._parts["status"] = self._led(status)
            bridge.bell.listeners.append(status.wake)
        self._stops.append(Stop("dispatcher", dispatcher.stop))

    async def _add_watches(self) -> None:
        """Add who looks whether all is as it should be, and who tells people that it is not."""
        settings, database = self._settings, self._database
        told = settings.escalation
        ways: list[Way] = []
        if told.mail:
            config = adapter_configs(self._bridge.loaded, find_adapters())["email"]
            ways.append(
                await self._stack.enter_async_context(OperatorMail(EmailConfig.model_validate(config), told.mail))
            )
        if url := told.webhook.get_secret_value():
            ways.append(OperatorHook(self._bridge.http, url))
        limits = Limits(told.place, told.remove, told.repeat)
        self._parts["escalation"] = self._led(Escalation(database, limits, ways, database.clock))
        lifetime = timedelta(seconds=settings.cases.max_lifetime)
        auditor = Auditor(database, lifetime, settings.watch.audit, database.clock)
        self._metrics.watch_audit(lambda: auditor.findings)
        self._parts["audit"] = self._led(auditor)
        if url := settings.watch.heartbeat.get_secret_value():
            beat = Heartbeat(url, settings.watch.interval, self._parts, database, auditor, self._bridge.http)
            self._parts["heartbeat"] = self._led(beat)

    def _is_busy(self) -> bool:
        return any(busy() for busy in self._busy)

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
    return f"{name[:40]}/{PROCESS}"


async def _instance(database: Database) -> str:
    """Name this bridge for good, so that the ids of its status events never clash with another's."""
    return await database.write(cases.instance_name)
