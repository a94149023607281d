"""What every answer of an MQTT broker means, what reaches it, and which addresses and logins are taken."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import aiomqtt
import pytest

from bridge.adapters.mqtt_session import PERMANENT, _Newest
from bridge.adapters.mqtt_sign import MqttSign
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Receipt
from tests.contract.mosquitto import Mosquitto, a_publish, free_port, needs_mosquitto, scripted
from tests.contract.mqtt_peers import TOPIC, a_content, a_display, a_posting, an_adapter

pytestmark = needs_mosquitto

# MQTT 5.0 table 3-1 (CONNACK), 3.4.2.1 (PUBACK) and 3.9.3 (SUBACK).
CONNACK = {
    0x80: TransientError,  # unspecified
    0x81: PermanentError,  # malformed packet
    0x82: PermanentError,  # protocol error
    0x83: TransientError,  # implementation specific
    0x84: PermanentError,  # unsupported protocol version
    0x85: PermanentError,  # client identifier not valid
    0x86: PermanentError,  # bad user name or password
    0x87: PermanentError,  # not authorized
    0x88: TransientError,  # server unavailable
    0x89: TransientError,  # server busy
    0x8A: PermanentError,  # banned
    0x8C: PermanentError,  # bad authentication method
    0x90: PermanentError,  # topic name invalid
    0x95: PermanentError,  # packet too large
    0x97: TransientError,  # quota exceeded
    0x9A: PermanentError,  # retain not supported
    0x9B: PermanentError,  # QoS not supported
    0x9C: PermanentError,  # use another server
    0x9D: PermanentError,  # server moved
    0x9F: TransientError,  # connection rate exceeded
}
PUBACK = {
    0x80: TransientError,
    0x83: TransientError,
    0x87: PermanentError,
    0x90: PermanentError,
    0x91: TransientError,  # packet identifier in use
    0x97: TransientError,
    0x99: PermanentError,
}
SUBACK = {
    0x80: TransientError,
    0x83: TransientError,
    0x87: PermanentError,
    0x8F: PermanentError,  # topic filter invalid
    0x91: TransientError,
    0x97: TransientError,
    0x9E: PermanentError,  # shared subscriptions not supported
    0xA2: PermanentError,  # wildcard subscriptions not supported
}
BRIEF = 2.0  # seconds for a step that meets silence


@pytest.mark.parametrize("code", CONNACK)
async def test_a_refused_connection(code: int) -> None:
    """Each reason of a CONNACK is permanent or for now, named with its number, for a step and for a probe."""
    async with scripted(connack=code) as port, an_adapter() as adapter:
        posting = a_posting(port)
        receipt = Receipt(posting)
        for step in (
            lambda: adapter.publish(posting, a_content()),
            lambda: adapter.retract(receipt),
            lambda: adapter.probe(posting.target),
        ):
            with pytest.raises((TransientError, PermanentError), match=f"0x{code:02X}") as raised:
                await step()
            assert raised.type is CONNACK[code]


@pytest.mark.parametrize("code", [0x99, 0xFE])
async def test_a_reason_that_the_library_does_not_know(code: int) -> None:
    """A code that paho cannot read (0x99, payload format invalid, is one) still means that nothing happened."""
    async with scripted(connack=code) as port, an_adapter(timeout=BRIEF) as adapter:
        with pytest.raises(TransientError, match="no connection"):
            await adapter.publish(a_posting(port), a_content())


@pytest.mark.parametrize("code", PUBACK)
@pytest.mark.parametrize("ack", [True, False])
async def test_a_refused_text(code: int, ack: bool) -> None:
    """Each reason of a PUBACK, which the library itself swallows, says that nothing was kept."""
    async with scripted(puback=code) as port, an_adapter(ack=ack) as adapter:
        with pytest.raises((TransientError, PermanentError), match=f"refuses the text.*0x{code:02X}") as raised:
            await adapter.publish(a_posting(port), a_content())
        assert raised.type is PUBACK[code]


@pytest.mark.parametrize("code", SUBACK)
async def test_a_refused_subscription(code: int) -> None:
    """Without the right to hear the display nothing is published."""
    async with scripted(suback=code) as port, an_adapter() as adapter:
        with pytest.raises((TransientError, PermanentError), match=f"listen.*0x{code:02X}") as raised:
            await adapter.publish(a_posting(port), a_content())
        assert raised.type is SUBACK[code]


def test_every_permanent_code_is_in_a_table() -> None:
    """No code is final without a test."""
    tables = CONNACK | PUBACK | SUBACK
    assert {code for code, error in tables.items() if error is PermanentError} == PERMANENT


@pytest.mark.parametrize("code", [0x00, 0x10])
async def test_a_kept_text_without_a_subscriber_is_kept(code: int) -> None:
    """Success, and "no matching subscribers", mean that the broker has it."""
    async with scripted(puback=code) as port, an_adapter(ack=False) as adapter:
        await adapter.publish(a_posting(port), a_content())


@pytest.mark.parametrize(
    ("goodbye", "error"),
    [(0x8B, OutcomeUnknown), (0x89, OutcomeUnknown), (0x95, PermanentError), (0x87, PermanentError)],
)
async def test_a_broker_that_hangs_up(goodbye: int, error: type[Exception]) -> None:
    """A broker that goes after a text leaves it unknown, unless it goes because of it; and we do not wait for more."""
    async with scripted(goodbye=goodbye) as port, an_adapter(timeout=60) as adapter, asyncio.timeout(5):
        with pytest.raises(error) as raised:
            await adapter.publish(a_posting(port), a_content())
        assert raised.type is error


async def test_a_broker_that_never_answers_a_text() -> None:
    """Silence after a text is an unknown outcome, within the timeout."""
    async with scripted(puback=None) as port, an_adapter(timeout=BRIEF) as adapter, asyncio.timeout(BRIEF):
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(a_posting(port), a_content())


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02\x00\x01", b"\x20\xff\xff\xff\xff"]
)
async def test_what_is_no_broker(answer: bytes) -> None:
    """Something that speaks no MQTT 5 got nothing that it could show; one that is too old is so for good."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, an_adapter(timeout=BRIEF) as adapter, asyncio.timeout(BRIEF):
        error = PermanentError if answer == b"\x20\x02\x00\x01" else TransientError
        with pytest.raises(error) as raised:
            await adapter.publish(a_posting(server.sockets[0].getsockname()[1]), a_content())
        assert raised.type is error


async def test_a_broker_that_accepts_and_is_silent() -> None:
    """A connection without a CONNACK costs a part of the timeout, nothing happened, and it is hung up."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, an_adapter(timeout=BRIEF) as adapter, asyncio.timeout(BRIEF):
        with pytest.raises(TransientError, match="no connection"):
            await adapter.publish(a_posting(server.sockets[0].getsockname()[1]), a_content())
        await gone.wait()


async def test_a_host_that_is_not_there() -> None:
    """An unknown name may be there later."""
    target = a_posting(1).target.model_copy(update={"address": "mqtt://no-such-broker.invalid/a"})
    async with an_adapter() as adapter:
        with pytest.raises(TransientError, match="no connection"):
            await adapter.probe(target)


async def test_login_and_rights(tmp_path: Path) -> None:
    """With mosquitto's own passwords and rights: the right login works, a wrong one and a missing right are final."""
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "brug", "ge:heim"], check=True)
    rights.write_text("user brug\ntopic readwrite leiden/#\ntopic read elders/#\n")
    settings = {"allow_anonymous": "false", "password_file": str(passwords), "acl_file": str(rights)}
    async with Mosquitto(tmp_path, **settings) as broker, an_adapter(ack=False) as adapter:
        await adapter.publish(a_posting(broker.port, "brug:ge:heim"), a_content())
        for secret in (None, "brug:fout", "niemand:ge:heim"):
            with pytest.raises(PermanentError, match=r"0x8[67]") as raised:
                await adapter.publish(a_posting(broker.port, secret), a_content())
            assert "fout" not in str(raised.value)
        with pytest.raises(PermanentError, match="refuses the text"):
            await adapter.publish(a_posting(broker.port, "brug:ge:heim", topic="elders/bord"), a_content())


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
async def test_tls(tmp_path: Path) -> None:
    """With TLS a broker is trusted by ca_file alone; without, or with another's certificate, nothing is sent.

    (paho leaves the socket of a failed handshake to the garbage collector, which says so.)
    """
    certificate, other = make_certificate(tmp_path, "broker"), make_certificate(tmp_path, "other")
    settings = {"certfile": str(certificate), "keyfile": str(certificate.with_suffix(".key"))}
    async with Mosquitto(tmp_path, **settings) as broker:
        posting = a_posting(broker.port, scheme="mqtts")
        async with an_adapter(ack=False, ca_file=certificate) as adapter:
            await adapter.publish(posting, a_content())
            with pytest.raises(TransientError):
                await adapter.publish(a_posting(broker.port), a_content())
        for ca_file in (None, other):
            async with an_adapter(ack=False, ca_file=ca_file) as adapter:
                with pytest.raises(PermanentError, match="certificate"):
                    await adapter.publish(posting, a_content())
    async with an_adapter(ca_file=tmp_path / "none.pem") as adapter:
        with pytest.raises(PermanentError, match="ca_file"):
            await adapter.publish(posting, a_content())


def make_certificate(folder: Path, name: str) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself, and its key beside it."""
    made = folder / f"{name}.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        ["openssl", *words.split(), "-keyout", made.with_suffix(".key"), "-out", made], check=True, capture_output=True
    )
    return made


async def test_a_packet_too_large_for_the_broker(tmp_path: Path) -> None:
    """A broker's own limit ends in an error within the timeout, never in a success."""
    async with Mosquitto(tmp_path, max_packet_size="500") as broker, an_adapter(timeout=BRIEF, ack=False) as adapter:
        with pytest.raises((PermanentError, OutcomeUnknown)):
            await adapter.publish(a_posting(broker.port), a_content("x" * 1000))


async def test_a_step_that_is_cancelled_leaves_no_connection() -> None:
    """A connection that comes about after its step was given up hangs up by itself."""
    arrived, given_up, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await given_up.wait()
        writer.write(b"\x20\x03\x00\x00\x00")  # at last: welcome
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, an_adapter(timeout=60) as adapter, asyncio.timeout(10):
        step = asyncio.create_task(adapter.probe(a_posting(server.sockets[0].getsockname()[1]).target))
        await arrived.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        given_up.set()
        await gone.wait()


async def test_many_steps_at_a_time(tmp_path: Path) -> None:
    """Steps for one broker do not disturb each other."""
    async with Mosquitto(tmp_path) as broker, an_adapter(ack=False, timeout=30) as adapter:
        postings = [a_posting(broker.port, topic=f"leiden/{number}") for number in range(30)]
        await asyncio.gather(*(adapter.publish(posting, a_content()) for posting in postings))


@pytest.mark.parametrize(
    "address",
    [
        "", "mqtt://", "mqtt://b", "mqtt://b/", "http://b/a", "mqtt://b:0/a", "mqtt://b:99999/a", "mqtt:///a", "//b/a",
        "mqtt://u:p@b/a", "mqtt://b/a/+", "mqtt://b/#", "mqtt://b/a?x", "mqtt://b//a", "mqtt://b/a/", "mqtt://b/$SYS/a",
        "mqtt://b/a/ack", "mqtt://b/status", "mqtt://b/a b", "mqtt://b/a\x00", "mqtt://[::1", "mqtt://b/" + "a" * 201,
        "mqtt://a..b/x",
    ],
)  # fmt: skip
async def test_a_wrong_address_is_refused(address: str) -> None:
    """What names no broker and no plain topic is told before anything is sent, and a reason where it slipped through."""
    target = a_posting(1).target.model_copy(update={"address": address})
    with pytest.raises(InvalidInput, match="address: "):
        MqttSign.check_target(target)
    async with an_adapter() as adapter:
        with pytest.raises(PermanentError, match="address"):
            await adapter.probe(target)


@pytest.mark.parametrize("address", ["mqtt://b/a", "mqtts://b:1/a/b", "mqtt://[::1]:1883/a", "mqtt://bücher.nl/é"])
def test_a_plain_address_is_accepted(address: str) -> None:
    """Host, port and topic in any usual form are fine."""
    MqttSign.check_target(a_posting(1).target.model_copy(update={"address": address}))


@pytest.mark.parametrize(
    ("secret", "valid"), [("u:p", True), ("u:", True), ("u:p:q", True), ("u", False), (":p", False)]
)
async def test_secrets(secret: str, valid: bool) -> None:
    """A secret is a user and a password with a colon between; it is never repeated."""
    posting = a_posting(free_port(), secret)
    if valid:
        MqttSign.check_target(posting.target)
        return
    with pytest.raises(InvalidInput, match="secret: user:password"):
        MqttSign.check_target(posting.target)
    async with an_adapter() as adapter:
        with pytest.raises(PermanentError, match="user:password"):
            await adapter.probe(posting.target)


async def test_a_display_ignores_what_is_malformed(tmp_path: Path) -> None:
    """The simulated display shows nothing of a state that is not whole, and says what is wrong with it."""
    async with Mosquitto(tmp_path) as broker, a_display(broker.port) as display, an_adapter() as adapter:
        posting = a_posting(broker.port)
        with pytest.raises(PermanentError, match="reason of its own"):
            await adapter.publish(posting, a_content(pages=()))
        assert display.shown() == []


async def test_what_a_broker_says_of_others_is_passed_over() -> None:
    """Messages that nobody asked for, before the ones that were: what the display says is what counts."""
    others = a_publish("other/ack", b"x") + a_publish("other/status", b"online") * 300
    own = a_publish(f"{TOPIC}/status", b"online") + a_publish(f"{TOPIC}/ack", b'{"id": null, "text": "Welkom"}')
    async with scripted(says=others + own) as port, an_adapter() as adapter:
        assert (await adapter.observe(Receipt(a_posting(port), {"id": "x"}))).text == "Welkom"
    async with scripted(says=others) as port, an_adapter(timeout=BRIEF) as adapter:
        with pytest.raises(TransientError, match="never said"):
            await adapter.observe(Receipt(a_posting(port), {"id": "x"}))


async def test_a_broker_that_floods_us_fills_no_memory() -> None:
    """What waits to be looked at is bounded: the oldest makes room, and the newest is there."""
    queue = _Newest(maxsize=2)
    for number in range(5):
        queue.put_nowait(number)  # type: ignore[arg-type]
    assert [queue.get_nowait(), queue.get_nowait()] == [3, 4]
    assert queue.empty()


async def test_an_ack_without_end_is_not_passed_on(tmp_path: Path) -> None:
    """A display says a megabyte: the broker is asked to keep that to itself, and the step says what is missing."""
    async with Mosquitto(tmp_path) as broker, an_adapter(timeout=BRIEF) as adapter:
        async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as display:
            await display.publish(f"{TOPIC}/status", b"online", qos=1, retain=True)
            await display.publish(
                f"{TOPIC}/ack", b'{"id": null, "text": "%s"}' % (b"x" * 1_000_000), qos=1, retain=True
            )
        with pytest.raises(TransientError, match="never said"):
            await adapter.observe(Receipt(a_posting(broker.port), {"id": "x"}))
