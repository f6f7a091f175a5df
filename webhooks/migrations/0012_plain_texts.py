"""Labels and help texts in plain English. No column changes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0011_columns_decided'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='providereventtransition',
            options={'ordering': ['id'], 'verbose_name': 'provider event transition', 'verbose_name_plural': 'provider event transitions'},
        ),
        migrations.AlterField(
            model_name='inboxtally',
            name='channel',
            field=models.CharField(choices=[('stp.deposits', 'STP: deposits'), ('stp.orders', 'STP: sent orders'), ('stp.conciliation', 'STP: polled'), ('conekta.events', 'Conekta: events'), ('conekta.list', 'Conekta: polled')], max_length=32),
        ),
        migrations.AlterField(
            model_name='providerevent',
            name='channel',
            field=models.CharField(choices=[('stp.deposits', 'STP: deposits'), ('stp.orders', 'STP: sent orders'), ('stp.conciliation', 'STP: polled'), ('conekta.events', 'Conekta: events'), ('conekta.list', 'Conekta: polled')], db_default='', default='', max_length=32, verbose_name='channel'),
        ),
        migrations.AlterField(
            model_name='providerevent',
            name='key_id',
            field=models.CharField(blank=True, db_default='', default='', help_text="Start of the key's SHA-256.", max_length=16, verbose_name='authenticated by'),
        ),
        migrations.AlterField(
            model_name='providerevent',
            name='response_status',
            field=models.PositiveSmallIntegerField(null=True, verbose_name='response'),
        ),
    ]
