"""What is read: sources and papers, editions, and the ledger of what was owed and sent."""

from digest.models import lookups as lookups
from digest.models.editions import Edition, Placement
from digest.models.feedback import Feedback
from digest.models.ledger import Alarm, Batch, Carriage, Delivery, DeliveryEvent, Readership, Run
from digest.models.papers import Announce, Fetch, Listing, Observation, Pace, Paper, Source
from digest.models.search import Analysis, Stamp
from digest.models.staff import Act, Try
from digest.models.thumbnails import Thumbnail

__all__ = [
    "Act",
    "Alarm",
    "Analysis",
    "Announce",
    "Batch",
    "Carriage",
    "Delivery",
    "DeliveryEvent",
    "Edition",
    "Feedback",
    "Fetch",
    "Listing",
    "Observation",
    "Pace",
    "Paper",
    "Placement",
    "Readership",
    "Run",
    "Source",
    "Stamp",
    "Thumbnail",
    "Try",
]
