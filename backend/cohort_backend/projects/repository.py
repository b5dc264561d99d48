"""Projects, their models and specs, and the version that wakes long-polls."""

from __future__ import annotations

import time
from collections.abc import Collection
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.database import insert_new
from cohort_backend.projects.models import Bond, Project, ProjectModel, ProjectVersion, SpecDocument


def get(session: Session, project: int, *, lock: bool = False) -> Project | None:
    """One project; `lock` keeps it from changing until the end of the transaction."""
    query = select(Project).where(Project.id == project)
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def all_projects(session: Session) -> list[Project]:
    """Every project, by number."""
    return list(session.scalars(select(Project).order_by(Project.id)))


def page(session: Session, after: int, limit: int) -> list[Project]:
    """Projects above `after`, by number."""
    return list(session.scalars(select(Project).where(Project.id > after).order_by(Project.id).limit(limit)))


def bond(session: Session, project: int, aggregator: str) -> Bond | None:
    """An aggregator's money in a project; None if it never had any."""
    return session.get(Bond, (project, aggregator))


def bonds(session: Session, project: int) -> list[Bond]:
    """The money of all aggregators, by address."""
    return list(session.scalars(select(Bond).where(Bond.project == project).order_by(Bond.aggregator)))


def models_before(session: Session, project: int, number: int, limit: int = 6) -> list[ProjectModel]:
    """The newest `limit` models before round `number`, oldest first: the last is the one that the round starts from.
    Void and defaulted rounds leave no model, and one without receipts does not count yet. `cid` is None only for the
    first model, whose CID is in the spec."""
    query = select(ProjectModel).where(
        ProjectModel.project == project, ProjectModel.round < number, ProjectModel.receipted.is_(True)
    )
    newest_first = session.scalars(query.order_by(ProjectModel.round.desc()).limit(limit))
    return list(newest_first)[::-1]


def spec_document(session: Session, digest: bytes) -> bytes | None:
    """A spec's canonical bytes, if we have them."""
    return session.scalars(select(SpecDocument.content).where(SpecDocument.digest == digest)).one_or_none()


def store_spec(session: Session, content: bytes) -> bytes:
    """Keeps a spec's canonical bytes; returns their SHA-256."""
    digest = sha256(content).digest()
    insert_new(session, SpecDocument, digest=digest, content=content)
    return digest


def bump_version(session: Session, project: int) -> int:
    """Wakes everybody who waits for a change of the project, once the transaction commits. Returns the new version."""
    insert_new(session, ProjectVersion, project=project, version=0, changed_at=0.0)
    query = select(ProjectVersion).where(ProjectVersion.project == project).with_for_update()
    found = session.scalars(query.execution_options(populate_existing=True)).one()
    found.version += 1
    found.changed_at = time.time()
    session.flush()
    return found.version


def version(session: Session, project: int) -> int:
    """The current version; 0 if nothing has happened yet."""
    query = select(ProjectVersion.version).where(ProjectVersion.project == project)
    return session.scalars(query).one_or_none() or 0


def versions(session: Session, projects: Collection[int]) -> dict[int, int]:
    """Current versions of some projects."""
    query = select(ProjectVersion.project, ProjectVersion.version)
    found = session.execute(query.where(ProjectVersion.project.in_(list(projects))))
    return {project: version for project, version in found}
