"""What happens to signs in the field: they are replaced, share a font, and are left as they were found."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

import pytest

from bridge.adapters import ntcip_snmp
from bridge.adapters.ntcip_sign import NtcipSign
from bridge.core.errors import TransientError
from bridge.core.layout import READING
from bridge.protocols import ntcip_names as names
from bridge.simulators.ntcip import AUTH_PASSWORD, PRIV_PASSWORD, USER, NtcipSimulator
from bridge.simulators.ntcip_sign import SignState
from bridge.testing import CORRECTION, OPENING, stored
from tests.contract.ntcip_bench import (
    adapter_fixture,  # noqa: F401
    content,
    posting_on,
    simulator_fixture,  # noqa: F401
    target,
)


async def test_a_sign_that_was_replaced_is_spoken_to(
    adapter: NtcipSign, simulator: NtcipSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SNMPv3 another sign at the same address is another engine: after one silence it is asked who it is."""
    monkeypatch.setattr(ntcip_snmp, "RENEWED", 0.0)
    monkeypatch.setattr(ntcip_snmp, "LEFT", 0.0)
    secret = f"v3:{USER}:SHA:{AUTH_PASSWORD}:AES:{PRIV_PASSWORD}"
    posting = replace(posting_on(simulator), target=target(simulator.port, secret))
    receipt = stored(await adapter.publish(posting, content()))
    await simulator.stop()
    await simulator.start()  # each start is a new engine
    with pytest.raises(TransientError, match="no answer from the sign"):
        await adapter.update(receipt, content(CORRECTION))
    await adapter.update(receipt, content(CORRECTION))
    assert simulator.shown() == [CORRECTION]


async def test_signs_of_one_make_are_asked_for_their_characters_once(
    adapter: NtcipSign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a font that is known is not asked for two hundred widths again; without a version each is asked."""
    asked: list[int] = []
    glyph = SignState._glyph

    def counted(sign: SignState, code: int) -> int:
        asked.append(code)
        return glyph(sign, code)

    monkeypatch.setattr(SignState, "_glyph", counted)
    counts = []
    for version in (7, 7, 8, 0, 0):
        asked.clear()
        sign = SignState(lambda: 0.0, width=400, height=160, font_version=version)
        async with NtcipSimulator(sign=sign) as simulator:
            await adapter.probe(posting_on(simulator).target)
        counts.append(len(asked))
    assert counts[1] == 0
    assert counts[0] == counts[2] == counts[3] == counts[4] > 100


async def test_a_sign_that_is_another_one_now_is_asked_what_it_is(
    adapter: NtcipSign, simulator: NtcipSimulator
) -> None:
    """A smaller sign at the same address, or another font in it: the next text is laid out anew, at once."""
    posting, sign = posting_on(simulator), simulator.sign
    receipt = stored(await adapter.publish(posting, content()))
    sign.width = 120
    receipt = stored(await adapter.update(receipt, content(CORRECTION)))
    assert simulator.shown() == [CORRECTION]
    assert sign.buffer.multi.count(b"[nl]") == 3
    sign.registers[f"{names.FONT_VERSION}.1"] = 8
    sign.wider = 3
    await adapter.update(receipt, content(OPENING))
    assert simulator.shown() == [OPENING]
    assert sign.buffer.multi.count(b"[nl]") == 6


async def test_a_sign_that_changes_all_the_time_is_left_for_later(
    adapter: NtcipSign, simulator: NtcipSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody is loading a font into it, nothing is shown on a guess."""
    sign, get, asked = simulator.sign, simulator.sign.get, count()
    changing = f"{names.FONT_VERSION}.1"
    monkeypatch.setattr(sign, "get", lambda name: next(asked) if name == changing else get(name))
    with pytest.raises(TransientError, match="is being changed"):
        await adapter.publish(posting_on(simulator), content())


async def test_a_sign_of_lines_has_as_many_as_fit(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A line matrix tells the height of a line but no width of a character: the font's own line spacing is not used."""
    simulator.sign.cell, simulator.sign.width, simulator.sign.height = (0, 8), 60, 24
    await adapter.publish(posting_on(simulator), content("iiiiiiiiiiiii mmmmmm mmmmmmm"))
    assert simulator.sign.buffer.multi.split(b"[nl]") == [b"iiiiiiiiiiiii", b"mmmmmm", b"mmmmmmm"]


async def test_no_page_is_shorter_than_it_takes_to_read(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A page time is 25.5 seconds at most: where a full page takes longer, pages have fewer lines."""
    simulator.sign.width, simulator.sign.height = 600, 60
    text = "vermist jongen " * 56
    await adapter.publish(posting_on(simulator), content(text))
    pages = simulator.sign.buffer.multi.decode().split("[np]")
    times = [re.match(r"\[pt([0-9]+)o0\]", page) for page in pages]
    for page, time in zip(pages, times, strict=True):
        letters = len(page.partition("]")[2].replace("[nl]", " "))
        assert time is not None
        assert letters / READING.characters_per_second <= int(time[1]) / 10 + 0.1
    assert " ".join(simulator.shown()) == text.strip()
