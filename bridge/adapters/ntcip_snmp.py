"""The way to one sign: SNMP GET and SET with plain numbers and octets, and what its refusals mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_MD5,
    USM_AUTH_HMAC96_SHA,
    USM_AUTH_HMAC192_SHA256,
    USM_AUTH_NONE,
    USM_PRIV_CBC56_DES,
    USM_PRIV_CFB128_AES,
    USM_PRIV_NONE,
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    Udp6TransportTarget,
    UdpTransportTarget,
    UsmUserData,
    get_cmd,
    set_cmd,
)
from pysnmp.proto import errind
from pysnmp.proto.rfc1902 import Integer32, OctetString
from pysnmp.proto.rfc1905 import EndOfMibView, NoSuchInstance, NoSuchObject

from bridge.core.errors import InvalidInput, PermanentError, TransientError

Value = int | bytes
READ_ONLY = frozenset({"noSuchName", "readOnly", "noAccess", "notWritable", "authorizationError"})
_ALL_OR_NOTHING = frozenset({"noSuchName", "tooBig"})  # of SNMPv1, one for all; and for short datagrams: ask in halves
_AUTH = {"MD5": USM_AUTH_HMAC96_MD5, "SHA": USM_AUTH_HMAC96_SHA, "SHA256": USM_AUTH_HMAC192_SHA256}
_PRIV = {"DES": USM_PRIV_CBC56_DES, "AES": USM_PRIV_CFB128_AES}
_MISSING = (NoSuchObject, NoSuchInstance, EndOfMibView)
# The last two: it was switched off, or is another one.
_SILENT = (errind.RequestTimedOut, errind.NotInTimeWindow, errind.UnknownEngineID)
_LOGIN = {
    "the sign does not know this user (SNMPv3)": (errind.UnknownUserName, errind.UnknownSecurityName),
    "the sign refuses the first password (SNMPv3: is it SHA?)": (errind.WrongDigest, errind.AuthenticationFailure),
    "the second password does not open the sign (SNMPv3: is it AES?)": (errind.DecryptionError, errind.EncryptionError),
    "the sign wants more passwords of this user, or fewer (SNMPv3)": (errind.UnsupportedSecurityLevel,),
}
RENEWED = 30.0  # seconds between two new engines, which cost some 70 ms each
LEFT = 120.0  # seconds until an engine that was left is closed: longer than any step
_SHORTEST_KEY = 8  # RFC 3414, 11.2

# What a sign's secret may be; it is never repeated in an error.
SECRET = "a community, or v1:COMMUNITY, v3:USER, v3:USER:SHA:PASSWORD, v3:USER:SHA:PASSWORD:AES:PASSWORD"  # noqa: S105 - the form


class Refused(Exception):
    """The sign answered with an error: its name in SNMP (``genErr``, ``badValue``, …)."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class NoAnswer(Exception):
    """The sign did not answer; what was asked may have happened."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request waits for its answer, in seconds, and how often it is repeated."""

    seconds: float
    repeats: int


def credentials(secret: str | None) -> CommunityData | UsmUserData:
    """Read a target's secret; raise ``InvalidInput`` that does not repeat it."""
    if secret is not None and secret.startswith("v1:"):
        if len(secret) == len("v1:"):
            raise InvalidInput(f"secret: is not allowed; allowed: {SECRET}")
        return CommunityData(secret.removeprefix("v1:"), mpModel=0)  # noqa: S508 - older signs speak nothing else
    if secret is None or not secret.startswith("v3:"):
        return CommunityData(secret or "public", mpModel=1)  # noqa: S508 - what most signs in the street speak
    user, *rest = secret.removeprefix("v3:").split(":")
    auth, auth_key, priv, priv_key = [*rest, "", "", "", ""][:4]
    known = (not auth or auth in _AUTH) and (not priv or (priv in _PRIV and bool(auth)))
    whole = len(rest) in (0, 2, 4) and all(len(key) >= _SHORTEST_KEY for key in rest[1::2])
    if not user or not known or not whole:
        ways = f"MD5, SHA or SHA256, and DES or AES, with passwords of at least {_SHORTEST_KEY} characters"
        raise InvalidInput(f"secret: is not allowed; allowed: {SECRET}; {ways}")
    return UsmUserData(
        user,
        auth_key or None,
        priv_key or None,
        authProtocol=_AUTH[auth] if auth else USM_AUTH_NONE,
        privProtocol=_PRIV[priv] if priv else USM_PRIV_NONE,
    )


class Engines:
    """The socket to all signs. For minutes pysnmp takes nobody else at an address than who answered there (SNMPv3).

    So after a silence in version 3 whoever asks next begins anew: the sign may have been replaced. Others go on.
    """

    def __init__(self) -> None:
        self._engine: SnmpEngine | None = None
        self._born = 0.0
        self._left: set[SnmpEngine] = set()

    def current(self) -> SnmpEngine:
        """Give the engine, which makes itself when it is first asked for."""
        if self._engine is None:
            self._engine, self._born = SnmpEngine(), asyncio.get_running_loop().time()
        return self._engine

    def doubt(self, engine: SnmpEngine) -> None:
        """Let others begin anew, once a while; what is under way with the old one may end."""
        loop = asyncio.get_running_loop()
        if engine is not self._engine or loop.time() - self._born < RENEWED:
            return
        self._engine = None
        self._left.add(engine)
        loop.call_later(LEFT, self._close, engine)

    def _close(self, engine: SnmpEngine) -> None:
        if engine in self._left:
            self._left.discard(engine)
            engine.close_dispatcher()

    def close(self) -> None:
        """Close every socket."""
        for engine in [*self._left, *([self._engine] if self._engine else [])]:
            engine.close_dispatcher()
        self._engine = None
        self._left.clear()


class Line:
    """One sign, asked in plain numbers and octets."""

    def __init__(self, engines: Engines, host: str, port: int, secret: str | None, patience: Patience) -> None:
        self._engines = engines
        self._engine = engines.current()
        self._place = (host, port)
        self._patience = patience
        self._who = credentials(secret)
        self._way: UdpTransportTarget | Udp6TransportTarget | None = None

    async def get(self, *names: str) -> list[Value | None]:
        """Read values; ``None`` where the sign has no such thing. Nothing happens by it: an error is one of two."""
        try:
            rows = await self._ask(get_cmd, [ObjectType(_identity(name)) for name in names])
        except NoAnswer as error:
            raise TransientError(
                "no answer from the sign (is it on, is the address right, and the community?)"
            ) from error
        except Refused as error:
            if error.status in _ALL_OR_NOTHING and len(names) > 1:
                half = len(names) // 2
                return [*await self.get(*names[:half]), *await self.get(*names[half:])]
            if error.status == "noSuchName":
                return [None]
            kind = PermanentError if error.status in READ_ONLY else TransientError
            raise kind(f"the sign refuses to be read: {error.status}") from error
        if [str(name) for name, _ in rows] != list(names):
            raise TransientError("the sign answers something else than it was asked")
        return [_plain(value) for _, value in rows]

    async def number(self, name: str, otherwise: int = 0) -> int:
        """Read one number."""
        [value] = await self.get(name)
        return value if isinstance(value, int) else otherwise

    async def set(self, values: Mapping[str, Value]) -> None:
        """Write values, all or none; raise ``Refused`` or ``NoAnswer``."""
        await self._ask(set_cmd, [ObjectType(_identity(name), _typed(value)) for name, value in values.items()])

    async def _ask(self, command: Any, pairs: Sequence[ObjectType]) -> Any:
        if self._way is None:
            try:
                kind = Udp6TransportTarget if ":" in self._place[0] else UdpTransportTarget
                self._way = await kind.create(
                    self._place, timeout=self._patience.seconds, retries=self._patience.repeats
                )
            except PySnmpError as error:  # it wraps what the resolver says
                raise TransientError("the address of the sign cannot be found") from error
        failed, status, _, rows = await command(
            self._engine, self._who, self._way, ContextData(), *pairs, lookupMib=False
        )
        if isinstance(failed, _SILENT):
            if isinstance(self._who, UsmUserData):
                self._engines.doubt(self._engine)
            raise NoAnswer(str(failed))
        if failed:
            known = (why for why, kinds in _LOGIN.items() if isinstance(failed, kinds))
            raise PermanentError(next(known, f"SNMP: {failed}"))
        if status:
            raise Refused(status.prettyPrint() if hasattr(status, "prettyPrint") else str(status))
        return rows


@lru_cache(maxsize=4096)
def _identity(name: str) -> ObjectIdentity:
    """Give the name for pysnmp, which looks each up among its MIBs once: that is most of what a request costs."""
    return ObjectIdentity(name)


def _typed(value: Value) -> Integer32 | OctetString:
    return Integer32(value) if isinstance(value, int) else OctetString(value)


def _plain(value: Any) -> Value | None:
    if isinstance(value, _MISSING):
        return None
    if isinstance(value, OctetString):
        return bytes(value.asOctets())
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
