"""Configurations that somebody might write to get a thing where it must not be: every word of the vocabulary, at random."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bridge.adapters.registry import Resources, find_adapters
from bridge.core.alert import Category, Status, Urgency
from bridge.core.target import OwnerKind

# What the installed adapters say of themselves: which of them is a board is for them to know, and for no file.
_NOTHING: Any = None
CAN = {
    name: found(found.Config(), Resources(_NOTHING, _NOTHING)).capabilities for name, found in find_adapters().items()
}
CHANNELS = ("sign", "display", "email", "facebook", "outbox")
LISTS: dict[str, list[Any]] = {
    "channels": list(CHANNELS),
    "categories": [one.value for one in Category],
    "statuses": [one.value for one in Status],
    "urgencies": [one.value for one in Urgency],
    "owners": [one.value for one in OwnerKind],
    "languages": ["nl", "NL", "de-DE", "en", "fr"],
    "photo": [True, False],
    "area": ["circle", "polygon", "geocode", "none"],
}
_some = st.fixed_dictionaries(
    {}, optional={name: st.lists(st.sampled_from(words), max_size=len(words)) for name, words in LISTS.items()}
)


@st.composite
def rule_lists(draw: st.DrawFn, most: int = 8) -> list[dict[str, Any]]:
    """Draw rules as a file has them; more allow than deny, for that is what is dangerous."""
    drawn = draw(st.lists(st.tuples(st.sampled_from(["allow", "allow", "deny"]), _some), max_size=most))
    return [
        {"name": f"r{number}", "effect": effect, "reason": {"nl": f"regel {number}", "en": f"rule {number}"}, **lists}
        for number, (effect, lists) in enumerate(drawn)
    ]


_ADAPTERS = {"sign": "http_sign", "display": "http_sign", "email": "email", "facebook": "facebook", "outbox": "outbox"}
_ADDRESSES = {"http_sign": "http://127.0.0.1:9100/m", "email": "a@example.nl", "facebook": "1", "outbox": "wijk"}


@st.composite
def target_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw targets of every kind, wherever they stand and whatever they take."""
    targets = []
    for number in range(draw(st.integers(1, 6))):
        channel = draw(st.sampled_from(("sign", "display", *CHANNELS)))
        adapter = _ADAPTERS[channel]
        target: dict[str, Any] = {
            "id": f"t{number}",
            "channel": channel,
            "adapter": adapter,
            "address": f"{_ADDRESSES[adapter]}",
            "owner": {"kind": draw(st.sampled_from(LISTS["owners"]))},
            "languages": draw(st.lists(st.sampled_from(["nl", "en", "de"]), max_size=2)),
        }
        if adapter == "http_sign":
            target["sign"] = draw(st.sampled_from([{"columns": 40, "rows": 8, "pages": 4, "photo": True}, {}]))
        if adapter == "facebook":
            target["secret_env"] = "FB"
        if draw(st.booleans()):
            target["accepts"] = {"status": draw(st.lists(st.sampled_from(LISTS["statuses"]), max_size=3))}
        place = draw(
            st.sampled_from(
                [{}, {"location": {"lat": 52.18, "lon": 4.49}}, {"coverage": {"polygon": ["52,4 53,4 53,5"]}}]
            )
        )
        targets.append({**target, **place})
    return targets


@st.composite
def alerts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the data of an event, strange words among the known ones."""
    alert: dict[str, Any] = {
        "category": draw(st.sampled_from([*LISTS["categories"], "MISSING_CHILD", "missing child", "amber", ""])),
        "status": draw(st.sampled_from(LISTS["statuses"])),
        "urgency": draw(st.sampled_from(LISTS["urgencies"])),
        "info": [{"language": draw(st.sampled_from(["nl", "en", "NL-nl", "pl"])), "description": "Kijk uit. Bel 112."}],
    }
    if draw(st.booleans()):
        alert["resource"] = [{"uri": "https://example.nl/foto.jpg"}]
    if draw(st.booleans()):
        alert["area"] = draw(
            st.sampled_from(
                [
                    {"circle": ["52.18,4.49 3"]},
                    {"polygon": ["52,4 53,4 53,5"], "geocode": [{"valueName": "gemeente", "value": "GM0546"}]},
                ]
            )
        )
    return alert
