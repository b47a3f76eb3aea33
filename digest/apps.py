from django.apps import AppConfig


class DigestConfig(AppConfig):
    name = "digest"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from digest import webhooks  # noqa: F401, PLC0415  hears what mail services report
        from digest.config import checks  # noqa: F401, PLC0415  registers the checks
