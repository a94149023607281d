"""The web-hook receiver behind Alertmanager: firing is PUT, resolved is DELETE; a failure is a 500."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
from aiohttp import web

SESSION = web.AppKey("session", aiohttp.ClientSession)


async def _hook(request: web.Request) -> web.Response:
    message = await request.json()
    try:
        await asyncio.gather(*(_request(request.app[SESSION], alert) for alert in message["alerts"]))
    except (aiohttp.ClientError, TimeoutError) as error:
        return web.Response(status=500, text=str(error))
    return web.Response()


async def _request(session: aiohttp.ClientSession, alert: dict[str, Any]) -> None:
    url = f"{os.environ['JOB_BOARDS']}/{alert['labels']['board']}/{alert['labels']['case']}"
    ended = alert["status"] == "resolved"
    call = session.delete(url) if ended else session.put(url, json={"text": alert["annotations"]["text"]})
    async with call as answer:
        if not (ended and answer.status == 404):
            answer.raise_for_status()


async def _session(app: web.Application) -> Any:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=8)) as app[SESSION]:
        yield


if __name__ == "__main__":
    application = web.Application(client_max_size=16 * 1024 * 1024)
    application.router.add_post("/", _hook)
    application.cleanup_ctx.append(_session)
    web.run_app(application, host="127.0.0.1", port=int(os.environ["JOB_HOOK"]), print=None)
