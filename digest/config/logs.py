"""What must not stand in a log."""

import logging
import re

_TOKEN = re.compile(
    r"(/(?:u|confirm|manage|account|move-from|move-to|link|letters/mine|letters|feeds/mine|feedback|taste)/)[^\s/?\"']+"
)


class HideTokens(logging.Filter):
    """Signed links open things: a log shows that there was one, not which."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = _TOKEN.sub(r"\1…", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True
