"""Connections for `fetching`: to public addresses only, checked when connecting, and never longer than agreed."""

import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import httpcore

Kind = Literal["address", "blocked", "refused", "tls", "timeout", "redirect", "status", "too_big", "broken"]
Resolve = Callable[..., Sequence[tuple[Any, ...]]]

_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Global by the registries, yet inside some hosting companies the machine's own secrets are handed out there.
_METADATA = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))


class FetchError(Exception):
    """Nothing usable came back; the text says why, in words for the operator, without path or query.

    `kind` is one of
    address   the URL is not one we fetch: no http(s), no host, or a password in it
    blocked   the host is inside: not every address it resolves to is public
    refused   no such host, or it takes no connection
    tls       no secure connection: a wrong certificate, mostly
    timeout   too slow, at any stage
    redirect  a loop, too many hops, or a hop to something we do not fetch
    status    answered with anything but 200, 304 or a redirect: see `status`, `retry_after`, `excerpt`
    too_big   more bytes than the limit
    broken    cut short, not HTTP, or packed in a way that cannot be read

    `retry_after` is in seconds, None where the server named no time. `excerpt` is the beginning of the error page,
    at most 2,000 characters of the server's own text: not to be trusted, nor shown unescaped.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(kind, message)  # both, or it could not be pickled
        self.kind = kind
        self.message = message
        self.status = status
        self.retry_after = retry_after
        self.excerpt = excerpt

    def __str__(self) -> str:
        return self.message


def is_public(address: str) -> bool:
    """Whether anybody on the Internet may reach this IP address; raises ValueError for what is not an address.

    IPv6 forms that carry an IPv4 address (mapped, 6to4, NAT64) are judged by that address.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is None:
            return ip in _UNICAST and ip.is_global  # Teredo is not global, whatever it carries
        ip = inner
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or any(ip in network for network in _METADATA))


class Deadline:
    """The end of one fetch. Every wait is cut to what is left, so that nobody gains time by dripping."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        self._end = self._clock() + self._seconds

    def cut(self, timeout: float | None = None) -> float:
        """The seconds that one more wait may take; raises FetchError when none are left."""
        left = self._end - self._clock()
        if left <= 0:
            raise FetchError("timeout", f"no complete answer within {self._seconds:g} seconds")
        return left if timeout is None else min(left, timeout)


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name once, and connects to the very addresses it has checked.

    A name of which one address is inside is refused altogether, unless its (host, port) is in `allow`.
    """

    def __init__(self, *, allow: frozenset[tuple[str, int]], resolve: Resolve, deadline: Deadline) -> None:
        self._allow = allow
        self._resolve = resolve
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure = FetchError("refused", f"the name {host} has no address")
        for address in self._addresses(host, port, timeout):
            wait = self._deadline.cut(timeout)
            try:
                stream = self._plain.connect_tcp(address, port, wait, local_address, socket_options)
            except httpcore.ConnectTimeout:
                failure = FetchError("timeout", f"{host} does not answer on port {port}")
            except httpcore.ConnectError as error:
                failure = FetchError("refused", f"{host} takes no connection on port {port}: {error}")
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int, timeout: float | None) -> list[str]:
        found = list(dict.fromkeys(str(row[4][0]) for row in self._look_up(host, port, timeout)))
        inside = [address for address in found if not is_public(address)]
        if inside and (host, port) not in self._allow:
            raise FetchError("blocked", f"{host} leads to {inside[0]}, which is not a public address")
        return found

    def _look_up(self, host: str, port: int, timeout: float | None) -> Sequence[tuple[Any, ...]]:
        """In a thread, because the system's resolver takes no time limit."""
        answers: queue.SimpleQueue[Sequence[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(host, port, type=socket.SOCK_STREAM))
            except (OSError, ValueError) as error:  # ValueError: no name at all, such as "a..b"
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=self._deadline.cut(timeout))
        except queue.Empty as error:
            raise FetchError("timeout", f"the name {host} could not be looked up in time") from error
        if isinstance(answer, Exception):
            raise FetchError("refused", f"the name {host} cannot be looked up: {answer}") from answer
        return answer


class _TimedStream(httpcore.NetworkStream):
    """A connection on which no wait outlives the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cut(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.cut(timeout))
        except FetchError:
            self.close()
            raise
        except httpcore.ConnectTimeout as error:
            raise FetchError("timeout", f"{server_hostname} does not agree on TLS in time") from error
        except (httpcore.ConnectError, ValueError) as error:  # ValueError: a name that TLS cannot carry
            raise FetchError("tls", f"no secure connection with {server_hostname}: {error}") from error
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
