"""What is sealed, with which key and for which place: the one list, so that no rotation forgets.

Like `tables`, it knows every duty. A test walks all columns of bytes and demands that each is
here, sealed or not.
"""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column whose values are sealed with `NAME-key`.

    `place` is what the duty hands to the Sealer after the content: bytes as they are, and columns
    of the same row by their names (numbers and texts as UTF-8).
    """

    table: str
    column: str
    key: str
    place: tuple[bytes | str, ...]

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    def place_of(self, row: dict[str, Any]) -> tuple[bytes, ...]:
        """The place of one row, given by the names of its columns."""
        return tuple(one if isinstance(one, bytes) else _as_bytes(row[one]) for one in self.place)


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


SEALED: Final = (
    Sealed("persons", "sealed", "register", (b"person", "id")),
    Sealed("case_events", "note", "register", (b"case-note", "case_id")),
    Sealed("merges", "undo", "register", (b"merge-undo", "kept", "merged")),
    Sealed("exposures", "note", "register", (b"exposure-note", "id")),
    Sealed("exposures", "removed_why", "register", (b"exposure-removed", "id")),
    Sealed("rank_overrides", "reason", "register", (b"rank-override", "id")),
    Sealed("task_events", "note", "work", (b"task-note", "task_id")),
    Sealed("saved_searches", "asked", "searches", (b"saved-search", "account_id")),
    Sealed("report_schedules", "reason", "reports", (b"report-reason", "account_id")),
    Sealed("report_parts", "sealed", "reports", (b"report", "report_id", "part")),
    Sealed("staff_second_factors", "sealed", "totp", (b"second-factor", "account_id")),
    Sealed("evidence_claims", "claim", "evidence", (b"evidence-claim", "handover")),
    Sealed("evidence_verdicts", "sealed", "evidence", (b"evidence-verdict", "handover")),
    Sealed("import_files", "sealed", "register", (b"import-file", "id")),
    Sealed("handover_contents", "sealed", "inbox", (b"handover-content", "handover")),
    Sealed("handover_decisions", "message", "inbox", (b"handover-message", "handover")),
    Sealed("outbox_messages", "sealed", "outbox", ("place",)),
    Sealed("look_alerts", "word", "notes", (b"look-alert", "rule", "account_id", "day")),
)
# Bytes that are not sealed, and why they need not be.
NOT_SEALED: Final = {
    "audit_entries.digest": "a hash of the entry",
    "audit_entries.previous": "a hash of the entry before",
    "audit_heads.digest": "a hash of the last entry",
    "audit_starts.digest": "a hash of the last deleted entry",
    "case_diaries.handover": "the hash of a random secret",
    "citizen_codes.code_mac": "a keyed hash",
    "citizen_codes.number_mac": "a keyed hash",
    "diagnosis_codes.mac": "a keyed hash",
    "diagnosis_codes.blinded_digest": "a hash of random bytes",
    "diagnosis_keys.key": "published to everybody",
    "evidence_claims.handover": "the hash of a random secret",
    "evidence_commitments.commitment": "a hash, random without its opening",
    "evidence_diary_keys.diary": "the hash of a random secret",
    "evidence_diary_keys.mac": "a keyed hash",
    "evidence_used.mac": "a keyed hash",
    "evidence_verdicts.diary": "the hash of a random secret",
    "evidence_verdicts.handover": "the hash of a random secret",
    "exposures.handover": "the hash of a random secret",
    "handover_contents.handover": "the hash of a random secret",
    "handover_decisions.handover": "the hash of a random secret",
    "handovers.id": "the hash of a random secret",
    "handovers.digest": "a keyed hash",
    "handovers.code_mac": "a keyed hash",
    "import_files.id": "random",
    "key_rotations.position": "a primary key",
    "number_codes.number_mac": "a keyed hash",
    "number_codes.code_mac": "a keyed hash",
    "outbox_messages.place": "random",
    "person_tokens.mac": "a keyed hash",
}
SEARCH_KEY: Final = "register-token-key"  # of register.service: what people are found by
KEYS: Final = tuple(dict.fromkeys(one.key for one in SEALED))
