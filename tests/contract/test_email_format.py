"""How a mail of the bridge looks to the programs that read it, as parsed by the standard library."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapters import mime
from bridge.adapters.email import Email, EmailConfig
from bridge.core.content import Content, Phase, Photo
from bridge.core.errors import InvalidInput
from bridge.simulators.smtp_sink import SmtpSink
from tests.contract.smtp_peers import make_content, make_posting, make_target, open_email, plain_text

PHOTO = Photo("ab" * 32, description="Jongen met rode jas", data=b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40)
HTML = '<p>Rode jas.</p><img alt="a > b" src="cid:photo"><p>Gezien? Bel 112.</p>'


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    """Run our own mail sink, which refuses what is badly formed."""
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture
async def email(sink: SmtpSink) -> AsyncIterator[Email]:
    """Open the adapter on the sink."""
    async with open_email(sink.port) as adapter:
        yield adapter


async def arrived(sink: SmtpSink, email: Email, content: Content, address: str = "ans@example.nl") -> EmailMessage:
    """Publish a content, and give the mail that arrived."""
    await email.publish(make_posting(address), content)
    return sink.messages[-1].message


def types(message: EmailMessage) -> list[str]:
    """Give the types of a mail's parts, outermost first."""
    return [part.get_content_type() for part in message.walk()]


async def test_headers_say_what_the_mail_is(sink: SmtpSink) -> None:
    """The headers tell people and programs who writes, that a machine does, and how to be rid of it."""
    settings = {
        "sender": "Gemeente Zuidplas, meldingen <meldingen@zuidplas.example>",
        "reply_to": "wijkagent@politie.example",
        "unsubscribe_url": "https://zuidplas.example/af?lezer={target}",
        "unsubscribe_mailto": "af@zuidplas.example",
    }
    async with open_email(sink.port, **settings) as email:
        mail = await arrived(sink, email, make_content())
    assert {name: str(mail[name]) for name in set(mail.keys()) - {"Date", "Message-ID"}} == {
        "From": '"Gemeente Zuidplas, meldingen" <meldingen@zuidplas.example>',
        "To": "ans@example.nl",
        "Reply-To": "wijkagent@politie.example",
        "Subject": "Vermist: jongen (8) in Leiden",
        "Content-Language": "nl",
        "Auto-Submitted": "auto-generated",
        "List-Id": "<burgernet.zuidplas.example>",
        "List-Unsubscribe": "<https://zuidplas.example/af?lezer=mail-ans>, <mailto:af@zuidplas.example>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
    }
    assert mail["Date"].datetime.tzinfo is not None
    assert sink.messages[0].sender == "meldingen@zuidplas.example"


async def test_no_one_click_without_https(sink: SmtpSink) -> None:
    """With an address alone there is nothing to click, and without either there is no header at all (RFC 8058)."""
    async with open_email(sink.port, unsubscribe_mailto="af@zuidplas.example") as email:
        mail = await arrived(sink, email, make_content())
    assert mail["List-Unsubscribe"] == "<mailto:af@zuidplas.example>"
    assert mail["List-Unsubscribe-Post"] is None
    async with open_email(sink.port) as email:
        assert (await arrived(sink, email, make_content()))["List-Unsubscribe"] is None


async def test_one_thread_from_opening_to_outcome(sink: SmtpSink, email: Email) -> None:
    """Corrections and the outcome answer the first and the previous mail, under the first subject."""
    receipt = await email.publish(make_posting(), make_content())
    receipt = await email.update(receipt, make_content(2, Phase.UPDATED, subject="Vermist: jongen (9)"))
    await email.update(receipt, make_content(3, Phase.ENDED, subject="Gevonden"))
    first, second, third = (mail.message for mail in sink.messages)
    assert {mail["Subject"] for mail in (first, second, third)} == {"Vermist: jongen (8) in Leiden"}
    assert (first["In-Reply-To"], first["References"]) == (None, None)
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    assert third["In-Reply-To"] == second["Message-ID"]
    assert third["References"] == f"{first['Message-ID']} {second['Message-ID']}"


async def test_message_ids_are_stable_and_discreet(sink: SmtpSink, email: Email) -> None:
    """A repetition has the same Message-ID; another reader, revision or case another; none shows the address."""
    contents = [make_content(), make_content(), make_content(2), dataclasses.replace(make_content(), case="9")]
    names = [(await arrived(sink, email, content))["Message-ID"] for content in contents]
    names.append((await arrived(sink, email, make_content(), "bea@example.nl"))["Message-ID"])
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert all(re.fullmatch(r"<[a-z2-7]{32}@localhost>", name) for name in names)


def test_message_ids_outlive_releases() -> None:
    """Threads hang on the Message-IDs in old stores: a mail is named as the first release named it."""
    composer = EmailConfig(sender="Burgernet <burgernet@leiden.example>").composer()
    reader = mime.parse_address("ans@example.nl")
    assert composer.message_id(make_content(), reader) == "<w2cq572ngqyvkucocxgkk5dmkga2uyqa@leiden.example>"
    ended = dataclasses.replace(make_content(12, Phase.ENDED), case="zaak é\0")
    assert composer.message_id(ended, reader) == "<vj52xddm7qgry44xjsiezqaahjdudqcw@leiden.example>"


def test_what_a_reader_costs_is_written_byte_for_byte() -> None:
    """The headers before the shared body are these bytes, in this order, and the size counts them."""
    config = EmailConfig(unsubscribe_url="https://a.example/{target}", unsubscribe_mailto="af@a.example")
    composer, reader = config.composer(), mime.parse_address("ans@example.nl")
    content, thread = make_content(2), mime.Thread("Vermist: jongen", ("<a@b>", "<c@d>"))
    mail = composer.compose(reader, "lezer 7", content, thread, None)
    head, _, body = mail.data.partition(b"Content-Type: ")
    assert re.sub(rb"Date: [^\r]+", b"Date: now", head).decode() == (
        "From: Burgernet <burgernet@localhost>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "List-Id: <burgernet.localhost>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        f"Message-ID: {composer.message_id(content, reader)}\r\n"
        "Date: now\r\n"
        "To: ans@example.nl\r\n"
        "Subject: Vermist: jongen\r\n"
        "Content-Language: nl\r\n"
        "In-Reply-To: <c@d>\r\n"
        "References: <a@b> <c@d>\r\n"
        "List-Unsubscribe: <https://a.example/lezer%207>,\r\n <mailto:af@a.example>\r\n"
    )
    assert body.endswith(b"\r\n.\r\n")
    assert mail.size == len(mail.data) - len(b".\r\n")


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "Vermist",
        "Vermist: café «Ængelé» — €50 🐈‍⬛ مفقود",
        "Vermist meisje (9), " * 20 + "einde",
        "ëéü" * 400,
        "x" * 3000,
        "=?utf-8?q?nep?= en =?broken",
        "a:b; c, d <e@f> \"g\" 'h' \\",
    ],
)
async def test_any_subject_survives(sink: SmtpSink, email: Email, subject: str) -> None:
    """Every subject arrives as written, in short lines of ASCII."""
    mail = await arrived(sink, email, make_content(subject=subject.strip()))
    assert mail["Subject"] == subject.strip()
    head = sink.messages[0].raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 120


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\x85", "\0", "\x0b"])
async def test_a_subject_is_one_header(sink: SmtpSink, email: Email, line_break: str) -> None:
    """No line break of any kind in a subject starts a header or a body of its own."""
    hostile = f"Vermist{line_break}Bcc: dief@example.nl{line_break}{line_break}Tekst van een ander"
    mail = await arrived(sink, email, make_content(subject=hostile))
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Vermist Bcc: dief@example.nl Tekst van een ander"
    assert plain_text(mail) == "Rode jas. Gezien? Bel 112.\n"


async def test_the_photo_comes_once_and_inside(sink: SmtpSink, email: Email) -> None:
    """The first mail shows the photo inside the HTML; a follow-up has neither the photo nor an empty frame (R15)."""
    content = make_content(html=HTML, photo=PHOTO)
    receipt = await email.publish(make_posting(), content)
    await email.update(receipt, dataclasses.replace(content, revision=2, phase=Phase.UPDATED))
    first, second = (mail.message for mail in sink.messages)
    assert types(first) == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/jpeg"]
    html, image = list(first.walk())[3:]
    assert isinstance(html, EmailMessage)
    assert isinstance(image, EmailMessage)
    assert image.get_content() == PHOTO.data
    assert image.get_content_disposition() == "inline"
    assert f'src="cid:{image["Content-ID"][1:-1]}"' in html.get_content()
    assert types(second) == ["multipart/alternative", "text/plain", "text/html"]
    body = second.get_body(("html",))
    assert isinstance(body, EmailMessage)
    assert body.get_content().strip() == "<p>Rode jas.</p><p>Gezien? Bel 112.</p>"


@pytest.mark.parametrize("html", ["", "<p>Rode jas.</p>"])
async def test_a_photo_without_a_place_follows_the_text(sink: SmtpSink, email: Email, html: str) -> None:
    """Where no template has a place for it, the photo stands behind the text."""
    mail = await arrived(sink, email, make_content(html=html, photo=PHOTO))
    assert types(mail)[0] == "multipart/mixed"
    assert types(mail)[-1] == "image/jpeg"
    assert ("text/html" in types(mail)) is bool(html)
    assert "Rode jas." in plain_text(mail)


async def test_an_ending_alone_carries_no_photo(sink: SmtpSink, email: Email) -> None:
    """Even as the first mail, an ending shows no photo (R15)."""
    mail = await arrived(sink, email, make_content(2, Phase.ENDED, html=HTML, photo=PHOTO))
    assert types(mail) == ["multipart/alternative", "text/plain", "text/html"]


async def test_readers_of_one_content_get_the_same_body(sink: SmtpSink, email: Email) -> None:
    """A body is built once: mails to two readers differ in their own headers only, to many languages in the body."""
    content = make_content(html=HTML, photo=PHOTO)
    other = dataclasses.replace(content, text="Red coat.", language="en")
    for reader, shown in (("a", content), ("b", content), ("c", other), ("d", content)):
        await email.publish(make_posting(f"{reader}@example.nl"), shown)
    bodies = [mail.raw.partition(b"\r\nMIME-Version")[2] for mail in sink.messages]
    assert bodies[0] == bodies[1] == bodies[3] != bodies[2]


BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"sender": "geen adres"}, "sender"),
    ({"sender": "a@example.nl\r\nBcc: b@example.nl"}, "sender"),
    ({"sender": "A\r\nBcc: b@example.nl <a@example.nl>"}, "sender"),
    ({"sender": "jürgen@example.nl"}, "sender"),
    ({"reply_to": "a@example.nl, b@example.nl"}, "reply_to"),
    ({"unsubscribe_url": "http://example.nl/af"}, "unsubscribe_url"),
    ({"unsubscribe_url": "https://example.nl/af>\r\nBcc: b@example.nl"}, "unsubscribe_url"),
    ({"unsubscribe_mailto": "A <a@example.nl>"}, "unsubscribe_mailto"),
    ({"list_id": "lijst"}, "list_id"),
    ({"host": "mx example"}, "host"),
    ({"host": ""}, "host"),
    ({"port": 0}, "port"),
    ({"security": "ssl"}, "security"),
    ({"username": "bridge"}, "password_file"),
    ({"timeout": 0}, "timeout"),
    ({"retries": 3}, "retries"),
]


@pytest.mark.parametrize(("settings", "word"), BAD_SETTINGS, ids=[str(row[0]) for row in BAD_SETTINGS])
def test_bad_settings_are_refused(settings: dict[str, Any], word: str) -> None:
    """A setting that would break or falsify every mail is refused with its name, before anything is sent."""
    with pytest.raises(ValidationError, match=word):
        EmailConfig(**settings)


async def test_an_unreadable_password_file_is_reported_at_the_start(tmp_path: Path) -> None:
    """A missing secret stops the adapter when it opens, with the file's name, not the first mail."""
    with pytest.raises(InvalidInput, match="weg"):
        async with open_email(1, username="bridge", password_file=tmp_path / "weg"):
            pass


async def test_the_sink_as_a_program_keeps_mails_on_disk(tmp_path: Path) -> None:
    """``python -m bridge.simulators.smtp_sink`` has each mail on disk when the sender gets the answer, and ends silently."""
    command = [sys.executable, "-m", "bridge.simulators.smtp_sink", "--port", "0", "--dir", str(tmp_path)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=os.environ)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        port = int((await process.stdout.readline()).decode().rpartition(":")[2])
        async with open_email(port) as email:
            await email.probe(make_target())
            assert list(tmp_path.iterdir()) == []
            await email.publish(make_posting(), make_content(photo=PHOTO))
            [file] = tmp_path.glob("*.eml")
            process.send_signal(signal.SIGTERM)  # while a connection is open
            assert await process.communicate() == (b"", b"")
        assert process.returncode == 0
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["Delivered-To"] == "ans@example.nl"
    assert plain_text(mail) == "Rode jas. Gezien? Bel 112.\n"


_local = st.text(alphabet="abcz019._+-", min_size=1, max_size=66)
_domain = st.lists(st.text(alphabet="abz01-", min_size=1, max_size=6), min_size=1, max_size=5).map(".".join)


@given(st.builds("{}@{}".format, _local, _domain) | st.text(alphabet="ab.@A1-+_ \n", max_size=12))
@settings(max_examples=500)
def test_the_short_way_to_read_an_address_is_no_other_way(text: str) -> None:
    """What is read without the validator is what the validator would have made of it."""
    if mime._PLAIN.fullmatch(text):
        assert mime.parse_address(text) == mime._validated(text)


def test_usual_addresses_take_the_short_way() -> None:
    """Or it would be no use."""
    for text in ("ans@example.nl", "jan.de-vries+burgernet@mail.example.co.uk", "lezer99999@example.nl"):
        assert mime._PLAIN.fullmatch(text)
