"""The guard of the test run: nothing gets beyond loopback, whichever library tries, and loopback itself is open."""

import socket
import subprocess
import sys

import pytest
from no_network import NetworkForbiddenError, forbid_network, is_loopback
from servers.base import Asked, Reply, Server

OUTSIDE = "93.184.216.34"


@pytest.fixture(autouse=True)
def _guarded(monkeypatch):
    forbid_network(monkeypatch)


class Echo(Server):
    """Answers with the path, or sends the client on to where `on` says."""

    on = ""

    def answer(self, asked: Asked) -> Reply:
        if self.on and asked.path == "/moved":
            return Reply(302, b"", {"Location": self.on})
        return Reply(200, asked.path.encode())


def test_loopback_is_open():
    import requests
    from curl_cffi import requests as curl

    with Echo() as server:
        assert requests.get(f"{server.url}/a", timeout=5).text == "/a"
        assert curl.get(f"{server.url}/b", timeout=5).text == "/b"


@pytest.mark.parametrize(
    "host", [OUTSIDE, "192.168.1.1", "10.0.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "example.org"]
)
def test_a_host_outside_is_told_apart(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_this_machine_is_told_apart(host):
    assert is_loopback(host)


def test_sockets_do_not_connect_outside():
    for way in ("connect", "connect_ex"):
        with socket.socket() as s, pytest.raises(NetworkForbiddenError, match=rf"{OUTSIDE}:443, beyond loopback"):
            getattr(s, way)((OUTSIDE, 443))
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        with pytest.raises(NetworkForbiddenError):
            s.sendto(b"x", (OUTSIDE, 53))
        with pytest.raises(NetworkForbiddenError):
            s.sendto(b"x", 0, (OUTSIDE, 53))
        with pytest.raises(NetworkForbiddenError):
            s.sendmsg([b"x"], [], 0, (OUTSIDE, 53))
    with pytest.raises(NetworkForbiddenError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)
    with pytest.raises(NetworkForbiddenError):
        socket.create_connection((OUTSIDE, 443), timeout=1)


def test_requests_does_not_get_outside():
    import requests

    for url in ("https://example.org/", f"http://{OUTSIDE}/"):
        with requests.Session() as session:
            session.trust_env = False  # past the proxies that lead nowhere
            with pytest.raises(NetworkForbiddenError):
                session.get(url, timeout=1)


def test_urllib_does_not_get_outside():
    from urllib.request import ProxyHandler, build_opener

    with pytest.raises(NetworkForbiddenError):
        build_opener(ProxyHandler({})).open(f"http://{OUTSIDE}/", timeout=1)


def test_asyncio_does_not_get_outside():
    import asyncio

    async def connect() -> None:
        await asyncio.open_connection(OUTSIDE, 443)

    with pytest.raises(NetworkForbiddenError):
        asyncio.run(connect())


def test_libcurl_does_not_get_outside():
    from curl_cffi import requests as curl

    for url in ("https://query1.finance.yahoo.com/v8/finance/chart/BTC-USD", f"http://{OUTSIDE}/"):
        with curl.Session() as session, pytest.raises(NetworkForbiddenError):
            session.get(url, timeout=1)
    with curl.Session(proxy=f"http://{OUTSIDE}:8080") as session, pytest.raises(NetworkForbiddenError):
        session.get("http://127.0.0.1/", timeout=1)


def test_libcurl_is_not_led_outside():
    from curl_cffi import requests as curl

    with Echo() as server, curl.Session() as session:
        server.on = f"{server.url}/there"
        assert session.get(f"{server.url}/moved", timeout=5).text == "/there"
        server.on = f"http://{OUTSIDE}/"
        with pytest.raises(curl.errors.RequestsError) as caught:
            session.get(f"{server.url}/moved", timeout=5)
        assert not isinstance(caught.value, curl.exceptions.Timeout), "the way out must fail at once, not by waiting"


def test_libcurl_in_asyncio_does_not_get_outside():
    import asyncio

    from curl_cffi import requests as curl

    async def ask() -> None:
        async with curl.AsyncSession() as session:
            await session.get("https://example.org/", timeout=1)

    with pytest.raises(NetworkForbiddenError):
        asyncio.run(ask())


def test_the_processes_of_a_test_do_not_get_outside():
    code = f"import socket; s = socket.socket(); s.connect(('{OUTSIDE}', 443))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "NetworkForbiddenError: A test tried to reach 93.184.216.34:443, beyond loopback" in done.stderr
