"""What strangers send with a POST: bounded in size and in time, and UTF-8 whatever they call it."""

from __future__ import annotations

import asyncio

from aiohttp import web

PATIENCE = 10.0  # seconds for a body of a few kilobytes


async def read_body(request: web.Request, most: int) -> str:
    """Give the body as text; answer 413, 408 or 400 when it is larger than ``most`` bytes, slow, or no UTF-8."""
    size = request.content_length
    if size is None or size > most:  # in chunks it could be without end
        raise web.HTTPRequestEntityTooLarge(most, size or 0)
    try:
        async with asyncio.timeout(PATIENCE):
            return (await request.read()).decode()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text="allowed: UTF-8") from error
