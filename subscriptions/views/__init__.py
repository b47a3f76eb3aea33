"""The reader's doors: sign up, confirm, manage, leave. GET shows, POST acts.

Every page but sign-up is opened by a signed link, which no other site can know: no cookie is set or asked for.
"""

from subscriptions.views.visits import visit

__all__ = ["visit"]
