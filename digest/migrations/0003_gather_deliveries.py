from django.db import migrations


def gather(apps, schema_editor):
    """Rows written before there were batches get one for each edition; what a worker held goes back or is uncertain."""
    Delivery, Run, Batch = (apps.get_model("digest", name) for name in ("Delivery", "Run", "Batch"))
    Delivery.objects.filter(status="claimed").update(status="queued")
    Delivery.objects.filter(status="sending").update(status="uncertain", reason="the worker ended while handing it over")
    for edition in Delivery.objects.order_by("edition").values_list("edition", flat=True).distinct():
        rows = Delivery.objects.filter(edition=edition)
        first = rows.order_by("pk").first()
        waiting = rows.filter(status__in=["queued", "deferred"]).order_by("next_try_at").first()
        run = Run.objects.create(edition_id=edition, changed_at=first.created_at)
        batch = Batch.objects.create(
            run=run,
            size=rows.count(),
            next_try_at=waiting.next_try_at if waiting else None,
            created_at=first.created_at,
        )
        rows.update(batch=batch)


class Migration(migrations.Migration):
    dependencies = [("digest", "0002_runs_and_batches")]

    operations = [migrations.RunPython(gather, migrations.RunPython.noop)]
