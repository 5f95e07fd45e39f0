"""Warnings, what they mean, and what their owner chose to send to the health authority."""

import datetime as dt
from typing import Final

import msgspec

from bluezone.phone.app.core import App, Refused, need_active, no_such_commune, not_a_number
from bluezone.phone.app.interface import (
    Details,
    Exposure,
    Exposures,
    ExposureState,
    Handover,
    HandoverName,
    Preview,
    PreviewLine,
    Station,
    Text,
    Warning,
)
from bluezone.phone.authority.handovers import Handover as KeptHandover
from bluezone.phone.authority.handovers import details_of
from bluezone.phone.explanation import HOTLINE, ExposureWarning, part_words
from bluezone.protocol.claim import Claim
from bluezone.protocol.commitment import KeyLeaf, read_content
from bluezone.protocol.day_parts import PartOfDay
from bluezone.protocol.handover import About, ContactDetails, HandoverState
from bluezone.protocol.phone_number import normal
from bluezone.web.catalogue import LANGUAGES, _, in_all_languages, translate
from bluezone.web.places import commune

AUTHORITY: Final = _("The health authority of your commune; without a commune, the national one.")
ABOUT: Final = {
    About.SELF: _("Myself"),
    About.CHILD: _("My child"),
    About.RELATIVE: _("A relative whose phone this is"),
}
_NOTHING: Final = _("nothing")
_NONE_YET: Final[Text] = {language: "" for language in LANGUAGES}


def summary(app: App) -> Exposure:
    """The big state of the home page."""
    warnings = app.phone.warnings()
    newest = max((warning.noticed_at for warning in warnings), default=0)
    return Exposure(
        state=_state(app, warnings),
        days=len(warnings),
        unread=newest > app.phone.settings.exposures_read_at,
    )


def _state(app: App, warnings: list[ExposureWarning]) -> ExposureState:
    if not warnings:
        return "none"
    newest = max(warning.noticed_at for warning in warnings)
    # What staff said holds for the warnings of then; one that came later is open again.
    said = [
        one.state
        for one in app.phone.handovers.all()
        if one.kind == "details" and one.sent_at >= newest
    ]
    if HandoverState.CONFIRMED in said:
        return "confirmed"
    return "cleared" if HandoverState.CLEARED in said else "possible"


async def exposures(app: App) -> Exposures:
    """`GET exposures`."""
    warnings = app.phone.warnings()
    station = app.phone.announcements.station(app.phone.settings.commune)
    return Exposures(
        state=_state(app, warnings),
        warnings=[_warning(app, one) for one in reversed(warnings)],
        advice=_advice(app, warnings),
        station=Station(station.name, station.phone, station.address) if station else None,
        hotline=HOTLINE,
        handovers=[handover(one) for one in app.phone.handovers.all()],
    )


async def mark_read(app: App) -> Exposures:
    """`POST exposures/read`."""
    app.phone.choose(exposures_read_at=app.clock.now())
    return await exposures(app)


def _advice(app: App, warnings: list[ExposureWarning]) -> Text:
    if not warnings:
        return _NONE_YET
    newest = max(warnings, key=lambda warning: warning.noticed_at)
    who_knows = app.phone.handovers.who_knows(newest)
    return {language: newest.advice(language, who_knows) for language in LANGUAGES}


def _warning(app: App, warning: ExposureWarning) -> Warning:
    certainty = {language: warning.certainty_words(language) for language in LANGUAGES}
    return Warning(
        day=warning.day.isoformat(),
        parts=[
            {language: part_words(part, language) for language in LANGUAGES}
            for part in warning.parts
        ],
        minutes=warning.minutes,
        certainty=certainty,
        text={language: warning.text(language) for language in LANGUAGES},
        why=[
            in_all_languages(
                _(
                    "A case was confirmed by a test, and that person agreed to publish the random"
                    " keys of their phone. Your phone fetched them, as every phone does."
                )
            ),
            in_all_languages(
                _(
                    "From these keys your phone worked out which identifiers that phone had"
                    " broadcast, and found {encounters} of its keys in your diary of this day."
                ),
                encounters=warning.encounters,
            ),
            in_all_languages(
                _(
                    "The scans in which they were heard stand for about {minutes} minutes. From how"
                    " strong the signal was, and how it changed, your phone judged how near it was."
                ),
                minutes=warning.minutes,
            ),
            in_all_languages(
                _(
                    "A day is warned of when it holds 15 minutes or more within 2 metres, counted"
                    " more if the other person was likely to be infectious. All of this happened on"
                    " your phone."
                )
            ),
        ],
        noticed_at=float(warning.noticed_at),
    )


# --- details for the health authority --------------------------------------------------
async def preview_details(app: App, wish: Details) -> Preview:
    """`POST details/preview`."""
    message = _message(app, wish)
    # The id is drawn when it is sent; everything else is shown as it is.
    plain = msgspec.to_builtins(message)
    plain["handover"] = "(random, drawn when it is sent)"
    return Preview(
        lines=_lines(wish, message),
        raw=msgspec.json.format(msgspec.json.encode(plain), indent=2).decode(),
        bytes=len(msgspec.json.encode(message)),
        recipient=in_all_languages(AUTHORITY),
    )


async def send_details(app: App, wish: Details) -> Handover:
    """`POST details`."""
    message = _message(app, wish)
    if not wish.consent:
        raise Refused.saying(
            400, "no-consent", _("Nothing was sent, because you did not agree."), "consent"
        )
    need_active(app.phone)
    return handover(await app.phone.handovers.send_details(message))


async def refresh(app: App) -> Exposures:
    """`POST handovers/refresh`."""
    need_active(app.phone)
    await app.phone.handovers.refresh()
    return await exposures(app)


async def withdraw(app: App, wish: HandoverName) -> Exposures:
    """`POST handovers/withdraw`."""
    handovers = app.phone.handovers
    if all(one.reference != wish.reference for one in handovers.all()):
        raise Refused.saying(
            404, "handover-unknown", _("Nothing with this reference was sent from here.")
        )
    need_active(app.phone)
    await handovers.withdraw(wish.reference)
    return await exposures(app)


def handover(kept: KeptHandover) -> Handover:
    """One hand-over as the pages show it."""
    return Handover(
        reference=kept.reference,
        kind=kept.kind,
        state="waiting" if kept.unsent else kept.state.value,
        message=kept.message,
        sent_at=kept.sent_at,
        updated_at=kept.updated_at,
    )


def _message(app: App, wish: Details) -> ContactDetails:
    typed = wish.phone_number.strip()
    try:
        phone_number = normal(typed) if typed else ""
    except ValueError:
        raise not_a_number() from None
    if wish.commune and commune(wish.commune) is None:
        raise no_such_commune()
    for name, limit in (("name", 120), ("note", 500)):
        if len(getattr(wish, name)) > limit:
            raise Refused(
                400,
                "too-long",
                in_all_languages(_("This is too long: at most {limit} characters."), limit=limit),
                name,
            )
    message = details_of(
        name=wish.name,
        phone_number=phone_number,
        receipt=app.phone.telephone.receipt(),
        commune=wish.commune,
        about=About(wish.about),
        warnings=app.phone.warnings() if wish.days else [],
        note=wish.note,
        language=app.phone.settings.language,
        claim=app.phone.claim() if wish.proof else None,
    )
    if not (
        message.name
        or message.phone_number
        or message.commune
        or message.days
        or message.note
        or message.claim
    ):
        raise Refused.saying(
            400, "details-empty", _("There is nothing to send yet. Fill in at least one of these.")
        )
    # As the service reads it: what can be previewed is never refused there for its form.
    try:
        return msgspec.json.decode(msgspec.json.encode(message), type=ContactDetails)
    except msgspec.ValidationError as error:
        raise Refused(
            400,
            "details-malformed",
            in_all_languages(
                _("This cannot be sent as it is ({detail}). Change it, and look again."),
                detail=str(error),
            ),
        ) from error


def _lines(wish: Details, message: ContactDetails) -> list[PreviewLine]:
    nothing = in_all_languages(_NOTHING)
    place = commune(message.commune) if message.commune else None

    def typed(text: str) -> Text:
        return dict.fromkeys(LANGUAGES, text) if text else nothing

    number = typed(message.phone_number)
    if message.number_receipt:
        number = in_all_languages(_("{number} (confirmed by a code)"), number=message.phone_number)
    days = [
        {
            language: translate(
                _("{day}, {parts}: about {minutes} minutes"),
                language,
                day=f"{dt.date.fromisoformat(day.day):%d/%m/%Y}",
                parts=", ".join(part_words(PartOfDay(part), language) for part in day.parts),
                minutes=day.minutes,
            )
            for language in LANGUAGES
        }
        for day in message.days
    ]
    return [
        PreviewLine(in_all_languages(_("Full name")), typed(message.name)),
        PreviewLine(in_all_languages(_("Telephone")), number),
        PreviewLine(in_all_languages(_("Commune")), typed(place.name if place else "")),
        PreviewLine(in_all_languages(_("About")), in_all_languages(ABOUT[message.about])),
        *[PreviewLine(in_all_languages(_("Contact")), day) for day in days],
        PreviewLine(in_all_languages(_("Your words")), typed(message.note)),
        *([_proof_line(message.claim)] if wish.proof else []),
    ]


def _proof_line(claim: Claim | None) -> PreviewLine:
    label = in_all_languages(_("Proof of the encounters"))
    if claim is None:
        return PreviewLine(label, in_all_languages(_("nothing: your diary no longer holds them")))
    opened = [read_content(leaf.content, day.day) for day in claim.days for leaf in day.leaves]
    keys = sum(isinstance(leaf, KeyLeaf) for leaf in opened)
    committed = [day for day in claim.days if any(leaf.path for leaf in day.leaves)]
    return PreviewLine(
        label,
        in_all_languages(
            _(
                "{keys} random keys of your phone, and {identifiers} identifiers that it heard of"
                " the confirmed case, with times and signal strengths; days with a nightly proof:"
                " {days}"
            ),
            keys=keys,
            identifiers=len(opened) - keys,
            days=len(committed),
        ),
    )
