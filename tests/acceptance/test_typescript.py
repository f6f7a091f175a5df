"""A merchant's TypeScript, with types that openapi-typescript makes from our document, compiles as a reader expects."""

from __future__ import annotations

import shutil

from payments_site.openapi import document
from tests import npm
from tests.cluster import ROOT

SOURCE = ROOT / "tests" / "acceptance" / "typescript"


def test_the_main_job_compiles_with_strict_generated_types():
    packages = npm.installed(SOURCE)
    shutil.copy(SOURCE / "main_job.ts", packages / "main_job.ts")
    (packages / "openapi.json").write_bytes(document.as_bytes())

    npm.run(packages, "node_modules/.bin/openapi-typescript", "openapi.json", "-o", "api.d.ts")

    options = "--strict --noEmit --module nodenext --target es2022 main_job.ts".split()
    assert npm.run(packages, "node_modules/.bin/tsc", *options) == ""
