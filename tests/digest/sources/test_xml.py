import resource
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import xml
from digest.sources.entry import SourceError

ENTITIES = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
LAUGHS = f'<!DOCTYPE feed [<!ENTITY l0 "ha">{ENTITIES}]><feed><title>&l9;</title></feed>'
RSS = '<rss version="2.0"><channel><title>x</title>'
ATTACKS: dict[str, bytes] = {
    "billion laughs": LAUGHS.encode(),
    "billion laughs in UTF-16": LAUGHS.encode("utf-16"),
    "billion laughs in UTF-16 without a mark": f'<?xml version="1.0"?>{LAUGHS}'.encode("utf-16-le"),
    "billion laughs, broken": ("<rss>&nbsp;" + LAUGHS).encode(),
    "quadratic blow-up": f'<!DOCTYPE f [<!ENTITY a "{"x" * 100_000}">]><feed>{"&a;" * 100_000}</feed>'.encode(),
    "external file": b'<!DOCTYPE f [<!ENTITY a SYSTEM "file:///etc/hostname">]><feed><title>&a;</title></feed>',
    "external address": b'<!DOCTYPE f [<!ENTITY a SYSTEM "http://127.0.0.1:9/">]><feed>&a;</feed>',
    "parameter entity": b'<!DOCTYPE f [<!ENTITY % a SYSTEM "http://127.0.0.1:9/"> %a;]><feed/>',
    "nesting": (RSS + "<a>" * 100_000 + "</a>" * 100_000 + "</channel></rss>").encode(),
    "nesting, cut": (RSS + "<a>" * 100_000).encode(),
    "nesting, broken": (RSS + "&nbsp;" + "<a>" * 100_000).encode(),
    "nesting in UTF-16": (RSS + "<a>" * 100_000).encode("utf-16"),
    "hidden in UTF-7": b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-ENTITY',
    "hidden in UTF-7 behind a mark": b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-ENTITY',
    "hidden in EBCDIC": f"<?xml version='1.0'?>{LAUGHS}".encode("cp037"),
    "hidden in HZ": b'<?xml version="1.0" encoding="hz"?><!EN~\nTITY>',
    "broken tags": (RSS + "&nbsp;" + "<a " * 1_000_000).encode(),
    "endless comments": (RSS + "&nbsp;" + "<!--" * 99_000 + "<!ENTITY a>").encode(),
    "attributes": (RSS + "<a " + " ".join(f'b{number}=""' for number in range(100_000)) + "/>").encode(),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("read", [xml.guard, xml.read])
def test_f2_hostile_xml_is_refused_quickly_and_in_little_memory(attack: str, read: Callable[[bytes], object]) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(SourceError):
        read(ATTACKS[attack])
    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize(
    "attribute", ["PUBLIC '-//Netscape//DTD RSS 0.91//EN' 'http://127.0.0.1:9/x.dtd'", "SYSTEM 'x.dtd'", ""]
)
def test_a_bare_doctype_passes(attribute: str) -> None:
    body = f"<!DOCTYPE rss {attribute}><rss version='0.91'><channel><item><title>x</title></item></channel></rss>"
    assert [entry.title for entry in xml.read(body.encode()).entries] == ["x"]


def test_markup_written_about_in_a_feed_passes() -> None:
    body = RSS + "<item><title><![CDATA[On <!ENTITY bombs]]></title><!-- <!ENTITY x> --></item></channel></rss>"
    xml.guard(body.encode())


def test_open_tags_of_html_in_a_broken_feed_are_no_nesting() -> None:
    xml.guard((RSS + "&nbsp;<item><description>" + "<p>x<br>" * 500).encode())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<!doctype html><title>Sign in</title>", "HTML"),
        (b"\xef\xbb\xbf  <HTML><body>", "HTML"),
        ("<!-- x --><html>".encode("utf-16"), "HTML"),
        (b'{"error": "no"}', "no feed"),
        (b"<svg/>", "no feed"),
    ],
)
def test_what_is_no_feed_is_named(body: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        xml.read(body)


def test_no_file_is_opened_though_the_body_is_a_file_name(tmp_path: object) -> None:
    with pytest.raises(SourceError, match="no feed"):
        xml.read(__file__.encode())


@given(st.binary(max_size=300) | st.text(alphabet="<>/!?&;ax\"'= -[]", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(SourceError):
        xml.read(body)
