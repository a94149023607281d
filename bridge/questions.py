"""What an operator may ask before anything is sent: what goes where, why, and whether the way is open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.core.alert import Category, Status, Urgency
from bridge.core.case import Case, Standing, fold
from bridge.core.errors import AdapterError
from bridge.core.events import Opened, Updated
from bridge.core.planning import PhotoState, Policy, plan_open
from bridge.core.ports import Adapter
from bridge.core.rules import Decision, Facts, Reason, decide
from bridge.core.target import OwnerKind, Target


def matrix(policy: Policy, language: str) -> list[dict[str, Any]]:
    """Judge every category on every channel: a real and urgent Dutch alert without a photo, for a fitting owner."""
    channels = {
        channel: can.board for can in policy.adapters.values() for channel in sorted(can.channels, reverse=True)
    }
    ordered = sorted(channels, key=lambda channel: (not channels[channel], channel))
    return [
        {
            "category": category.value,
            "channels": {channel: _cell(policy, category, channel, channels[channel], language) for channel in ordered},
        }
        for category in Category
    ]


def _cell(policy: Policy, category: Category, channel: str, board: bool, language: str) -> dict[str, Any]:
    facts = Facts(
        channel=channel,
        board=board,
        owner=OwnerKind.MUNICIPALITY,
        category=category,
        status=Status.ACTUAL,
        urgency=Urgency.IMMEDIATE,
        language="nl",
        photo=False,
        area=frozenset({"circle", "geocode"}),
        accepts=(Status.ACTUAL,),
    )
    decision = decide(facts, policy.rules)
    by = decision.rule or decision.reason.value
    return {"allowed": decision.allowed, "by": by, "reason": decision.explain(language)}


def explain(policy: Policy, event: Opened | Updated, max_lifetime: timedelta, language: str) -> list[dict[str, Any]]:
    """Say for every target whether an alert goes there, and what decides."""
    case, _ = fold(Case(event.subject), event, datetime.now(UTC), max_lifetime)
    judged = plan_open(case, policy, {}, PhotoState()).judged
    if case.standing is Standing.EXPIRED:  # the event's own time is past: it would be kept, and shown nowhere
        gone = Decision(allowed=False, reason=Reason.EXPIRED)
        judged = [replace(one, decision=gone) if one.decision.allowed else one for one in judged]
    return [
        {
            "target": one.target,
            "channel": one.channel,
            "goes": one.decision.allowed,
            "reason": one.decision.explain(language),
            "reason_code": one.decision.reason.value,
            "rule": one.decision.rule,
        }
        for one in judged
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
