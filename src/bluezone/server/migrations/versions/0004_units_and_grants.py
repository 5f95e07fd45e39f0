"""Roles are granted on units of the administrative tree.

Unit codes were free text before, so none of them says which subtree it meant: accounts keep their
sign-in and get their grants anew (`server staff grant`), but for those of the nation; what waits in
an inbox goes to the nation, where somebody sees it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PATH = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "staff_grants",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("account_id", _NUMBER, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("unit", _PATH, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["staff_accounts.id"],
            name=op.f("fk_staff_grants_account_id_staff_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_grants")),
        sa.UniqueConstraint("account_id", "role", "unit", name=op.f("uq_staff_grants_account_id")),
    )
    with op.batch_alter_table("staff_grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_grants_account_id"), ["account_id"])
        batch_op.create_index(batch_op.f("ix_staff_grants_unit"), ["unit"])
    of_the_nation = sa.text(
        "SELECT id, role FROM staff_accounts WHERE unit = 'quoc-gia' OR role = 'admin'"
    )
    kept = [tuple(row) for row in op.get_bind().execute(of_the_nation)]
    with op.batch_alter_table("staff_accounts", schema=None) as batch_op:
        batch_op.drop_column("role")
        batch_op.drop_column("unit")
    # Only now: SQLite drops a column by making the table anew, and takes along what refers to it.
    for account_id, role in kept:
        op.execute(
            sa.text(
                "INSERT INTO staff_grants (account_id, role, unit) VALUES (:account, :role, 'vn')"
            ).bindparams(account=account_id, role=role)
        )
    with op.batch_alter_table("handovers", schema=None) as batch_op:
        batch_op.alter_column("unit", existing_type=sa.String(), type_=_PATH, nullable=False)
    op.execute("UPDATE handovers SET unit = 'vn'")
    op.execute("UPDATE diagnosis_codes SET unit = 'vn'")
    op.execute("UPDATE health_stations SET unit = ''")
