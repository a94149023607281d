"""The job as Celery tasks: late acknowledgement, automatic retries with backoff, one task for each board.

``feed`` puts the events that it reads, one a line, on Celery's queue.
"""

from __future__ import annotations

import json
import os
import smtplib
import sys
from email.message import EmailMessage
from typing import Any

import requests
from celery import Celery, group

BOARDS = [f"{os.environ['JOB_BOARDS']}/board-{number}" for number in range(int(os.environ["JOB_COUNT"]))]

app = Celery("job", broker=os.environ["JOB_AMQP"])
app.conf.update(
    task_default_queue=os.environ["JOB_QUEUE"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
)
RETRY = {"autoretry_for": (OSError,), "retry_backoff": True, "retry_kwargs": {"max_retries": 10}}


@app.task(**RETRY)
def show(url: str, data: dict[str, Any]) -> None:
    """Put a text on one board."""
    requests.put(url, json=data, timeout=10).raise_for_status()


@app.task(**RETRY)
def clear(url: str) -> None:
    """Clear one board."""
    answer = requests.delete(url, timeout=10)
    if answer.status_code != 404:
        answer.raise_for_status()


@app.task(**RETRY)
def tell(case: str, ended: bool) -> None:
    """Send the mail."""
    mail = EmailMessage()
    mail["From"], mail["To"] = "burgernet@localhost", "reader@example.nl"
    mail["Subject"] = f"{'Afloop: ' if ended else ''}Vermist {case}"
    mail.set_content("Zie Burgernet.")
    with smtplib.SMTP("127.0.0.1", int(os.environ["JOB_SMTP"]), timeout=10) as smtp:
        smtp.send_message(mail)


@app.task
def handle(event: dict[str, Any]) -> None:
    """Make the tasks of one event."""
    case, ended = event["subject"], event["type"].endswith(".ended")
    urls = [f"{board}/{case}" for board in BOARDS]
    tasks = [clear.s(url) for url in urls] if ended else [show.s(url, event["data"]) for url in urls]
    group([*tasks, tell.s(case, ended)]).apply_async()


def feed() -> None:
    """Put the events on the queue."""
    print("ready", flush=True)
    for line in sys.stdin:
        handle.delay(json.loads(line))
