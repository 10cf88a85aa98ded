"""R-088. No page is fetched: a preview consists of what the address itself tells."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import unprocessable
from ..call import Call, Routes

routes = Routes()


@routes.plays("link_previews_create")
def create(call: Call) -> Any:
    url = call.body["url"]
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise unprocessable("url", "is not a web address") from error
    if parts.scheme not in ("http", "https") or not host:
        raise unprocessable("url", "is not a web address")
    words = PurePosixPath(unquote(parts.path)).stem.replace("-", " ").replace("_", " ").strip()
    return {"url": url, "title": words.capitalize() or host, "description": f"A page of {host}", "images": []}
