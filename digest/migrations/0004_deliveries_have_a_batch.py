import django.db.models.deletion
from django.db import migrations, models


def leave_room(apps, schema_editor):
    """Half of each page stays free, so that a settled row finds place beside its old version (a HOT update)."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE digest_delivery SET (fillfactor = 50)")


class Migration(migrations.Migration):
    dependencies = [("digest", "0003_gather_deliveries")]

    operations = [
        migrations.AlterField(
            model_name="delivery",
            name="batch",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="deliveries", to="digest.batch"
            ),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['queued', 'sending', 'sent', 'deferred', 'failed', 'uncertain', 'excluded'])), name='delivery_status_is_known'),
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
    ]
