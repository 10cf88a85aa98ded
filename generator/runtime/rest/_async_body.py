"""Read the bodies of the async client's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from ._body import LARGEST_BODY, LARGEST_ERROR, LARGEST_RAW, PIECE, Unpacker, host_of, is_short, too_large

if TYPE_CHECKING:
    from ._call import Operation


async def aread_body(operation: Operation[Any], response: httpx.Response) -> None:
    """Read a response's body, as `response.aread` does.

    :raises ResponseTooLarge: if it is too large; the body of a refusal is cut short instead.
    :raises httpx.DecodingError: if it can't be unpacked; that of a refusal is left out instead.
    """
    refused = response.status_code >= 400
    limit = LARGEST_ERROR if refused else LARGEST_RAW if operation.raw else LARGEST_BODY
    if is_short(response.headers, limit):
        await response.aread()
        return
    content = bytearray()
    try:
        unpacker = Unpacker(response)
        async for chunk in response.aiter_raw(PIECE):
            for piece in unpacker.unpack(chunk):
                content += piece
                if len(content) > limit:
                    break
            if max(len(content), response.num_bytes_downloaded) > limit:
                if not refused:
                    raise too_large(operation.name, limit, host_of(response.request))
                break
        else:
            unpacker.finish()
    except httpx.DecodingError:
        if not refused:
            raise
        content.clear()
    finally:
        await response.aclose()
    # What `response.content` returns. httpx sets it only after unpacking the body itself.
    response._content = bytes(content[:limit])
