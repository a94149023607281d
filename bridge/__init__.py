"""The Burgernet bridge: keeps alerts where they should be seen, and takes them back when the case ends."""

__version__ = "0.1.0"
