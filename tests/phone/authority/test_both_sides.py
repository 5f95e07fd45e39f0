"""Confirmed from both sides: real phones on the virtual air, and the real service."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from bluezone.phone.authority.commitments import COMMITMENTS_PATH
from bluezone.phone.authority.handovers import Handover, details_of
from bluezone.phone.phone import Phone
from bluezone.phone.report import Sharing
from bluezone.phone.service import ServiceError
from bluezone.protocol.beacon import encode_metadata
from bluezone.protocol.claim import Claim
from bluezone.protocol.commitment import CommittedDay, NightlyCommitment, sighting_contents
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.confirmation import Encounter, Flag, Label
from bluezone.protocol.deployment import COMMITMENT_SPREAD_SECONDS
from bluezone.protocol.handover import About, handover_id
from bluezone.protocol.keys import (
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.radio.direct import DirectRadio
from bluezone.server.configuration import publish_configuration
from bluezone.server.diagnosis.publication import export_keys
from bluezone.server.evidence import service as evidence
from bluezone.server.evidence.service import CaseVerdict
from bluezone.server.evidence.tables import Commitment, EvidenceClaim, UsedEvidence
from tests.phone.street import Street, national, password_hash, roles  # noqa: F401 - fixtures
from tests.server.diagnosis import installation

DAY = 86_400
TODAY = installation.NOON // DAY
HOUR = 3600
MARKET = 5000.0


@pytest.fixture
async def street(national: installation.Service, tmp_path: Path) -> AsyncIterator[Street]:  # noqa: F811
    services = national.services
    await publish_configuration(
        services.objects, services.keys, services.now, DEFAULT_CONFIGURATION
    )
    await national.run(export_keys)
    street = Street(national, tmp_path)
    yield street
    for phone in street.phones:
        await phone.close()


class Relay:
    """Says at one place, with a power of its own, what it heard at another."""

    def __init__(self, street: Street, ear: float, mouth: float, power: int | None = None) -> None:
        self._ear = DirectRadio(street.air, (ear, 0.0), "bus")
        self._mouth = DirectRadio(street.air, (mouth, 0.0), "bus", tx_power=power)
        self.heard: list[bytes] = []

    async def listen(self) -> None:
        self.heard = [one.payload for one in await self._ear.scan(4.0)]

    async def say(self, payload: bytes) -> None:
        await self._mouth.advertise(payload)

    async def pass_on(self) -> None:
        await self.listen()
        if self.heard:
            await self.say(self.heard[0])

    async def stop(self) -> None:
        await self._mouth.stop()


async def ride(street: Street, phones: Sequence[Phone], relays: Sequence[Relay] = ()) -> None:
    """An hour, a scan every four minutes."""
    for _ in range(15):
        began = street.clock.now()
        for phone in phones:
            await phone._tracer.turn_beacon()
        for relay in relays:
            await relay.pass_on()
        for phone in phones:
            await phone._tracer.scan()
        street.clock.advance(began + 240 - street.clock.now())
    for relay in relays:
        await relay.stop()


async def night(street: Street, *phones: Phone) -> None:
    """Until two hours after the key day ended, the phones do what they do at night."""
    end = (street.clock.now() // DAY + 1) * DAY + 2 * HOUR
    for phone in phones:
        await phone.commitments.send_due()
    while (wait := min((one.commitments.next_wait() for one in phones), default=1e9)) and (
        street.clock.now() + wait < end
    ):
        street.clock.advance(wait)
        for phone in phones:
            await phone.commitments.send_due()
    street.clock.advance(end - street.clock.now())


async def publish(street: Street, case: Phone, *, diary: bool = True) -> None:
    """The case reports in the morning; by the afternoon its keys are public."""
    code = await street.national.code(symptom_onset="2021-01-20")
    await case.report(code, consent=True, sharing=Sharing(diary=diary))
    await case.hand_over_owed()
    street.clock.advance(4 * HOUR)
    await street.national.run(export_keys)


async def claim_of(street: Street, claimant: Phone, *, proof: bool = True) -> Handover:
    """What a warned person sends, after a look for exposures."""
    assert (await claimant.check()).error is None
    assert claimant.warnings(), "there is nothing to claim without a warning"
    details = details_of(
        name="Lê Thị Hoa", phone_number="", receipt=None, commune="", about=About.SELF,
        warnings=claimant.warnings(), note="", language="vi",
        claim=claimant.claim() if proof else None,
    )  # fmt: skip
    return await claimant.handovers.send_details(details)


async def decided(street: Street, sent: Handover) -> list[CaseVerdict]:
    """After the service's periodic work."""
    street.clock.advance(900)
    await street.national.run(evidence.check_waiting)
    services = street.national.services
    async with services.database.read() as session:
        verdict = await evidence.verdict(session, services, handover_id(sent.secret))
    assert verdict is not None
    assert verdict.checked_at == services.now
    return list(verdict.cases)


async def encounter(street: Street, claimant: Phone) -> Encounter:
    (case,) = await decided(street, await claim_of(street, claimant))
    (one,) = case.encounters
    return one


def two(street: Street, *, opt_in: bool = True, apart: float = 1.0) -> tuple[Phone, Phone]:
    case, claimant = street.phone("case", 0.0), street.phone("claimant", apart)
    if opt_in:
        claimant.commit_nightly(True)
    return case, claimant


# --- what is confirmed ------------------------------------------------------------------------
async def test_an_honest_pair_is_confirmed_from_both_sides(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    await night(street, claimant)
    await publish(street, case)
    sent = await claim_of(street, claimant)
    plain = await claim_of(street, claimant, proof=False)
    assert dataclasses.astuple(_receipt(sent)) == dataclasses.astuple(_receipt(plain))
    (found,) = await decided(street, sent)
    (one,) = found.encounters
    assert (one.label, one.flags) == (Label.BOTH_SIDES, ())
    assert (one.day, one.parts) == ("2021-01-20", ("evening",))
    assert 50 <= one.minutes <= 64
    assert one.claimant_scans >= 12
    assert one.case_scans >= 12
    assert one.claimant_attenuation is not None
    assert one.case_attenuation is not None
    assert one.nearness.certainty in ("likely", "certain")
    assert found.diary is not None

    services = street.national.services
    async with services.database.read() as session:
        (claim,) = (await session.scalars(select(EvidenceClaim))).all()
        used = (await session.scalars(select(UsedEvidence))).all()
        assert claim.claim is None, "the claimant's keys are deleted after the check"
        own = {tek.key for tek in claimant._identity.keys(street.clock.now())}
        assert len(used) == 2
        assert not own & {one.mac for one in used}
        assert await evidence.verdict(session, services, handover_id(plain.secret)) is None
    # Withdrawn, nothing is left of it.
    await claimant.handovers.withdraw(sent.reference)
    async with services.database.read() as session:
        assert await evidence.verdict(session, services, handover_id(sent.secret)) is None


@dataclasses.dataclass
class _Receipt:
    state: str
    message: dict[str, str]
    waiting: bool


def _receipt(sent: Handover) -> _Receipt:
    return _Receipt(sent.state, sent.message, bool(sent.unsent))


async def test_when_the_case_withdraws_the_diary_the_verdict_goes_too(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    await night(street, claimant)
    await publish(street, case)
    sent = await claim_of(street, claimant)
    assert len(await decided(street, sent)) == 1
    (diary,) = case.handovers.all()
    await case.handovers.withdraw(diary.reference)
    services = street.national.services
    async with services.database.read() as session:
        verdict = await evidence.verdict(session, services, handover_id(sent.secret))
    assert verdict is not None
    assert verdict.cases == ()


async def test_who_did_not_opt_in_has_one_side_or_a_claim(street: Street) -> None:
    case, claimant = two(street, opt_in=False)
    silent = street.phone("silent", -1.0)
    await ride(street, [case, claimant, silent])
    await night(street)
    assert not [one for one in street.requests if one.url.path == COMMITMENTS_PATH]
    await publish(street, case)
    one = await encounter(street, claimant)
    assert (one.label, one.flags) == (Label.ONE_SIDE, (Flag.NOT_COMMITTED,))
    assert one.claimant_scans == 0
    assert one.case_scans >= 12
    # The case takes the diary back: now nothing but the claim is left.
    (diary,) = case.handovers.all()
    await case.handovers.withdraw(diary.reference)
    one = await encounter(street, silent)
    assert one.label is Label.CLAIM_ONLY
    assert one.flags == (Flag.NOT_COMMITTED, Flag.NO_DIARY)


async def test_a_case_without_a_diary_leaves_the_claimants_side(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    await night(street, claimant)
    await publish(street, case, diary=False)
    one = await encounter(street, claimant)
    assert (one.label, one.flags) == (Label.ONE_SIDE, (Flag.POWER_UNKNOWN, Flag.NO_DIARY))
    assert one.claimant_scans >= 12


# --- what is stopped ----------------------------------------------------------------------------
async def test_a_one_way_relay_is_never_confirmed(street: Street) -> None:
    """The victim hears the case by wire. The case's phone has nothing of the victim."""
    case, victim = two(street, apart=MARKET)
    await ride(street, [case, victim], [Relay(street, 1.0, MARKET + 1.0)])
    await night(street, victim)
    await publish(street, case)
    one = await encounter(street, victim)
    assert one.label is Label.ONE_SIDE
    assert (one.case_scans, one.case_attenuation) == (0, None)
    assert one.claimant_scans >= 12


async def test_a_late_replay_is_never_confirmed(street: Street) -> None:
    """Recorded at noon and sent again ninety minutes later: it warns, and counts for nothing."""
    case, victim = two(street, apart=MARKET)
    relay = Relay(street, 1.0, MARKET + 1.0)
    recorded: list[tuple[float, bytes]] = []
    for _ in range(15):
        await case._tracer.turn_beacon()
        await case._tracer.scan()
        await relay.listen()
        recorded += [(street.clock.now(), payload) for payload in relay.heard]
        street.clock.advance(240 - 8)
    late = street.clock.now() + 30 * 60 - recorded[0][0]
    for at, payload in recorded:
        street.clock.advance(at + late - street.clock.now())
        await victim._tracer.turn_beacon()
        await relay.say(payload)
        await victim._tracer.scan()
    await relay.stop()
    await night(street, victim)
    await publish(street, case)
    one = await encounter(street, victim)
    assert one.label is Label.CLAIM_ONLY
    assert (one.claimant_scans, one.case_scans) == (0, 0)
    assert Flag.CLOCKS_DISAGREE in one.flags


def _invented(published: Sequence[TemporaryExposureKey]) -> bytes:
    """Records that say that this key's phone was beside this one for an hour of its day."""
    tek = next(one for one in published if one.rolling_start == TODAY * 144)
    made = np.zeros(15, SCAN_RECORD)
    identifiers = rolling_proximity_identifiers(tek)
    for number, record in enumerate(made):
        at = TODAY * DAY + 13 * HOUR + 240 * number
        place = (at // 600 - tek.rolling_start) * 16
        rpi = identifiers[place : place + 16]
        metadata = encode_metadata(-8)
        aem = crypt_metadata(associated_encrypted_metadata_key(tek.key), rpi, metadata)
        record["rpi"], record["aem"], record["time"] = np.void(rpi), np.void(aem), at
        record["since_last_scan"], record["rssi_mean"], record["rssi_max"] = 240, -5000, -50
        record["packets"], record["trusted_clock"] = 10, True
    return made.tobytes()


async def test_records_invented_after_publication_are_never_confirmed(street: Street) -> None:
    case, liar = two(street, apart=MARKET)
    await ride(street, [case, liar])
    await night(street, liar)
    await publish(street, case)
    page = _invented(case._reporter.reported_keys())
    liar._diary.add(TODAY * DAY + 13 * HOUR, page)

    one = await encounter(street, liar)
    assert one.label is Label.CLAIM_ONLY
    assert one.flags == (Flag.NOT_COMMITTED,)
    assert (one.claimant_scans, one.case_scans) == (0, 0)


async def test_a_commitment_to_what_was_invented_comes_too_late(street: Street) -> None:
    """A changed app commits anew, now that it knows the keys, and opens that."""
    case, liar = two(street, opt_in=False, apart=MARKET)
    await ride(street, [case, liar])
    await night(street)
    await publish(street, case)
    page = _invented(case._reporter.reported_keys())
    liar._diary.add(TODAY * DAY + 13 * HOUR, page)
    assert (await liar.check()).error is None
    bare = liar.claim()
    assert bare is not None
    contents = [leaf.content for leaf in bare.days[0].leaves]
    tree = CommittedDay.of(TODAY, bytes(32), contents)
    body = msgspec.json.encode(NightlyCommitment(tree.commitment()))
    await liar.ledger.send(COMMITMENTS_PATH, body)
    forged = msgspec.structs.replace(
        bare, days=[msgspec.structs.replace(bare.days[0], leaves=tree.open(contents))]
    )
    (case_verdict,) = await decided(street, await _send(liar, forged))
    (one,) = case_verdict.encounters
    assert (one.label, one.flags) == (Label.CLAIM_ONLY, (Flag.COMMITTED_LATE,))


async def _send(phone: Phone, claim: Claim) -> Handover:
    details = details_of(
        name="", phone_number="", receipt=None, commune="", about=About.SELF, warnings=[],
        note="x", language="vi", claim=claim,
    )  # fmt: skip
    return await phone.handovers.send_details(details)


async def test_a_day_serves_one_claim(street: Street) -> None:
    """Somebody else sends the same proof under their own name."""
    case, claimant = two(street)
    other = street.phone("other", 400.0)
    await ride(street, [case, claimant])
    await night(street, claimant)
    await publish(street, case)
    assert (await encounter(street, claimant)).label is Label.BOTH_SIDES
    claim = claimant.claim()
    assert claim is not None
    (verdict,) = await decided(street, await _send(other, claim))
    (one,) = verdict.encounters
    assert (one.label, one.flags) == (Label.CLAIM_ONLY, (Flag.ALREADY_CLAIMED,))
    # Without the key that is known, the commitment is known all the same.
    (day,) = claim.days
    sightings = [one for one in day.leaves if one.content[0] == 2]
    without = msgspec.structs.replace(day, leaves=sightings)
    (verdict,) = await decided(
        street, await _send(other, msgspec.structs.replace(claim, days=[without]))
    )
    assert [one.flags for one in verdict.encounters] == [(Flag.ALREADY_CLAIMED,)]


async def test_a_key_that_is_public_serves_no_claim(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    await night(street, claimant)
    code = await street.national.code(symptom_onset=None)
    await claimant.report(code, consent=True)  # falls ill as well
    await publish(street, case)
    one = await encounter(street, claimant)
    assert (one.label, one.flags) == (Label.CLAIM_ONLY, (Flag.KEY_PUBLISHED,))


# --- what remains -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("power", "flags"),
    [(None, ()), (-30, (Flag.ATTENUATION_DIFFERS,))],
    ids=["alike", "unlike"],
)
async def test_what_remains_a_live_relay_both_ways_is_confirmed(
    street: Street, power: int | None, flags: tuple[Flag, ...]
) -> None:
    """Not a promise but the limit that docs/threats.md states."""
    case, victim = two(street, apart=MARKET)
    there, back = Relay(street, 1.0, MARKET + 1.0), Relay(street, MARKET - 1.0, 1.0, power)
    await ride(street, [case, victim], [there, back])
    await night(street, victim)
    await publish(street, case)
    one = await encounter(street, victim)
    assert (one.label, one.flags) == (Label.BOTH_SIDES, flags)
    assert one.case_attenuation is not None


# --- the phone at night -------------------------------------------------------------------------
async def _commitments(street: Street) -> dict[bytes, int]:
    async with street.national.services.database.read() as session:
        return {
            row.commitment: row.hour for row in (await session.scalars(select(Commitment))).all()
        }


async def test_what_is_sent_at_night_is_random_bytes_at_a_random_moment(street: Street) -> None:
    phones = [street.phone(f"phone {n}", float(n)) for n in range(3)]
    for phone in phones:
        phone.commit_nightly(True)
    await ride(street, phones[:2])
    await night(street, *phones)
    sent = [one for one in street.requests if one.url.path == COMMITMENTS_PATH]
    # The third never had Bluetooth on, so it has nothing to commit to.
    assert len(sent) == 2
    bodies = [msgspec.json.decode(one.content) for one in sent]
    assert all(list(body) == ["commitment"] for body in bodies)
    assert len({len(one.content) for one in sent}) == 1
    moments = [one.time % DAY for one in _entries(*phones)]
    assert len(set(moments)) == 2
    assert all(0 <= moment <= COMMITMENT_SPREAD_SECONDS for moment in moments)
    kept = await _commitments(street)
    assert set(kept.values()) <= {(TODAY + 1) * DAY, (TODAY + 1) * DAY + HOUR}
    shown = [one for phone in phones for one in phone.everything().commitments if one.sent_at]
    assert {one.commitment for one in shown} == {one.hex() for one in kept}


def _entries(*phones: Phone) -> list:  # type: ignore[type-arg]
    return [
        one for phone in phones for one in phone.ledger.entries() if one.purpose == "COMMITMENT"
    ]


async def test_a_lost_answer_is_repeated_with_the_same_bytes(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    await claimant.commitments.send_due()
    street.clock.advance((TODAY + 1) * DAY + COMMITMENT_SPREAD_SECONDS - street.clock.now())
    street.losing = COMMITMENTS_PATH
    with pytest.raises(ServiceError):
        await claimant.commitments.send_due()
    hour = await _commitments(street)
    street.losing = ""
    await claimant.commitments.send_due()  # not at once
    assert len(_entries(claimant)) == 1
    street.clock.advance(HOUR)
    await claimant.commitments.send_due()
    await claimant.commitments.send_due()
    assert [one.ok for one in _entries(claimant)] == [True, False]
    assert await _commitments(street) == hour, "the first hour stays"


async def test_a_missed_night_is_made_up_for_only_while_it_could_count(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    street.clock.advance(5 * DAY)  # the phone was off
    await claimant.commitments.send_due()
    assert not _entries(claimant), "not at the moment at which it comes back"
    street.clock.advance(COMMITMENT_SPREAD_SECONDS)
    await claimant.commitments.send_due()
    assert len(_entries(claimant)) == 1
    assert len(await _commitments(street)) == 1
    # Another, with nothing sent for longer than a report reaches back.
    other = street.phone("other", 2.0)
    other.commit_nightly(True)
    await ride(street, [case, other])
    await other.commitments.send_due()
    street.clock.advance(16 * DAY)
    await other.commitments.send_due()
    street.clock.advance(COMMITMENT_SPREAD_SECONDS)
    await other.commitments.send_due()
    assert not _entries(other)


async def test_withdrawn_consent_deletes_what_opens(street: Street) -> None:
    case, claimant = two(street)
    await ride(street, [case, claimant])
    await night(street, claimant)
    assert claimant.everything().commitments
    claimant.commit_nightly(False)
    assert claimant.everything().commitments == []
    await claimant.commitments.send_due()
    assert claimant.everything().commitments == []
    await publish(street, case)
    assert (await encounter(street, claimant)).flags == (Flag.NOT_COMMITTED,)


async def test_what_opens_is_forgotten_with_the_diary(street: Street) -> None:
    _case, claimant = two(street)
    await claimant.commitments.send_due()
    street.clock.advance(14 * DAY)
    claimant.retain()
    assert len(claimant.everything().commitments) == 1
    street.clock.advance(DAY)
    claimant.retain()
    assert claimant.everything().commitments == []


async def test_a_claim_opens_the_one_encounter_and_the_days_key(street: Street) -> None:
    case, claimant = two(street)
    stranger = street.phone("stranger", 2.0)
    await ride(street, [case, claimant, stranger])
    await night(street, claimant)
    await publish(street, case)
    await claimant.check()
    claim = claimant.claim()
    assert claim is not None
    assert claim == claimant.claim(), "the same question gets the same claim"
    (day,) = claim.days
    assert all(leaf.path for leaf in day.leaves)
    heard = claimant._diary.records(TODAY, TODAY)
    opened = {leaf.content for leaf in day.leaves if leaf.content[0] == 2}
    all_of_day = set(sighting_contents(heard))
    assert opened < all_of_day
    strangers = {
        rpi for tek in stranger._identity.keys(street.clock.now()) for rpi in _identifiers(tek)
    }
    assert not any(content[1:17] in strangers for content in opened)
    assert sum(leaf.content[0] == 1 for leaf in day.leaves) == 1


def _identifiers(tek: TemporaryExposureKey) -> set[bytes]:
    joined = rolling_proximity_identifiers(tek)
    return {joined[at : at + 16] for at in range(0, len(joined), 16)}
