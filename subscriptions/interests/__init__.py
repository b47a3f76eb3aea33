"""Topics out of what somebody has already: a list of keywords, OPML, BibTeX, RIS, or Zotero's CSL-JSON.

`read` takes a file's bytes and tells the kinds apart by what is in it. Nothing is guessed at silently: what was not
understood is named with its reason. Pure: bytes in, values out.
"""

from subscriptions.interests.reading import LARGEST, MOST_TOPICS, Interests, read
from subscriptions.interests.reference import Unreadable

__all__ = ["LARGEST", "MOST_TOPICS", "Interests", "Unreadable", "read"]
