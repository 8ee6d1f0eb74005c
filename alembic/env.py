"""Alembic's environment: runs the revisions on the connection that gmcenter.core.migrate opens.

The tables' models are imported only when they are compared with the database (``revision --autogenerate``); an upgrade
at start-up needs none of them.
"""

from sqlalchemy import MetaData
from sqlmodel import SQLModel

from alembic import context


def _models() -> MetaData:
    from gmcenter.core import migrate

    migrate.import_models()
    return SQLModel.metadata


def _run() -> None:
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        target_metadata=_models() if attributes.get("compare") else None,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
