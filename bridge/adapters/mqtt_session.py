"""One short conversation with an MQTT 5 broker, and what its answers mean for a step."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from aiomqtt import Client, Message, MqttCodeError, MqttError, ProtocolVersion
from paho.mqtt.client import DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.core.errors import AdapterError, PermanentError, TransientError

MOST_WAITING = 100  # messages of a broker that we have not looked at yet
MOST_BESIDE = 65_536  # bytes of a message beside the state: its topic and properties, or an ack
PORTS = {"mqtt": 1883, "mqtts": 8883}
LONGEST = 200  # characters of a topic
# MQTT 5.0 section 2.4: what will be the same the next time. All other refusals are for now.
PERMANENT = frozenset(
    {0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8F, 0x90, 0x95, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0xA2}
)


class Place(NamedTuple):
    """Where a display listens."""

    host: str
    port: int
    topic: str
    tls: bool

    @property
    def ack(self) -> str:
        """Where the display says what it shows."""
        return f"{self.topic}/ack"

    @property
    def status(self) -> str:
        """Where it says that it is there, and its Last Will that it is not."""
        return f"{self.topic}/status"


def place_of(address: str) -> Place | None:
    """Read ``mqtt://host[:port]/topic`` or ``mqtts://…``; ``None`` when it is anything else."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        return None
    topic = parts.path.removeprefix("/")
    levels = topic.split("/")
    plain = address.isprintable() and not any(char in " +#?@\\" for char in address) and not topic.startswith("$")
    named = all(levels) and levels[-1] not in {"ack", "status"} and len(topic) <= LONGEST
    if parts.scheme not in PORTS or not host or port == 0 or not plain or not named:
        return None
    return Place(host, port or PORTS[parts.scheme], topic, parts.scheme == "mqtts")


def refusal(what: str, code: ReasonCode) -> AdapterError:
    """Tell what a broker's reason code means: nothing happened, and it will be the same again or not."""
    kind = PermanentError if code.value in PERMANENT else TransientError
    return kind(f"{what}: {code.getName()} (0x{code.value:02X})")


class _Newest(asyncio.Queue[Message]):
    """When it is full the oldest makes room: what was said last counts."""

    def put_nowait(self, item: Message) -> None:
        """Take one more."""
        if self.full():
            self.get_nowait()
        super().put_nowait(item)


class Session(Client):
    """A client that also keeps what the library leaves out: that a broker refused what was published, and why.

    ``most``: bytes of the largest state. The broker is asked to pass on nothing much larger, whoever published it.
    """

    def __init__(self, place: Place, secret: str | None, tls: ssl.SSLContext | None, seconds: float, most: int) -> None:
        user, _, password = (secret or "").partition(":")
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        limits.MaximumPacketSize = most + MOST_BESIDE
        super().__init__(
            place.host,
            place.port,
            username=user or None,
            password=password or None,
            protocol=ProtocolVersion.V5,
            timeout=seconds,
            keepalive=max(5, math.ceil(4 * seconds)),
            tls_context=tls,
            queue_type=_Newest,
            max_queued_incoming_messages=MOST_WAITING,
            properties=limits,
        )
        self._client.connect_timeout = seconds
        self._refused: ReasonCode | None = None

    async def __aenter__(self) -> Self:
        """Connect; what comes about after we gave it up hangs up then, and what never does at the next keep-alive."""
        try:
            return await super().__aenter__()
        except asyncio.CancelledError:  # a thread may be at it still
            self._client.on_connect = lambda client, *_: client.disconnect()
            self._client.on_disconnect = None  # the library's own looks at what was given up
            raise
        except MqttError:
            self._client.on_disconnect = None
            self._client.disconnect()
            raise

    async def watch(self, topics: Sequence[str]) -> None:
        """Subscribe to topics; what is retained comes first."""
        options = SubscribeOptions(qos=1, noLocal=True)
        for code in await self.subscribe([(topic, options) for topic in topics]):
            if isinstance(code, ReasonCode) and code.is_failure:
                raise refusal("the broker refuses to let us listen", code)

    async def put(self, topic: str, payload: bytes, seconds: int | None) -> None:
        """Have the broker keep a payload for so long; raise ``MqttError`` when it did not say that it does."""
        properties = None
        if seconds is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = seconds
        await self.publish(topic, payload, qos=1, retain=True, properties=properties)
        if self._refused is not None:
            raise refusal("the broker refuses the text", self._refused)
        if self._disconnected.done():
            raise MqttError("the broker hung up")

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            self._refused = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_disconnect(
        self,
        client: Any,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and reason_code.value in PERMANENT:
            self._refused = reason_code
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if self._disconnected.done():
            self._disconnected.exception()  # looked at: asyncio need not complain in the log that nobody did
        for published in self._pending_publishes.values():  # nobody will answer any more
            published.set()


@asynccontextmanager
async def open_session(
    place: Place, secret: str | None, tls: ssl.SSLContext | None, seconds: float, most: int
) -> AsyncIterator[Session]:
    """Connect for one step, each stage of it within ``seconds``; raise what a failure to connect means."""
    try:
        session = Session(place, secret, tls, seconds, most)
        await session.__aenter__()
    except MqttCodeError as error:
        if isinstance(error.rc, ReasonCode):
            raise refusal("the broker refuses the connection", error.rc) from error
        raise TransientError(f"the broker refuses the connection ({error.rc})") from error
    except MqttError as error:
        raise _no_connection(error) from error
    except ValueError as error:
        raise PermanentError("the address or the login is nothing that MQTT can carry") from error
    try:
        yield session
    finally:
        with suppress(MqttError):  # what was to be done is done, or has said what it met
            await session.__aexit__(None, None, None)


def _no_connection(error: MqttError) -> AdapterError:
    """Tell what an attempt to connect met; the library keeps the cause only as the context."""
    cause = error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return PermanentError(f"the broker's certificate is not trusted ({cause.verify_message})")
    return TransientError(f"no connection to the broker ({getattr(cause, 'strerror', None) or error})")
