"""The secret that makes a stolen table of codes worthless: 32 bytes in the secrets folder."""

from pathlib import Path
from typing import Final

from bluezone.server.secret_files import secret_file

_FILE: Final = "code-pepper"


def code_pepper(secrets_folder: Path) -> bytes:
    """The pepper of this installation, made on first use. Raises KeyUnavailable.

    Twelve digits can be tried out in minutes by whoever holds the table, so the MAC of a
    code needs a key that is not in the database. A new one makes the codes of the last day
    worthless and harms nothing else.
    """
    return secret_file(secrets_folder / _FILE)
