"""The ways to operators, when something takes too long: a mail, a web hook."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from bridge.adapters.email import EmailConfig
from bridge.adapters.mime import Thread, parse_address
from bridge.adapters.smtp import SmtpPool
from bridge.core.content import Content, Phase
from bridge.core.errors import PermanentError, TransientError

TIMEOUT = aiohttp.ClientTimeout(total=10)  # seconds


class OperatorMail:
    """Mails operators through the mail server of ``adapters.email``."""

    def __init__(self, config: EmailConfig, addresses: Sequence[str]) -> None:
        self._readers = [parse_address(address) for address in addresses]
        self._composer = config.composer()
        self._pool = SmtpPool(config.model_copy(update={"connections": 1}))

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def tell(self, subject: str, text: str, _facts: Any) -> None:
        """Mail every operator; raise one of the three errors of an adapter."""
        about = hashlib.sha256(text.encode()).hexdigest()  # another mail is another Message-ID
        content = Content(about, 0, Phase.OPENED, "nl", subject, text)
        for reader in self._readers:
            await self._pool.deliver(self._composer.compose(reader, "operators", content, Thread(subject), None))


class OperatorHook:
    """Posts to a web hook: JSON, with the subject and the text in ``text``, as chat programs take it."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def tell(self, subject: str, text: str, facts: Any) -> None:
        """Post it; raise ``TransientError`` or ``PermanentError``, without the address: it may hold a token."""
        body = {"subject": subject, "text": text, **facts}
        request = self._http.post(self._url, json=body, timeout=TIMEOUT, allow_redirects=False)
        try:
            async with request as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise TransientError(f"web hook: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise PermanentError(f"web hook: HTTP {status}")
