"""Reports may list payouts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_clabe_sequences")]

    operations = [
        migrations.AlterField(
            model_name="report",
            name="type",
            field=models.CharField(
                choices=[
                    ("payments", "payments"),
                    ("payouts", "payouts"),
                    ("balance_transactions", "balance transactions"),
                    ("statement", "statement"),
                ],
                max_length=32,
                verbose_name="type",
            ),
        ),
    ]
