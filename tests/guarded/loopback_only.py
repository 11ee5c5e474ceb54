"""The sockets of Python kept on this machine: what judges an address, and what asks it. Needs nothing but Python."""

import ipaddress
import socket
from typing import Any

LOOPBACK = {"localhost", "localhost.localdomain", "ip6-localhost"}
LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


class NetworkForbiddenError(BaseException):
    """A test tried to reach beyond loopback; no Exception, so that no code takes it for a bad connection and goes on."""

    def __init__(self, what: object) -> None:
        super().__init__(f"A test tried to reach {what}, beyond loopback. Serve it from tests/servers/.")


def is_loopback(host: object) -> bool:
    """Whether a host name or address stays on this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("example.org"), is_loopback("8.8.8.8")
    (True, True, False, False)
    """
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    name = text.strip("[]").partition("%")[0].lower()
    if name in LOOPBACK:
        return True
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return False
    inner = getattr(found, "ipv4_mapped", None) or found
    return inner.is_loopback or inner.is_unspecified  # 0.0.0.0 is this machine, both to bind and to connect


def judge_address(family: int, address: Any) -> None:
    """Raise for a socket address that is not on this machine; pipes and files of the system are."""
    if family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
        raise NetworkForbiddenError(f"{address[0]}:{address[1]}")


def judge_name(host: Any) -> None:
    """Raise for a name to be looked up that is not this machine's; None and "" mean the machine itself."""
    if host not in (None, "", b"") and not is_loopback(host):
        raise NetworkForbiddenError(host.decode("ascii", "replace") if isinstance(host, bytes) else host)


def forbid_sockets(setter: Any) -> None:
    """Watch every socket of Python, those that exist included; `setter.setattr(target, name, value, raising=...)` sets."""
    for name in ("connect", "connect_ex"):
        setter.setattr(socket.socket, name, connecting(getattr(socket.socket, name)), raising=False)
    for name, place in (("sendto", -1), ("sendmsg", 3)):
        setter.setattr(socket.socket, name, sending(getattr(socket.socket, name), place), raising=False)
    for name in LOOKUPS:
        setter.setattr(socket, name, looked_up(getattr(socket, name)))


def connecting(connect: Any) -> Any:
    def guarded(self: Any, address: Any) -> Any:
        judge_address(self.family, address)
        return connect(self, address)

    return guarded


def sending(send: Any, place: int) -> Any:
    """Return a way of sending that judges the address at a place of the arguments, where there is one."""

    def guarded(self: Any, *arguments: Any) -> Any:
        if place < len(arguments) and arguments[place] is not None:
            judge_address(self.family, arguments[place])
        return send(self, *arguments)

    return guarded


def looked_up(lookup: Any) -> Any:
    """Return a look-up of names that judges the name first."""

    def guarded(host: Any, *rest: Any, **options: Any) -> Any:
        judge_name(host)
        return lookup(host, *rest, **options)

    return guarded
