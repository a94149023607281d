"""E-mail: one mail a reader, with its corrections and its outcome in the same thread (R9, R16)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints

from bridge.adapters.mime import Composer, Mailbox, Thread, parse_address, parse_mailbox
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.adapters.smtp import SmtpConfig, SmtpPool
from bridge.core.content import Content, Phase, Photo
from bridge.core.errors import InvalidInput, PermanentError
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target

# The dispatcher waits a little longer than we do: only here is it known whether a late mail may have been sent.
_GRACE_SECONDS = 2.0


def _ascii_mailbox(text: str) -> str:
    if not parse_mailbox(text).address.isascii():
        raise ValueError("the part before the @ must be ASCII, or most servers refuse every mail")
    return text


MailboxText = Annotated[str, AfterValidator(_ascii_mailbox)]
"""``address`` or ``Name <address>``."""


class EmailConfig(SmtpConfig):
    """Settings of ``adapters.email``.

    ``unsubscribe_url`` gets a POST without login when a reader's mail program unsubscribes with one click (RFC 8058);
    ``{target}`` in it becomes the id of the reader's target. ``list_id`` defaults to ``burgernet.<sender's domain>``.
    """

    sender: MailboxText = "Burgernet <burgernet@localhost>"
    reply_to: MailboxText | None = None
    unsubscribe_url: Annotated[str, StringConstraints(pattern=r"^https://[!#-;=?-~]{1,800}$")] | None = None
    unsubscribe_mailto: Annotated[str, AfterValidator(_ascii_mailbox), Field(pattern=r"^[^<>]+$")] | None = None
    list_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$")] | None = None

    def composer(self) -> Composer:
        """Make the writer of mails that these settings describe."""
        sender = parse_mailbox(self.sender)
        mailto = f"mailto:{parse_address(self.unsubscribe_mailto).address}" if self.unsubscribe_mailto else None
        return Composer(
            sender,
            list_id=self.list_id or f"burgernet.{sender.domain}",
            reply_to=parse_mailbox(self.reply_to) if self.reply_to else None,
            unsubscribe=[uri for uri in (self.unsubscribe_url, mailto) if uri],
        )


class Email:
    """The adapter ``email``. A receipt's handle holds the Message-IDs ``first`` and ``last``, and the ``subject``."""

    Config: type[AdapterConfig] = EmailConfig

    def __init__(self, config: EmailConfig, resources: Resources) -> None:  # noqa: ARG002 - every adapter is made so
        self.capabilities = Capabilities(
            kind=Kind.MESSAGE,
            channels=frozenset({"email"}),
            can_retract=False,
            photo=True,
            max_concurrency=config.connections,
            timeout=config.timeout + _GRACE_SECONDS,
        )
        self._composer = config.composer()
        self._pool = SmtpPool(config)
        self._stack = AsyncExitStack()

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` unless the target's address is exactly one mail address."""
        _recipient(target)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._pool)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Send the first mail of a thread, with the photo unless the case has ended (R15).

        When an earlier attempt at another content may have arrived, this mail is put behind it.
        """
        photo = content.photo if content.phase is not Phase.ENDED else None
        doubtful = posting.attempted
        if doubtful is None:
            return await self._send(posting, content, {}, photo)
        sent = self._composer.message_id(doubtful, self._reader(posting))
        return await self._send(posting, content, {"first": sent, "last": sent, "subject": doubtful.subject}, photo)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Send a correction or the outcome as a follow-up; it never carries the photo."""
        return await self._send(receipt.posting, content, receipt.handle, None)

    async def retract(self, receipt: Receipt) -> None:
        """Raise ``PermanentError``: a mail cannot be taken back."""
        raise PermanentError(f"a mail cannot be taken back ({receipt.posting.id})")

    async def observe(self, receipt: Receipt) -> Observation:
        """Raise ``PermanentError``: nobody looks into a reader's mailbox."""
        raise PermanentError(f"a mail cannot be read back ({receipt.posting.id})")

    async def find(self, posting: Posting) -> Receipt | None:
        """Raise ``PermanentError``: nobody looks into a reader's mailbox."""
        raise PermanentError(f"a mail cannot be looked for ({posting.id})")

    async def probe(self, target: Target) -> None:
        """Return when the mail server is there, lets us in and answers; no mail is sent."""
        self.check_target(target)
        await self._pool.check()

    async def _send(
        self, posting: Posting, content: Content, thread: Mapping[str, str], photo: Photo | None
    ) -> Receipt:
        reader = self._reader(posting)
        subject = thread.get("subject", content.subject)
        earlier = tuple(dict.fromkeys(thread[name] for name in ("first", "last") if name in thread))
        mail = self._composer.compose(reader, posting.target.id, content, Thread(subject, earlier), photo)
        await self._pool.deliver(mail)
        own = mail.message_id
        return Receipt(posting, {"first": thread.get("first", own), "last": own, "subject": subject})

    def _reader(self, posting: Posting) -> Mailbox:
        try:
            return _recipient(posting.target)
        except InvalidInput as error:
            raise PermanentError(str(error)) from error


def _recipient(target: Target) -> Mailbox:
    try:
        return parse_address(target.address)
    except ValueError as error:
        raise InvalidInput(f"address: {target.address!r} is not one mail address: {error}") from error
