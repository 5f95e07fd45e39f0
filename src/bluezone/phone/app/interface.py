"""The interface between the pages and a phone core, version 1 (docs/phone-interface.md).

The same pages run over any core that gives these answers: the Python phone on loopback today,
an Android shell's core later. Times are Unix seconds, days are ISO days of the Vietnamese
calendar, `Text` holds a sentence in every language of the app, so that switching the language
needs no new answer. Fields are only ever added within a version.
"""

from typing import Final, Literal

import msgspec

VERSION: Final = 1
Text = dict[str, str]  # by language: "vi", "en"
RadioState = Literal["on", "off", "no-permission", "unavailable"]
ExposureState = Literal["none", "possible", "confirmed", "cleared"]
AboutWhom = Literal["self", "child", "relative"]


class Answer(msgspec.Struct):
    """The parent of everything a core answers."""


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The parent of everything the pages send."""


class Fault(Answer):
    """Any refusal (status 4xx, 5xx). `field` names the input that it is about, if one is."""

    error: str
    message: Text
    field: str = ""


# --- GET state -------------------------------------------------------------------------
class Problem(Answer):
    """A state of the phone that its owner should mend; `id` is stable, such as `bluetooth-off`."""

    id: str
    text: Text
    urgent: bool


class CheckSummary(Answer):
    """The last look for exposures: proof that it happens."""

    checked_at: float | None  # the last one that succeeded
    next_at: float | None
    keys: int  # compared in the last 14 days
    files: int
    overdue: bool  # none has succeeded for 24 h
    error: Text | None  # why the last try failed


class Today(Answer):
    """Of this Vietnamese day so far."""

    people: int  # estimated distinct people
    minutes: int  # during which anybody was heard


class Exposure(Answer):
    """The big state. `possible` until health staff say more; `days` with a warning."""

    state: ExposureState
    days: int
    unread: bool


class ReportSummary(Answer):
    """Whether this phone has reported an infection."""

    reported_at: float | None
    sending: bool


class State(Answer):
    """What the home page shows."""

    version: int
    now: float
    started: bool  # the first start is done
    stopped: bool  # the owner stopped using the app: nothing is broadcast, heard or checked
    running: bool  # noticing others at this moment
    radio: RadioState
    last_scan_at: float | None
    scans: int  # since this process began
    problems: list[Problem]
    check: CheckSummary
    today: Today
    exposure: Exposure
    report: ReportSummary
    unread_news: int
    unread_notices: int
    language: str
    text_size: Literal["normal", "large", "largest"]
    theme: Literal["system", "light", "dark"]


# --- first start and settings ----------------------------------------------------------
class Settings(Answer):
    """What the owner chose. `commune` (five digits) and `carrier` stay on the phone."""

    language: str
    text_size: Literal["normal", "large", "largest"]
    theme: Literal["system", "light", "dark"]
    battery: Literal["usual", "saving"]
    province: str | None
    commune: str | None
    carrier: str | None
    phone_number: str | None  # confirmed by a code
    desktop_notices: bool
    commitments: bool  # agreed to nightly commitments, so that encounters can be proved later


class ChangeSettings(Question):
    """POST settings: what is left out stays."""

    language: Literal["vi", "en"] | msgspec.UnsetType = msgspec.UNSET
    text_size: Literal["normal", "large", "largest"] | msgspec.UnsetType = msgspec.UNSET
    theme: Literal["system", "light", "dark"] | msgspec.UnsetType = msgspec.UNSET
    battery: Literal["usual", "saving"] | msgspec.UnsetType = msgspec.UNSET
    commune: str | msgspec.UnsetType | None = msgspec.UNSET
    carrier: str | msgspec.UnsetType | None = msgspec.UNSET
    desktop_notices: bool | msgspec.UnsetType = msgspec.UNSET
    commitments: bool | msgspec.UnsetType = msgspec.UNSET  # false deletes what opens them


class Start(Question):
    """POST start: the first start is done. Without `consent` nothing begins."""

    consent: bool
    language: Literal["vi", "en"] = "vi"
    commune: str | None = None
    carrier: str | None = None
    invitation: str = ""  # the code of who invited, if any


class Number(Question):
    """POST number: send a code to this telephone number."""

    phone_number: str


class NumberSent(Answer):
    """A code is on its way."""

    phone_number: str  # as understood, +84…
    expires_at: float


class NumberCode(Question):
    """POST number/confirm: the code that arrived. Answers Settings."""

    code: str


class Place(Answer):
    """A province (two digits) or a commune (five)."""

    code: str
    name: str


class Places(Answer):
    """GET places (provinces), GET places/{province} (its communes), in Vietnamese order."""

    places: list[Place]


class Carriers(Answer):
    """GET carriers: names to choose from."""

    carriers: list[str]


# --- GET around ------------------------------------------------------------------------
class Neighbour(Answer):
    """A phone heard within 30 s. `mask` is a piece of its identifier, such as `3F9…`."""

    mask: str
    near: bool  # probably within 2 m
    level: int  # dBm
    age: float  # seconds since it was last heard


class Around(Answer):
    """Asking keeps the phone listening without pause for another 15 s."""

    own: str  # this phone's own identifier of now, masked
    radio: RadioState
    listening: bool
    people: list[Neighbour]


# --- history ---------------------------------------------------------------------------
class HistoryContact(Answer):
    """One person, as far as identifiers can be joined; only on this phone."""

    start: float
    end: float
    minutes: int
    closeness: Literal["near", "middle", "far"]


class HistoryDay(Answer):
    """One Vietnamese day."""

    day: str
    people: int  # estimated
    people_least: int  # heard at once, so certainly different
    people_most: int  # if no two identifiers were one phone
    minutes: int
    near_minutes: int
    contacts: list[HistoryContact]


class History(Answer):
    """GET history: fourteen days, newest first, empty ones included. DELETE history and
    DELETE history/{day} forget what was heard; both answer History."""

    days: list[HistoryDay]


# --- exposures -------------------------------------------------------------------------
class Warning(Answer):
    """One day of close contact with a confirmed case."""

    day: str
    parts: list[Text]
    minutes: int
    certainty: Text
    text: Text
    why: list[Text]  # how the phone came to this, step by step
    noticed_at: float


class Station(Answer):
    """The health station of the owner's commune."""

    name: str
    phone: str
    address: str


class Handover(Answer):
    """What was sent to the health authority by choice, and what became of it."""

    reference: str
    kind: Literal["details", "diary"]
    # waiting: it has not arrived yet; the phone tries for a day, and its owner can withdraw it
    state: Literal["waiting", "received", "confirmed", "cleared", "withdrawn"]
    message: Text  # of the health staff; empty while there is none
    sent_at: float
    updated_at: float


class Exposures(Answer):
    """GET exposures. POST exposures/read marks them read and answers the same."""

    state: ExposureState
    warnings: list[Warning]  # newest first
    advice: Text
    station: Station | None
    hotline: str
    handovers: list[Handover]


class Details(Question):
    """POST details/preview (answers Preview) and POST details (answers Handover)."""

    name: str = ""
    phone_number: str = ""
    commune: str = ""
    about: AboutWhom = "self"
    days: bool = True  # send the warning's days, parts and minutes
    proof: bool = False  # agreed to open the records of these encounters, and the days' keys
    note: str = ""
    consent: bool = False


class PreviewLine(Answer):
    """One thing that would be sent, in words."""

    label: Text
    value: Text


class Preview(Answer):
    """Exactly what would be sent: to read, and as the bytes themselves."""

    lines: list[PreviewLine]
    raw: str
    bytes: int
    recipient: Text


class HandoverName(Question):
    """POST handovers/withdraw. POST handovers/refresh (no body) asks for news. Both answer
    Exposures."""

    reference: str


# --- report ----------------------------------------------------------------------------
class ReportWish(Question):
    """POST report/preview (answers ReportPreview) and POST report (answers ReportProgress).

    `onset`: "recorded" (as the health worker recorded it), "none", or an ISO day.
    """

    code: str
    about: AboutWhom = "self"
    diary: bool = False
    onset: str = "recorded"
    consent: bool = False


class ReportPreview(Answer):
    """What a report would send, and what its owner agrees to."""

    lines: list[PreviewLine]
    consent: Text
    keys: int
    diary_records: int
    recipient: Text


class ReportProgress(Answer):
    """GET report. A report takes up to half a minute; a phone that dies goes on later.

    `keys` and `sent_at` are of the last report. `fault` of a report that is done is its diary's.
    """

    state: Literal["none", "sending", "done", "failed"]
    step: str  # "", "permission", "pause", "keys" or "diary"
    keys: int
    sent_at: float | None
    handover: Handover | None
    fault: Fault | None


# --- news, notices, invitation -----------------------------------------------------------
class NewsItem(Answer):
    """A signed announcement; `body` is plain text, paragraphs by blank lines."""

    id: str
    published_at: float
    title: Text
    body: Text
    important: bool
    read: bool


class News(Answer):
    """GET news; POST news/read (NewsRead) answers the same."""

    items: list[NewsItem]
    checked_at: float | None
    error: Text | None


class NewsRead(Question):
    """POST news/read: these have been read."""

    ids: list[str]


class NoticeItem(Answer):
    """Something the phone told its owner."""

    id: str
    kind: str  # exposure, bluetooth, check, news, health-staff
    time: float
    text: Text
    read: bool


class Notices(Answer):
    """GET notices, newest first; POST notices/read marks all read and answers the same."""

    items: list[NoticeItem]


class Invitation(Answer):
    """GET invitation. `qr` is an SVG image as a data URL."""

    code: str
    link: str
    qr: str
    text: Text
    installed: int | None  # None: not known now


# --- trust ------------------------------------------------------------------------------
class LedgerEntry(Answer):
    """One exchange with the service."""

    time: float
    what: Text  # what left the phone, and why
    address: str
    sent: int  # bytes of this phone's message, headers not counted
    received: int
    ok: bool


class Ledger(Answer):
    """GET ledger: every exchange of the last 14 days, newest first, and its sums by purpose."""

    entries: list[LedgerEntry]
    sums: list["LedgerSum"]


class LedgerSum(Answer):
    """All exchanges of one purpose."""

    what: Text
    times: int
    sent: int
    received: int


class Capability(Answer):
    """What the Bluetooth controller can do, or cannot."""

    text: Text
    can: bool


class About(Answer):
    """GET about."""

    version: str
    source: str  # where the source code that runs lies
    licence: str
    service: str
    pins: list[str]  # fingerprints of the root keys that this phone believes
    controller: str
    capabilities: list[Capability]
    key_place: Text  # where the diary's key is kept
    home: str


# --- my data ----------------------------------------------------------------------------
class Delete(Question):
    """POST delete: `what` is `everything` (diary, keys, warnings, settings: the app begins
    anew) or `warnings`. GET export answers a JSON file with all that is kept.
    POST stop: the app stops for good, its data deleted; POST resume begins anew."""

    what: Literal["everything", "warnings"]
    confirm: bool = False


class Done(Answer):
    """Of what answers nothing else."""

    done: bool = True
