"""Django's SMTP backend, which also remembers how far a message had got when something went wrong.

smtplib raises the same exception for a connection lost before the message and after it. Only the phase tells
whether trying again is safe (RFC 1047, RFC 5321 section 6.1).
"""

import smtplib
from typing import Any

from django.core.mail.backends import smtp

from subscriptions.verdicts import Phase


class _Phases(smtplib.SMTP):
    phase = Phase.CONNECT

    def mail(self, sender: str, options: Any = ()) -> tuple[int, bytes]:
        self.phase = Phase.MAIL
        return super().mail(sender, options)

    def rcpt(self, recip: str, options: Any = ()) -> tuple[int, bytes]:
        self.phase = Phase.RCPT
        return super().rcpt(recip, options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.phase = Phase.DATA
        return super().data(msg)

    def send(self, s: Any) -> None:
        super().send(s)
        # In `data`, bytes are the message with its final dot; commands are strings.
        if self.phase is Phase.DATA and isinstance(s, bytes):
            self.phase = Phase.DOT


class _PlainConnection(_Phases):
    pass


class _TLSConnection(_Phases, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    connection: _Phases | None

    @property
    def connection_class(self) -> type[_Phases]:
        return _TLSConnection if self.use_ssl else _PlainConnection

    @property
    def phase(self) -> Phase:
        return self.connection.phase if self.connection else Phase.CONNECT
