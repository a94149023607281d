"""The e-mail adapter against our own sink, aiosmtpd and Postfix's smtp-sink: what arrives, and what each answer means."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from bridge.adapters.email import Email
from bridge.core.content import Phase, Photo
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.ports import Adapter
from bridge.core.posting import Posting, Receipt
from bridge.simulators.smtp_sink import Break, Faults, SmtpSink
from bridge.testing import AdapterContract
from tests.contract.smtp_peers import (
    AiosmtpdPeer,
    SinkPeer,
    deaf_server,
    make_certificate,
    make_content,
    make_posting,
    make_target,
    open_email,
    running,
)


class TestEmailContract(AdapterContract):
    """The promises of every adapter, kept towards two independent mail servers."""

    @pytest.fixture(params=[SinkPeer, AiosmtpdPeer])
    async def peer(self, request: pytest.FixtureRequest) -> AsyncIterator[SinkPeer | AiosmtpdPeer]:
        """Run the other side."""
        peer: SinkPeer | AiosmtpdPeer = request.param()
        await peer.start()
        yield peer
        await peer.stop()

    @pytest.fixture
    async def adapter(self, peer: SinkPeer | AiosmtpdPeer) -> AsyncIterator[Adapter]:
        """Open the adapter."""
        async with open_email(peer.port) as adapter:
            yield adapter

    @pytest.fixture
    def posting(self) -> Posting:
        """Give the case at one reader."""
        return make_posting()


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    """Run our own mail sink."""
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture
async def email(sink: SmtpSink) -> AsyncIterator[Email]:
    """Open the adapter with one connection to the sink, so that each test sees what the mail before left behind."""
    async with open_email(sink.port, connections=1) as adapter:
        yield adapter


ANSWERS: list[tuple[dict[str, Any], type[Exception], bool]] = [
    ({"mail": "421 4.3.2 closing"}, TransientError, True),
    ({"mail": "451 4.3.0 try later"}, TransientError, True),
    ({"mail": "530 5.7.0 log in first"}, TransientError, True),
    ({"mail": "553 5.1.8 sender refused"}, TransientError, True),
    ({"mail": "552 5.3.4 too big"}, PermanentError, False),
    ({"recipients": {"*": "421 4.3.2 closing"}}, TransientError, True),
    ({"recipients": {"*": "450 4.2.0 greylisted"}}, TransientError, False),
    ({"recipients": {"*": "452 4.2.2 mailbox full"}}, TransientError, False),
    ({"recipients": {"*": "550 5.1.8 sender refused"}}, TransientError, True),
    ({"recipients": {"*": "550 5.1.1 no such user"}}, PermanentError, False),
    ({"recipients": {"*": "554 5.7.1 refused"}}, PermanentError, False),
    ({"recipients": {"*": "354 what"}}, TransientError, False),
    ({"recipients": {"*": "what"}}, TransientError, False),
    ({"data": "451 4.3.0 try later"}, TransientError, False),
    ({"data": "554 5.5.1 no valid recipients"}, PermanentError, False),
    ({"data": "250 kept, but what?"}, TransientError, False),
    ({"message": "421 4.3.2 closing"}, TransientError, True),
    ({"message": "451 4.3.0 try later"}, TransientError, False),
    ({"message": "554 5.7.1 spam"}, PermanentError, False),
    ({"message": "552 5.3.4 too big"}, PermanentError, False),
    ({"message": "354 what"}, OutcomeUnknown, False),
    ({"message": "what"}, OutcomeUnknown, False),
]


@pytest.mark.parametrize(("faults", "error", "whole_adapter"), ANSWERS, ids=[str(row[0]) for row in ANSWERS])
async def test_every_answer_has_its_meaning(
    sink: SmtpSink, email: Email, faults: dict[str, Any], error: type[Exception], whole_adapter: bool
) -> None:
    """Each answer at each step becomes the right error, on one line with the server's words, and spoils nothing after."""
    for warm in (False, True):
        sink.faults = Faults(**faults)
        with pytest.raises(error) as raised:
            await email.publish(make_posting(), make_content())
        assert getattr(raised.value, "whole_adapter", False) is whole_adapter
        assert str(raised.value).isprintable()
        sink.faults = Faults()
        await email.publish(make_posting(), make_content())
        assert len(sink.messages) == 1 + warm


@pytest.mark.parametrize("greeting", ["421 4.3.2 closing", "554 5.3.2 no mail here", "what"])
async def test_a_server_that_is_not_ready_is_transient(sink: SmtpSink, email: Email, greeting: str) -> None:
    """A greeting that is none is everybody's fault for now, for a mail and for a probe."""
    sink.faults.greeting = greeting
    for attempt in (email.publish(make_posting(), make_content()), email.probe(make_target())):
        with pytest.raises(TransientError) as raised:
            await attempt
        assert raised.value.whole_adapter
    sink.faults = Faults()
    await email.publish(make_posting(), make_content())


async def test_a_refusal_tells_the_servers_reason(sink: SmtpSink, email: Email) -> None:
    """The operator reads what the server said, on one line, however it was written."""
    sink.faults.recipients["*"] = "550-5.1.1 no such user\r\n550 5.1.1 \x1b[2Jask\tAns"
    with pytest.raises(PermanentError) as raised:
        await email.publish(make_posting(), make_content())
    assert str(raised.value) == "the mail server refused RCPT: 550 5.1.1 no such user 5.1.1 [2Jask Ans"


async def test_a_refused_reader_costs_no_connection(sink: SmtpSink, email: Email) -> None:
    """Among many readers the refused ones fail alone, and all mails go over one connection."""
    sink.faults.recipients["gone@example.nl"] = "550 5.1.1 no such user"
    for reader in ("a@example.nl", "gone@example.nl", "b@example.nl"):
        outcome = await asyncio.gather(email.publish(make_posting(reader), make_content()), return_exceptions=True)
        assert isinstance(outcome[0], PermanentError) is (reader == "gone@example.nl")
    assert [mail.recipient for mail in sink.messages] == ["a@example.nl", "b@example.nl"]
    assert sink.connections == 1


async def test_a_break_before_the_mail_is_transient(sink: SmtpSink, email: Email) -> None:
    """A connection that breaks before the mail was sent has delivered nothing."""
    sink.faults.breaks = Break.DROP_BEFORE_DATA
    with pytest.raises(TransientError):
        await email.publish(make_posting(), make_content())
    assert sink.messages == []


async def test_a_hanging_server_after_the_mail_is_unknown(sink: SmtpSink) -> None:
    """A server that never answers a mail leaves its outcome unknown, within the adapter's own time."""
    sink.faults.breaks = Break.HANG_AFTER_DATA
    async with open_email(sink.port, timeout=0.3) as email, asyncio.timeout(email.capabilities.timeout):
        with pytest.raises(OutcomeUnknown):
            await email.publish(make_posting(), make_content())
        sink.faults = Faults()
        await email.publish(make_posting(), make_content())
    first, second = (mail.message["Message-ID"] for mail in sink.messages)
    assert first == second


async def test_a_server_that_does_not_take_the_whole_mail_has_nothing() -> None:
    """While the end of a mail is still in our hands, running out of time is no doubt: it was not delivered."""
    async with deaf_server() as port, open_email(port, timeout=0.5) as email:
        photo = Photo("ab" * 32, data=b"\xff" * 20_000_000)
        with pytest.raises(TransientError):
            await email.publish(make_posting(), make_content(photo=photo))


async def test_cancellation_leaves_nothing_behind(sink: SmtpSink, email: Email) -> None:
    """A cancelled delivery drops its connection; the next mail goes over a new one and is answered as itself."""
    sink.faults.breaks = Break.HANG_AFTER_DATA
    async with asyncio.TaskGroup() as group:
        delivery = group.create_task(email.publish(make_posting("a@example.nl"), make_content()))
        await sink.wait_for(1)
        delivery.cancel()
    sink.faults = Faults(recipients={"b@example.nl": "550 5.1.1 no such user"})
    with pytest.raises(PermanentError):
        await email.publish(make_posting("b@example.nl"), make_content())
    assert sink.connections == 2


async def test_a_connection_closed_while_idle_fails_no_mail(sink: SmtpSink, email: Email) -> None:
    """A server that restarted between two mails is connected to again, unnoticed."""
    await email.publish(make_posting(), make_content())
    await sink.stop()
    await sink.start()
    await email.publish(make_posting(), make_content(2))
    assert len(sink.messages) == 2


async def test_connections_are_few_and_used_again(sink: SmtpSink) -> None:
    """Many mails at once go over no more connections than allowed, each given up after its number of mails."""
    async with open_email(sink.port, connections=3, mails_per_connection=10) as email:
        await asyncio.gather(*(email.publish(make_posting(f"r{n}@example.nl"), make_content()) for n in range(60)))
    assert len({mail.recipient for mail in sink.messages}) == 60
    assert 6 <= sink.connections <= 8


async def test_waiting_for_a_connection_is_bounded(sink: SmtpSink) -> None:
    """A mail for which no connection becomes free in time was not sent, and says so."""
    sink.faults.breaks = Break.HANG_AFTER_DATA
    async with open_email(sink.port, connections=1, timeout=0.3) as email:
        deliveries = [email.publish(make_posting(), make_content(revision)) for revision in (1, 2)]
        first, second = await asyncio.gather(*deliveries, return_exceptions=True)
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, TransientError)


def _login(_: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and data.login == b"bridge" and data.password == "wachtwoord ë".encode()
    return AuthResult(success=good, handled=False)  # aiosmtpd answers


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd knows STARTTLS only
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_and_login(tmp_path: Path, security: str) -> None:
    """Mail goes encrypted and logged in; a wrong password is everybody's fault, and a mended one works at once."""
    certificate, context = make_certificate(tmp_path)
    password = tmp_path / "password"
    password.write_text("fout\n")
    options: dict[str, Any] = {"auth_required": True, "authenticator": _login}
    options |= {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
    options |= {"implicit_tls": context, "auth_require_tls": False} if security == "tls" else {}
    settings = {"security": security, "ca_file": certificate, "username": "bridge", "password_file": password}
    async with running(AiosmtpdPeer(**options)) as peer, open_email(peer.port, **settings) as email:
        with pytest.raises(TransientError, match="535") as refused:
            await email.publish(make_posting(), make_content())
        assert refused.value.whole_adapter
        assert "fout" not in str(refused.value)
        password.write_text("wachtwoord ë\n")
        await email.probe(make_target())
        await email.publish(make_posting(), make_content())
        assert len(peer.messages) == 1


async def test_a_server_that_cannot_prove_itself_gets_nothing(tmp_path: Path) -> None:
    """Without a certificate that we trust, or without STARTTLS at all, no mail leaves."""
    _, context = make_certificate(tmp_path)
    for options in ({"tls_context": context}, {}):
        async with running(AiosmtpdPeer(**options)) as peer, open_email(peer.port, security="starttls") as email:
            with pytest.raises(TransientError) as refused:
                await email.publish(make_posting(), make_content())
            assert refused.value.whole_adapter
            assert peer.messages == []


async def test_a_mail_beyond_the_servers_size_is_permanent() -> None:
    """The size is declared (RFC 1870), so that a mail too big is refused before it is sent."""
    async with running(AiosmtpdPeer(data_size_limit=2000)) as peer, open_email(peer.port) as email:
        with pytest.raises(PermanentError, match="552"):
            await email.publish(make_posting(), make_content(text="x" * 3000))
        await email.publish(make_posting(), make_content())


async def test_addresses_outside_ascii() -> None:
    """A domain goes in its ASCII form; a name before the @ needs SMTPUTF8, else it is refused for good."""
    async with running(AiosmtpdPeer(enable_SMTPUTF8=False)) as peer, open_email(peer.port) as email:
        await email.publish(make_posting("ans@müller.example"), make_content())
        with pytest.raises(PermanentError, match="SMTPUTF8"):
            await email.publish(make_posting("jürgen@müller.example"), make_content())
        assert peer.readers == ["ans@xn--mller-kva.example"]
    async with running(AiosmtpdPeer()) as peer, open_email(peer.port) as email:
        await email.publish(make_posting("jürgen@müller.example"), make_content())
        assert peer.readers == ["jürgen@xn--mller-kva.example"]


@pytest.mark.parametrize(
    "address",
    [
        "x@example.nl\r\nRCPT TO:<y@example.nl>",
        "x\r\nRCPT TO:<y>@example.nl",
        "x@example.nl\r\nBcc: y@example.nl",
        "x@example.nl>\r\n<y@example.nl",
        "x@example.nl> SIZE=1",
        "x@example.nl,y@example.nl",
        "x@example.nl y@example.nl",
        "Ans <x@example.nl>",
        '"x y"@example.nl',
        " x@example.nl",
        "x@example.nl\n",
        "x@localhost\n",
        "x\u2028y@example.nl",
        "x\0@example.nl",
        "x",
        "@example.nl",
        "",
    ],
)
async def test_no_address_smuggles_anything(sink: SmtpSink, email: Email, address: str) -> None:
    """What is not exactly one address is refused on entry, and at the latest before a connection is used."""
    target = make_target().model_copy(update={"address": address})
    with pytest.raises(InvalidInput, match="address"):
        Email.check_target(target)
    with pytest.raises(PermanentError):
        await email.publish(Posting("p1", "c1", target), make_content())
    assert sink.messages == []
    assert sink.connections == 0


async def test_unanswerable_questions_are_declared(email: Email) -> None:
    """The adapter promises no retraction and no reading back, and asks for a little more time than a mail may take."""
    capabilities = email.capabilities
    assert (capabilities.can_update, capabilities.can_retract, capabilities.can_observe) == (True, False, False)
    assert capabilities.timeout > 5
    assert capabilities.max_concurrency == 1


async def test_an_ending_follows_a_mail_of_unknown_outcome(sink: SmtpSink, email: Email) -> None:
    """The ending of a case, after a mail of unknown outcome, goes to the thread of that mail, without the photo."""
    opening = make_content(photo=Photo("ab" * 32, data=b"\xff\xd8"))
    ending = make_content(2, Phase.ENDED, subject="Gevonden", photo=opening.photo)
    await email.publish(make_posting(), opening)
    receipt = await email.publish(make_posting(attempted=opening), ending)
    first, last = (mail.message for mail in sink.messages)
    assert last["In-Reply-To"] == first["Message-ID"]
    assert last["Subject"] == first["Subject"]
    assert [part.get_content_type() for part in last.walk()] == ["text/plain"]
    assert receipt.handle["first"] == first["Message-ID"]


async def _until_open(email: Email) -> None:
    """Wait for a server that is being started."""
    while True:
        try:
            return await email.probe(make_target())
        except TransientError:
            continue


SMTP_SINK = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin")  # Debian's place is not on every PATH


@pytest.mark.skipif(SMTP_SINK is None, reason="Postfix's smtp-sink is not installed; run: make services")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], None),
        (["-f", "RCPT"], PermanentError),
        (["-r", "RCPT"], TransientError),
        (["-q", "DATA"], TransientError),
        (["-q", "."], OutcomeUnknown),
    ],
)
async def test_postfix_smtp_sink(options: list[str], error: type[Exception] | None) -> None:
    """A third, foreign server means the same by its answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(str(SMTP_SINK), *as_nobody, *options, f"127.0.0.1:{port}", "10")
    try:
        async with open_email(port) as email, asyncio.timeout(10):
            await _until_open(email)
            [outcome] = await asyncio.gather(email.publish(make_posting(), make_content()), return_exceptions=True)
        assert isinstance(outcome, error or Receipt)
    finally:
        process.terminate()
        await process.wait()
