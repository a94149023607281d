"""The targets, by where the input comes from."""

from tests.fuzz.targets import configuration, events, mail, peers, photos, queue, texts

__all__ = ["configuration", "events", "mail", "peers", "photos", "queue", "texts"]
