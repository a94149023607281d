"""What the page says of boards that speak a protocol of their own: signs and display pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.tables import prose, table

Part = Mapping[str, Any]


def signs_section(part: Part) -> str:
    """Write of NTCIP signs."""
    count, rows = part["signs"], []
    for one in part["rounds"]:
        for way, words in (("shown", "event → last sign lit"), ("gone", "end event → last sign dark")):
            asked, cpu = one[f"{way}_asked"], one[f"{way}_cpu"]
            rows.append(
                (
                    one["what"],
                    words,
                    f"{one[way]:.1f}",
                    f"{count / one[way]:,.0f}",
                    f"{asked / count:.1f}",
                    f"{cpu * 1e3 / count:.1f}",
                    f"{cpu * 1e3 / asked:.2f}",
                    f"{100 * cpu / one[way]:.0f} %",
                )
            )
    header = (
        *("", "", "seconds", "signs/s", "requests a sign", "processor time a sign, ms", "a request, ms"),
        "bridge, busy",
    )
    return (
        prose(
            f"One case to {count:,} NTCIP 1203 signs and back, twice, by one bridge over SNMPv2c; the signs are those"
            " of the simulator, in a process of their own behind a small SNMP of its own. Shown means that the sign has"
            " taken the order to show the message, after it was written, checked and read. New signs are"
            " asked for their size, limits and the width of each character as well. Read-backs are included."
        )
        + table(header, rows)
        + f"\nMost memory that the bridge ever held: {part['memory']:.0f} MB.\n"
    )


def displays_section(part: Part) -> str:
    """Write of display pages."""
    count, opening, quiet = part["displays"], part["opening"], part["quiet"]
    rows = []
    for number, one in enumerate(part["rounds"], 1):
        for way, words in (("shown", "event → last page told of it"), ("gone", "end event → last page told")):
            rows.append(
                (
                    str(number),
                    words,
                    f"{one[way]:.2f}",
                    f"{one[f'{way}_confirmed']:.2f}",
                    f"{count / one[f'{way}_confirmed']:,.0f}",
                    f"{one[f'{way}_cpu'] * 1e3 / count:.2f}",
                )
            )
    header = ("case", "", "seconds", "all confirmed after, s", "pages/s", "processor time a page, ms")
    return (
        prose(
            f"{count:,} display pages, one for each of so many targets, open on one bridge. Each is a light client that"
            " does what the page does: it keeps its stream of events open, confirms what it is told at once over a"
            " second connection, and says every 15 s what it shows. What a browser takes to paint is not in it."
        )
        + prose(
            f"All of them are open and heard of after {opening['seconds']:.1f} s ({opening['cpu']:.1f} s of processor"
            f" time). Resident memory of the bridge: {part['before']:.0f} MB before, and **{part['each']:.0f} kB more"
            f" for each open page**, both connections together; at most {part['memory']:.0f} MB in all. While nothing"
            f" happens but heart-beats and the pages' words: {quiet['percent']:.0f} % of one core."
        )
        + table(header, rows)
    )
