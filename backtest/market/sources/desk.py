"""One exchange through ccxt: ccxt knows the addresses and the fields, the requests and their rules are ours (http.py).

ccxt's own transport is left out: it does not retry, its pace holds for one thread only, and it hands a web page on as if it
were data.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.errors import SourceError, did_you_mean
from backtest.market.clock import interval_text
from backtest.market.sources import http
from backtest.market.sources.faults import fault, translate
from backtest.market.sources.limits import HALT, Limit, backoff, pause
from backtest.market.sources.terms import Terms

__all__ = ["Desk", "load_ccxt"]

READ = (400, 403)  # statuses whose body says what is wrong
BLOCKED = re.compile(rb"countr|region|restricted|location|jurisdiction", re.IGNORECASE)
PRICES = {"mark": "mark", "premium": "premiumIndex"}
QUOTES = ("USDT", "USDC", "USD")
FIRST, LAST = 946_684_800_000, 4_102_444_800_000  # ms: the years 2000 to 2099, outside which no stamp is one
Fields = Sequence[Any]  # one row: the stamp in ms, then the kind's columns


def load_ccxt(source: str) -> Any:
    """Return the package ccxt; SourceError "needs_extra" where it is not installed."""
    try:
        return import_module("ccxt")
    except ImportError:
        raise SourceError(
            f"Source {source} needs the package ccxt: pip install 'levelbreak[crypto]'.", "needs_extra"
        ) from None


class Desk:
    """One group of markets of an exchange, "linear" or "spot": its list of markets, and calls that return plain rows."""

    def __init__(self, terms: Terms, group: str, limits: Mapping[str, Limit], timeout: float) -> None:
        self.terms, self.limits, self.timeout = terms, limits, timeout
        self.lock, self.spot = threading.Lock(), group == "spot"
        ccxt = load_ccxt(terms.name)
        self.errors = ccxt.BaseError
        self.busy = (ccxt.RateLimitExceeded, ccxt.DDoSProtection)
        # Only the one group is listed: the full list is several requests of megabytes, some of them closed to some countries.
        self.venue = getattr(ccxt, terms.name)(
            {"enableRateLimit": False, "options": {"defaultType": group, "fetchMarkets": {"types": [group]}}}
        )
        self.venue.has["fetchCurrencies"] = False
        self.venue.urls["api"] = moved(self.venue.urls["api"], http.address(terms.name, ""))
        self.venue.fetch = self.fetch

    def market(self, symbol: str) -> Mapping[str, Any]:
        """Return ccxt's market of a symbol such as "BTCUSDT" or "BTC/USDT:USDT"; SourceError for one that there is not."""
        with self.lock:
            markets: Mapping[str, Any] = self.guard(symbol, self.venue.load_markets)
        names = {symbol, *unified(symbol, self.spot)}
        ours = [m for m in markets.values() if m["spot" if self.spot else "linear"]]
        for market in ours:
            if market["symbol"] in names or market["id"] == symbol:
                found: Mapping[str, Any] = market
                return found
        known = [f"{m['base']}{m['quote']}" for m in ours]
        raise fault(self.terms.name, "unknown_symbol", symbol=symbol, hint=did_you_mean(symbol, nearest(symbol, known)))

    def rows(self, kind: str, market: Mapping[str, Any], interval: int, since: int, until: int) -> list[Fields]:
        """Return what one call gives of [since, until] (ms): the stamp in ms and the kind's columns of each row."""
        limit, name = self.terms.rows[kind], market["symbol"]
        more = {"until": until, **self.terms.extra(kind, interval)}
        if kind == "funding":
            # `after` is OKX's word for the end of a span; ccxt does not translate `until` for its funding.
            more = {"until": until} if self.terms.name != "okx" else {"after": until}
            found = self.guard(name, self.venue.fetch_funding_rate_history, name, since, limit, more)
            return [(r["timestamp"], r["fundingRate"], r["info"].get(self.terms.mark_key) or None) for r in found]
        every = interval_text(interval)
        if kind == "open_interest":
            found = self.guard(name, self.venue.fetch_open_interest_history, name, every, since, limit, more)
            return [(r["timestamp"], *self.terms.coins_usd(r)) for r in found]
        more |= {"price": PRICES[kind]} if kind in PRICES else {}
        bars: list[Fields] = self.guard(name, self.venue.fetch_ohlcv, name, every, since, limit, more)
        return bars

    def tiers(self, market: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return ccxt's rows of the table of tiers that is in force now."""
        name = market["symbol"]
        found: list[Mapping[str, Any]] = self.guard(name, self.venue.fetch_market_leverage_tiers, name)
        return found

    def guard(self, symbol: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call ccxt, again after a pause where the exchange says that it is asked too often; SourceError otherwise."""
        for tries in range(1, http.RETRIES + 2):
            try:
                return call(*arguments)
            except self.busy as error:
                if tries > http.RETRIES or HALT.is_set():
                    raise translate(error, self.terms.name, symbol=symbol) from None
                pause(backoff(tries))
            except SourceError:
                raise
            except self.errors as error:
                raise self.told(error, symbol) from None
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                why = f"an answer in another form than documented: {type(error).__name__}"
                raise fault(self.terms.name, "malformed", why, symbol=symbol) from None
        raise AssertionError("the last try returns or raises")

    def told(self, error: Exception, symbol: str) -> SourceError:
        """Return ccxt's exception as ours."""
        if any(c.__name__ == "RestrictedLocation" for c in type(error).__mro__):
            return fault(self.terms.name, "geo_blocked")
        return translate(error, self.terms.name, symbol=symbol)

    def fetch(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """Ask in ccxt's place: by our rules for pace, retries and answers that are none, then by ccxt's for its codes."""
        limit = next(limit for part, limit in self.limits.items() if part in url)
        answer, value = http.ask(
            url, source=self.terms.name, read=self.read, headers=headers, timeout=self.timeout, accept=READ, limit=limit
        )
        text = answer.body.decode("utf-8", "replace")
        self.venue.handle_errors(answer.status, "", url, method, answer.headers, text, value, headers, body)
        if answer.status != 200:
            raise fault(self.terms.name, "refused", f"HTTP {answer.status}: {text[:120]}")
        return value

    def read(self, answer: http.Answer) -> tuple[http.Answer, Any]:
        """Return an answer with its JSON; a 403 that speaks of countries is a block, not a mistake of ours."""
        if answer.status == 403:
            if BLOCKED.search(answer.body):
                raise fault(self.terms.name, "geo_blocked", "403")
            if http.looks_like_html(answer.body):
                raise fault(self.terms.name, "refused", "HTTP 403")
        return answer, http.as_json(answer)


def unified(symbol: str, spot: bool) -> list[str]:
    """Return ccxt's names that a symbol may have.

    >>> unified("BTCUSDT", spot=False), unified("BTCUSDT", spot=True)
    (['BTC/USDT:USDT'], ['BTC/USDT'])
    """
    quotes = [q for q in QUOTES if symbol.endswith(q) and symbol != q]
    return [f"{symbol.removesuffix(q)}/{q}" + ("" if spot else f":{q}") for q in quotes]


def nearest(symbol: str, known: Sequence[str]) -> list[str]:
    """Return a few of the known names that share the symbol's first letters: hundreds in a sentence help nobody."""
    alike = [name for name in known if name[:2] == symbol[:2].upper()]
    return alike[:8] or [name for name in ("BTCUSDT", "ETHUSDT") if name in known]


def moved(urls: Any, base: str) -> Any:
    """Return ccxt's table of addresses with another host, for a mirror or a test."""
    if not base:
        return urls
    if isinstance(urls, Mapping):
        return {key: moved(value, base) for key, value in urls.items()}
    return re.sub(r"^https?://[^/]+", base, urls) if isinstance(urls, str) else urls


def columns(rows: Sequence[Fields], width: int, needed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return rows as stamps (k,) in ns and values (k, width), NaN where a field is None; ValueError for rows that are none.

    needed: the first so many values must be numbers. ccxt makes None of a field that it can't read, without a word.
    """
    if any(len(row) <= width for row in rows):
        raise ValueError(f"a row with fewer than {width + 1} fields")
    told = [int(row[0]) for row in rows]
    if any(not FIRST <= stamp < LAST for stamp in told):
        raise ValueError("a stamp that is not in ms")
    stamps = np.array(told, dtype=np.int64) * 1_000_000
    fields = [[np.nan if v is None else float(v) for v in row[1 : width + 1]] for row in rows]
    values = np.array(fields, dtype=np.float64).reshape(-1, width)
    if not np.isfinite(values[:, :needed]).all():
        raise ValueError("a row without a number where one belongs")
    return stamps, values
