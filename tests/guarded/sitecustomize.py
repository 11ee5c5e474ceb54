"""Keeps the processes that a test starts on this machine; Python imports this by itself, by PYTHONPATH."""

import loopback_only


class Setter:
    """Sets for good: the process ends with the test."""

    def setattr(self, target: object, name: str, value: object, raising: bool = True) -> None:
        del raising
        setattr(target, name, value)


loopback_only.forbid_sockets(Setter())
