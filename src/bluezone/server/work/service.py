"""The verbs of work. None commits."""

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.work.tables import Task, TaskEvent, TeamMember


async def release_tasks_of(session: AsyncSession, account_id: int, now: int) -> int:
    """Hand somebody's open tasks back to their units, and take them out of every team.

    Returns how many tasks that were.
    """
    released = await session.scalars(
        update(Task)
        .where(Task.assignee_id == account_id, Task.state == "open")
        .values(assignee_id=None, assignee_name=None, revision=Task.revision + 1)
        .returning(Task.id)
    )
    ids = released.all()
    session.add_all(
        TaskEvent(
            task_id=task_id,
            at=now,
            kind="released",
            account_id=account_id,
            account_name="",  # left: the account says the rest
            facts="{}",
            note=None,
            form=None,
        )
        for task_id in ids
    )
    await session.execute(delete(TeamMember).where(TeamMember.account_id == account_id))
    return len(ids)
