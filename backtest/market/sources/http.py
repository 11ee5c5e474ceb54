"""One request to a source: tried again where that helps and not where it doesn't, and every failure a sentence."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from backtest.errors import SourceError
from backtest.market.sources.clocks import hear
from backtest.market.sources.faults import fault, translate
from backtest.market.sources.limits import HALT, Limit, backoff, pause

__all__ = ["Answer", "Key", "UnreadableError", "address", "as_json", "ask", "get", "looks_like_html"]

T = TypeVar("T")
TIMEOUT = 20.0  # seconds without a byte
LONGEST = 120.0  # seconds for the whole of one answer, so that a source that drips does not hold a fetch forever
PATIENCE = 120.0  # seconds; a source that asks to wait longer ends the attempt
RETRIES = 4
ONCE = ("malformed", "checksum")  # sent whole and wrong: once more, in case it was passing
TRIED_AGAIN = ("offline", "rate_limited", "timeout", *ONCE)
HALF = "half an answer: the connection ended before the whole was there"
CHUNK = 1 << 16
LARGEST = 1 << 26  # bytes of an answer; the largest of all, a month of 1-minute bars, has 2 million
REDIRECTS = 5  # that are followed, one after another
LOCAL = threading.local()


class UnreadableError(ValueError):
    """An answer that is not what was asked for; raised by what reads it, and asked once more."""


@dataclass(frozen=True)
class Key:
    """A key that is sent as a header, and shown nowhere: not in a repr, a message, an address or a log."""

    header: str
    value: str = field(repr=False)

    def __call__(self, request: Any) -> Any:
        """Put the key on a request, as `requests` asks its `auth` to."""
        request.headers[self.header] = self.value
        return request

    def hide(self, text: str) -> str:
        """Return a text without the key in it, such as an error message that repeats it."""
        return text.replace(self.value, "***") if self.value else text


@dataclass(frozen=True, eq=False)
class Answer:
    """What came back: the status, the headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Failure:
    """Why one try failed; wait: seconds that the source asks for, None where it does not say."""

    cause: str
    why: str
    wait: float | None = None

    def error(self, source: str, tries: int, symbol: str) -> SourceError:
        """Return it as the error that ends the attempt."""
        why = f"{self.why}, {tries} tries" if tries > 1 else self.why
        return fault(source, self.cause, why, symbol=symbol)


def address(source: str, default: str) -> str:
    """Return the base address of a source: $BACKTEST_URL_NAME, for a mirror or a test, else its own."""
    name = f"BACKTEST_URL_{source.upper().replace('-', '_')}"
    value = os.environ.get(name, "")
    if value and not is_address(value):
        got = "" if "@" in value else f", not {value!r}"  # what stands before an @ may be a password
        raise SourceError(f"{name} must be an address such as http://127.0.0.1:8000{got}.", "refused")
    return (value or default).rstrip("/")


def is_address(text: str) -> bool:
    """Whether a text is an address of the web, with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def get(url: str, *, source: str, **options: Any) -> Answer:
    """Return the answer to a GET; see `ask`, which takes the same options."""
    return ask(url, source=source, read=lambda answer: answer, **options)


def as_json(answer: Answer) -> Any:
    """Return the body of an answer as JSON; UnreadableError for HTML and for half a document."""
    if looks_like_html(answer.body):
        raise UnreadableError("HTML in place of JSON")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreadableError(f"JSON that is cut off or broken, {len(answer.body):,} bytes") from None


def looks_like_html(body: bytes) -> bool:
    """Whether a body is a web page, which a portal, a proxy or a blocked address sends in place of data."""
    return re.match(rb"\s*(?:<!doctype html|<html|<head|<body|<!--)", body[:400], re.IGNORECASE) is not None


def ask(
    url: str,
    *,
    source: str,
    read: Callable[[Answer], T],
    params: Mapping[str, str | int] | None = None,
    headers: Mapping[str, str] | None = None,
    key: Key | None = None,
    timeout: float = TIMEOUT,
    retries: int = RETRIES,
    accept: tuple[int, ...] = (),
    limit: Limit | None = None,
    symbol: str = "",
) -> T:
    """Return what `read` makes of the answer to a GET.

    Tried again with growing pauses: no connection, no answer, 408, 418, 425, 429 (after the seconds it asks for) and 5xx, up
    to `retries` times; an answer that `read` refuses, or half of one, once; all else (400, 401, 403, 404, 451, ...) never.
    accept: statuses that are an answer beside 2xx; limit: how fast the source may be asked; symbol: for the messages.
    SourceError, without the key and without the library's exception attached, since that holds the request's headers.
    """
    tries = 0
    while True:
        if limit is not None:
            limit.take()
        outcome = attempt(source, url, read, params or {}, headers or {}, key, timeout, accept)
        if not isinstance(outcome, Failure):
            return outcome
        tries += 1
        if hopeless(outcome, tries, retries):
            raise outcome.error(source, tries, symbol)
        rest(outcome, tries, limit)


def hopeless(failure: Failure, tries: int, retries: int) -> bool:
    """Whether another try makes no sense."""
    allowed = min(retries, 1) if failure.cause in ONCE else retries
    too_long = failure.wait is not None and failure.wait > PATIENCE
    return failure.cause not in TRIED_AGAIN or tries > allowed or too_long or HALT.is_set()


def rest(failure: Failure, tries: int, limit: Limit | None) -> None:
    """Wait before another try, as long as the source asks; then all who share the limit wait."""
    if failure.wait is None:
        pause(backoff(tries))
    elif limit is not None:
        limit.hold(failure.wait)
    else:
        pause(failure.wait + backoff(1) / 10)


def attempt(
    source: str,
    url: str,
    read: Callable[[Answer], T],
    params: Mapping[str, str | int],
    headers: Mapping[str, str],
    key: Key | None,
    timeout: float,
    accept: tuple[int, ...],
) -> T | Failure:
    """Return what one try gives, or why it failed; nothing is raised, so that no exception carries the key."""
    import requests

    try:
        answer = send(source, url, params, headers, key, timeout)
        if answer.status in accept or 200 <= answer.status < 300:
            return read(answer)
        failure = judged(answer)
    except UnreadableError as error:
        failure = Failure("malformed", str(error))
    except (requests.RequestException, OSError) as error:
        failure = broken(error, url, timeout)
    except ValueError:  # of urllib, for an address that is none: ours, or one that the answer leads to
        failure = Failure("refused", "an address that is none")
    return Failure(failure.cause, key.hide(failure.why), failure.wait) if key else failure


def send(
    source: str, url: str, params: Mapping[str, str | int], headers: Mapping[str, str], key: Key | None, timeout: float
) -> Answer:
    """Return the whole answer; a request with a key follows no redirect, which might take the key elsewhere."""
    for _ in range(REDIRECTS):
        answer = receive(source, url, params, headers, key, timeout)
        target = onward(url, answer) if key is None else ""
        if not target:
            break
        url, params = target, {}
    return answer


def onward(url: str, answer: Answer) -> str:
    """Return the address that an answer leads to, "" where it leads nowhere, or to another host than a source's own.

    Binance's archive is a bucket of Amazon's; anything else that a redirect names is a portal or worse.
    """
    if answer.status not in (301, 302, 303, 307, 308):
        return ""
    try:
        target = urljoin(url, answer.headers.get("location", ""))
        here, there = urlsplit(url).hostname or "", urlsplit(target).hostname or ""
    except ValueError:
        return ""
    return target if is_address(target) and (there == here or there.endswith(".amazonaws.com")) else ""


def receive(
    source: str, url: str, params: Mapping[str, str | int], headers: Mapping[str, str], key: Key | None, timeout: float
) -> Answer:
    """Return the whole answer of one address."""
    options = {"params": dict(params), "headers": dict(headers), "auth": key, "allow_redirects": False}
    with session().get(url, timeout=timeout, stream=True, **options) as response:
        told = {k.lower(): v for k, v in response.headers.items()}
        hear(source, told)
        deadline = time.monotonic() + max(LONGEST, timeout)
        body = bytearray()
        for chunk in pieces(response.raw):
            body += chunk
            if len(body) > LARGEST:
                raise UnreadableError(f"more than {LARGEST >> 20:,} MiB")
            if time.monotonic() > deadline:
                raise TimeoutError
        return Answer(response.status_code, told, bytes(body))


def pieces(raw: Any) -> Iterator[bytes]:
    """Yield what arrives as it arrives, decoded; a connection that ends too early is half an answer."""
    import requests

    known: Any = (
        requests.exceptions
    )  # has the base of urllib3's, which reach us here as they are, but does not export it
    try:
        while chunk := raw.read1(CHUNK, decode_content=True):
            yield chunk
    except known.BaseHTTPError as error:
        late = translate(error, "", why="-").cause == "timeout"
    else:
        return
    raise TimeoutError if late else UnreadableError(HALF)


def session() -> Any:
    """Return this thread's session, which keeps its connections open between requests."""
    if not hasattr(LOCAL, "session"):
        import requests

        LOCAL.session = requests.Session()
        LOCAL.session.headers["User-Agent"] = "levelbreak"
    return LOCAL.session


def judged(answer: Answer) -> Failure:
    """Return the failure that a status other than success means."""
    status, said = answer.status, words(answer)
    why = f"HTTP {status}{f': {said}' if said else ''}"
    if status == 451:
        return Failure("geo_blocked", "451")
    if status in (418, 429):
        wait = retry_after(answer)
        asked = f", and asks to wait {wait:,.0f} s" if wait is not None else ""
        return Failure("rate_limited", f"HTTP {status}{asked}", wait)
    if status in (408, 504):
        return Failure("timeout", f"HTTP {status}")
    if status == 425 or status >= 500:
        return Failure("offline", why, retry_after(answer))
    if status == 401:
        return Failure("needs_key", why)
    return Failure("refused", f"{why} leads to another address" if 300 <= status < 400 else why)


def words(answer: Answer) -> str:
    """Return what an error's body says, where that is a short sentence in JSON or plain text."""
    if looks_like_html(answer.body) or answer.body.lstrip()[:1] == b"<":
        return ""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = answer.body[:200].decode("utf-8", "replace")
    if isinstance(said, dict):
        said = next((said[k] for k in ("message", "msg", "error", "detail", "retMsg") if k in said), "")
    return " ".join(said.split())[:120].rstrip(".") if isinstance(said, str) else ""


def retry_after(answer: Answer) -> float | None:
    """Return the seconds that an answer asks to wait, given as a number or as a date; None where it does not say."""
    value = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def host_of(url: str) -> str:
    """Return the host of an address as sentences have it."""
    try:
        return urlsplit(url).hostname or "its address"
    except ValueError:
        return "its address"


def broken(error: Exception, url: str, timeout: float) -> Failure:
    """Return the failure that an exception of the connection means."""
    cause, host = translate(error, "", why="-").cause, host_of(url)
    text = f"{type(error).__name__} {error}"
    if cause == "timeout":
        return Failure("timeout", f"{host} sent nothing for {timeout:g} s")
    if cause == "malformed":
        return Failure("malformed", HALF)
    if cause == "refused":
        return Failure("refused", f"{type(error).__name__} for {host}")
    for sign, said in SIGNS.items():
        if re.search(sign, text, re.IGNORECASE):
            return Failure("offline", f"{host} {said}")
    return Failure("offline", f"no connection to {host}")


# What the libraries' long messages come down to.
SIGNS = {
    r"NameResolution|getaddrinfo|Name or service|nodename|gaierror|resolve host": (
        "has no address here: no network, or no such host"
    ),
    r"ProxyError": "can't be reached through the proxy",
    r"SSLError|CERTIFICATE": "has a certificate that is not accepted here",
    r"refused|Could not connect": "refused the connection",
    r"reset|aborted|RemoteDisconnected": "closed the connection",
    r"unreachable": "is out of reach: no network",
}
