"""What carries yfinance's requests to Yahoo: yfinance knows the addresses and the fields, the rules of asking are ours (http.py).

yfinance by itself tries once, takes a web page for a symbol that was delisted, and keeps bad answers for the next call.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

from backtest.market.sources import http
from backtest.market.sources.clocks import hear
from backtest.market.sources.limits import Limit

__all__ = ["Courier", "open_session"]

CHART = "/v8/finance/chart/"
COOKIE = "https://fc.yahoo.com"
ERRAND = 5.0  # seconds for cookie and crumb, which the charts do without
# What Yahoo says in the error of a chart -> the cause.
SAID = {
    r"within the last|days worth of|granularity": "too_old",
    r"doesn't exist for startDate": "empty",
    r"No data found|delisted|not found": "unknown_symbol",
}


def open_session(base: str, timeout: float, limit: Limit) -> Any:
    """Return a session for yfinance whose requests a `Courier` carries; base: another host than Yahoo's, "" for none."""
    session = import_module("curl_cffi.requests").Session(impersonate="chrome")
    session.request = Courier(session.request, base, timeout, limit)
    return session


class Courier:
    """Sends a chart's request, again where that helps; every failure is a SourceError, which yfinance lets through.

    The errands for cookie and crumb are done once, and not again after one failed: Yahoo gives charts without them.
    """

    def __init__(self, send: Callable[..., Any], base: str, timeout: float, limit: Limit) -> None:
        self.send, self.base, self.timeout, self.limit = send, base, timeout, limit
        self.cookie: Any = None
        self.lost: Exception | None = None
        self.unauthorized = 0

    def __call__(self, method: str, url: str, **options: Any) -> Any:
        """Send one request in the place of the session's own `request`."""
        if CHART not in url:
            return self.errand(method, url, options)
        tries, symbol = 0, unquote(urlsplit(url).path.split("/")[-1])
        while True:
            self.limit.take()
            outcome = self.attempt(method, url, options)
            if not isinstance(outcome, http.Failure):
                return outcome
            tries += 1
            if http.hopeless(outcome, tries, http.RETRIES):
                raise outcome.error("yahoo", tries, symbol)
            http.rest(outcome, tries, self.limit)

    def errand(self, method: str, url: str, options: Mapping[str, Any]) -> Any:
        """Fetch a cookie or a crumb."""
        if self.lost is not None:
            raise self.lost
        if url == COOKIE and self.cookie is not None:
            return self.cookie
        try:
            answer = self.send(method, self.moved(url), **{**options, "timeout": min(ERRAND, self.timeout)})
        except OSError as error:
            self.lost = error
            raise
        self.cookie = answer if url == COOKIE else self.cookie
        return answer

    def attempt(self, method: str, url: str, options: Mapping[str, Any]) -> Any:
        """Return the answer that one try gives, or why it failed."""
        try:
            response = self.send(method, self.moved(url), **{**options, "timeout": self.timeout})
        except OSError as error:
            return http.broken(error, url, self.timeout)
        headers = {str(k).lower(): str(v) for k, v in response.headers.items()}
        hear("yahoo", headers)
        answer = http.Answer(response.status_code, headers, response.content)
        if answer.status == 401 and not self.unauthorized:
            self.unauthorized += 1  # a crumb that has run out: yfinance gets another one and asks once more
            return response
        return judged(answer) or response

    def moved(self, url: str) -> str:
        return re.sub(r"^https?://[^/]+", self.base, url) if self.base else url


def judged(answer: http.Answer) -> http.Failure | None:
    """Return the failure that an answer to a chart's request means, None where it is a chart."""
    try:
        chart = http.as_json(answer)
    except http.UnreadableError as unread:
        return http.Failure("malformed", str(unread)) if answer.status == 200 else http.judged(answer)
    if not isinstance(chart, dict):
        return http.Failure("malformed", "JSON that is no chart")
    error = (chart.get("chart") or {}).get("error")
    said = str(error.get("description") or "") if isinstance(error, dict) else ""
    cause = next((cause for words, cause in SAID.items() if re.search(words, said, re.IGNORECASE)), "")
    if cause:
        return http.Failure(cause, said.strip().rstrip("."))
    if said and answer.status in (200, 400, 422):
        return http.Failure("refused", said)
    if answer.status == 404:
        return http.Failure("unknown_symbol", "HTTP 404")
    return None if answer.status == 200 else http.judged(answer)
