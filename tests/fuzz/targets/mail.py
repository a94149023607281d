"""Mails: addresses that are read, headers and bodies that are written."""

from __future__ import annotations

import email
import email.policy
import json
from email.message import EmailMessage

from bridge.adapters.mime import Composer, Thread, header_text, parse_address, parse_mailbox
from bridge.core.content import Content, Phase, Photo
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape

WRITER = Composer(
    parse_mailbox("Burgernet <burgernet@leiden.example>"),
    list_id="burgernet.leiden.example",
    unsubscribe=["https://x.example/{target}"],
)
READER = parse_address("ans@example.nl")
PHOTO = Photo("0" * 64, data=b"\xff\xd8\xff\xd9")
OURS = [
    "From",
    "Auto-Submitted",
    "List-Id",
    "List-Unsubscribe-Post",
    "Message-ID",
    "Date",
    "To",
    "Subject",
    "Content-Language",
]


@target(
    shape=Shape.TEXT,
    seeds=[
        "ans@example.nl",
        "Gemeente Leiden <burgernet@leiden.nl>",
        '"A, B" <a.b+c@exämple.nl>',
        "jürgen@xn--bcher-kva.example",
        "a@localhost",
        '"a b"@example.nl',
        "a@[127.0.0.1]",
    ],
    most=400,
)
def address(data: bytes) -> None:
    """An address of a target or of the sender: what is taken is one address, safe in a command and in a header."""
    text = data.decode("utf-8", "replace")
    for read in (parse_address, parse_mailbox):
        try:
            found = read(text)
        except ValueError as refusal:
            promise(len(str(refusal)) < 2_000, "a refusal is no page")
            continue
        promise(
            not set(found.address) & set("<>\r\n\0 ,;") and "@" in found.address, "an address is one word of a command"
        )
        promise(
            ("\n" not in found.header.replace("\r\n ", "") and found.header.isascii()) or not found.address.isascii(),
            "a header field is one",
        )
        if found.address.isascii():
            promise(parse_address(found.address).address == found.address, "an address survives a round trip")


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps(
            {
                "subject": "Vermist: jongen (8) in Leiden",
                "text": "Rode jas.\n.\nBel 112.\n",
                "html": "<p>Rode <img src='cid:photo'> jas</p>",
                "case": "zaak",
                "earlier": True,
            }
        ),
        json.dumps(
            {"subject": "é" * 90, "text": "From x\n..\n\rmet é", "html": "", "case": "\u2028zaak", "photo": True}
        ),
    ],
)
def mime(data: bytes) -> None:
    """A whole mail with hostile words: the headers are ours and no other, the end is where we say, the text is whole."""
    try:
        given = dict(json.loads(data))
        words = {name: str(given.get(name, "x")) for name in ("subject", "text", "html", "case")}
        json.dumps(words, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        return
    words = {name: value.replace("\0", "") for name, value in words.items()}
    content = Content(words["case"], 1, Phase.OPENED, "nl", words["subject"], words["text"], html=words["html"])
    earlier = ("<a@b>", "<c@d>") if given.get("earlier") else ()
    photo = PHOTO if given.get("photo") else None
    mail = WRITER.compose(READER, "ans", content, Thread(content.subject, earlier), photo)
    promise(mail.data.endswith(b"\r\n.\r\n") and mail.data.count(b"\r\n.\r\n") == 1, "a mail ends once")
    lines = mail.data.split(b"\r\n")
    promise(not any(b"\r" in line or b"\n" in line for line in lines), "no bare line end leaves the house")
    promise(all(len(line) <= 998 for line in lines), "a line fits SMTP")
    read = email.message_from_bytes(_unstuffed(lines), EmailMessage, policy=email.policy.default)
    extra = ["In-Reply-To", "References"] if earlier else []
    names = [name for name in read if not name.lower().startswith(("content-t", "mime-"))]
    promise(names == [*OURS, *extra, "List-Unsubscribe"], "the headers are ours")
    promise(_folded(str(read["Subject"])) == _folded(_plain(content.subject)), "the subject is whole")
    body = read.get_body(("plain",))
    promise(body is not None and body.get_content().split() == content.text.split(), "the text is whole")


def _unstuffed(lines: list[bytes]) -> bytes:
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines[:-2])


def _plain(text: str) -> str:
    return "".join(" " if char < " " or "\x7f" <= char < "\xa0" else char for char in text)


def _folded(text: str) -> str:
    return "".join(text.split())


@target(
    shape=Shape.TEXT,
    seeds=["Vermist: jongen", "a\r\nBcc: x@y", "=?utf-8?q?x?=", "é" * 300, "a" * 2_000, "\u2028\x85\x0b\x0c"],
    most=3_000,
)
def header(data: bytes) -> None:
    """Any text as one header field: folded by us alone, and read back whole."""
    text = data.decode("utf-8", "replace").replace("\0", "")
    written = header_text(text)
    promise(written.isascii(), "a header is ASCII")
    for line in written.split("\r\n")[1:]:
        promise(line.startswith(" ") and line.strip(), "a field goes on with a space")
    promise(not set(written.replace("\r\n ", "")) & set("\r\n"), "no line ends but ours")
