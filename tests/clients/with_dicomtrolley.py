"""`python -m tests.clients.with_dicomtrolley FOLDER`: studies found and downloaded by it.

It runs where `requirements-clients.lock` is installed. The folder holds `plan.json`, and
`{uid}.dcm` for each instance of a study.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import requests
from dicomtrolley.core import Downloader, Query, QueryLevels
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS, RelationalQuery
from dicomtrolley.storage import FlatStorageDir
from dicomtrolley.trolley import Trolley
from dicomtrolley.wado_rs import WadoRS
from dicomtrolley.wado_uri import WadoURI

from tests.clients.report import Report


def find(searcher: QidoRS, study: dict[str, Any], report: Report) -> None:
    """Find the study by each kind of query."""
    uid, instances = study["study"], set(study["instances"])
    for key in ("PatientID", "AccessionNumber", "StudyInstanceUID"):
        with report.on(f"a study is found by {key}"):
            found = searcher.find_studies(Query(**{key: study[key]}))
            assert [one.uid for one in found] == [uid], found
    with report.on("a study is found with what is asked of it"):
        fields = ["StudyDescription", "NumberOfStudyRelatedInstances"]
        query = HierarchicalQuery(StudyInstanceUID=uid, include_fields=fields)
        data = searcher.find_study(query).data
        assert data.StudyDescription == study["StudyDescription"], data
        assert data.NumberOfStudyRelatedInstances == len(instances), data
    with report.on("its series are found"):
        query = HierarchicalQuery(StudyInstanceUID=uid, query_level=QueryLevels.SERIES)
        found = [series.uid for series in searcher.find_study(query).series]
        assert found == [study["series"]], found
    with report.on("its instances are found across the archive"):
        query = RelationalQuery(PatientID=study["PatientID"], query_level=QueryLevels.INSTANCE)
        (one,) = searcher.find_studies(query)
        assert {instance.uid for instance in one.all_instances()} == instances
    with report.on("nothing is found where there is nothing"):
        assert not searcher.find_studies(Query(PatientID="nobody"))


def download(searcher: QidoRS, downloader: Downloader, study: dict[str, Any], folder: Path) -> None:
    """Download a study that was found; every file has the bytes that were stored."""
    trolley = Trolley(downloader, searcher)
    with tempfile.TemporaryDirectory(prefix="hilum-trolley-") as scratch:
        trolley.storage = FlatStorageDir(scratch)
        trolley.download(trolley.find_study(Query(PatientID=study["PatientID"])), scratch)
        files = {path.stem: path for path in Path(scratch).rglob("*") if path.is_file()}
        assert len(files) == len(study["instances"]), sorted(files)
        stored = sorted((folder / f"{uid}.dcm").read_bytes() for uid in study["instances"])
        assert sorted(path.read_bytes() for path in files.values()) == stored


def main(folder: Path) -> int:
    """Find and download; the exit code."""
    warnings.simplefilter("ignore")
    plan = json.loads((folder / "plan.json").read_text())
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {plan['token']}"
    base, report = plan["base"], Report()
    searcher = QidoRS(session, base)
    downloaders = {
        "WADO-RS, by series": WadoRS(session, base),
        "WADO-RS, by study": WadoRS(session, base, request_per_series=False),
        "WADO-URI": WadoURI(session, base.removesuffix("/dicomweb") + "/wado"),
    }
    for study in plan["studies"]:
        find(searcher, study, report)
        for name, downloader in downloaders.items():
            with report.on(f"a study is downloaded by {name}"):
                download(searcher, downloader, study, folder)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
