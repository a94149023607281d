"""The other side of every channel, on free ports of this machine, and the configuration that leads the bridge there."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from bridge.core.target import Sign
from bridge.demo.picture import invented_photo
from bridge.simulators.board import BoardSimulator
from bridge.simulators.graph import GraphSimulator
from bridge.simulators.smtp_sink import SmtpSink

PAGE = "104857600"
GEMEENTE = {"name": "Gemeente Leiden (verzonnen)", "kind": "municipality"}
LEIDEN = {"geocode": [{"valueName": "gemeente", "value": "GM0546"}]}
SIGNS: Mapping[str, Sign] = {
    "bord-a44": Sign(columns=16, rows=5, pages=4),
    "lichtkrant": Sign(columns=18, rows=5, pages=3, photo=True),
    "halte": Sign(columns=20, rows=5, pages=1),
    "reclamezuil": Sign(columns=20, rows=5, pages=4, photo=True),
}
NEVER = frozenset({"reclamezuil", "mail-piet", "beheerder-stevenshof"})
"""Places that no alert of the story may reach: a commercial screen, and people outside the area."""
PAGE_ID = "facebook"
READERS: Mapping[str, str] = {
    "ans@leiden.example": "mail-ans",
    "joris@leiden.example": "mail-joris",
    "emma@leiden.example": "mail-emma",
    "piet@lisse.example": "mail-piet",
}
ADMINS: Mapping[str, str] = {"merenwijk": "beheerder-merenwijk", "stevenshof": "beheerder-stevenshof"}
CHANNELS: Mapping[str, str] = {
    "bord-a44": "sign",
    **dict.fromkeys(("lichtkrant", "halte", "reclamezuil"), "display"),
    **dict.fromkeys(READERS.values(), "email"),
    PAGE_ID: "facebook",
    **dict.fromkeys(ADMINS.values(), "outbox"),
}


class PhotoHost:
    """The web server that a control room keeps its photos on."""

    def __init__(self) -> None:
        self.port = 0
        self._photo = invented_photo()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the photo is."""
        return f"http://127.0.0.1:{self.port}/foto.jpg"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/foto.jpg", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, _: web.Request) -> web.Response:
        return web.Response(body=self._photo, content_type="image/jpeg")


class World:
    """Boards, a mail server, a Graph API and a photo host; ``config`` is the ``bridge.yaml`` that knows them all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "bridge.yaml"
        self.mails = directory / "mails"
        self.log = directory / "bridge.log"
        self._signing = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
        self._token = f"EAA{secrets.token_hex(20)}"
        self._app_secret = secrets.token_hex(16)
        self.boards = {name: BoardSimulator(secret=self._signing, control=True) for name in SIGNS}
        self.unreachable: set[str] = set()
        self.sink = SmtpSink(directory=self.mails)
        self.graph = GraphSimulator({PAGE: self._token}, self._app_secret)
        self.photos = PhotoHost()
        self._stack = AsyncExitStack()

    @property
    def secrets(self) -> list[str]:
        """What must never be read in a log."""
        return [self._signing, self._signing.removeprefix("whsec_"), self._token, self._app_secret]

    @property
    def database(self) -> Path:
        """The bridge's SQLite file."""
        return self.directory / "bridge.db"

    async def __aenter__(self) -> Self:
        parts: list[AbstractAsyncContextManager[Any]] = [*self.boards.values(), self.sink, self.graph, self.photos]
        for part in parts:
            await self._stack.enter_async_context(part)
        self._write_files()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def cut_off(self, board: str) -> None:
        """Let a board be unreachable: its port is closed, and what is lit stays lit."""
        self.unreachable.add(board)
        await self.boards[board].stop()

    async def reconnect(self, board: str) -> None:
        """Open the port of a board again."""
        await self.boards[board].start()
        self.unreachable.discard(board)

    def _write_files(self) -> None:
        for name, secret in (("board", self._signing), ("page", self._token), ("app", self._app_secret)):
            file = self.directory / f"{name}.secret"
            file.touch(mode=0o600)
            file.write_text(secret, "utf-8")
        (self.directory / "targets.yaml").write_text(_yaml({"targets": self._targets()}), "utf-8")
        self.config.write_text(_yaml(self._settings()), "utf-8")

    def _settings(self) -> dict[str, Any]:
        """No rules and no templates are named: those that come with the bridge hold. Waits are short, to be seen."""
        return {
            "targets": "targets.yaml",
            "store": {"url": f"sqlite:///{self.database}"},
            "web": {"port": 0},
            "photos": {"allow_hosts": [f"127.0.0.1:{self.photos.port}"], "wait": 5},
            "dispatch": {
                "retry_base": 0.1,
                "retry_max": 0.4,
                "urgent_max": 0.4,
                "looks": [0.3, 0.5, 1, 2],
                "checks": [0.5, 2],
                "check_interval": 3,
            },
            "log": {"level": "debug", "format": "json"},
            "service": {"stop_timeout": 3},
            "adapters": {
                "email": {
                    "host": self.sink.host,
                    "port": self.sink.port,
                    "security": "none",
                    "sender": "Burgernet Leiden <burgernet@leiden.example>",
                },
                "facebook": {"base_url": self.graph.url, "app_secret_file": "app.secret"},
            },
        }

    def _targets(self) -> list[dict[str, Any]]:
        merenwijk = {"lat": 52.180, "lon": 4.495}
        return [
            self._board("bord-a44", "sign", GEMEENTE, {"lat": 52.172, "lon": 4.480}),
            self._board("lichtkrant", "display", GEMEENTE, {"lat": 52.175, "lon": 4.490}),
            self._board("halte", "display", {"name": "Streekvervoer", "kind": "public_transport"}, merenwijk),
            self._board("reclamezuil", "display", {"name": "Schermen BV", "kind": "commercial"}, merenwijk),
            _reader("ans@leiden.example", "Ans", LEIDEN),
            _reader("joris@leiden.example", "Joris", {"circle": ["52.180,4.495 3.0"]}),
            _reader("emma@leiden.example", "Emma", LEIDEN, ["en", "nl"]),
            _reader("piet@lisse.example", "Piet", {"circle": ["52.258,4.557 2.0"]}),
            {
                "id": PAGE_ID,
                "channel": "facebook",
                "adapter": "facebook",
                "address": PAGE,
                "secret_file": "page.secret",
                "owner": GEMEENTE,
                "coverage": LEIDEN,
            },
            _admin("merenwijk", {"circle": ["52.180,4.495 1.5"]}),
            _admin("stevenshof", {"circle": ["52.155,4.453 1.0"]}),
        ]

    def _board(self, name: str, channel: str, owner: dict[str, str], location: dict[str, float]) -> dict[str, Any]:
        return {
            "id": name,
            "channel": channel,
            "adapter": "http_sign",
            "address": f"{self.boards[name].url}/{name}",
            "secret_file": "board.secret",
            "owner": owner,
            "location": location,
            "sign": SIGNS[name].model_dump(),
            "languages": ["nl"],
        }


def _reader(address: str, name: str, coverage: dict[str, Any], languages: list[str] | None = None) -> dict[str, Any]:
    return {
        "id": READERS[address],
        "channel": "email",
        "adapter": "email",
        "address": address,
        "owner": {"name": name, "kind": "citizen"},
        "coverage": coverage,
        "languages": languages or [],
    }


def _admin(name: str, coverage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": ADMINS[name],
        "channel": "outbox",
        "adapter": "outbox",
        "address": name,
        "owner": {"name": f"Beheerder {name.title()}", "kind": "citizen"},
        "coverage": coverage,
    }


def _yaml(value: dict[str, Any]) -> str:
    plain = json.loads(json.dumps(value))  # no anchors for what stands in two places
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
