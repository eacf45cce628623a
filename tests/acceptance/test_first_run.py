"""From an empty folder to a serving archive, through kill -9 and back, as an operator lives it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pydicom
import pytest

from app.cli import main
from app.index.unprivileged import child_identity
from tests import factories
from tests.archive_process import ROOT, ArchiveProcess
from tests.messages import parts_of

AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
FOUND_BY = ("PatientID=PID-1", "PatientName=Doe*", "StudyDate=20240101-20241231", "Modality=CT")


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveProcess:
    return ArchiveProcess(tmp_path / "data")


def is_running(pid: int | None) -> bool:
    """Whether it is, and not merely waiting for its parent to take notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(*pids: int | None) -> None:
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.05)


def store(client: httpx.Client, files: list[bytes]) -> None:
    body, content_type = factories.multipart(files)
    answer = client.post("/studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["00081199"]["Value"]) == len(files)


def retrieve_study(client: httpx.Client, study_instance_uid: str) -> list[bytes]:
    answer = client.get(f"/studies/{study_instance_uid}", headers=AS_STORED)
    assert answer.status_code == 200, answer.text
    return parts_of(answer)


def test_a_series_survives_a_kill_of_everything(archive: ArchiveProcess) -> None:
    files = factories.ct_series(20)
    study_instance_uid = pydicom.dcmread(pydicom.filebase.DicomBytesIO(files[0])).StudyInstanceUID
    with archive:
        assert archive.token is not None
        assert archive.output.count(archive.token) == 2  # shown, and once more to be pasted
        first_token = archive.token
        with archive.client() as client:
            store(client, files)
            for query in FOUND_BY:
                level = "series" if query.startswith("Modality") else "studies"
                [found] = client.get(f"/{level}?{query}").json()
                assert found["0020000D"]["Value"] == [study_instance_uid]
            assert sorted(retrieve_study(client, study_instance_uid)) == sorted(files)

        archive.kill_everything()
        began = time.monotonic()
        archive.start()
        assert time.monotonic() - began < 60  # nothing waits for the lock of who was killed

        assert "hilum_" not in archive.output
        assert archive.token == first_token
        with archive.client() as client:
            assert sorted(retrieve_study(client, study_instance_uid)) == sorted(files)
            store(client, files)
        postgres = archive.postgres_pid
        assert is_running(postgres)
        assert archive.interrupt() == 0
        assert not is_running(postgres)


def test_it_serves_as_an_ordinary_user(archive: ArchiveProcess) -> None:
    # To the archive root then looks like another user; an ordinary user stays who they are.
    archive.start(child_identity())
    with archive, archive.client() as client:
        store(client, factories.ct_series(2))
        assert len(client.get("/instances").json()) == 2
        assert archive.interrupt() == 0


def test_workers_serve_one_archive_and_end_with_their_parent(tmp_path: Path) -> None:
    with ArchiveProcess(tmp_path / "data", HILUM_WORKERS="2") as archive:
        with archive.client() as client:
            store(client, factories.ct_series(2))
        for _ in range(8):  # each on a connection of its own, so that both workers answer
            with archive.client() as client:
                assert len(client.get("/instances").json()) == 2
        postgres, parent = archive.postgres_pid, archive.pid
        workers = children_of(parent)
        assert len(workers) >= 3  # two of them, and the PostgreSQL
        archive.kill()
        wait_until_gone(postgres, *workers)


def test_a_chosen_token_is_taken_and_not_shown(tmp_path: Path, database_url: str) -> None:
    chosen = "chosen-by-the-operator"
    settings = {"HILUM_DATABASE_URL": database_url, "HILUM_ADMIN_TOKEN": chosen}
    with ArchiveProcess(tmp_path / "data", **settings) as archive:
        assert chosen not in archive.output
        assert "hilum_" not in archive.output
        archive.token = chosen
        with archive.client() as client:
            assert client.get("/studies").is_success


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    """An archive that goes on serving over the tests of this module."""
    with ArchiveProcess(tmp_path_factory.mktemp("running") / "data") as archive:
        yield archive


def test_nothing_of_the_data_is_open_to_other_users(running: ArchiveProcess) -> None:
    with running.client() as client:
        store(client, factories.ct_series(1))
    for folder in running.data_dir.iterdir():
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_a_taken_port_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = serve_and_fail(tmp_path, HILUM_PORT=port)
    assert f"port {port}: Address already in use" in said
    assert not (tmp_path / "data").exists()


def test_a_second_archive_on_the_same_data_is_refused(running: ArchiveProcess) -> None:
    said = serve_and_fail(running.data_dir.parent, HILUM_PORT="0")
    assert "is used by another Hilum" in said
    with running.client() as client:
        assert client.get("/studies").is_success


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("HILUM_PORT", "eighty", "HILUM_PORT: Input should be a valid integer"),
        ("HILUM_BLOBS_URL", "ftp://x", "names no store of blobs"),
        ("HILUM_DATABASE_URL", "postgresql://x@127.0.0.1:1/x", "The database does not answer"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, setting: str, value: str, said: str
) -> None:
    output = serve_and_fail(tmp_path, **{"HILUM_PORT": "0", setting: value})
    assert said in output
    assert "Traceback" not in output


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `hilum serve`, or another command, says of settings before it begins, so that it may
    run in this process."""

    def refusal_of(*command: str, **settings: str) -> str:
        for name in [name for name in os.environ if name.startswith("HILUM_")]:
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["hilum", *(command or ["serve"])])
        with pytest.raises(SystemExit) as ended:
            main()
        return str(ended.value)

    return refusal_of


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("HILUM_PROT", "80", "There is no such setting: HILUM_PROT"),
        ("HILUM_ADMIN_TOKEN", "short", "HILUM_ADMIN_TOKEN"),
        ("HILUM_DEVELOPMENT", "perhaps", "HILUM_DEVELOPMENT: Input should be a valid boolean"),
    ],
)
def test_a_setting_that_cannot_be_read_is_told_in_one_line(
    refused: Callable[..., str], setting: str, value: str, said: str
) -> None:
    output = refused(HILUM_PORT="0", **{setting: value})
    assert said in output
    assert "\n" not in output


@pytest.mark.parametrize(
    "command", ["check", "sweep", "token list", "grant list", "audit verify", "audit feeds"]
)
def test_a_command_where_no_archive_is_says_so_in_one_line(
    refused: Callable[..., str], empty_database_url: str, command: str
) -> None:
    said = refused(*command.split(), HILUM_DATABASE_URL=empty_database_url)
    assert said.startswith("hilum: The database holds no archive yet")
    assert "\n" not in said


def test_in_development_mode_it_needs_no_token_and_says_so(
    tmp_path: Path, database_url: str
) -> None:
    settings = {"HILUM_DATABASE_URL": database_url, "HILUM_DEVELOPMENT": "true"}
    with ArchiveProcess(tmp_path / "data", **settings) as archive:
        assert "DEVELOPMENT MODE" in archive.output.partition("Try, in another terminal")[0]
        assert httpx.get(f"{archive.base}/studies", trust_env=False).is_success


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("HILUM_HOST", "0.0.0.0"),  # as in the container
        ("HILUM_TRUSTED_PROXIES", '["127.0.0.1/32"]'),
        ("HILUM_PUBLIC_URL", "https://images.example.org"),
    ],
)
def test_development_mode_is_refused_where_others_could_come(
    refused: Callable[..., str], tmp_path: Path, setting: str, value: str
) -> None:
    said = refused(HILUM_DEVELOPMENT="true", **{setting: value})
    assert said.startswith("hilum: HILUM_DEVELOPMENT lets in who has no token")
    assert setting in said
    assert not (tmp_path / "data").exists()


def serve_and_fail(folder: Path, **settings: str) -> str:
    """Run `hilum serve` over `folder/data`, which must not work; what it says."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HILUM_")}
    ran = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT)} | settings,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stderr


def children_of(pid: int) -> list[int]:
    """The processes that this one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
