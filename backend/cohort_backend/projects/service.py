"""Specs of projects, and the CIDs that follow from them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.spec import MAX_SPEC_BYTES, ProjectSpec
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects import repository
from cohort_backend.projects.errors import SpecNotHere
from cohort_backend.projects.models import Project, ProjectModel


def spec_cid(project: Project) -> Cid:
    """A spec is one raw block, so its CID follows from the digest on chain."""
    return Cid(RAW, project.spec_digest)


def load_spec(database: Database, store: IpfsStore, project: Project) -> ProjectSpec:
    """The project's spec: from the database, else from IPFS, and then kept.

    Raises `IpfsUnavailable`, `ContentNotFound`, `ContentTooLarge`, `InvalidInput` (what the chain names is no spec).
    """
    with database.read() as session:
        content = repository.spec_document(session, project.spec_digest)
    if content is None:
        content = store.get(spec_cid(project), MAX_SPEC_BYTES)
        spec = parsed_spec(content)  # before it is kept
        assert sha256(content).digest() == project.spec_digest, "a store verifies what it returns"
        with database.write() as session:
            repository.store_spec(session, content)
            repository.bump_version(session, project.id)
        return spec
    return parsed_spec(content)


def spec_in(session: Session, project: Project) -> ProjectSpec:
    """The spec, if it is in the database. Raises `SpecNotHere`: call `load_spec`, outside of any transaction."""
    content = repository.spec_document(session, project.spec_digest)
    if content is None:
        raise SpecNotHere(f"the spec {spec_cid(project)} of project {project.id} has not been fetched from IPFS yet")
    return parsed_spec(content)


def model_cid(session: Session, project: Project, model: ProjectModel) -> str:
    """The CID of a model's file. Raises `SpecNotHere`."""
    return model.cid if model.cid is not None else spec_in(session, project).model.initial_cid


@lru_cache(maxsize=64)
def parsed_spec(content: bytes) -> ProjectSpec:
    """Specs are immutable: parsed once. Raises `InvalidInput`."""
    return ProjectSpec.from_bytes(content)
