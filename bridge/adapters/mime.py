"""How a mail looks: addresses that are safe to write, headers, and a body that is built once for all its readers."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from email_validator import validate_email

from bridge.core.content import PHOTO_PLACEHOLDER, Content, Phase, Photo

# Everything is written in 7 bits, so that no server on the way needs an extension for the body.
_POLICY = policy.SMTP.clone(cte_type="7bit")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_QUOTED_SPECIALS = re.compile(r'[][\\()<>@,:;".]')
_IMAGE = re.compile(r"""<img\b(?:[^>"']|"[^"]*"|'[^']*')*>""", re.IGNORECASE)
_PLAIN_HEADER = 66  # characters that fit on one line of 78 after the longest of our field names
_MOST_BODIES = 16
_NAME_BYTES = 20  # of a digest: 32 letters of base 32


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One checked address. ``address`` is as it goes on the wire: an international domain in its ASCII form."""

    address: str
    domain: str
    name: str = ""

    @property
    def header(self) -> str:
        """The mailbox as it stands in a header field (RFC 5322 section 3.4)."""
        if not self.name:
            return self.address
        name = f'"{self.name}"' if _QUOTED_SPECIALS.search(self.name) else self.name
        return f"{name if name.isascii() else header_text(self.name)} <{self.address}>"


@dataclass(frozen=True, slots=True)
class Thread:
    """Where a mail stands: the subject of its thread, and the Message-IDs in it, oldest first; its own is left out."""

    subject: str
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail for one reader, ready for the wire: ``data`` is dot-stuffed and ends with the dot (RFC 5321, 4.5.2).

    ``size`` is in octets as RFC 1870 counts them, without the stuffing and the last dot.
    """

    message_id: str
    sender: str
    recipient: str
    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class _Body:
    wire: bytes
    size: int


# As nearly all addresses are: nothing in them that the validator could object to, or write in another way.
_PLAIN = re.compile(r"(?=.{3,64}@)[a-z0-9]+(?:[._+-][a-z0-9]+)*@((?:[a-z0-9]{1,40}\.){1,4}[a-z]{2,20})", re.ASCII)


def parse_address(text: str) -> Mailbox:
    """Read exactly one bare address; raise ``ValueError`` that says what is wrong with it."""
    if plain := _PLAIN.fullmatch(text):
        return Mailbox(text, plain[1])
    return _validated(text)


def _validated(text: str) -> Mailbox:
    local, _, domain = text.rpartition("@")
    # The validator holds "localhost" for a name that no mail can reach; the server on this machine knows better.
    local_host = domain.lower() == "localhost"
    valid = validate_email(
        f"{local}@localhost.example" if local_host else text,
        check_deliverability=False,
        globally_deliverable=False,
        test_environment=True,
    )
    domain = "localhost" if local_host else valid.ascii_domain
    return Mailbox(f"{valid.local_part}@{domain}", domain)


def parse_mailbox(text: str) -> Mailbox:
    """Read ``address`` or ``Name <address>``; raise ``ValueError`` that says what is wrong with it."""
    if not text.endswith(">"):
        return parse_address(text)
    name, _, address = text[:-1].rpartition("<")
    name = name.strip().removeprefix('"').removesuffix('"')
    if not name.isprintable() or '"' in name or "\\" in name:
        raise ValueError("The name before the address contains quotes or control characters.")
    mailbox = parse_address(address)
    return Mailbox(mailbox.address, mailbox.domain, name)


@lru_cache(maxsize=256)
def header_text(text: str) -> str:
    """Write any text as the body of one header field: no line breaks of its own, encoded and folded by RFC 2047."""
    line = _BREAKS.sub(" ", text).strip()
    if line.isascii() and len(line) <= _PLAIN_HEADER and "=?" not in line:
        return line
    return Header(line, "utf-8", header_name="Subject").encode(linesep="\r\n")


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Write the moment as many mails have it: more than one leaves in a second."""
    return format_datetime(datetime.fromtimestamp(second, UTC))


class Composer:
    """Writes mails. What all readers of a content share is built once; a reader costs a few short header lines."""

    def __init__(
        self,
        sender: Mailbox,
        *,
        list_id: str,
        reply_to: Mailbox | None = None,
        unsubscribe: Sequence[str] = (),
    ) -> None:
        """Set what stands in every mail.

        ``unsubscribe`` holds URIs (RFC 2369); ``{target}`` in one of them becomes the id of the reader's target.
        """
        self._sender = sender
        self._unsubscribe = ",\r\n ".join(f"<{uri}>" for uri in unsubscribe)
        fields = [f"From: {sender.header}", "Auto-Submitted: auto-generated", f"List-Id: <{list_id}>"]
        if reply_to is not None:
            fields.append(f"Reply-To: {reply_to.header}")
        if any(uri.startswith("https:") for uri in unsubscribe):
            fields.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")  # RFC 8058
        self._fields = "".join(f"{field}\r\n" for field in fields)
        self._bodies: dict[tuple[str, ...], _Body] = {}

    def message_id(self, content: Content, recipient: Mailbox) -> str:
        """Name the mail, the same for ever, without telling who gets it: a repetition can be known for what it is."""
        seed = f"{content.case}\0{content.revision}\0{content.phase}\0{recipient.address}"
        digest = base64.b32encode(hashlib.sha256(seed.encode()).digest()[:_NAME_BYTES])
        return f"<{digest.decode().lower()}@{self._sender.domain}>"

    def compose(self, recipient: Mailbox, target: str, content: Content, thread: Thread, photo: Photo | None) -> Mail:
        """Write the mail that brings ``content`` to ``recipient`` (of the target with id ``target``)."""
        body = self._body(content, photo)
        own = self.message_id(content, recipient)
        head = (
            f"{self._fields}Message-ID: {own}\r\nDate: {_date(int(time.time()))}\r\nTo: {recipient.header}\r\n"
            f"Subject: {header_text(thread.subject)}\r\nContent-Language: {content.language}\r\n"
        )
        if earlier := [other for other in thread.earlier if other != own]:
            head += f"In-Reply-To: {earlier[-1]}\r\nReferences: {' '.join(earlier)}\r\n"
        if self._unsubscribe:
            head += f"List-Unsubscribe: {self._unsubscribe.replace('{target}', quote(target, safe=''))}\r\n"
        octets = head.encode()
        return Mail(own, self._sender.address, recipient.address, octets + body.wire, len(octets) + body.size)

    def _body(self, content: Content, photo: Photo | None) -> _Body:
        if content.phase is Phase.ENDED:
            self._forget_photos(content.case)
        key = (content.case, photo.digest if photo else "", content.text, content.html)
        # Taken out and put back, so that the first key is always the one least used.
        body = self._bodies.pop(key, None) or _build(content, photo, self._sender.domain)
        self._bodies[key] = body
        if len(self._bodies) > _MOST_BODIES:
            del self._bodies[next(iter(self._bodies))]
        return body

    def _forget_photos(self, case: str) -> None:
        """Keep no picture of a case that has ended (R15)."""
        for key in [key for key in self._bodies if key[0] == case and key[1]]:
            del self._bodies[key]


def _build(content: Content, photo: Photo | None, domain: str) -> _Body:
    message = EmailMessage(policy=_POLICY)
    message.set_content(content.text, cte="quoted-printable")
    content_id = f"{photo.digest[:32]}@{domain}" if photo else ""
    html = _place_photo(content.html, content_id)
    if html:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    if photo:
        _add_photo(message, photo, content_id if PHOTO_PLACEHOLDER in content.html else "")
    return _for_the_wire(message.as_bytes())


def _place_photo(html: str, content_id: str) -> str:
    """Point the placeholder at the picture, or leave out the image that would stay empty."""
    if content_id:
        return html.replace(PHOTO_PLACEHOLDER, f"cid:{content_id}")
    return _IMAGE.sub(lambda image: "" if PHOTO_PLACEHOLDER in image[0] else image[0], html)


def _add_photo(message: EmailMessage, photo: Photo, content_id: str) -> None:
    """Put the picture into the HTML that shows it (by ``content_id``), else behind the text."""
    maintype, _, subtype = photo.media_type.partition("/")
    name = f"foto.{'jpg' if subtype == 'jpeg' else subtype}"
    if not content_id:
        message.make_mixed()
        message.add_attachment(photo.data, maintype, subtype, disposition="inline", filename=name)
        return
    html = message.get_body(("html",))
    if isinstance(html, EmailMessage):
        html.add_related(photo.data, maintype, subtype, cid=f"<{content_id}>", disposition="inline", filename=name)


def _for_the_wire(raw: bytes) -> _Body:
    lines = raw.splitlines()  # at \n, \r and \r\n alike: no bare one of them leaves this house
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return _Body(stuffed + b"\r\n.\r\n", sum(map(len, lines)) + 2 * len(lines))
