"""Files: where they lie, how they are written whole, how they are fetched and unpacked."""

from devise.storage.archives import unpack
from devise.storage.atomic import Commit, Part, publish
from devise.storage.claims import DRAWN, MARK, is_manifest, remove, replaceable, vacant, write_report
from devise.storage.disk import alone, atomic_path, digest, megabytes, read_json, stamp, writable, write_json, written
from devise.storage.fetch import bring, fetch, verify
from devise.storage.places import (
    bundled,
    checkout,
    data_root,
    home,
    is_url,
    pretrained_root,
    read_url,
    user_home,
)
from devise.storage.reading import inside, open_artefact, part_digests, read_artefact

__all__ = ["DRAWN", "MARK", "Commit", "Part", "alone", "atomic_path", "bring", "bundled", "checkout", "data_root",
           "digest", "fetch", "home", "inside", "is_manifest", "is_url", "megabytes", "open_artefact", "part_digests",
           "pretrained_root", "publish", "read_artefact", "read_json", "read_url", "remove", "replaceable", "stamp",
           "unpack", "user_home", "vacant", "verify", "write_json", "write_report", "writable", "written"]
