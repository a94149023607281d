"""The targets, by where the input comes from."""

from tests.fuzz.targets import configuration, events, mail, maps, peers, photos, queue, signs, texts

__all__ = ["configuration", "events", "mail", "maps", "peers", "photos", "queue", "signs", "texts"]
