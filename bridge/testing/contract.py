"""What every adapter promises, stated once; each adapter's contract test inherits it and brings its own peer.

A contract test is a subclass of ``AdapterContract`` (named ``Test…``) with three fixtures:

- ``adapter``: an open adapter, wired to the peer, with a timeout short enough for a test;
- ``posting``: a posting on a target of that peer;
- ``peer``: the other side (``Peer``), a real server or a simulator, showing nothing yet.

``make_content`` may be overridden where a channel needs other fields. A fault that a channel cannot have at all is
declared in ``no_such_fault`` with the reason: the tests marked with it are deselected, and the reason is printed at the
end of the run; a text that it cannot carry is declared in ``refuses``. What an adapter cannot *do* is declared in its
``Capabilities``: the suite then proves that the method says so with a ``PermanentError``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol

import pytest

from bridge.core.content import Content, Phase
from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.core.ports import Adapter
from bridge.core.posting import Kind, Posting, Receipt

OPENING = "VERMIST: jongen (8) in de Merenwijk. Rode jas, blauwe muts. Gezien? Bel 112."
CORRECTION = "VERMIST: meisje (9) in de Stevenshof. Groene jas, gele muts. Gezien? Bel 112."

HOSTILE_TEXTS = {
    "multi-tags": "Auto [nl]rood[np] [[ en ]] [jl3]kenteken",
    "markup": "<script>alert('x')</script> &amp; <b>vet</b> {{ 7*7 }} {% raw %} %s",
    "quotes": "Zij zei: \"Bel 112\" en hij zei: 'ja' \\ / `",
    "smtp-dots": ".\n..\n.regel met een punt\nFrom hier\nRCPT TO:<x@example.nl>",
    "control-characters": "Vermist\x04 jongen\x1b b\x00 bel\x07 112",
    "emoji": "Kat 🐈‍⬛ vermist 👨‍👩‍👧‍👦 bij café «Ængelé» — €50",
    "right-to-left": "مفقود: طفل عمره 8 سنوات. اتصل 112",
    "five thousand characters": "vermist ëén " * 416 + "vermist!",
}


class Peer(Protocol):
    """The other side of the wire, as a test sees and steers it. A fault lasts until ``recover``."""

    async def shown(self) -> list[str]:
        """Give every text visible now, one item a post (message channels: every message that arrived, oldest first)."""
        ...

    async def refuse_for_now(self) -> None:
        """From now on answer "not now", changing nothing."""
        ...

    async def refuse_for_good(self) -> None:
        """From now on answer "never", changing nothing."""
        ...

    async def lose_answers(self) -> None:
        """From now on do what is asked, and break off instead of answering."""
        ...

    async def vanish(self) -> None:
        """Be unreachable: connections are refused. What is shown stays readable by ``shown``."""
        ...

    async def recover(self) -> None:
        """Work again, at the same address, with what was shown."""
        ...


def stored(receipt: Receipt) -> Receipt:
    """Pass a receipt through JSON, as the store does between two steps."""
    return dataclasses.replace(receipt, handle=json.loads(json.dumps(dict(receipt.handle))))


def attempted(posting: Posting, content: Content, at: datetime) -> Posting:
    """Give the posting as the dispatcher does after an unknown outcome."""
    return dataclasses.replace(posting, attempted=content, attempted_at=at)


class AdapterContract:
    """The promises of every adapter, for any channel."""

    no_such_fault: ClassVar[Mapping[str, str]] = {}
    """Fault (a method of ``Peer``) → why this channel cannot have it."""

    refuses: ClassVar[Mapping[str, str]] = {}
    """Text (its name in ``HOSTILE_TEXTS``) that this channel cannot carry → a word of the reason it gives."""

    def make_content(self, posting: Posting, revision: int = 1, text: str = OPENING) -> Content:
        """Give the content of one revision of the posting's case."""
        return Content(
            case=posting.case,
            revision=revision,
            phase=Phase.OPENED if revision == 1 else Phase.UPDATED,
            language="nl",
            subject="Vermist: kind in Leiden",
            text=text,
            pages=(tuple(text.split("\n")),),
            valid_until=datetime.now(UTC) + timedelta(hours=1),
        )

    async def test_publish_shows_the_whole_text(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """What is published is there once, whole."""
        await adapter.publish(posting, self.make_content(posting))
        shown = await peer.shown()
        assert [OPENING in text for text in shown] == [True]

    @pytest.mark.parametrize("name", HOSTILE_TEXTS)
    async def test_any_text_arrives_verbatim(self, adapter: Adapter, posting: Posting, peer: Peer, name: str) -> None:
        """No character of a text is changed, lost or obeyed on its way (R3, I7), or it is refused with the reason."""
        content = self.make_content(posting, text=HOSTILE_TEXTS[name])
        if name in self.refuses:
            with pytest.raises(PermanentError, match=self.refuses[name]):
                await adapter.publish(posting, content)
            assert await peer.shown() == []
            return
        await adapter.publish(posting, content)
        [shown] = await peer.shown()
        if adapter.capabilities.board:  # a board breaks lines where it must, and at white space only
            assert " ".join(content.text.split()) in " ".join(shown.split())
        else:
            assert content.text in shown

    async def test_publishing_again_is_harmless(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """An idempotent channel shows a repeated publication once; any other can look first, or is a message."""
        capabilities = adapter.capabilities
        content = self.make_content(posting)
        await adapter.publish(posting, content)
        if not capabilities.idempotent:
            assert capabilities.can_find or capabilities.kind is Kind.MESSAGE
            return
        await adapter.publish(posting, content)
        assert len(await peer.shown()) == 1

    async def test_update_replaces_or_follows(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """After an update the new text is there; the old one only on a channel that cannot unsend (R19)."""
        receipt = stored(await adapter.publish(posting, self.make_content(posting)))
        correction = self.make_content(posting, 2, CORRECTION)
        if not adapter.capabilities.can_update:
            with pytest.raises(PermanentError):
                await adapter.update(receipt, correction)
            return
        await adapter.update(receipt, correction)
        shown = await peer.shown()
        assert CORRECTION in shown[-1]
        assert len(shown) == (2 if adapter.capabilities.kind is Kind.MESSAGE else 1)

    async def test_a_receipt_of_an_update_works_on(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """The receipt of an update serves for the next step as the first one did."""
        if not adapter.capabilities.can_update:
            assert adapter.capabilities.can_retract  # else nothing could ever correct what is shown
            return
        receipt = stored(await adapter.publish(posting, self.make_content(posting)))
        receipt = stored(await adapter.update(receipt, self.make_content(posting, 2, CORRECTION)))
        await adapter.update(receipt, self.make_content(posting, 3, "De jongen is gevonden."))
        assert "De jongen is gevonden." in (await peer.shown())[-1]

    async def test_retract_removes_and_twice_is_fine(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """A retraction leaves nothing, and what is gone already counts as done (R5)."""
        receipt = stored(await adapter.publish(posting, self.make_content(posting)))
        if not adapter.capabilities.can_retract:
            with pytest.raises(PermanentError):
                await adapter.retract(receipt)
            return
        await adapter.retract(receipt)
        assert await peer.shown() == []
        await adapter.retract(receipt)
        assert await peer.shown() == []

    async def test_observe_tells_what_is_there(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """Reading back tells presence, and after a retraction absence."""
        receipt = stored(await adapter.publish(posting, self.make_content(posting)))
        if not adapter.capabilities.can_observe:
            with pytest.raises(PermanentError):
                await adapter.observe(receipt)
            return
        there = await adapter.observe(receipt)
        assert there.present
        assert there.revision in (None, 1)
        assert there.text is None or OPENING in there.text
        if adapter.capabilities.can_retract:
            await adapter.retract(receipt)
            assert not (await adapter.observe(receipt)).present

    async def test_find_tells_whether_it_exists(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """Looking for a posting finds nothing before, and afterwards a receipt that can be used."""
        content = self.make_content(posting)
        sought = attempted(posting, content, datetime.now(UTC))
        if not adapter.capabilities.can_find:
            with pytest.raises(PermanentError):
                await adapter.find(sought)
            return
        assert await adapter.find(sought) is None
        await adapter.publish(posting, content)
        found = await adapter.find(sought)
        assert found is not None
        if adapter.capabilities.can_retract:
            await adapter.retract(stored(found))
            assert await peer.shown() == []

    async def test_probe_shows_nothing(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """Asking whether the way is open is seen by no one."""
        await adapter.probe(posting.target)
        assert await peer.shown() == []

    @pytest.mark.fault("refuse_for_now")
    async def test_not_now_is_transient(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """A refusal for now raises ``TransientError``, changes nothing, and the same publication succeeds later."""
        await peer.refuse_for_now()
        with pytest.raises(TransientError):
            await adapter.publish(posting, self.make_content(posting))
        assert await peer.shown() == []
        await peer.recover()
        await adapter.publish(posting, self.make_content(posting))
        assert len(await peer.shown()) == 1

    @pytest.mark.fault("refuse_for_good")
    async def test_never_is_permanent(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """A refusal for good raises ``PermanentError`` with a reason, and changes nothing."""
        await peer.refuse_for_good()
        with pytest.raises(PermanentError) as refused:
            await adapter.publish(posting, self.make_content(posting))
        assert str(refused.value)
        assert await peer.shown() == []

    @pytest.mark.fault("vanish")
    async def test_unreachable_is_transient(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """Where no connection can be made nothing happened: ``TransientError``, for a probe as well."""
        await peer.vanish()
        with pytest.raises(TransientError):
            await adapter.publish(posting, self.make_content(posting))
        with pytest.raises(TransientError):
            await adapter.probe(posting.target)
        await peer.recover()
        assert await peer.shown() == []

    @pytest.mark.fault("lose_answers")
    async def test_a_lost_answer_is_unknown(self, adapter: Adapter, posting: Posting, peer: Peer) -> None:
        """Done but not answered raises ``OutcomeUnknown``; looking or repeating then leaves it there once (I4)."""
        content = self.make_content(posting)
        begun = datetime.now(UTC)
        await peer.lose_answers()
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(posting, content)
        await peer.recover()
        if adapter.capabilities.can_find:
            assert await adapter.find(attempted(posting, content, begun)) is not None
        elif adapter.capabilities.idempotent:
            await adapter.publish(posting, content)
        assert len(await peer.shown()) == 1

    @pytest.mark.parametrize(
        ("fault", "error"),
        [("refuse_for_now", TransientError), ("vanish", TransientError), ("lose_answers", OutcomeUnknown)],
    )
    async def test_a_failed_retraction_can_be_repeated(
        self, adapter: Adapter, posting: Posting, peer: Peer, fault: str, error: type[Exception]
    ) -> None:
        """A retraction that met a fault says which, and succeeds with the same receipt afterwards (I2)."""
        receipt = stored(await adapter.publish(posting, self.make_content(posting)))
        if not adapter.capabilities.can_retract:
            assert adapter.capabilities.kind is Kind.MESSAGE  # only what was sent cannot be taken back
            return
        await getattr(peer, fault)()
        with pytest.raises(error):
            await adapter.retract(receipt)
        await peer.recover()
        await adapter.retract(receipt)
        assert await peer.shown() == []
