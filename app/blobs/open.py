"""`open_blobs`: the store of blobs that a URL names.

    (none)                  the folder `blobs` of the data folder
    file:///srv/blobs       a folder
    memory://               this process, for trying things out
    s3://bucket/prefix      S3 and whatever speaks it; keys, region and endpoint come from the usual
                            AWS_* variables (AWS_ENDPOINT_URL, AWS_ALLOW_HTTP=true for plain HTTP)
    gs://bucket/prefix      Google Cloud Storage; GOOGLE_* variables
    az://container/prefix   Azure Blob Storage; AZURE_* variables

Call it in the process that will use the store, after any fork.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from app.blobs.contract import BlobStore, BlobsUnavailable
from app.blobs.local import LocalBlobs
from app.blobs.memory import MemoryBlobs
from app.blobs.objectstore import ObjectStoreBlobs
from app.blobs.spool import remove_old_files, spool_directory

if TYPE_CHECKING:  # these exist for type checkers only
    from collections.abc import Callable

    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def open_blobs(url: str | None, data_dir: Path) -> BlobStore:
    """Open the store that `url` names, and the folder that uploads are spooled into.

    Raises `ValueError` if `url` names none, `BlobsUnavailable` if a folder cannot be used; whether
    an object store answers is for `check` to tell.
    """
    spools = spool_directory(data_dir)
    try:
        spools.mkdir(parents=True, exist_ok=True)
        remove_old_files(spools)
    except OSError as error:
        raise BlobsUnavailable(f"{spools} cannot be used: {error.strerror}.") from error
    if url is None:
        return LocalBlobs(data_dir / "blobs")
    parts = urlsplit(url)
    match parts.scheme:
        case "file" if parts.netloc in {"", "localhost"} and parts.path:
            return LocalBlobs(Path(unquote(parts.path)))
        case "memory":
            return MemoryBlobs()
        case scheme if scheme in _OBJECT_STORES and parts.netloc:
            return ObjectStoreBlobs(_object_store(scheme, url))
    raise ValueError(
        f"{url!r} names no store of blobs: file:///…, memory://, s3://, gs:// or az:// is expected"
    )


def _object_store(scheme: str, url: str) -> ObjectStore:
    # A transfer may take as long as it makes progress, so `timeout` is for none of them; what
    # stands still is ended by `read_timeout`.
    client: ClientConfig = {
        "timeout": timedelta(days=1),
        "read_timeout": timedelta(seconds=60),
        "connect_timeout": timedelta(seconds=5),
    }
    if os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true", "yes"}:
        client["allow_http"] = True
    try:
        return _OBJECT_STORES[scheme](url, client)
    except BaseError as error:
        raise ValueError(f"{url!r} cannot be opened: {error}") from error


_OBJECT_STORES: dict[str, Callable[[str, ClientConfig], ObjectStore]] = {
    "s3": lambda url, c: S3Store.from_url(url, client_options=c, retry_config=_RETRIES),
    "gs": lambda url, c: GCSStore.from_url(url, client_options=c, retry_config=_RETRIES),
    "az": lambda url, c: AzureStore.from_url(url, client_options=c, retry_config=_RETRIES),
}
