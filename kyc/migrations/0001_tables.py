"""The tables of kyc, with their indexes, constraints and guards."""

import core.clock
import core.db
import core.fields
import core.ids
import django.db.models.deletion
import functools
import kyc.models.document
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('merchants', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='Case',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('kyc_case',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('status', models.CharField(choices=[('draft', 'draft'), ('submitted', 'submitted'), ('approved', 'approved'), ('rejected', 'rejected')], default='draft', max_length=32, verbose_name='status')),
                ('decision_reason', models.CharField(blank=True, max_length=500, verbose_name='reason of the decision')),
                ('decided_by', models.CharField(blank=True, max_length=150, verbose_name='decided by')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('merchant', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='kyc_case', to='merchants.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'KYC case',
                'verbose_name_plural': 'KYC cases',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CaseTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='kyc.case')),
            ],
            options={
                'verbose_name': 'KYC transition',
                'verbose_name_plural': 'KYC transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Document',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('document',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('document_type', models.CharField(choices=[('official_id', 'official identification (INE, passport)'), ('tax_certificate', 'tax certificate (constancia de situación fiscal)'), ('proof_of_address', 'proof of address'), ('incorporation_deed', 'deed of incorporation (acta constitutiva)'), ('power_of_attorney', 'power of attorney'), ('bank_statement', 'bank statement cover with CLABE')], max_length=32, verbose_name='type')),
                ('file', models.FileField(upload_to=kyc.models.document.stored_path, verbose_name='file')),
                ('original_name', models.CharField(max_length=150, verbose_name='file name')),
                ('content_type', models.CharField(max_length=32, verbose_name='content')),
                ('size', models.PositiveIntegerField(help_text='Bytes.', verbose_name='size')),
                ('sha256', models.CharField(max_length=64, verbose_name='SHA-256')),
                ('uploaded_by', models.CharField(max_length=150, verbose_name='uploaded by')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='uploaded')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='documents', to='kyc.case', verbose_name='KYC case')),
            ],
            options={
                'verbose_name': 'document',
                'verbose_name_plural': 'documents',
                'ordering': ['-id'],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'kyc_case keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='83b18c328c3f99c3e9e79a5f1f6e9e91fb5ecbdc', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_e05fc', table='kyc_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('draft') THEN\n                    RAISE EXCEPTION 'kyc_case: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('draft', 'submitted'), ('rejected', 'draft'), ('submitted', 'approved'), ('submitted', 'rejected')) THEN\n                RAISE EXCEPTION 'kyc_case: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='6eb8dc5f55e7dd6732038feb6360ba6e54fc3e15', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_77e13', table='kyc_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='transition_recorded', sql=core.db.IndexGuardSql(condition='WHEN (OLD.status <> NEW.status)', constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.kyc_casetransition\n                WHERE case_id = NEW.id AND from_status = OLD.status AND to_status = NEW.status\n            ) THEN\n                RAISE EXCEPTION 'kyc_case: from % to %, and no transition row says so',\n                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='94a4acd3ec1f090546f26d45335762942ebbe0be', operation='UPDATE OF "status"', pgid='pgtrigger_transition_recorded_2d625', table='kyc_case', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'kyc_case: id, public_id, merchant_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f259c3d3c454fb6d6f891b3fee6fab8eb4fa948c', operation='UPDATE OF "id", "public_id", "merchant_id", "created_at"', pgid='pgtrigger_frozen_f31f9', table='kyc_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='with_approved_rejected', sql=core.db.GuardSql(condition="WHEN ((NEW.decision_reason, NEW.decided_by, NEW.decided_at) IS DISTINCT FROM (OLD.decision_reason, OLD.decided_by, OLD.decided_at) AND (NEW.status IN ('approved', 'rejected') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'kyc_case: decision_reason, decided_by, decided_at can only change in the step to approved or rejected'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='10ccc1f6027672283932100efc4227c2944923ee', operation='UPDATE OF "decision_reason", "decided_by", "decided_at"', pgid='pgtrigger_with_approved_rejected_90b03', table='kyc_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='with_documents', sql=core.db.IndexGuardSql(func="\n                    IF NEW.status = OLD.status THEN\n                        RETURN NEW;\n                    END IF;\n                    IF NEW.status = 'submitted'\n                            AND NOT EXISTS (SELECT 1 FROM public.kyc_document WHERE case_id = NEW.id) THEN\n                        RAISE EXCEPTION 'kyc_case: a case without documents cannot be submitted'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF NEW.status IN ('approved', 'rejected') AND (\n                        NEW.decision_reason = '' OR NEW.decided_by = '' OR NEW.decided_at IS NULL\n                    ) THEN\n                        RAISE EXCEPTION 'kyc_case: a decision says who decided, when and why'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='c53acffcb39a429a243b1f1f4aff29ed68fe793f', operation='UPDATE OF "status"', pgid='pgtrigger_with_documents_cd59f', table='kyc_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='casetransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'kyc_casetransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='f7f0978fb7ff866fd441faa961187a8daa20733f', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_2506e', table='kyc_casetransition', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='document',
            constraint=models.CheckConstraint(condition=models.Q(('content_type__in', ['image/jpeg', 'image/png', 'application/pdf'])), name='document_content_allowed'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='document',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'kyc_document is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='f3b781280c40ce80bc9909800f76290fe908e3b8', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_023cc', table='kyc_document', when='BEFORE')),
        ),
    ]
