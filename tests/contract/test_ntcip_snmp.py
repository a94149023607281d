"""The way to an NTCIP sign: every version of SNMP, and the same sign through another program's eyes."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from bridge.adapters.ntcip_sign import NtcipSign
from bridge.core.errors import PermanentError, TransientError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import MessageName, checksum
from bridge.simulators.ntcip import AUTH_PASSWORD, PRIV_PASSWORD, USER, NtcipSimulator
from bridge.testing import OPENING, stored
from tests.contract.ntcip_bench import (
    adapter_fixture,  # noqa: F401
    content,
    posting_on,
    simulator_fixture,  # noqa: F401
    target,
)


async def test_snmp_v1(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Version 1 refuses a whole question for one value that it does not have: it is asked for in halves, and driven."""
    posting = replace(posting_on(simulator), target=target(simulator.port, "v1:public"))
    receipt = stored(await adapter.publish(posting, content()))
    assert (await adapter.observe(receipt)).present
    assert simulator.shown() == [OPENING]
    with pytest.raises(PermanentError, match="does not have '×'"):
        await adapter.update(receipt, content("2 × rood"))
    await adapter.retract(receipt)
    assert simulator.shown() == []


async def test_a_sign_at_an_ipv6_address(adapter: NtcipSign) -> None:
    """An address in brackets is one of IPv6."""
    async with NtcipSimulator(host="::1") as simulator:
        sign = target(simulator.port).model_copy(update={"address": f"[::1]:{simulator.port}"})
        await adapter.publish(replace(posting_on(simulator), target=sign), content("Kind vermist"))
        assert simulator.shown() == ["Kind vermist"]


async def test_a_name_that_is_nowhere_is_named(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """An address that cannot be found is told apart from a sign that is silent."""
    sign = target(161).model_copy(update={"address": "bord.invalid"})
    with pytest.raises(TransientError, match="address of the sign cannot be found"):
        await adapter.publish(replace(posting_on(simulator), target=sign), content())


async def test_snmp_v3_with_a_password(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """With a user and two passwords a sign is driven in secret."""
    secret = f"v3:{USER}:SHA:{AUTH_PASSWORD}:AES:{PRIV_PASSWORD}"
    posting = replace(posting_on(simulator), target=target(simulator.port, secret))
    receipt = await adapter.publish(posting, content())
    assert simulator.shown() == [OPENING]
    await adapter.retract(stored(receipt))


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (f"v3:helemaal-fout:SHA:{AUTH_PASSWORD}:AES:{PRIV_PASSWORD}", "does not know this user"),
        (f"v3:{USER}:SHA:helemaal-fout:AES:{PRIV_PASSWORD}", "the first password"),
        (f"v3:{USER}:MD5:{AUTH_PASSWORD}:AES:{PRIV_PASSWORD}", "is it SHA"),
        (f"v3:{USER}:SHA:{AUTH_PASSWORD}:AES:helemaal-fout", "the second password"),
        (f"v3:{USER}:SHA:{AUTH_PASSWORD}:DES:{PRIV_PASSWORD}", "is it AES"),
        (f"v3:{USER}:SHA:{AUTH_PASSWORD}", "more passwords"),
        (f"v3:{USER}", "more passwords"),
    ],
)
async def test_a_wrong_login_is_named(adapter: NtcipSign, simulator: NtcipSimulator, secret: str, why: str) -> None:
    """What is wrong with a user or a password is one sentence, without the password."""
    wrong = replace(posting_on(simulator), target=target(simulator.port, secret))
    with pytest.raises(PermanentError, match=why) as refused:
        await adapter.publish(wrong, content())
    assert "helemaal-fout" not in str(refused.value)
    assert simulator.shown() == []


# The same sign through another program's eyes


@pytest.fixture
def snmp() -> Any:
    """Give net-snmp's commands, which know nothing of us."""
    if not shutil.which("snmpget"):
        pytest.skip("net-snmp (package snmp) is not installed")

    async def run(command: str, simulator: NtcipSimulator, *words: str) -> str:
        place = ("-v2c", "-c", "public", "-On", "-Oqv", f"127.0.0.1:{simulator.port}")
        process = await asyncio.create_subprocess_exec(
            command, *place, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return output.decode().strip()

    return run


async def test_net_snmp_sees_the_same_sign(adapter: NtcipSign, simulator: NtcipSimulator, snmp: Any) -> None:
    """What we put there another SNMP program reads: the text, our checksum, and that it stands."""
    await adapter.publish(posting_on(simulator), content("Kind vermist"))
    assert "Kind vermist" in await snmp("snmpget", simulator, f"{names.MESSAGE}.3.5.1")
    assert await snmp("snmpget", simulator, f"{names.MESSAGE}.5.3.1") == str(checksum(b"Kind vermist"))
    shown = await snmp("snmpget", simulator, "-Ox", names.SOURCE)
    assert shown.replace(" ", "").strip('"').lower() == MessageName(3, 1, checksum(b"Kind vermist")).octets.hex()
    walked = await snmp("snmpwalk", simulator, names.ROOT)
    assert "Kind vermist" in walked


async def test_net_snmp_drives_the_same_sign(adapter: NtcipSign, simulator: NtcipSimulator, snmp: Any) -> None:
    """Another SNMP program shows a message by the standard's own steps, and we read back that it is not ours."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    status, multi = names.column(names.STATUS, 3, 5), names.column(names.MULTI, 3, 5)
    await snmp("snmpset", simulator, status, "i", "6")
    await snmp("snmpset", simulator, multi, "s", "BURGERNET", names.column(names.PRIORITY, 3, 5), "i", "200")
    await snmp("snmpset", simulator, status, "i", "7")
    assert await snmp("snmpget", simulator, status) == "4"
    crc = int(await snmp("snmpget", simulator, names.column(names.CRC, 3, 5)))
    assert crc == 0xF94A
    code = f"ffffff030005{crc:04x}7f000001"
    await snmp("snmpset", simulator, names.ACTIVATE, "x", code)
    assert simulator.shown() == ["BURGERNET"]
    assert (await adapter.observe(receipt)).text == "BURGERNET"
