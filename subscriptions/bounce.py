"""What a mail that came back says about a letter of ours: a bounce, a complaint, an auto-reply, or nothing at all.

Anybody may write to the bounce address, so the work is bounded for any bytes. Mail is taken apart here because the
parser of the standard library takes depth × lines for nested parts, and cannot be told to stop.
"""

import binascii
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

#: What is looked at: bytes of the mail, characters of headers, of one field, of each text.
MOST_BYTES, MOST_HEAD, MOST_FIELD, MOST_TEXT = 1_000_000, 64_000, 1_000, 20_000
MOST_PARTS, MOST_RECIPIENTS, LONGEST_DETAIL = 40, 20, 300

#: Texts by name, "" by any other name.
Texts = defaultdict[str, str]


class Kind(StrEnum):
    HARD = "hard"  # no such mailbox or domain
    SOFT = "soft"  # not delivered: mailbox full, server in trouble, given up
    COMPLAINT = "complaint"
    POLICY = "policy"  # we are refused, not the reader: spam block, authentication, too much mail
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"
    DELAYED = "delayed"  # still queued: a verdict follows
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """Only `name` ties it to a letter, once its signature is verified. The rest is what the mail claims, or ""."""

    kind: Kind
    #: NAME of the address bounces+NAME@domain it was sent to.
    name: str = ""
    #: Enhanced status code (RFC 3463).
    status: str = ""
    #: The address as we wrote it where the report knows that, else the one it went to in the end.
    recipient: str = ""
    #: Message-ID of our letter, in its angle brackets.
    message_id: str = ""
    #: One line for a person.
    detail: str = ""


def read(raw: bytes, *, domain: str) -> Bounce | None:
    """Say what a mail to the bounce address tells; None for what a person wrote. Never raises.

    Reads delivery status (RFC 3464, 6533), feedback (RFC 5965), auto-replies (RFC 3834) and the usual servers' text.
    """
    mail = _open(raw)
    found = _complaint(mail) or _report(mail) or _reply(mail) or _told(mail, domain)
    if found is None:
        return None
    name, message_id = _name(mail.fields, domain), _message_id(mail.returned, domain)
    return replace(found, name=name, message_id=message_id, detail=_line(found.detail or mail.subject)[:LONGEST_DETAIL])


def subject(raw: bytes) -> str:
    """A mail's subject as one line. Never raises."""
    return _open(raw).subject


@dataclass(frozen=True, slots=True)
class _Mail:
    fields: Texts
    subject: str
    #: What it tells machines, by media type.
    parts: Texts
    #: What it tells a person, and what it returns of our letter.
    text: str
    returned: str

    @property
    def is_from_server(self) -> bool:
        return bool(_SERVER.search(self.fields["from"]) or self.fields["x-failed-recipients"] or self.parts[_STATUS])


def _open(raw: bytes) -> _Mail:
    """Take a mail apart. A letter that it returns stays closed."""
    waiting = [raw[:MOST_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")]
    opened: list[Texts] = []
    parts = Texts(str)
    while waiting and len(opened) < MOST_PARTS:
        head, _, body = waiting.pop().partition(b"\n\n")
        fields = _fields(head[:MOST_HEAD].decode("utf-8", "replace"))
        opened.append(fields)
        content = fields["content-type"]
        kind = content.partition(";")[0].strip().lower().replace("message/global-", "message/") or "text/plain"
        if kind.startswith("multipart/") and (boundary := _found(_BOUNDARY, content)):
            mark = rb"\n--" + re.escape(boundary.encode())
            whole = re.split(mark + rb"--[ \t]*(?![^\n])", b"\n" + body, maxsplit=1)[0]
            waiting += reversed(re.split(mark + rb"[ \t]*(?![^\n])", whole, maxsplit=MOST_PARTS)[1:])
        else:
            text = _decode(body[: 2 * MOST_TEXT], fields["content-transfer-encoding"], _found(_CHARSET, content))
            parts[kind] = (parts[kind] + text.replace("\r\n", "\n") + "\n\n")[:MOST_TEXT]
    text = parts["text/plain"] or _MARKUP.sub(" ", parts["text/html"]).replace("&lt;", "<").replace("&gt;", ">")
    cut = _RETURNED.search(text)
    end = cut.start() if cut else len(text)
    returned = [parts[kind] for kind in ("message/rfc822", "message/global", "text/rfc822-headers", "message/headers")]
    subject = _ENCODED.sub(lambda word: _decode(word[3].encode(), word[2], word[1]), opened[0]["subject"])
    return _Mail(opened[0], _line(subject), parts, _OUR_SUBJECT.sub("", text[:end]), "\n".join([*returned, text[end:]]))


def _fields(block: str) -> Texts:
    """Fields by their names in lower case; the values of one that stands there twice are lines."""
    found = Texts(str)
    for line in re.sub(r"\n(?=[ \t])", "", block).split("\n"):
        name, _, value = line.partition(":")
        name = name.strip().lower()
        found[name] = f"{found[name]}\n{value.strip()}".strip()[:MOST_FIELD]
    return found


def _decode(data: bytes, encoding: str, charset: str) -> str:
    """Undo the encoding of a part or, by its letter, of a word in a header (RFC 2045, 2047)."""
    if encoding.lower() in {"base64", "b"}:
        clean = re.sub(rb"[^A-Za-z0-9+/=]", b"", data)
        with suppress(binascii.Error):
            data = binascii.a2b_base64(clean[: len(clean) // 4 * 4])
    elif encoding.lower() in {"quoted-printable", "q"}:
        data = binascii.a2b_qp(data, header=encoding in "qQ")
    with suppress(LookupError):
        return data.decode(charset or "utf-8", "replace")
    return data.decode("utf-8", "replace")


def _line(text: str) -> str:
    """Text as one line, without controls, marks of direction and the like."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _found(pattern: re.Pattern[str], text: str) -> str:
    """What a pattern finds first, or the last group of it that took part; "" where there is nothing."""
    found = pattern.search(text)
    return found[found.lastindex or 0] if found else ""


def _name(fields: Texts, domain: str) -> str:
    ours = _any(rf"(?a)(?<![^\s<>,;:(\"'])bounces\+([a-z0-9-]{{1,64}})@{re.escape(domain)}(?![\w-]|\.\w)")
    to = "\n".join(fields[name] for name in ("delivered-to", "x-original-to", "envelope-to", "to"))
    return _found(ours, to).lower()


def _message_id(returned: str, domain: str) -> str:
    """Relays may give a letter a Message-ID of their own, and leave our X-Delivery-ID."""
    ours = _found(_DELIVERY_ID, returned)
    return f"<d.{ours}@{domain}>" if ours else _found(_MESSAGE_ID, returned)


def _complaint(mail: _Mail) -> Bounce | None:
    """Only what a reader chose is a complaint; other feedback tells of wanted mail, or of us."""
    fields = _fields(mail.parts["message/feedback-report"])
    cause = fields["feedback-type"].lower()
    kind = Kind.COMPLAINT if cause in {"abuse", "fraud"} or cause.startswith("opt-out") else Kind.UNKNOWN
    detail = f"Feedback {cause} by {fields['user-agent']}"
    return Bounce(kind=kind, recipient=_address(fields["original-rcpt-to"]), detail=detail) if cause else None


def _report(mail: _Mail) -> Bounce | None:
    groups = [_fields(group) for group in re.split(r"\n[ \t]*\n", mail.parts[_STATUS])]
    stated = [fields for fields in groups if fields["action"] or fields["status"]]
    verdicts = [_verdict(fields, mail) for fields in stated[:MOST_RECIPIENTS]]
    return min(verdicts, key=lambda verdict: _MILDEST.index(verdict.kind), default=None)


def _verdict(fields: Texts, mail: _Mail) -> Bounce:
    """What a report says of one recipient; where it gives no reply, what the text beside it says."""
    recipient = _address(fields["original-recipient"]) or _address(fields["final-recipient"])
    words = re.sub(r"^[\w-]+\s*;", "", fields["diagnostic-code"]) or _near(mail.text, recipient)
    status = _found(_STATED, fields["status"])
    if status[1:] in {"", ".0.0"}:
        status = _found(_ENHANCED, words) or status
    kind = _ACTIONS.get("".join(fields["action"].split()[:1]).lower()) or _meaning(status, words)
    return Bounce(kind=kind, status=status, recipient=recipient, detail=words)


def _address(field: str) -> str:
    """The address of "type; address" or "<address>", as it reads before RFC 6533 put it in ASCII."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), field.rpartition(";")[2])
    address = _line(text).strip("<> ")
    return address if re.fullmatch(r"\S{1,64}@\S{1,189}", address) else ""


def _reply(mail: _Mail) -> Bounce | None:
    """Servers mark their bounces as auto-replied, too: from them that one mark says nothing."""
    marks = [mail.fields[name].lower() for name in _REPLY_FIELDS]
    is_marked = any(mark not in {"", "no"} for mark in marks) or "auto_reply" in mail.fields["precedence"].lower()
    is_answer = mail.fields["auto-submitted"].lower().startswith("auto-replied") and not mail.is_from_server
    is_known = _REPLY.match(mail.subject) or mail.parts["message/disposition-notification"]
    return Bounce(kind=Kind.AUTO_REPLY) if is_marked or is_answer or is_known else None


def _told(mail: _Mail, domain: str) -> Bounce | None:
    """What a mail server says in free text. Mail of other machines is as good as an auto-reply."""
    if not mail.is_from_server and (mail.fields["return-path"].strip("<> ") or not _FAILURE.match(mail.subject)):
        is_human = mail.fields["auto-submitted"].lower() in {"", "no"}
        return None if is_human else Bounce(kind=Kind.AUTO_REPLY)
    strangers = (found[0].rstrip(".") for found in _ADDRESS.finditer(mail.text))
    ours = re.compile(rf"@{re.escape(domain)}$|{_SERVER.pattern}", re.IGNORECASE)
    recipient = _address(mail.fields["x-failed-recipients"].partition(",")[0])
    recipient = recipient or next((address for address in strangers if not ours.search(address)), "")
    words = _near(mail.text, recipient)
    status = _found(_ENHANCED, words)
    kind = Kind.DELAYED if _WAITING.search(f"{mail.subject}\n{words}") else _meaning(status, words)
    if kind is Kind.UNKNOWN and not mail.is_from_server:
        return None
    at = max(words.rfind(status or recipient), 0)
    paragraph = words[:at].rpartition("\n\n")[2] + words[at:].partition("\n\n")[0]
    return Bounce(kind=kind, status=status, recipient=recipient, detail=paragraph)


def _near(text: str, recipient: str) -> str:
    """The lines before the recipient and the page after: what comes later may be a letter about unknown users."""
    at = max(text.find(recipient), 0)
    return text[max(at - 300, 0) : at + 3_000]


def _meaning(status: str, words: str) -> Kind:
    """What a refusal means by its enhanced code, else by its SMTP code, and by what it says."""
    code = status or _found(_BASIC, words)
    return next(kind for codes, said, kind in _MEANINGS if re.fullmatch(codes, code) and said.search(words))


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE)


#: A report on several recipients speaks of what stands behind our one address: what works there keeps it alive.
_MILDEST = (Kind.DELIVERED, Kind.DELAYED, Kind.SOFT, Kind.POLICY, Kind.HARD, Kind.UNKNOWN)
_STATUS = "message/delivery-status"
_ACTIONS = {"delivered": Kind.DELIVERED, "relayed": Kind.DELIVERED, "expanded": Kind.DELIVERED, "delayed": Kind.DELAYED}
_BOUNDARY = _any(r'\bboundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))')
#: Charsets that mail is written in. Python knows others, which warn, raise or take long.
_CHARSETS = r"us-ascii|utf-?8|iso-(?:8859|2022)-[\w-]+|windows-\d+|koi8-[ru]|big5|gb\w+|euc-\w+|shift_?jis"
_CHARSET = _any(rf'\bcharset\s*=\s*"?({_CHARSETS})(?![\w-])')
_ENCODED = _any(rf"=\?({_CHARSETS})\?([bq])\?([^?\s]*)\?=(?:\s+(?==\?))?")
_MARKUP = _any(r"<style\b[^<]*</style>|<[^<>]*>")
#: Our subject tells of papers, perhaps on spam.
_OUR_SUBJECT = _any(r"^[ \t>*-]*(?:subject|betreff|objet|asunto|oggetto)[ \t]*:.*$")
#: What stands before our letter where it is returned in plain text.
_RETURNED = _any(
    r"^[- >*=_]*(?:below this line is a copy|this is a copy of (?:the|your) message|the headers? of the original"
    r"|message headers? follow|(?:original|returned|unsent|undelivered) message(?: headers?)?(?: follows)?[-: ]*$"
    r"|(?:return-path|received|dkim-signature|message-id|list-id|mime-version):)"
)
_ADDRESS = _any(r"[\w.+%&'*/=?^{|}~-]{1,64}@[\w.-]{1,253}")
_ESCAPE = _any(r"\\x\{((?:10|[0-9a-f])?[0-9a-f]{1,4})\}")
_DELIVERY_ID = _any(r"^[ \t>]*X-Delivery-ID:[ \t]*([a-z0-9-]{1,64})[ \t]*$")
_MESSAGE_ID = _any(r"^[ \t>]*Message-ID:\s*(<[!-;=?-~]{1,250}>)")
_STATED = _any(r"^[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_ENHANCED = _any(r"(?<![\d.])[45]\.[0-7]\.[0-9]{1,3}(?!\.?\d)")
_BASIC = _any(r"(?<![\w.@/-])(?:421|45[0-4]|47[12]|50[0-4]|52[15]|53[0458]|541|55[0-6]|57[01])(?![\w./:,])")
_SERVER = _any(r"(?<![\w.+-])(?:mailer-daemon|postmaster|mdaemon|microsoftexchange[0-9a-f]+)(?=@|>|\s*\(|\s*$)")
_FAILURE = _any(r"undeliver|returned mail|(?:mail |message )?(?:delivery )?(?:status notification|fail|delay)")
_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-mail-autoreply")
_REPLY = _any(
    r"\W*(?:(?:re|aw|sv|vs|antw)\s*:\s*)?(?:auto(?:matic|mated)?[- ]?(?:reply|response)|out of (?:the )?office|ooo\b"
    r"|away from (?:the office|my (?:mail|desk))|vacation (?:reply|message|notice)|please confirm your (?:mail|message)"
    r"|automatische antwort|abwesenheit|r[ée]ponse automatique|absence du bureau|respuesta autom[áa]tica"
    r"|fuera de (?:la )?oficina|risposta automatica|fuori (?:sede|ufficio)|resposta autom[áa]tica|fora do escrit[óo]rio"
    r"|automatische? antwoord|afwezig|autosvar|automatiskt? svar|automatyczna odpowied|odpowiedź automatyczna"
    r"|автоматический ответ|автоответ|自動応答|自動返信|自动回复|自動回覆)"
)
_FULL = _any(r"quota|(?:box|folder) (?:is )?full|exceed.{0,40}storage|insufficient .{0,9}storage|out of storage")
_REFUSED = _any(
    r"\bspam|unsolicited|bulk mail|(?:black|block) ?list|\bblocked\b|\b(?:dns|r)bl\b|reputation|\b(?:dmarc|dkim|spf)\b",
    r"too (?:many|much) (?:e-?)?(?:mails?|messages|connections)|rate[- ]limit|throttl|sending (?:limit|rate)|prohibit",
    r"(?:to|of|by|for|our|local|content|security) policy|policy (?:reason|violation|reject|restriction)|authenticat",
    r"not (?:authori[sz]ed|permitted)|relay(?:ing)? (?:access )?denied|access denied|sender (?:address )?rejected",
)
_NO_DOMAIN = _any(
    r"(?:no such|unknown|could ?n.t find any|can.t find) (?:host|domain)|nxdomain|no (?:mx|dns) (?:record|entr)",
    r"(?:host|domain)(?: name)?:? (?:\S{1,100} )?(?:not found|unknown|does ?n.t exist)",
)
_NOBODY = _any(
    r"\b(?:user|recipient|mailbox|account|address|addressee|alias)\b.{0,60}?\b(?:unknown|invalid|unavailable|disabled"
    r"|inactive|deactivated|deleted|closed|no longer|not (?:be )?(?:found|known|exist|listed|recogni[sz]ed))",
    r"(?:no such|unknown|invalid|non-?existent) (?:local )?(?:user|recipient|mailbox|address|account|person|alias)",
    r"n.t (?:exist|have an? \S{1,60} account)|no mailbox here|n.t be found|unrouteable|user not local",
    _NO_DOMAIN.pattern,
)
_WAITING = _any(r"not need to resend|will (?:be retried|retry|continue)|delivery .{0,80}delayed|not yet been delivered")
_FOR_NOW = _any(r"time[d-]? ?out|connection (?:refused|reset|dropped)|in the queue|temporar|too (?:large|big)|retry")
_ALWAYS = _any("")
_VAGUE = r"|[45]\d\d|[45]\.0\.\d+|5\.1\.0|5\.2\.[01]|5\.3\.0|5\.5\.\d+"
#: What a code and the words beside it mean (RFC 3463, 5248): the first line that fits. "" is a mail without a code.
_MEANINGS = (
    (r"[45]\.2\.2|552", _ALWAYS, Kind.SOFT),
    (r"5\.7\.\d+|5\.1\.(?:7|8|90)|53[0458]|571", _ALWAYS, Kind.POLICY),  # 5.1.7, .8, .90 are about the sender
    (r"5\.1\.[1-9]\d*|5\.4\.4|556", _ALWAYS, Kind.HARD),
    (r"5\.4\.\d+", _NO_DOMAIN, Kind.HARD),
    (_VAGUE, _FULL, Kind.SOFT),
    (rf"{_VAGUE}|4\.[37]\.\d+", _REFUSED, Kind.POLICY),
    (_VAGUE, _FOR_NOW, Kind.SOFT),
    (rf"(?!4)(?:{_VAGUE})", _NOBODY, Kind.HARD),
    (r"5\.1\.0", _ALWAYS, Kind.HARD),
    (r"[45].*", _ALWAYS, Kind.SOFT),
    (r".*", _ALWAYS, Kind.UNKNOWN),
)
