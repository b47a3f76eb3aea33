from django.contrib.admin.apps import AdminConfig


class DeskConfig(AdminConfig):
    """Django admin, with the door of `digest.config.desk`."""

    default_site = "digest.config.desk.Desk"
