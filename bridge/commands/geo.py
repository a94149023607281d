"""``geo``: the boundaries that codes of municipalities, districts and neighbourhoods stand for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from bridge import boundaries
from bridge.terminal import ConfigOption, load, print_line

app = typer.Typer(help="Boundaries of municipalities, districts and neighbourhoods.", no_args_is_help=True)


@app.command("import")
def geo_import(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="GeoJSON or TopoJSON with statcode and statnaam (CBS, PDOK)."),
    ],
    config: ConfigOption = None,
) -> None:
    """Take boundaries over, in place of those that were imported before; then codes are shapes too."""
    loaded = load(config)

    def shown(features: list[Any]) -> Iterable[Any]:
        return track(features, "reading", console=Console(stderr=True), disable=not Console(stderr=True).is_terminal)

    found = boundaries.read_files(files, shown)
    path = loaded.path(loaded.settings.boundaries)
    boundaries.write(path, found)
    for note in found.notes:
        print_line(note)
    kinds = {"GM": "municipalities", "WK": "districts", "BU": "neighbourhoods"}
    counts = {name: sum(code.startswith(start) for code in found.regions) for start, name in kinds.items()}
    counts["other regions"] = len(found.regions) - sum(counts.values())
    print_line(f"{path}: {', '.join(f'{count} {name}' for name, count in counts.items() if count)}")
