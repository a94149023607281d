"""Groups of commands, a file each; `bridge/cli.py` puts them together."""
