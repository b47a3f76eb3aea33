"""A small server that lists invented papers as Hugging Face and arXiv do."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DAY = "2026-06-02"
TITLES = ["Robots That Fold Paper", "Soup Without a Bowl", "Maps of Places That Are Not There"]


def _listed():
    return [
        {
            "paper": {
                "id": f"2606.9000{number}",
                "title": title,
                "summary": "Nothing is claimed here.",
                "authors": [{"name": "Ada Example", "hidden": False}],
                "publishedAt": "2026-06-01T00:00:00.000Z",
                "upvotes": 10 - number,
            },
            "title": title,
            "numComments": 1,
        }
        for number, title in enumerate(TITLES)
    ]


FEED = f"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
<id>http://rss.arxiv.org/atom/cs.CL</id><title>cs.CL updates on arXiv.org</title>
<updated>{DAY}T04:00:00+00:00</updated>
<entry><id>oai:arXiv.org:2606.90008v1</id><title>Drones That Read Footnotes</title>
<updated>{DAY}T04:00:00+00:00</updated>
<link href="https://arxiv.org/abs/2606.90008" rel="alternate" type="text/html"/>
<summary>arXiv:2606.90008v1 Announce Type: new \nAbstract: Nothing is claimed here either.</summary>
<category term="cs.CL"/><published>{DAY}T00:00:00-04:00</published><arxiv:announce_type>new</arxiv:announce_type>
<dc:creator>Ben Sample</dc:creator></entry></feed>"""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path == "/api/daily_papers":
            first = query.get("p", ["0"]) == ["0"] and query.get("date") == [DAY]
            self._answer(json.dumps(_listed() if first else []), "application/json")
        elif url.path == "/atom/cs.CL":
            self._answer(FEED, "application/atom+xml")
        else:
            self.send_error(404)

    def _answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


@contextmanager
def serving():
    """The address of the running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
