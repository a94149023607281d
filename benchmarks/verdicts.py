"""The figures that have an aim: each beside what it is compared with, and whether it was met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.tables import percentile

SMALLER = "(smaller run)"
HEADER = ("", "bare", "bridge", "ratio", "aim", "")

LATENCY_AIM = 3.0  # times the bare consumer, at most
BOARDS_AIM = 0.7  # times the bare loop, at least
MAILS_AIM = 0.8
INTAKE_AIM = 0.5
MEMORY_AIM = 250.0  # MB, less than
WORKERS_AIM = 1.5  # times one worker, at least, where cores allow
GROWTH_AIM = 1.3  # times the cost on the smallest store, at most: what "flat" is taken to mean
READY_AIM = 2.0  # seconds, less than
TARGETS_AIM = 1000.0  # ms, less than
DEADLINE_AIM = 60.0  # seconds, less than: the defaults of escalation.place and escalation.remove
IDLE_AIM = 2.0  # percent of one core, at most: what "near zero" is taken to mean

SIZES = {
    "latency": 100,
    "boards": 10_000,
    "mails": 100_000,
    "intake": 10_000,
    "growth": 1_000_000,
    "targets": 100_000,
    "signs": 1_000,
    "displays": 2_000,
}  # what the aims speak of

Part = Mapping[str, Any]
Row = Sequence[str]


def rate(part: Part, who: str) -> float:
    """Give the median rate of one contender: things a second."""
    return statistics.median(one_rate(part, one) for one in part["rounds"] if one["who"] == who)


def one_rate(part: Part, one: Part) -> float:
    """Give the rate of one round: both ways for boards."""
    return float(one["rate"]) if "rate" in one else 2 * part["boards"] / (one["shown"] + one["gone"])


def ratio(part: Part, who: str = "bridge") -> float:
    """Give a contender's rate as a share of the bare one's."""
    return rate(part, who) / rate(part, "bare")


def rows(found: Part) -> list[Row]:
    """Write a row for every figure with an aim, of the parts that came to their end."""
    written: list[Row] = []
    for name, write in _ROWS.items():
        part = found["parts"].get(name)
        if part and "failed" in part:
            written.append((name, "", "", "", "", "**failed**"))
        elif part:
            written += write(part)
    return written


def _latency(part: Part) -> list[Row]:
    found = []
    for what, kind in (("event → PUT at the board, p50", "shown"), ("end event → DELETE, p50", "gone")):
        bare, bridge = (percentile(part[who][kind], 50) for who in ("bare", "bridge"))
        times = bridge / bare
        aim = f"≤ {LATENCY_AIM:g}×"
        met = _word(times <= LATENCY_AIM, len(part["bridge"][kind]) >= SIZES["latency"])
        found.append((what, f"{bare:.2f} ms", f"{bridge:.2f} ms", f"{times:.2f}×", aim, met))
    return found


def _boards(part: Part) -> list[Row]:
    count = part["boards"]
    peaks = {who: max(one["memory"] for one in part["rounds"] if one["who"] == who) for who in ("bare", "bridge")}
    kept = _word(peaks["bridge"] < MEMORY_AIM, count >= SIZES["boards"])
    return [
        _rated("boards", f"one case to {count:,} boards and back", part, BOARDS_AIM, "requests/s"),
        ("memory meanwhile, peak", f"{peaks['bare']:.0f} MB", f"{peaks['bridge']:.0f} MB", "", "< 250 MB", kept),
    ]


def _mails(part: Part) -> list[Row]:
    return [
        _rated(
            "mails",
            f"{way['mails']:,} mails to `smtp-sink`, {way['connections']} connections",
            way,
            MAILS_AIM,
            "mails/s",
        )
        for way in part["ways"]
    ]


def _intake(part: Part) -> list[Row]:
    others = [one["who"] for one in part["rounds"] if one["who"] != "bare"]
    return [
        _rated("intake", f"{part['events']:,} events taken in ({who.partition(', ')[2]})", part, INTAKE_AIM, "/s", who)
        for who in others
    ]


def demands(part: Part) -> dict[str, float]:
    """Give the processor time of one request at each program, in seconds, as measured with one worker."""
    one = part["rounds"][0]
    return {name: seconds / (2 * part["boards"]) for name, seconds in one["cpu"].items()}


def bound(part: Part, workers: int, cores: int) -> float:
    """Give the most requests a second that so many workers on so many cores can make: asymptotic bounds.

    A worker is bound by its one interpreter, the boards by theirs, and all together by the cores (Denning and Buzen,
    The Operational Analysis of Queueing Network Models, 1978).
    """
    each = demands(part)
    return min(workers / each["bridge"], 1 / each["boards"], cores / sum(each.values()))


def speed_up(part: Part) -> float:
    """Give how many times faster the most workers were than one."""
    return float(part["rounds"][0]["seconds"] / part["rounds"][-1]["seconds"])


def _workers(part: Part) -> list[Row]:
    rates = [f"{2 * part['boards'] / one['seconds']:,.0f} requests/s" for one in part["rounds"]]
    allowed = bound(part, 2, part["cores"]) / bound(part, 1, part["cores"])
    times = speed_up(part)
    met = "met" if times >= WORKERS_AIM else f"{part['cores']} cores allow {allowed:.2f}×"
    return [("one worker : two, on PostgreSQL", rates[0], rates[-1], f"{times:.2f}×", f"≥ {WORKERS_AIM:g}×", met)]


def slope(part: Part, figure: str) -> float:
    """Give how many times more something costs on the largest store than on the smallest."""
    return float(part["rounds"][-1][figure] / part["rounds"][0][figure])


def _growth(part: Part) -> list[Row]:
    first, last = part["rounds"][0], part["rounds"][-1]
    costs = [f"{one['cpu'] * 1e6 / (2 * part['boards']):,.0f} µs" for one in (first, last)]
    times = slope(part, "cpu")
    whole = last["postings"] >= SIZES["growth"]
    what = f"cost of a posting on {first['postings']:,} : {last['postings']:,} rows"
    return [(what, *costs, f"{times:.2f}×", f"≤ {GROWTH_AIM:g}×", _word(times <= GROWTH_AIM, whole))]


def _idle(part: Part) -> list[Row]:
    ready = statistics.median(part["ready"])
    return [
        ("start → ready", "", f"{ready:.2f} s", "", f"< {READY_AIM:g} s", _word(ready < READY_AIM)),
        ("processor while idle", "", f"{part['percent']:.1f} %", "", "near 0", _word(part["percent"] <= IDLE_AIM)),
    ]


def _targets(part: Part) -> list[Row]:
    whole = part["targets"] >= SIZES["targets"]
    what = f"decide, target and lay out for {part['targets']:,} targets"
    said = (f"{part['bare']:.2f} ms", f"{part['plan']:,.0f} ms", "", f"< {TARGETS_AIM:,.0f} ms")
    return [(what, *said, _word(part["plan"] < TARGETS_AIM, whole))]


def _signs(part: Part) -> list[Row]:
    return [
        _in_time(f"{part['signs']:,} NTCIP signs {way}, {one['what']}", one[figure], part["signs"] >= SIZES["signs"])
        for one in part["rounds"]
        for way, figure in (("lit", "shown"), ("dark", "gone"))
    ]


def _displays(part: Part) -> list[Row]:
    return [
        _in_time(
            f"{part['displays']:,} display pages {way}, by their own word",
            statistics.median(one[figure] for one in part["rounds"]),
            part["displays"] >= SIZES["displays"],
        )
        for way, figure in (("lit", "shown_confirmed"), ("dark", "gone_confirmed"))
    ]


def _in_time(what: str, seconds: float, whole: bool) -> Row:
    return (what, "", f"{seconds:.1f} s", "", f"< {DEADLINE_AIM:g} s", _word(seconds < DEADLINE_AIM, whole))


def _rated(name: str, what: str, part: Part, aim: float, unit: str, who: str = "bridge") -> Row:
    share = ratio(part, who)
    said = [f"{rate(part, one):,.0f} {unit}" for one in ("bare", who)]
    size = part["events" if name == "intake" else name]
    return (what, *said, f"{share:.2f}×", f"≥ {aim:g}×", _word(share >= aim, size >= SIZES[name]))


def _word(met: bool, whole: bool = True) -> str:
    """Say whether an aim is met; a smaller run says nothing about it."""
    return SMALLER if not whole else "met" if met else "**not met**"


_ROWS: dict[str, Callable[[Part], list[Row]]] = {
    "latency": _latency,
    "boards": _boards,
    "mails": _mails,
    "intake": _intake,
    "workers": _workers,
    "growth": _growth,
    "idle": _idle,
    "targets": _targets,
    "signs": _signs,
    "displays": _displays,
}
