"""An NTCIP 1203 sign that anyone can talk to over SNMP (v2c with a community, v3 with a user).

``burgernet-bridge simulate ntcip --port 1610`` runs it; ``snmpget -v2c -c public localhost:1610 …`` sees the same sign.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

from pysnmp.carrier.asyncio.dgram import udp, udp6
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413.cmdrsp import CommandResponderBase
from pysnmp.entity.rfc3413.context import SnmpContext
from pysnmp.proto.api import v2c
from pysnmp.proto.rfc1902 import Integer32, ObjectIdentifier, OctetString
from pysnmp.proto.rfc1905 import (
    EndOfMibView,
    GetNextRequestPDU,
    GetRequestPDU,
    NoSuchInstance,
    SetRequestPDU,
)
from rich.console import RenderableType

from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import pages_of, plain
from bridge.simulators.board_picture import draw
from bridge.simulators.fault import SLOW, Fault
from bridge.simulators.ntcip_memory import Refusal, Silence, Value
from bridge.simulators.ntcip_sign import SignState

USER, AUTH_PASSWORD, PRIV_PASSWORD = "burgernet", "geheim-genoeg", "nog-geheimer"  # of SNMPv3: SHA and AES
_DECISIVE = frozenset({names.ACTIVATE, names.TIME_REMAINING})  # what a mute sign does and does not answer
COLUMNS, ROWS = 24, 3  # of its picture: about what fits on it
SHORT = 4  # values in a datagram of a sign that takes only short ones
_ERRORS = {
    "tooBig": 1,
    "noSuchName": 2,
    "badValue": 3,
    "readOnly": 4,
    "genErr": 5,
    "noAccess": 6,
    "wrongType": 7,
    "wrongLength": 8,
    "notWritable": 17,
}


class NtcipSimulator:
    """One sign at one UDP port. It keeps what it shows while it does not listen."""

    known_faults: ClassVar[Collection[Fault]] = frozenset(Fault)

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        community: str = "public",
        slow: float = SLOW,
        sign: SignState | None = None,
    ) -> None:
        """Take port 0 for any free one; ``slow``: seconds that each answer takes with that fault."""
        self.sign = sign or SignState(time.monotonic)
        self._host = host
        self._port = port
        self._community = community
        self._slow = slow
        self._engine: SnmpEngine | None = None
        self._transport: Any = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """Where it listens, once it is started."""
        return self._port

    @property
    def faults(self) -> set[Fault]:
        """What it does wrong now; may be changed at any time."""
        return self.sign.faults

    @faults.setter
    def faults(self, faults: Collection[Fault]) -> None:
        self.sign.faults = set(faults)

    async def start(self) -> None:
        """Listen, at the same port as before."""
        engine = SnmpEngine()
        way, domain = (
            (udp6.Udp6Transport, udp6.DOMAIN_NAME) if ":" in self._host else (udp.UdpTransport, udp.DOMAIN_NAME)
        )
        transport = way(loop=asyncio.get_running_loop()).open_server_mode((self._host, self._port))
        config.add_transport(engine, domain, transport)
        config.add_v1_system(engine, "bridge", self._community)
        sha, aes = config.USM_AUTH_HMAC96_SHA, config.USM_PRIV_CFB128_AES
        config.add_v3_user(engine, USER, sha, AUTH_PASSWORD, aes, PRIV_PASSWORD)
        _Responder(engine, self, self._slow)
        while transport.transport is None:  # noqa: ASYNC110 - pysnmp opens it in a task of its own
            await asyncio.sleep(0)
        self._port = transport.transport.get_extra_info("sockname")[1]
        self._engine, self._transport = engine, transport

    async def stop(self) -> None:
        """Stop listening; what it shows stays."""
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None
            await asyncio.sleep(0)

    def reboot(self) -> None:
        """Lose power for a moment."""
        self.sign.reboot()

    def write(self, text: str) -> None:
        """Let the road authority show something of its own."""
        self.sign.overwrite(text)

    def shown(self) -> list[str]:
        """Give what people can read on it now."""
        return [self.sign.text] if self.sign.text else []

    def picture(self) -> RenderableType:
        """Draw its pages."""
        pages = pages_of(self.sign.buffer.multi) if self.sign.text else []
        faces = [(list(map(plain, lines)), f"page {number}") for number, lines in enumerate(pages, 1)]
        return draw(f"NTCIP sign, UDP port {self.port}", faces, COLUMNS, ROWS)


class _Responder(CommandResponderBase):  # type: ignore[misc]
    """Hands questions to the sign, and its answers to pysnmp."""

    SUPPORTED_PDU_TYPES = (GetRequestPDU.tagSet, GetNextRequestPDU.tagSet, SetRequestPDU.tagSet)

    def __init__(self, engine: SnmpEngine, simulator: NtcipSimulator, slow: float) -> None:
        super().__init__(engine, SnmpContext(engine))
        self._simulator = simulator
        self._slow = slow
        self._late: set[object] = set()

    def handle_management_operation(self, engine: SnmpEngine, reference: object, _context: object, pdu: Any) -> None:
        """Answer one request, now, late, or never."""
        sign, pairs = self._simulator.sign, v2c.apiPDU.get_varbinds(pdu)
        if Fault.UNREACHABLE in sign.faults:
            return
        try:
            error, answer = self._answer(pdu, pairs)
        except Silence:
            return
        if Fault.MUTE in sign.faults and any(str(name) in _DECISIVE for name, _ in pairs) and _is_set(pdu):
            return
        if Fault.SLOW not in sign.faults:
            self.send_varbinds(engine, reference, error, int(bool(error)), answer)
            return
        self._late.add(reference)
        asyncio.get_running_loop().call_later(self._slow, self._send_late, engine, reference, error, answer)

    def release_state_information(self, reference: object) -> None:
        """Forget a request, unless its answer is still to come."""
        if reference not in self._late:
            super().release_state_information(reference)

    def _send_late(self, engine: SnmpEngine, reference: object, error: int, answer: Any) -> None:
        self._late.discard(reference)
        if self._simulator._engine is engine:  # noqa: SLF001 - its own other half
            self.send_varbinds(engine, reference, error, int(bool(error)), answer)
        super().release_state_information(reference)

    def _answer(self, pdu: Any, pairs: Any) -> tuple[int, Any]:
        sign = self._simulator.sign
        if "short datagrams" in sign.quirks and len(pairs) > SHORT:
            return _ERRORS["tooBig"], pairs
        if _is_set(pdu):
            values: Mapping[str, Value] = {str(name): _plain(value) for name, value in pairs}
            try:
                sign.set(values)
            except Refusal as refusal:
                return _ERRORS[refusal.status], pairs
            return 0, pairs
        if pdu.tagSet == GetNextRequestPDU.tagSet:
            return 0, [self._next(tuple(name)) for name, _ in pairs]
        return 0, [(name, _typed(sign.get(str(name)))) for name, _ in pairs]

    def _next(self, after: tuple[int, ...]) -> tuple[Any, Any]:
        sign = self._simulator.sign
        later = [key for name in sign.names() if (key := tuple(map(int, name.split(".")))) > after]
        if not later:
            return ObjectIdentifier(after), EndOfMibView("")
        name = ".".join(map(str, min(later)))
        return ObjectIdentifier(name), _typed(sign.get(name))


def _is_set(pdu: Any) -> bool:
    return bool(pdu.tagSet == SetRequestPDU.tagSet)


def _plain(value: Any) -> Value:
    return bytes(value.asOctets()) if isinstance(value, OctetString) else int(value)


def _typed(value: Value | None) -> Any:
    if value is None:
        return NoSuchInstance("")
    return Integer32(value) if isinstance(value, int) else OctetString(value)
