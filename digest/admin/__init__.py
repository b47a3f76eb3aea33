"""The desk in Django admin."""

from digest.admin import ledger, papers

__all__ = ["ledger", "papers"]
