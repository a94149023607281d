"""A bridge on a bench: the real process between a real broker and simulated places, which the test holds in its hand."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import yaml

from bridge.simulators.board import BoardSimulator
from bridge.simulators.graph import GraphSimulator
from bridge.simulators.smtp_sink import SmtpSink
from tests.e2e.process import PATIENCE, Answer, Running, command, until
from tests.e2e.warm import Warm
from tests.integration.broker_bench import Bench as Broker
from tests.integration.broker_bench import open_bench as open_broker

TEXT = "Jongen van 8 jaar vermist in de Merenwijk. Hij draagt een rode jas."
FOUND = "De jongen is terecht. Dank voor het uitkijken."
INSTRUCTION = "Gezien? Bel 112."
AREA = {"circle": ["52.180,4.495 2.0"]}
TOKEN = "EAAonlyforthistest"  # the page token; must never be seen in a log
SECRET = "whsec_bm90IGEgc2VjcmV0IG91dHNpZGUgdGhpcyB0ZXN0"  # the boards' signing secret; the same
WARM = Warm()
PAGES = [str(104857600 + number) for number in range(30)]
TYPES = {"opened": "alert.opened", "updated": "alert.updated", "ended": "alert.ended"}


def event(case: str, what: str, /, **changes: Any) -> bytes:
    """Write an event as JSON: ``opened``, ``updated`` or ``ended``. ``changes`` are of its data."""
    data: dict[str, Any] = {"outcome": "resolved"}
    if what != "ended":
        info = {"language": "nl", "headline": "Vermist: jongen (8)", "description": TEXT, "instruction": INSTRUCTION}
        data = {
            "status": "Actual",
            "category": "missing_child_alert",
            "urgency": "Immediate",
            "info": [info],
            "area": AREA,
        }
    fields = {
        "specversion": "1.0",
        "id": f"{case}-{what}-{time.time_ns()}",
        "source": "urn:nld:oin:00000001003214345000:systeem:proef",
        "type": f"nl.burgernet.{TYPES[what]}",
        "subject": case,
        "time": datetime.now(UTC).isoformat(),
        "data": data | changes,
    }
    return json.dumps(fields).encode()


def text_of(mail: EmailMessage) -> str:
    """Give the plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body
    return str(body.get_content())


class Bench:
    """One bridge, its settings and targets, and everything around it. ``open_bench`` makes it.

    ``settings`` and ``targets`` are written down at each start of the bridge, ``environment`` is what it gets.
    """

    def __init__(
        self,
        folder: Path,
        broker: Broker | None,
        store: str,
        boards: BoardSimulator,
        mails: SmtpSink,
        graph: GraphSimulator,
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.boards = boards
        self.mails = mails
        self.graph = graph
        self.targets: list[dict[str, Any]] = []
        self.bridges: list[Running] = []
        self.answers: list[Answer] = []
        self.before: tuple[str, ...] = ()  # words before the bridge's own
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
        self.environment |= {"FB_TOKEN": TOKEN, "BOARD_SECRET": SECRET}
        self.settings: dict[str, dict[str, Any]] = {
            "store": {"url": store or f"sqlite:///{folder}/bridge.db"},
            "web": {"port": 0},
            "log": {"format": "json"},
            "adapters": {
                "http_sign": {"timeout": 3},
                "email": {"host": mails.host, "port": mails.port, "security": "none", "connections": 4},
                "facebook": {"base_url": graph.url, "connections": 4, "timeout": 3},
            },
            "dispatch": {},
        }
        if broker:
            names = broker.settings.model_dump(include={"name", "exchange", "dead_exchange", "status_exchange"})
            url = broker.settings.url.get_secret_value()
            queue = {f"BRIDGE_QUEUE__{name.upper()}": value for name, value in {**names, "url": url}.items()}
            self.environment |= queue

    # --- the places

    def add(self, *, boards: int = 0, mails: int = 0, pages: int = 0, admins: int = 0) -> None:
        """Add places that every alert is meant for."""
        sign = {"columns": 16, "rows": 5, "pages": 4}
        town = {"name": "Proefstad", "kind": "municipality"}
        someone = {"name": "Iemand", "kind": "citizen"}
        for name in (f"bord-{number}" for number in range(boards)):
            board = {"address": f"{self.boards.url}/{name}", "sign": sign, "secret_env": "BOARD_SECRET"}
            self._add(name, "sign", "http_sign", town, **board)
        for number in range(mails):
            self._add(f"mail-{number}", "email", "email", someone, address=f"lezer{number}@example.nl")
        for page in PAGES[:pages]:
            self._add(f"fb-{page}", "facebook", "facebook", town, address=page, secret_env="FB_TOKEN")
        for number in range(admins):
            self._add(f"beheerder-{number}", "outbox", "outbox", someone, address=f"wijk-{number}")

    def _add(self, name: str, channel: str, adapter: str, owner: dict[str, str], **more: Any) -> None:
        self.targets.append({"id": name, "channel": channel, "adapter": adapter, "owner": owner, **more})

    def received(self) -> Counter[str]:
        """Count the mails that each reader got."""
        return Counter(mail.recipient for mail in self.mails.messages)

    def mailboxes(self) -> dict[str, list[EmailMessage]]:
        """Give the mails of each reader, in the order in which they came."""
        boxes: dict[str, list[EmailMessage]] = {}
        for mail in self.mails.messages:
            boxes.setdefault(mail.recipient, []).append(mail.message)
        return boxes

    def lit(self) -> int:
        """Count the boards that show anything."""
        return len(self.boards.everything())

    def shown(self, board: str) -> dict[str, Any]:
        """Give the one body that a board shows."""
        [body] = self.boards.shown(board).values()
        return body

    def happened(self, verb: str) -> list[float]:
        """Give the moments (``time.monotonic``) at which boards did what a verb asks."""
        return [entry.at for entry in self.boards.history if entry.verb == verb]

    def published(self) -> Counter[str]:
        """Count the posts that were ever published on each page."""
        return Counter(entry.page for entry in self.graph.history if entry.action == "published")

    def posts_asked(self) -> int:
        """Count the requests for a post, answered or not."""
        return sum(1 for method, path in self.graph.calls if method == "POST" and path.endswith(("/feed", "/photos")))

    # --- the bridge

    def write(self) -> Path:
        """Write settings and targets down; give the path of bridge.yaml."""
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        (config / "targets.json").write_text(json.dumps({"targets": self.targets}))
        file = config / "bridge.yaml"
        file.write_text(yaml.safe_dump({**self.settings, "targets": "targets.json"}))
        return file

    async def start(self, *roles: str, ready: bool = True) -> Running:
        """Start a bridge, or only some of its roles, and wait until it is ready."""
        self.write()
        log = self.folder / f"bridge-{len(self.bridges)}.log"
        words = [word for role in roles for word in ("--role", role)]
        bridge = await Running.start(self.folder, self.environment, log, *words, before=self.before)
        self.bridges.append(bridge)
        if ready and roles and "web" not in roles:
            await bridge.until_logged("ready")
        elif ready:
            await bridge.ready()
        return bridge

    async def run(self, *words: str, code: int | None = 0, stdin: bytes = b"", cold: bool = False) -> Answer:
        """Run another command beside it, which must end with ``code`` (``None``: any); ``cold``: from the very start of the program."""
        if cold:
            answer = await command(*words, folder=self.folder, environment=self.environment, stdin=stdin)
        else:
            answer = Answer(**await WARM.run(words, self.folder, self.environment, stdin))
        self.answers.append(answer)
        assert code in (None, answer.code), f"{words}: {answer}"
        return answer

    async def publish(self, *events: bytes) -> float:
        """Put events on the broker's exchange; give the moment at which it has them all."""
        assert self.broker, "this bench has no broker"
        for body in events:
            key = json.loads(body)["type"].removeprefix("nl.burgernet.")
            await self.broker.put(body, key=key, content_type="application/cloudevents+json")
        return time.monotonic()

    async def status(self, case: str) -> dict[str, Any]:
        """Ask ``status CASE --json``."""
        found = (await self.run("status", case, "--json")).json["cases"]
        assert len(found) == 1
        return dict(found[0])

    async def known(self) -> set[str]:
        """Name the cases that the bridge knows."""
        return {one["case"] for one in (await self.run("status", "--json")).json["cases"]}

    async def until_settled(self, case: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Ask for the status until the case is known and everything is as it should be; give it."""
        latest: dict[str, Any] = {}

        async def is_settled() -> bool:
            if not latest and case not in await self.known():
                return False  # the event is still on its way
            latest.update(await self.status(case))
            return all(posting["settled"] for posting in latest["postings"])

        try:
            await until(is_settled, f"{case} is settled", seconds)
        except AssertionError as error:
            open_ends = [posting for posting in latest.get("postings", []) if not posting["settled"]]
            raise AssertionError(f"{error}: {open_ends}") from None
        return latest

    @staticmethod
    def clock() -> float:
        """Give the moment, on the clock of the boards' history."""
        return time.monotonic()

    def everything_said(self) -> str:
        """Give all that any process of this bench wrote to stdout, stderr or a log, but for what JSON was asked for."""
        said = [bridge.text for bridge in self.bridges]
        return "\n".join([*said, *(answer.err for answer in self.answers)])


@asynccontextmanager
async def open_bench(folder: Path, amqp_url: str = "", store: str = "") -> AsyncIterator[Bench]:
    """Open a bench with queues of its own; without ``amqp_url`` without a broker. Nothing of it is left at the end."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(open_broker(amqp_url)) if amqp_url else None
        boards = await stack.enter_async_context(BoardSimulator(secret=SECRET))
        mails = await stack.enter_async_context(SmtpSink())
        graph = await stack.enter_async_context(GraphSimulator(dict.fromkeys(PAGES, TOKEN)))
        bench = Bench(folder, broker, store, boards, mails, graph)
        try:
            yield bench
        finally:
            await asyncio.gather(*(bridge.kill() for bridge in bench.bridges))
