"""The desk in Django admin."""

from digest.admin import ledger, papers, staff

__all__ = ["ledger", "papers", "staff"]
