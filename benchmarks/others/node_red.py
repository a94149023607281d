"""The job as a Node-RED flow: an HTTP node in, a request for each board, tried again after a second, and a mail."""

from __future__ import annotations

from typing import Any

_SPREAD = """
const ended = msg.payload.type.endsWith('.ended'), name = msg.payload.subject;
const requests = [];
for (let number = 0; number < COUNT; number++) {
    const url = `BOARDS/board-${number}/${name}`;
    requests.push({job: {method: ended ? 'DELETE' : 'PUT', url, body: msg.payload.data}});
}
const topic = (ended ? 'Afloop: ' : '') + 'Vermist ' + name;
const mail = {topic, from: 'burgernet@localhost', payload: 'Zie Burgernet.'};
return [requests, mail];
"""
_PREPARE = "msg.method = msg.job.method; msg.url = msg.job.url; msg.payload = msg.job.body; return msg;"
_JUDGE = """
const fine = msg.statusCode >= 200 && msg.statusCode < 300 || msg.method === 'DELETE' && msg.statusCode === 404;
return fine ? null : {job: msg.job};
"""


def flow(boards: str, count: int, smtp: int) -> list[dict[str, Any]]:
    """Write the flow for so many boards under ``boards`` and a mail server at port ``smtp``."""
    spread = _SPREAD.replace("COUNT", str(count)).replace("BOARDS", boards)
    return [
        {"id": "tab", "type": "tab", "label": "job"},
        _node("ready", "http in", [["answer"]], url="/ready", method="get"),
        _node("event", "http in", [["answer", "spread"]], url="/event", method="post"),
        _node("answer", "http response", [], statusCode="200"),
        _node("spread", "function", [["prepare"], ["mail"]], func=spread, outputs=2),
        _node("prepare", "function", [["request"]], func=_PREPARE, outputs=1),
        _node("request", "http request", [["judge"]], method="use", ret="txt", url="", senderr=False),
        _node("judge", "function", [["wait"]], func=_JUDGE, outputs=1),
        _node("wait", "delay", [["prepare"]], pauseType="delay", timeout="1", timeoutUnits="seconds"),
        _node(
            "mail",
            "e-mail",
            [],
            server="127.0.0.1",
            port=str(smtp),
            secure=False,
            tls=False,
            authtype="NONE",
            name="reader@example.nl",
        ),
    ]


def _node(key: str, kind: str, wires: list[list[str]], **more: Any) -> dict[str, Any]:
    return {"id": key, "type": kind, "z": "tab", "wires": wires, "x": 100, "y": 100, **more}
