"""What is kept of news: drafts, what is out, and what was withdrawn."""

from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class NewsItem(Base):
    """One piece of news in both languages. Withdrawn, it stays as a record of what was said."""

    __tablename__ = "news_items"

    id: Mapped[str] = mapped_column(primary_key=True)
    title_vi: Mapped[str]
    title_en: Mapped[str]
    body_vi: Mapped[str]
    body_en: Mapped[str]
    important: Mapped[bool]
    state: Mapped[str]
    written_by: Mapped[str]
    written_at: Mapped[int]
    published_by: Mapped[str | None]
    published_at: Mapped[int | None]
    withdrawn_at: Mapped[int | None]
