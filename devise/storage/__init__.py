"""Files: where they lie, how they are written whole, how they are fetched and unpacked."""

from devise.storage.archives import unpack
from devise.storage.atomic import Commit, atomic_path, digest, open_artefact, read_artefact, read_json, write_json
from devise.storage.disk import megabytes, written
from devise.storage.fetch import bring, fetch, verify
from devise.storage.locks import alone
from devise.storage.roots import bundled, checkout, data_root, home, pretrained_root

__all__ = ["Commit", "alone", "atomic_path", "bring", "bundled", "checkout", "data_root", "digest", "fetch", "home",
           "megabytes", "open_artefact", "pretrained_root", "read_artefact", "read_json", "unpack", "verify",
           "write_json", "written"]
