"""How programs come here: by their packages, into places of their own."""

from __future__ import annotations

import asyncio
import venv
from pathlib import Path

from benchmarks.processes import Failed

INSTALL_SECONDS = 900.0


async def pip(folder: Path, name: str, *packages: str) -> str:
    """Install packages into a virtual environment where they are missing; give the version of ``name``."""
    python = folder / "bin" / "python"
    if not python.exists():
        await asyncio.to_thread(venv.create, folder, with_pip=True)
    told = f"import importlib.metadata as m; print(m.version({name!r}))"
    try:
        return (await run(python, "-c", told)).strip()
    except Failed:
        await run(python, "-m", "pip", "install", "--quiet", *packages)
        return (await run(python, "-c", told)).strip()


async def run(*words: str | Path) -> str:
    """Run a command to its end; give what it says. Raises ``Failed``."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*map(str, words), stdout=pipe, stderr=pipe)
        async with asyncio.timeout(INSTALL_SECONDS):
            out, errors = await process.communicate()
    except (OSError, TimeoutError) as error:
        raise Failed(f"{Path(words[0]).name}: {error}") from None
    if process.returncode:
        last = (errors.decode(errors="replace").strip().splitlines() or ["no word why"])[-1]
        raise Failed(f"{Path(words[0]).name} ended with {process.returncode}: {last[:200]}")
    return out.decode() or errors.decode()
