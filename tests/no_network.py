"""A guard for the test run: any attempt to reach beyond loopback fails, whichever library makes it.

Python's sockets are watched where they connect, send to an address and look up a name. libcurl opens its sockets itself, so
for curl_cffi (which yfinance uses) the guard stands at its handle: the address set on it is judged, and every request
leaves from 127.0.0.1, from where no way leads out, redirects included. Processes that a test starts get the same guard of
sockets by PYTHONPATH, and proxies that lead nowhere for libcurl.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

GUARDED = str(Path(__file__).parent / "guarded")
sys.path.insert(0, GUARDED)

from loopback_only import NetworkForbiddenError, forbid_sockets, is_loopback  # noqa: E402  its folder is named above

__all__ = ["NetworkForbiddenError", "forbid_network", "is_loopback", "stay_on_loopback"]

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
NOWHERE = "http://127.0.0.1:9"
FROM_LOOPBACK = b"host!127.0.0.1"


def judge_url(url: Any) -> None:
    """Raise for an address that libcurl is about to ask."""
    text = url.decode("utf-8", "replace") if isinstance(url, bytes) else str(url)
    host = urlsplit(text if "://" in text else f"//{text}").hostname
    if not is_loopback(host or ""):
        raise NetworkForbiddenError(host or text)


def forbid_network(monkeypatch: Any) -> None:
    """Make every way out fail; `monkeypatch` is pytest's, or has its setattr, setenv and delenv."""
    forbid_sockets(monkeypatch)
    forbid_curl(monkeypatch)
    for name in PROXIES:
        for spelled in (name, name.upper()):
            monkeypatch.setenv(spelled, NOWHERE)
    for spelled in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(spelled, "127.0.0.1,localhost,::1")
    path = [GUARDED, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))


def forbid_curl(monkeypatch: Any) -> None:
    """Watch libcurl below curl_cffi, where that is installed."""
    try:
        from curl_cffi import AsyncCurl, Curl, CurlOpt
    except ImportError:
        return
    judged = {CurlOpt.URL, CurlOpt.PROXY, CurlOpt.PRE_PROXY}
    set_option, perform, add_handle = Curl.setopt, Curl.perform, AsyncCurl.add_handle

    def setopt(self: Any, option: Any, value: Any) -> Any:
        if option in judged and value:
            judge_url(value)
        return set_option(self, option, value)

    def performed(self: Any, *arguments: Any, **options: Any) -> Any:
        set_option(self, CurlOpt.INTERFACE, FROM_LOOPBACK)
        return perform(self, *arguments, **options)

    def added(self: Any, curl: Any) -> Any:
        set_option(curl, CurlOpt.INTERFACE, FROM_LOOPBACK)
        return add_handle(self, curl)

    monkeypatch.setattr(Curl, "setopt", setopt)
    monkeypatch.setattr(Curl, "perform", performed)
    monkeypatch.setattr(AsyncCurl, "add_handle", added)


@pytest.fixture(scope="session", autouse=True)
def stay_on_loopback() -> Iterator[None]:
    """Keep the whole test run on this machine; conftest.py imports it by name."""
    with pytest.MonkeyPatch.context() as patch:
        forbid_network(patch)
        yield
