"""In which order rows are held, lest two transactions wait for each other.

Tasks by number, then teams by number, then the audit's chain, which waits for the end of a
transaction by itself. PostgreSQL ends one of two that wait for each other; SQLite has one writer.
"""

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.work.tables import Task, Team


async def hold_tasks(session: AsyncSession, *which: ColumnElement[bool]) -> None:
    """Nobody else changes these tasks until the transaction ends."""
    await session.execute(select(Task.id).where(*which).order_by(Task.id).with_for_update())


async def hold_team(session: AsyncSession, team_id: int) -> None:
    """Nobody else changes whose turn it is until the transaction ends."""
    await session.execute(select(Team.id).where(Team.id == team_id).with_for_update())
