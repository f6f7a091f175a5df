"""core.fields: a value that the database, its dumps and its logs see only as ciphertext."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from payments.models import ProviderAccount

pytestmark = pytest.mark.django_db

SECRET = {"api_key": "key_live_very_secret", "ñ": [1, None, True]}


@pytest.fixture
def account():
    return ProviderAccount.objects.create(provider="conekta", livemode=True, name="Conekta", credentials=SECRET)


def stored() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM payments_provideraccount")
        return bytes(cursor.fetchone()[0])


def test_the_column_holds_ciphertext_and_the_model_the_value(account):
    raw = stored()

    assert b"very_secret" not in raw and b"api_key" not in raw
    assert ProviderAccount.objects.get().credentials == SECRET


def test_the_same_value_never_encrypts_the_same_way_twice(account):
    first = stored()

    account.save()

    assert stored() != first
    assert ProviderAccount.objects.get().credentials == SECRET


@pytest.mark.parametrize("write", ["update", "bulk_update", "bulk_create"])
def test_every_way_of_writing_encrypts(account, write):
    secret = {"api_key": "another_secret"}
    if write == "update":
        ProviderAccount.objects.update(credentials=secret)
    elif write == "bulk_update":
        account.credentials = secret
        ProviderAccount.objects.bulk_update([account], ["credentials"])
    else:
        ProviderAccount.objects.update(takes_new=False)
        ProviderAccount.objects.bulk_create(
            [ProviderAccount(provider="conekta", livemode=True, name="Two", credentials=secret)]
        )

    assert ProviderAccount.objects.get(takes_new=True).credentials == secret
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM payments_provideraccount WHERE position('secret' in credentials::text) > 0"
        )
        assert cursor.fetchone() == (0,)


def test_a_new_key_encrypts_and_the_old_one_still_opens(account, settings):
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()

    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    loaded = ProviderAccount.objects.get()
    loaded.save()

    assert loaded.credentials == SECRET
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert ProviderAccount.objects.get().credentials == SECRET


def test_a_value_under_an_unknown_key_is_an_error_that_names_the_field_and_shows_nothing(account, settings):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(ImproperlyConfigured) as refusal:
        ProviderAccount.objects.get()

    assert str(refusal.value) == "ProviderAccount.credentials: none of FIELD_ENCRYPTION_KEYS decrypts this value"


def test_a_value_that_somebody_altered_is_an_error(account):
    raw = bytearray(stored())
    raw[20] ^= 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE payments_provideraccount SET credentials = %s", [bytes(raw)])

    with pytest.raises(ImproperlyConfigured):
        ProviderAccount.objects.get()
