"""The little HTTP that fixtures need before anything of ours can be used."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Final

_direct: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_status(url: str, *, timeout_s: float = 2.0) -> int:
    """The status code of a GET, whatever proxy the environment names.

    Raises:
        OSError: nobody answers.
    """
    try:
        with _direct.open(url, timeout=timeout_s) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code
