"""Who the embedded PostgreSQL runs as, and where it lives: root and ordinary users."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from payments_site.embedded.process import EmbeddedError
from tests.embedded.conftest import MakeCluster

CLONE = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="what is promised to root can only be tried as root")


@root_only
def test_as_root_the_server_runs_as_nobody_from_a_clone_that_only_root_may_enter(make_cluster: MakeCluster) -> None:
    with tempfile.TemporaryDirectory() as clone:
        assert stat.S_IMODE(os.stat(clone).st_mode) == 0o700
        cluster = make_cluster(Path(clone) / "var")
        umask = os.umask(0o077)
        try:
            cluster.start()
        finally:
            os.umask(umask)

        cluster.ensure_database("payments")
        assert os.stat(f"/proc/{cluster.pid}").st_uid == pwd.getpwnam("nobody").pw_uid
        assert cluster.home.is_symlink()
        assert cluster.home.resolve() == cluster.folder
        cluster.stop()
        cluster.remove()
        assert not cluster.folder.exists()
        assert not cluster.home.is_symlink()


@root_only
def test_as_root_a_clone_that_was_deleted_and_made_again_begins_with_an_empty_cluster(
    make_cluster: MakeCluster,
) -> None:
    """Its keys are new, too: nobody could read what the deleted one left."""
    with tempfile.TemporaryDirectory() as clone:
        for _ in range(2):
            cluster = make_cluster(Path(clone) / "var")
            cluster.start()
            with psycopg.connect(cluster.url("postgres", "postgres")) as connection:
                connection.execute("CREATE TABLE left_behind ()")
            cluster.stop()
            again = make_cluster(Path(clone) / "var")
            again.start()
            with psycopg.connect(again.url("postgres", "postgres")) as connection:
                assert connection.execute("SELECT to_regclass('left_behind')").fetchone() == ("left_behind",)
            again.stop()
            shutil.rmtree(Path(clone) / "var")
        cluster.remove()


@root_only
@pytest.mark.parametrize("trap", ["folder", "link"])
def test_as_root_a_staging_folder_that_somebody_else_made_is_refused(
    tmp_path: Path, make_cluster: MakeCluster, trap: str
) -> None:
    cluster = make_cluster(tmp_path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if trap == "folder":
        cluster.folder.mkdir()
        os.chown(cluster.folder, 12345, 12345)
    else:
        cluster.folder.symlink_to(theirs)

    with pytest.raises(EmbeddedError, match="is not a folder of the user who runs this"):
        cluster.start()

    assert list(theirs.iterdir()) == []
    if trap == "folder":
        cluster.folder.rmdir()
    else:
        cluster.folder.unlink()


def test_an_ordinary_user_has_everything_in_home(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
import psycopg
from payments_site.embedded.postgres import EmbeddedPostgres
assert os.geteuid() != 0
folder = Path(sys.argv[1])
cluster = EmbeddedPostgres(folder / "postgres", run_dir=folder / "run", durable=False)
cluster.start()
cluster.ensure_database("payments")
with psycopg.connect(cluster.url("payments_app", "payments")) as connection:
    assert connection.execute("SELECT current_user").fetchone() == ("payments_app",)
cluster.stop()
assert not cluster.home.is_symlink() and (cluster.home / "data-18" / "PG_VERSION").exists()
assert (cluster.home.stat().st_mode & 0o777) == 0o700
cluster.remove()
assert not cluster.home.exists()
"""
    if not AS_ROOT:
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=CLONE, check=True)
        return
    nobody = pwd.getpwnam("nobody")
    python = python_for(nobody)
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        subprocess.run(
            [python, "-B", "-c", script, str(folder)],
            cwd="/",
            env=ordinary_environment(),
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            check=True,
        )
    finally:
        shutil.rmtree(folder)


def python_for(user: pwd.struct_passwd) -> str:
    """A Python that ``user`` can execute and that sees our packages; skips if this machine has none."""
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        try:
            version = subprocess.run(
                [python, "-c", "import sys, psycopg, payments_site; print('%d.%d' % sys.version_info[:2])"],
                cwd="/",
                env=ordinary_environment(),
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                capture_output=True,
                text=True,
                check=False,
            ).stdout.strip()
        except OSError:
            continue
        if version == "{}.{}".format(*sys.version_info):
            return python
    pytest.skip(f"no Python {sys.version_info[:2]} here that {user.pw_name} can execute with the project's packages")


def ordinary_environment() -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": f"{CLONE}:{Path(psycopg.__file__).parents[1]}"}
