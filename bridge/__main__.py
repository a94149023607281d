"""Starts the program: ``burgernet-bridge``, or ``python -m bridge``."""

from __future__ import annotations

import gc


def main() -> None:
    """Load the commands and run one. What is loaded stays: to look for garbage meanwhile takes a third of that time."""
    gc.disable()
    from bridge import cli  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
