"""What is kept of places: one health station for each commune."""

from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class Station(Base):
    """Published but for `unit`, the code of the unit that its requests go to; empty: its own."""

    __tablename__ = "health_stations"

    commune: Mapped[str] = mapped_column(primary_key=True)  # five digits
    name: Mapped[str]
    phone: Mapped[str]
    address: Mapped[str]
    unit: Mapped[str]
