"""What can go wrong between here and a source, as one sentence each: what happened, and the way on."""

from collections.abc import Mapping

from backtest.errors import SourceError, did_you_mean
from backtest.market.clock import interval_text
from backtest.market.sources.base import Request, Source

__all__ = ["TITLES", "check_request", "fault", "title", "translate"]

TITLES = {
    "binance": "Binance",
    "binance-archive": "Binance's archive",
    "bybit": "Bybit",
    "coinalyze": "Coinalyze",
    "okx": "OKX",
    "yahoo": "Yahoo",
}
# Where the same series may be had by someone whom a source does not serve, or when it is out of order.
INSTEAD = {
    "binance": "source binance-archive or bybit",
    "binance-archive": "source bybit or okx",
    "bybit": "source binance-archive or okx",
    "coinalyze": "source binance-archive, or a file of your own",
    "okx": "source binance-archive or bybit",
    "yahoo": "source binance-archive for crypto, or a file of your own",
}
KEPT = "what was fetched so far is kept"
LATER = f"Run the command again later; {KEPT}"
SENTENCES = {
    "offline": f"{{who}} can't be reached{{why}}. Check the network and run the command again; {KEPT}.",
    "rate_limited": f"{{who}} allows no more requests for now{{why}}. {LATER}.",
    "geo_blocked": "{who} does not answer from this country{why}. Use {instead}.",
    "unknown_symbol": "{who} has no symbol {symbol!r}{why}.{hint}",
    "too_old": "{who} has nothing that old{why}. Use {instead}.",
    "empty": "{who} answered without a row{of}{why}. Check the symbol and the span, or use {instead}.",
    "malformed": f"{{who}} sent something that can't be read{{why}}. {LATER}, or use {{instead}}.",
    "timeout": f"{{who}} did not answer in time{{why}}. {LATER}, or use {{instead}}.",
    "checksum": f"{{who}} sent a file that does not match its published SHA-256{{why}}. {LATER}, or use {{instead}}.",
    "needs_key": "{who} needs a key{why}.{hint}",
    "needs_extra": "{who} needs a package that is not installed{why}.{hint}",
    "refused": "{who} refused the request{why}. Check the symbol and the span, or use {instead}.",
}

# Class names of the libraries' exceptions, looked up along the bases, so that no library need be imported to be known:
# requests, urllib3, curl_cffi, yfinance, ccxt and Python's own.
CAUSES: Mapping[str, str] = {
    "Timeout": "timeout",
    "TimeoutError": "timeout",
    "RequestTimeout": "timeout",
    "JSONDecodeError": "malformed",
    "BadResponse": "malformed",
    "NullResponse": "empty",
    "ChunkedEncodingError": "malformed",
    "ContentDecodingError": "malformed",
    "IncompleteRead": "malformed",
    "IncompleteReadError": "malformed",
    "InvalidSchema": "refused",
    "InvalidURL": "refused",
    "TooManyRedirects": "refused",
    "BadSymbol": "unknown_symbol",
    "YFTickerMissingError": "unknown_symbol",
    "YFRateLimitError": "rate_limited",
    "RateLimitExceeded": "rate_limited",
    "DDoSProtection": "rate_limited",
    "AuthenticationError": "needs_key",
    "ExchangeNotAvailable": "offline",
    "NetworkError": "offline",
    "ConnectionError": "offline",
    "DNSError": "offline",
    "SSLError": "offline",
    "gaierror": "offline",
    "OSError": "offline",
}


def title(source: str) -> str:
    """Return a source's name as sentences have it.

    >>> title("okx")
    'OKX'
    """
    return TITLES.get(source, source)


def fault(
    source: str, cause: str, why: str = "", *, symbol: str = "", hint: str = "", instead: str = ""
) -> SourceError:
    """Return the error of a cause as a sentence that names the source, the cause and the way on.

    why: what is known of it, without a full stop, shown in brackets; symbol: as it was asked for; hint: one more
    sentence; instead: "source okx", where the usual way on does not fit.

    >>> print(fault("binance", "geo_blocked", "451"))
    Binance does not answer from this country (451). Use source binance-archive or bybit.
    """
    said = SENTENCES[cause].format(
        who=title(source),
        why=f" ({why})" if why else "",
        symbol=symbol,
        of=f" of {symbol}" if symbol else "",
        hint=f" {hint.strip()}" if hint else "",
        instead=instead or INSTEAD.get(source, "another source"),
    )
    return SourceError(said, cause)


def translate(error: BaseException, source: str, *, symbol: str = "", why: str = "", hint: str = "") -> SourceError:
    """Return a library's exception as the error of its cause; one that is unknown is "refused", with its first line.

    why: said in place of the exception's own words, which may hold an address with a key in it.
    """
    if isinstance(error, SourceError):
        return error
    cause = next((CAUSES[c.__name__] for c in type(error).__mro__ if c.__name__ in CAUSES), "refused")
    if not why and cause == "refused":
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return fault(source, cause, why, symbol=symbol, hint=hint)


def check_request(source: Source, request: Request) -> None:
    """Refuse a kind or an interval that a source does not give, and a span that is none."""
    who = title(source.name)
    if request.kind not in source.kinds:
        raise SourceError(f"{who} has no {request.kind}.{did_you_mean(request.kind, source.kinds)}", "refused")
    intervals = source.kinds[request.kind]
    if intervals and request.interval not in intervals:
        asked = interval_text(request.interval) if request.interval else "stamps"
        given = ", ".join(interval_text(i) for i in intervals)
        raise SourceError(f"{who} gives {request.kind} of {given}, not of {asked}.", "refused")
    if request.start >= request.end:
        raise SourceError(f"The span asked of {who} is empty: its start is not before its end.", "refused")
