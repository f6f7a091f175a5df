from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0010_reports"),
    ]

    operations = [
        migrations.AlterField(
            model_name="reviewcase",
            name="status",
            field=models.CharField(
                choices=[
                    ("open", "to be decided"),
                    ("credited", "credited as sent"),
                    ("assigned", "assigned to another"),
                ],
                default="open",
                max_length=32,
                verbose_name="status",
            ),
        ),
    ]
