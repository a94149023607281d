"""What an operator may ask before anything is sent: what goes where, why, and whether the way is open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bridge.core.asking import ask
from bridge.core.errors import AdapterError
from bridge.core.events import Opened, Updated
from bridge.core.planning import PhotoState, Policy
from bridge.core.ports import Adapter
from bridge.core.rules import DECIDED_BY
from bridge.core.target import Target


def explain(
    policy: Policy, event: Opened | Updated, now: datetime, max_lifetime: timedelta, language: str
) -> list[dict[str, Any]]:
    """Say for every target whether an alert goes there, and what decides: rule, invariant, geography, layout."""
    answer = ask(policy, event, now, max_lifetime, PhotoState())
    return [
        {
            "target": one.target,
            "channel": one.channel,
            "goes": one.decision.allowed,
            "reason": one.decision.explain(language),
            "reason_code": one.decision.reason.value,
            "decided_by": DECIDED_BY[one.decision.reason],
            "rule": one.decision.rule,
        }
        for one in answer.judged
    ]


async def probe(policy: Policy, adapters: Mapping[str, Adapter]) -> list[dict[str, Any]]:
    """Try the way to every target, a few dozen at a time."""
    gate = asyncio.Semaphore(32)

    async def one(target: Target) -> dict[str, Any]:
        async with gate:
            error = await _try(adapters[target.adapter], target)
        return {"target": target.id, "channel": target.channel, "open": not error, "error": error}

    return list(await asyncio.gather(*(one(target) for target in policy.targets)))


async def _try(adapter: Adapter, target: Target) -> str:
    try:
        async with asyncio.timeout(adapter.capabilities.timeout):
            await adapter.probe(target)
    except AdapterError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {adapter.capabilities.timeout:g} s"
    return ""
