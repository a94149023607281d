"""The pages of the simulated Graph API: what they show, and everything they ever showed."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass
class Post:
    """A live post; ``photo`` is the id of its photo, or empty. ``author`` is the page unless a visitor wrote it."""

    id: str
    page: str
    author: str
    message: str
    created_time: datetime
    photo: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of history: ``action`` is published, updated, deleted or photo_deleted."""

    at: datetime
    action: str
    page: str
    post: str
    message: str


class GraphError(Exception):
    """An answer of the API that is not what was asked for."""

    def __init__(self, code: int, text: str, *, subcode: int | None = None, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.subcode, self.status = code, subcode, status


class GraphPages:
    """Posts and photos of a few pages. ``history`` only grows."""

    def __init__(self) -> None:
        self.history: list[Entry] = []
        self._live: dict[str, Post] = {}
        self._photos: dict[str, tuple[str, bytes]] = {}
        self._numbers = itertools.count(122_000_000_000_001)

    def owner(self, name: str) -> str:
        """Give the page that a page, post or photo belongs to."""
        return self._photos[name][0] if name in self._photos else name.partition("_")[0]

    def posts(self, page: str) -> list[Post]:
        """Give the live posts of a page, oldest first."""
        return sorted((post for post in self._live.values() if post.page == page), key=lambda post: post.created_time)

    def photos(self, page: str) -> list[bytes]:
        """Give the photos that the page has, in a post or left behind in its album."""
        return [data for owner, data in self._photos.values() if owner == page]

    def put_post(
        self, page: str, message: str, *, created_time: datetime | None = None, author: str = "", photo: bytes = b""
    ) -> Post:
        """Put a post on a page, as a publication does, or by a visitor, or long ago. White space around is trimmed."""
        number = str(next(self._numbers))
        if photo:
            self._photos[number] = (page, photo)
        text = _as_kept(message)
        at = created_time or datetime.now(UTC)
        post = Post(f"{page}_{number}", page, author or page, text, at, number if photo else "")
        self._live[post.id] = post
        self._record("published", post)
        return post

    def _record(self, action: str, post: Post) -> None:
        self.history.append(Entry(datetime.now(UTC), action, post.page, post.id, post.message))

    def find(self, name: str) -> Post:
        """Give a live post, or the error 100/33."""
        if name not in self._live:
            raise GraphError(100, f"Object with ID '{name}' does not exist", subcode=33)
        return self._live[name]

    def edit(self, name: str, message: str) -> dict[str, Any]:
        """Replace the text of a post."""
        post = self.find(name)
        post.message = _as_kept(message)
        self._record("updated", post)
        return {"success": True}

    def delete(self, name: str) -> dict[str, Any]:
        """Delete a post, which leaves its photo in the album, or a photo, which takes its post along."""
        photo = self._photos.pop(name, None)
        if photo is not None:
            self.history.append(Entry(datetime.now(UTC), "photo_deleted", photo[0], name, ""))
            names = [post.id for post in self._live.values() if post.photo == name]
        else:
            names = [self.find(name).id]
        for each in names:
            self._record("deleted", self._live.pop(each))
        return {"success": True}

    def feed(self, page: str, fields: Mapping[str, Any], link: str) -> dict[str, Any]:
        """Give a part of the feed, newest first; ``link`` is where its next part is, but for the position."""
        limit, start, since = (_whole(fields, *each) for each in (("limit", 25), ("after", 0), ("since", 0)))
        posts = [post for post in reversed(self.posts(page)) if post.created_time.timestamp() >= since]
        wanted = str(fields.get("fields", "id,message,created_time"))
        end = start + min(limit, 100)
        answer: dict[str, Any] = {"data": [shape(post, wanted) for post in posts[start:end]]}
        if end < len(posts):
            answer["paging"] = {"cursors": {"after": str(end)}, "next": f"{link}&after={end}"}
        return answer

    def describe(self, post: Post) -> dict[str, Any]:
        """Give a post as JSON for a reader in another process; ``photo`` is the SHA-256 of its photo, or null."""
        photo = hashlib.sha256(self._photos[post.photo][1]).hexdigest() if post.photo in self._photos else None
        return {
            "id": post.id,
            "message": post.message,
            "created_time": post.created_time.isoformat(),
            "author": post.author,
            "photo": photo,
        }


def _as_kept(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text).strip()


def _whole(fields: Mapping[str, Any], name: str, usual: int) -> int:
    try:
        return int(fields.get(name, usual))
    except ValueError:
        raise GraphError(100, f"({name}) must be a whole number") from None


def required(fields: Mapping[str, Any], name: str) -> str:
    """Give a field that must have text in it."""
    text = str(fields.get(name, ""))
    if not text.strip():
        raise GraphError(100, f"({name}) is missing")
    return text


def shape(post: Post, fields: str) -> dict[str, Any]:
    """Give the fields of a post that are asked for; an empty message is left out, as Facebook does."""
    created = post.created_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    every = {
        "id": post.id,
        "message": post.message or None,
        "created_time": created,
        "from": {"id": post.author, "name": f"Page {post.author}"},
        "attachments": {"data": [{"media_type": "photo", "target": {"id": post.photo}}]} if post.photo else None,
    }
    asked = {"id", *re.sub(r"\{[^}]*\}", "", fields).split(",")}
    if unknown := asked - every.keys():
        raise GraphError(100, f"Tried accessing nonexisting field ({min(unknown)})")
    return {name: value for name, value in every.items() if name in asked and value is not None}
