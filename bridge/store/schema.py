"""The tables. Times are seconds since the epoch (UTC), in double precision: microseconds for the next two centuries."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"},
)

# SQLite counts rows by itself only in a column that is exactly INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str, length: int | None = None, **more: object) -> Column[str]:
    return Column(name, String(length) if length else Text(), nullable=False, default="", **more)  # type: ignore[arg-type]


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, default=0)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, default=False)


def _time(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable, default=None if nullable else 0.0)


# Every event that was ever accepted, with what it did; as it came, until its case is erased.
events = Table(
    "events",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("id", String(255), primary_key=True),
    _text("case_id", 255),
    _text("type", 64),
    _time("time"),
    _time("received"),
    _text("verdict", 32),
    _text("body"),
)
Index("ix_events_case_id", events.c.case_id)

cases = Table(
    "cases",
    metadata,
    Column("id", String(255), primary_key=True),
    _text("standing", 16),
    _text("outcome", 16),
    _text("category", 64),
    _text("headline"),
    _number("revision"),
    _number("worded"),
    _number("plan"),  # counts the times the targets were judged
    _text("policy", 64, server_default=""),  # the digest of what they were judged by last
    Column("planned", Integer, nullable=True),  # so many targets were judged by now; nothing: all of them
    _text("registers"),
    _time("expires", nullable=True),
    _time("opened"),
    _time("changed"),
    _time("erased", nullable=True),  # when its words were erased; nothing has come in since
    Column("trace", Text, nullable=True),  # JSON: where in a trace the latest change belongs
    Column("advice", Text, nullable=True),  # JSON: what was advised on its texts, each in Dutch and English
)
Index("ix_cases_standing_expires", cases.c.standing, cases.c.expires)
Index("ix_cases_changed", cases.c.changed)
_unfinished = cases.c.planned.is_not(None)
Index("ix_cases_planned", cases.c.planned, sqlite_where=_unfinished, postgresql_where=_unfinished)
ERASABLE = text("standing <> 'open' AND erased IS NULL")
Index("ix_cases_erasable", cases.c.changed, sqlite_where=ERASABLE, postgresql_where=ERASABLE)

# What is shown, each thing once: 100,000 postings with the same words share one row.
contents = Table("contents", metadata, Column("id", String(64), primary_key=True), _text("case_id", 255), _text("body"))
Index("ix_contents_case_id", contents.c.case_id)

# Targets as they were when something was put there, so that it can be taken back after they left the list.
targets = Table("targets", metadata, Column("id", String(64), primary_key=True), _text("name", 100), _text("body"))

postings = Table(
    "postings",
    metadata,
    Column("id", String(26), primary_key=True),
    _text("case_id", 255),
    _text("target", 100),
    _text("target_row", 64),
    _text("channel", 100),
    _text("adapter", 100),
    _text("kind", 16),
    _text("language", 35),
    # what should be there
    _text("desired", 16),
    _text("content", 64),
    _number("revision"),
    _text("photo", 64),
    _flag("ending"),
    _text("reason", 100),
    _time("desired_at"),
    _flag("held"),
    # what is there
    _text("applied", 16),
    _text("applied_content", 64),
    _number("applied_revision"),
    _text("applied_photo", 64),
    _flag("applied_ending"),
    _flag("carried"),
    _flag("stale"),
    _number("blind"),
    _number("looks"),
    _number("attempts"),
    _text("error"),
    Column("waits", Boolean, nullable=False, default=False, server_default=false()),
    _time("shown_until"),
    Column("handle", Text, nullable=True),
    _time("applied_at"),
    _time("verified_at"),
    _text("seen", 8, server_default=""),  # what the latest look found: ours, dark, other; nothing: never looked
    _text("seen_text", server_default=""),  # what stands there instead
    Column("gone_at", Double, nullable=False, default=0.0, server_default=text("0")),  # taken away
    Column("dark_at", Double, nullable=False, default=0.0, server_default=text("0")),  # and first seen to be gone
    Column("drift_at", Double, nullable=False, default=0.0, server_default=text("0")),  # since when it is not so
    # when to look again, and who is looking
    _time("due", nullable=True),
    Column("priority", SmallInteger, nullable=False, default=1),
    Column("claim", String(64), nullable=True),
    _text("doing", 16),
    _text("doing_content", 64),
    _flag("doing_ending"),
    _time("doing_since"),
)
_is_due = postings.c.due.is_not(None)
Index(
    "ix_postings_due",
    postings.c.adapter,
    postings.c.priority,
    postings.c.due,
    sqlite_where=_is_due,
    postgresql_where=_is_due,
)
# By its name, not its digest: digests lie anywhere, and thousands of them would have as many pages written.
Index("ix_postings_target", postings.c.target, sqlite_where=_is_due, postgresql_where=_is_due)
Index("ix_postings_case_id_target", postings.c.case_id, postings.c.target)
# What is on a board, or is to be, or was and has not been seen to be gone.
ON_A_BOARD = text(
    "kind = 'state' AND (desired = 'shown' OR applied IN ('shown', 'unknown')"
    " OR (gone_at > dark_at AND due IS NOT NULL))"
)
Index("ix_postings_on_a_board", postings.c.target, sqlite_where=ON_A_BOARD, postgresql_where=ON_A_BOARD)
# Still there and unwanted (``State.wanted`` in SQL); what was mailed is out of our hands. Written with literals, for a
# database uses a partial index only where it can see that a query says the same.
LEFT_BEHIND = text(
    "(desired <> 'shown' OR (ending AND NOT carried)) AND applied IN ('shown', 'unknown') AND kind <> 'message'"
)
Index("ix_postings_left_behind", postings.c.desired_at, sqlite_where=LEFT_BEHIND, postgresql_where=LEFT_BEHIND)

# Every decision about every target, with its reason.
decisions = Table(
    "decisions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    _text("case_id", 255),
    _number("plan"),
    _number("revision"),
    _text("target", 100),
    _text("channel", 100),
    _flag("allowed"),
    _text("reason", 32),
    _text("rule", 100),
    _text("detail"),
    _text("words"),  # JSON: the reason for people, by language
    _time("at"),
)
Index("ix_decisions_case_id_plan_target", decisions.c.case_id, decisions.c.plan, decisions.c.target)

# Every attempt, append-only.
journal = Table(
    "journal",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    _text("posting", 26),
    _time("at"),
    _text("step", 16),
    _number("revision"),
    _text("result", 16),
    _text("error"),
    Column("seconds", Double, nullable=False, default=0.0),
)
Index("ix_journal_posting", journal.c.posting)

# One photo of a case: its bytes are here only while the case is open.
photos = Table(
    "photos",
    metadata,
    Column("case_id", String(255), primary_key=True),
    Column("uri", Text, primary_key=True),
    _text("state", 16),  # wanted, ready, failed, erased
    _text("digest", 64),
    _text("description"),
    _text("error"),
    _time("deadline"),
    Column("data", LargeBinary, nullable=True),
)
Index("ix_photos_state", photos.c.state)
Index("ix_photos_digest", photos.c.digest)

# What group admins find in their outbox.
admin_messages = Table(
    "admin_messages",
    metadata,
    Column("posting", String(26), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    _text("admin", 100),
    _text("case_id", 255),
    _text("phase", 16),
    _text("subject"),
    _text("text"),
    _time("at"),
)
Index("ix_admin_messages_admin_at", admin_messages.c.admin, admin_messages.c.at)

# Delivery results that still have to be told on the status exchange.
notices = Table(
    "notices",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    _text("what", 16),
    _text("body"),
)

# What each display page is to show, its number that rises with every change, and what each screen has painted.
display_messages = Table(
    "display_messages",
    metadata,
    Column("posting", String(26), primary_key=True),
    _text("case_id", 255),
    _text("target", 100),
    _text("key", 64),
    _text("body"),  # JSON, without the photo's bytes
    _text("photo", 64),
    _time("valid_until"),
    _time("at"),
)
Index("ix_display_messages_target", display_messages.c.target)
Index("ix_display_messages_case_id", display_messages.c.case_id)
displays = Table(
    "displays",
    metadata,
    Column("target", String(100), primary_key=True),
    _number("version"),
    _time("changed"),
)
Index("ix_displays_changed", displays.c.changed)
screens = Table(
    "screens",
    metadata,
    Column("target", String(100), primary_key=True),
    Column("screen", String(64), primary_key=True),
    _time("seen"),
    _text("showing"),  # JSON: the keys of what it has painted
)

# What suppliers were asked to do at boards that only they can reach, and what they answered.
orders = Table(
    "orders",
    metadata,
    Column("posting", String(26), primary_key=True),
    _text("case_id", 255),
    _text("target", 100),
    _text("what", 8),  # place, remove
    _text("key", 32),  # of the text that is to be placed
    _number("serial"),  # rises with each order: a link of an older one is out of date
    _text("body"),  # JSON: what the supplier is told
    _time("asked"),
    _number("sent"),  # how often
    _time("sent_at"),
    _text("answer", 8),  # done, cannot
    _text("reason"),
    _time("answered_at"),
)
Index("ix_orders_case_id", orders.c.case_id)

# Targets that an operator keeps a case off, whatever is posted there, now or later.
holds = Table(
    "holds",
    metadata,
    Column("case_id", String(255), primary_key=True),
    Column("target", String(100), primary_key=True),
)

# The processes that share a PostgreSQL, by the database's clock. An embedded store has none.
workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    _text("roles", 64),
    _text("version", 32),
    _time("since"),
    _time("seen"),
)

# Which rules, targets and templates decide in each process, and the latest wish to read them anew that it answered.
policies = Table(
    "policies",
    metadata,
    Column("worker", String(64), primary_key=True),
    _number("number"),
    _text("body"),
)

# What took too long to be shown or taken away, and whom that was told.
alarms = Table(
    "alarms",
    metadata,
    Column("posting", String(26), primary_key=True),
    _text("case_id", 255),
    _text("what", 8),  # place, remove
    _time("since"),
    _number("told"),
    _time("next_at"),
)
Index("ix_alarms_case_id", alarms.c.case_id)

# Numbers that are given out one by one: the last of each series; and for whom those were that may still be in use.
counters = Table("counters", metadata, Column("name", String(100), primary_key=True), _number("value"))
numbers = Table(
    "numbers",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("holder", 64),
    _time("until"),
)
Index("ix_numbers_holder", numbers.c.holder)

# Small facts about the whole bridge, for instance its name.
facts = Table("facts", metadata, Column("name", String(64), primary_key=True), _text("value"))
