"""What the page says of each part: its table, its chart, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import charts
from benchmarks.board_sections import displays_section, signs_section
from benchmarks.tables import chart, percentile, prose, table
from benchmarks.verdicts import (
    BOARDS_AIM,
    INTAKE_AIM,
    MAILS_AIM,
    bound,
    demands,
    one_rate,
    rate,
    ratio,
    slope,
    speed_up,
)

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    write: Callable[[Part], str]
    draw: Callable[[Part], str] | None = None


def _latency(part: Part) -> str:
    rows = []
    for what, kind in (("opened → PUT", "shown"), ("ended → DELETE", "gone")):
        for who in ("bare", "bridge"):
            points = [percentile(part[who][kind], share) for share in (50, 90, 99)]
            rows.append((what, who, *(f"{point:.2f}" for point in points)))
    count = len(part["bridge"]["shown"])
    return (
        prose(
            f"One event at a time on an idle program, {count} cases in turns; milliseconds from just before the"
            " publication to the moment the board has the whole request. The bridge commits twice before it (the"
            " event, then the claim)."
        )
        + table(("", "", "p50", "p90", "p99"), rows)
        + chart("latency", "Share of events at the board within so many milliseconds")
    )


def _latency_chart(part: Part) -> str:
    series = {}
    for who in ("bare", "bridge"):
        times = sorted(part[who]["shown"])
        shares = range(1, 100)
        series[who] = [(percentile(times, share), float(share)) for share in shares]
    return charts.lines("Event → board on an idle program", series, "milliseconds", "% of events")


def _boards(part: Part) -> str:
    rows = [
        (
            one["who"],
            f"{one['shown']:.2f}",
            f"{one['gone']:.2f}",
            f"{one_rate(part, one):,.0f}",
            f"{one['cpu'] * 1e6 / (2 * part['boards']):,.0f}",
            f"{one['memory']:.0f}",
        )
        for one in part["rounds"]
    ]
    header = ("", "all shown after, s", "all dark after, s", "requests/s", "processor time a request, µs", "peak, MB")
    return (
        prose(
            f"One case to {part['boards']:,} boards and back, a new process and a new store each round; 256 requests"
            " at a time for both. Read-backs and status events are included."
        )
        + table(header, rows)
        + f"\nBridge ÷ bare, medians: **{ratio(part):.2f}×**.\n"
        + chart("boards", "Requests a second, bare and bridge, and the aim")
    )


def _boards_chart(part: Part) -> str:
    return _rates(f"One case to {part['boards']:,} boards and back: requests/s", part, ("bridge",), BOARDS_AIM)


def _mails(part: Part) -> str:
    rows = [
        (
            f"{way['connections']}",
            f"{way['mails']:,}",
            one["who"],
            f"{one['seconds']:.1f}",
            f"{one['first']:.2f}",
            f"{one['rate']:,.0f}",
            f"{ratio(way, one['who']):.2f}×",
            f"{one['cpu'] * 1e6 / way['mails']:,.0f}",
            f"{one['received'] - way['mails']:+,}" if one["received"] != way["mails"] else "0",
            f"{one['memory']:.0f}",
        )
        for way in part["ways"]
        for one in way["rounds"]
    ]
    header = (
        *("connections", "mails", "", "seconds", "first after, s", "mails/s", "ratio"),
        *("processor time a mail, µs", "too many", "peak, MB"),
    )
    return (
        prose(
            "One case to very many readers, over so many connections to Postfix's `smtp-sink`; the same mail of"
            f" {part['size']:,} bytes for all. Counted by `smtp-sink`; the time includes planning a posting for every"
            " reader, and each mail's claim and result are durable. At most the mails in flight, one a connection,"
            " can come twice after a kill: more connections are faster, and put more in doubt. *durable* is the bare"
            " program with such claims and results in a narrow SQLite table, over the bridge's own way to the server"
            " (which sends the commands of a mail together): what it is faster than the bridge is not durability's"
            " cost, but that of judging, reasons, notices and wide rows."
        )
        + table(header, rows)
        + chart("mails", "Mails a second: bare, durable and bridge, and the aim")
    )


def _mails_chart(part: Part) -> str:
    given, aims = [], []
    for way in part["ways"]:
        bare = rate(way, "bare")
        for who in (one["who"] for one in way["rounds"]):
            share, words = (MAILS_AIM, f"aim {MAILS_AIM:g}×") if who == "bridge" else (1.0, "1×")
            given.append((f"{who}, {way['connections']} connections", rate(way, who), f"{rate(way, who):,.0f}"))
            aims.append((bare * share, words))
    return charts.bars("Mails to smtp-sink: mails/s", given, aims)


def _intake(part: Part) -> str:
    rows = [
        (
            one["who"],
            f"{one['seconds']:.2f}",
            f"{one['rate']:,.0f}",
            f"{ratio(part, one['who']):.2f}×",
            f"{one['cpu'] * 1e6 / part['events']:,.0f}",
            f"{one['told']:.1f}" if "told" in one else "",
        )
        for one in part["rounds"]
    ]
    return (
        prose(
            f"{part['events']:,} openings of as many cases wait in a quorum queue; the contender, started before and"
            f" held meanwhile, is let go, with a prefetch of {part['prefetch']}. None of them is meant for the"
            " bridge's one board: each is read, kept and judged. The bare consumer acknowledges and forgets. The bridge"
            " also tells of each (`nl.burgernet.posting.refused`); that waits while events stand in line, and the last"
            " column says when all was told."
        )
        + table(("", "seconds", "events/s", "ratio", "processor time an event, µs", "all told after, s"), rows)
        + chart("intake", "Events a second, bare and bridge, and the aim")
    )


def _intake_chart(part: Part) -> str:
    others = [one["who"] for one in part["rounds"] if one["who"] != "bare"]
    return _rates(f"{part['events']:,} waiting events taken in: events/s", part, others, INTAKE_AIM)


def _rates(title: str, part: Part, others: Sequence[str], aim: float) -> str:
    """Draw the bare rate, and each of the others beside the share of it that is aimed for."""
    bare = rate(part, "bare")
    given = [(who, rate(part, who), f"{rate(part, who):,.0f}") for who in ("bare", *others)]
    return charts.bars(title, given, [(bare, "1×"), *((bare * aim, f"aim {aim:g}×") for _ in others)])


def _workers(part: Part) -> str:
    names = list(part["rounds"][0]["cpu"])
    rows = []
    for one in part["rounds"]:
        busy = [f"{100 * one['cpu'][name] / one['seconds']:.0f} %" for name in names]
        rows.append(
            (str(one["workers"]), f"{one['seconds']:.2f}", f"{2 * part['boards'] / one['seconds']:,.0f}", *busy)
        )
    header = ("workers", "seconds", "requests/s", *(f"{name}, busy" for name in names))
    each = ", ".join(f"{name} {1e6 * seconds:.0f} µs" for name, seconds in demands(part).items())
    cores = sorted({part["cores"], 4, 8, 16})
    model = [(f"{count}", *(f"{bound(part, count, size):,.0f}" for size in cores)) for count in WORKERS]
    return (
        prose(
            f"One case to {part['boards']:,} boards and back, by one process and by two on one PostgreSQL and one"
            f" queue. Two are **{speed_up(part):.2f}×** one. All programs share {part['cores']} cores; *busy* is"
            " processor time over time, in percent of one core, the bridge's processes together."
        )
        + table(header, rows)
        + "\n"
        + prose(
            "Where the cores do not allow more, a model says what they would. Each request costs, measured with one"
            f" worker: {each}. A worker is bound by its one interpreter, the boards by theirs, and all together by the"
            " cores (asymptotic bounds of operational analysis): requests/s ≤ min(workers ÷ bridge, 1 ÷ boards, cores"
            " ÷ all). Where waiting for the database counts, less comes of it: compare the first column with what was"
            " measured."
        )
        + table(("workers", *(f"{size} cores" for size in cores)), model)
        + chart("workers", "Measured requests a second, and the most that so many cores allow")
    )


WORKERS = (1, 2, 3, 4)


def _workers_chart(part: Part) -> str:
    measured = [(one["workers"], 2 * part["boards"] / one["seconds"]) for one in part["rounds"]]
    bounds = {
        f"bound on {cores} cores": [(float(count), bound(part, count, cores)) for count in WORKERS]
        for cores in sorted({part["cores"], 4, 8})
    }
    return charts.lines("Workers on one PostgreSQL", {"measured": measured, **bounds}, "workers", "requests/s")


def _growth(part: Part) -> str:
    rows = [
        (
            f"{one['postings']:,}",
            f"{one['bytes'] / 1e6:,.0f}",
            f"{one['ready']:.2f}",
            f"{one['shown']:.2f}",
            f"{one['gone']:.2f}",
            f"{one['seconds'] * 1e6 / (2 * part['boards']):,.0f}",
            f"{one['cpu'] * 1e6 / (2 * part['boards']):,.0f}",
        )
        for one in part["rounds"]
    ]
    header = (
        *("postings before", "store, MB", "start → ready, s", "event → PUT, ms", "end → DELETE, ms"),
        *("a posting, µs", "processor time a posting, µs"),
    )
    return (
        prose(
            "The same work on stores that hold so many settled postings of closed cases, each with its decision and"
            f" its journal: {part['cases']} cases one by one to one board (p50), and one case to {part['boards']:,}"
            " boards and back. From the smallest to the largest store the processor time grows"
            f" {slope(part, 'cpu'):.2f}×, the time {slope(part, 'seconds'):.2f}×, the way of one event"
            f" {slope(part, 'shown'):.2f}×."
        )
        + table(header, rows)
        + chart("growth", "Processor time a posting against the size of the store")
    )


def _growth_chart(part: Part) -> str:
    def of(figure: str) -> list[tuple[float, float]]:
        return [(one["postings"], one[figure] * 1e6 / (2 * part["boards"])) for one in part["rounds"]]

    series = {"time": of("seconds"), "processor time": of("cpu")}
    return charts.lines("Cost of one posting", series, "postings in the store before", "µs", log=True)


def _idle(part: Part) -> str:
    starts, cpu = (", ".join(f"{seconds:.2f}" for seconds in part[name]) for name in ("ready", "ready_cpu"))
    return prose(
        "From the start of the process to the first 200 of `/readyz`, with the broker, a new SQLite store and one"
        f" board: {starts} s (processor time: {cpu} s). Idle, watched for {part['seconds']:g} s: {part['percent']:.1f}"
        f" % of one core, {part['wake_ups']:.0f} wake-ups a second."
    )


def _targets(part: Part) -> str:
    rows = [
        ("a bare STRtree query: which points lie in the circle", f"{part['bare']:.2f}", ""),
        ("whom the alert is meant for: circles, codes, places, exact to a metre", f"{part['meant']:.2f}", ""),
        ("all of it: rules, place, language and layout, with a reason for each target", f"{part['plan']:,.0f}", ""),
        ("once, at the start or a reload: the index", f"{part['build']:,.0f}", f"{part['memory']:.0f}"),
    ]
    return prose(
        f"One alert for a circle of 5 km, held against {part['targets']:,} boards of eight sizes all over the country;"
        f" {part['found']:,} of them are meant. Medians of nine alerts, each somewhere else, in one process."
    ) + table(("", "ms", "memory, MB"), rows)


_STORIES = {
    "undisturbed": "undisturbed",
    "SIGKILL": "SIGKILL in the middle of the openings, and a start",
    "A": "A: boards down for some seconds; the case opens, ends, and then they are back",
    "B": "B: a board takes 3 s to show anything; the case ends after half a second",
    "C": "C: SIGKILL between the opening and the ending",
}


def _others(part: Part) -> str:
    rows = []
    for scenario, words in _STORIES.items():
        for one in (one for one in part["scores"] if one["scenario"] == scenario):
            if "failed" in one:
                rows.append((words, one["who"], "did not come to its end", "", "", "", ""))
                continue
            seconds = f"{one['seconds']:.1f}" if scenario in ("undisturbed", "SIGKILL") else ""
            counts = [str(one[name]) for name in ("lost_boards", "lost_mails", "doubled", "left")]
            rows.append((words, one["who"], seconds, *counts))
    header = ("", "", "seconds", "boards never lit", "mails lost", "mails doubled", "boards left lit")
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    missing = "".join(
        f" {name} could not be installed: {why.splitlines()[0]}." for name, why in part["missing"].items()
    )
    return (
        prose(
            "What people would use instead, each installed by its package and written as its documentation advises"
            f" ([the programs](../benchmarks/README.md#beside-others)): {versions}.{missing} The job is the same: an"
            f" opening is put on {part['boards']} boards and mailed once, an ending clears them and is mailed once."
            f" The first two groups of rows play {part['cases']} cases at once; the stories A, B and C one. A kill"
            " ends the program and all its children; it is started again at once."
        )
        + table(header, rows)
        + "\n"
        + prose(
            "A doubled mail after a kill is what cannot be known: whether it left. Boards are counted at the boards"
            " and mails at the mail server, when nothing has changed for 20 s."
        )
        + chart("others", "Boards left lit, boards never lit and mails lost or doubled, over all five scenarios")
    )


def _others_chart(part: Part) -> str:
    faults: dict[str, list[float]] = {}
    for one in part["scores"]:
        sums = faults.setdefault(one["who"], [0, 0, 0])
        if "failed" not in one:
            sums[0] += one["left"]
            sums[1] += one["lost_boards"] + one["lost_mails"]
            sums[2] += one["doubled"]
    words = ("boards left lit", "boards never lit and mails lost", "mails doubled")
    return charts.stacks("What went wrong in the five scenarios together", faults, words)


SECTIONS = {
    "latency": Section("Event → board", _latency, _latency_chart),
    "boards": Section("One case to many boards and back", _boards, _boards_chart),
    "mails": Section("One case to many readers", _mails, _mails_chart),
    "intake": Section("Sustained intake", _intake, _intake_chart),
    "workers": Section("One worker and two", _workers, _workers_chart),
    "growth": Section("Flat cost", _growth, _growth_chart),
    "idle": Section("Start and idleness", _idle),
    "targets": Section("One alert and very many targets", _targets),
    "signs": Section("One case to many NTCIP signs", signs_section),
    "displays": Section("Very many display pages", displays_section),
    "others": Section("Beside others", _others, _others_chart),
}
