"""Somebody who signs in keeps no notice of a provider waiting."""

from __future__ import annotations

import subprocess
import sys

from django.contrib.auth.hashers import check_password, identify_hasher, make_password
from django.test import override_settings

from payments_site.settings import base
from staff.hashers import ThreadedPBKDF2

BESIDE = """
from gevent import monkey; monkey.patch_all()
import gevent, time
from django.conf import settings; settings.configure()
from staff.hashers import ThreadedPBKDF2

longest = 0.0
def tick():
    global longest
    while True:
        began = time.monotonic()
        gevent.sleep(0.001)
        longest = max(longest, time.monotonic() - began)

gevent.spawn(tick)
gevent.sleep(0.01)
began = time.process_time()
hashed = ThreadedPBKDF2().encode("secret", "salt", 3_000_000)
assert ThreadedPBKDF2().verify("secret", hashed)
took = time.process_time() - began
gevent.sleep(0.01)
print(longest / took)
"""


def test_other_requests_are_served_while_a_password_is_hashed() -> None:
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, check=True, timeout=300)

    assert float(done.stdout) < 0.4  # in the loop it would be all of it


@override_settings(PASSWORD_HASHERS=base.PASSWORD_HASHERS)
def test_passwords_that_django_hashed_are_known_and_stay_as_they_are() -> None:
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"]):
        hashed = make_password("secret")
    upgraded: list[str] = []

    assert check_password("secret", hashed, upgraded.append)
    assert not check_password("Secret", hashed)
    assert upgraded == []
    assert isinstance(identify_hasher(hashed), ThreadedPBKDF2)
