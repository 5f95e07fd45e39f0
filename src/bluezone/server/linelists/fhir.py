"""Line lists as a FHIR R4 bundle (HL7 FHIR 4.0.1): Patient, Condition, Observation, RelatedPerson.

A Patient has a name, telephone and birthday only where personal data was asked for. A contact is a
RelatedPerson of the case (who met whom) and a Patient of their own (who is followed up), joined by
the link of that Patient; the contacts of a list are together a Group.
"""

import hashlib
import uuid
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec

from bluezone.server.linelists.lines import PAGE, Line, name_parts

_SPACE: Final = uuid.UUID("7b0d7c0e-5d0b-5a34-9e0e-0d0c7a9a4e11")
_COVID: Final = {"system": "http://snomed.info/sct", "code": "840539006", "display": "COVID-19"}
_CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFIED: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_VERIFICATION: Final = {
    "suspected": "unconfirmed",
    "probable": "provisional",
    "confirmed": "confirmed",
    "closed": "confirmed",
    "discarded": "refuted",
}
_LOINC: Final = {
    "pcr": ("94500-6", "SARS-CoV-2 (COVID-19) RNA [Presence] in Respiratory specimen by NAA"),
    "antigen": (
        "94558-4",
        "SARS-CoV-2 (COVID-19) Ag [Presence] in Respiratory specimen by Rapid immunoassay",
    ),
    "antibody": (
        "94762-2",
        "SARS-CoV-2 (COVID-19) Ab [Presence] in Serum or Plasma by Immunoassay",
    ),
}
_FOUND: Final = {
    "positive": ("10828004", "Positive"),
    "negative": ("260385009", "Negative"),
    "inconclusive": ("419984006", "Inconclusive"),
}
_GENDER: Final = {"female": "female", "male": "male", "other": "other"}


async def bundle(
    pages: AsyncIterator[Iterable[dict[str, Any]]], made_at: str
) -> AsyncIterator[bytes]:
    """A collection of resources (as the functions below make them), page by page.

    A page may be made while it is read: one resource at a time takes less time than thousands
    that wait for each other. `made_at`: an instant, 2021-01-20T19:00:00+07:00.
    """
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": made_at}
    yield msgspec.json.encode(head)[:-1] + b',"entry":['
    first = True
    async for resources in pages:
        entries = b",".join(
            msgspec.json.encode({"fullUrl": f"urn:uuid:{one['id']}", "resource": one})
            for one in resources
        )
        if entries:
            yield entries if first else b"," + entries
            first = False
    yield b"]}"


def patient(line: Line) -> dict[str, Any]:
    """Whom a line is about."""
    found: dict[str, Any] = {
        "resourceType": "Patient",
        "id": _id("person", line.person_id),
        "identifier": [{"system": "urn:bluezone:person", "value": str(line.person_id)}],
        "address": [{"text": str(line.cells["unit_name"]), "country": "VN"}],
    }
    details = line.details
    if details is None:
        return found
    family, middle, given = name_parts(details.name)
    name: dict[str, Any] = {"text": details.name, "given": [given]}
    if family:
        name["family"] = family
    if middle:
        name["given"] = [*middle.split(), given]
    found["name"] = [name]
    if details.identity:
        found["identifier"].append({"system": "urn:bluezone:identity", "value": details.identity})
    if details.phone:
        found["telecom"] = [{"system": "phone", "value": details.phone, "use": "mobile"}]
    if details.birth:
        found["birthDate"] = details.birth
    if str(details.sex) in _GENDER:
        found["gender"] = _GENDER[str(details.sex)]
    if details.address:
        found["address"][0]["line"] = [details.address]
    return found


def condition(line: Line) -> dict[str, Any]:
    """The illness of a line of cases."""
    cells = line.cells
    status = str(cells["status"])
    found: dict[str, Any] = {
        "resourceType": "Condition",
        "id": _id("case", cells["reference"]),
        "identifier": [{"system": "urn:bluezone:case", "value": cells["reference"]}],
        "verificationStatus": _coded(_VERIFIED, _VERIFICATION.get(status, "unconfirmed")),
        "code": {"coding": [_COVID]},
        "subject": _reference("person", line.person_id),
        "recordedDate": cells["reported_on"],
    }
    # FHIR, con-3 and con-5: a refuted condition has no clinical status.
    if status != "discarded":
        state = "active"
        if status == "closed":
            state = "resolved" if cells["outcome"] == "recovered" else "inactive"
        found["clinicalStatus"] = _coded(_CLINICAL, state)
    if cells["onset"]:
        found["onsetDateTime"] = cells["onset"]
    if status == "closed" and cells["outcome_on"]:
        found["abatementDateTime"] = cells["outcome_on"]
    return found


def observation(line: Line) -> dict[str, Any]:
    """The laboratory result of a line of results."""
    cells = line.cells
    code, display = _LOINC.get(str(cells["method"]), ("", "SARS-CoV-2 test"))
    coding = [{"system": "http://loinc.org", "code": code, "display": display}] if code else []
    value, words = _FOUND.get(str(cells["result"]), ("", str(cells["result"])))
    answer: dict[str, Any] = {"text": words}
    if value:
        answer["coding"] = [{"system": "http://snomed.info/sct", "code": value, "display": words}]
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": _id("result", f"{cells['laboratory']}/{cells['sample']}"),
        "identifier": [{"system": "urn:bluezone:sample", "value": cells["sample"]}],
        "status": "final",
        "category": [
            _coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")
        ],
        "code": {"coding": coding, "text": display} if coding else {"text": display},
        "subject": _reference("person", line.person_id),
        "effectiveDateTime": cells["sampled_on"],
        "issued": f"{str(cells['reported_at']).replace(' ', 'T')}:00+07:00",
        "performer": [{"display": str(cells["laboratory"])}],
        "valueCodeableConcept": answer,
    }
    if cells["reference"]:
        found["focus"] = [_reference("case", cells["reference"])]
    return found


def related_person(exposed: Line, source: int, first: str, last: str) -> dict[str, Any]:
    """`exposed` (with their own Patient) as somebody whom the case `source` met."""
    return {
        "resourceType": "RelatedPerson",
        "id": related_id(source, exposed.person_id),
        "patient": _reference("person", source),
        "relationship": [{"text": "exposed to this patient"}],
        "period": {"start": first, "end": last},
    }


def linked(found: dict[str, Any], sources: Iterable[int], person: int) -> dict[str, Any]:
    """A contact's Patient, linked to who they are to each source."""
    links = [
        {"other": {"reference": f"urn:uuid:{related_id(source, person)}"}, "type": "seealso"}
        for source in sources
    ]
    return {**found, "link": links} if links else found


def group(people: Iterable[int], name: str) -> dict[str, Any]:
    """The contacts of a list."""
    members = [{"entity": _reference("person", person)} for person in people]
    found: dict[str, Any] = {
        "resourceType": "Group",
        "id": _id("group", name),
        "type": "person",
        "actual": True,
        "name": name,
        "quantity": len(members),
    }
    return {**found, "member": members} if members else found


def related_id(source: int, exposed: int) -> str:
    """The id of a RelatedPerson."""
    return _id("related", f"{source}/{exposed}")


@lru_cache(maxsize=4 * PAGE)  # most are named again on the same page
def _id(kind: str, key: object) -> str:
    """`str(uuid.uuid5(_SPACE, f"{kind}:{key}"))` (RFC 9562, 5.5) in a quarter of its time."""
    name = f"{kind}:{key}".encode()
    text = hashlib.sha1(_SPACE.bytes + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def _reference(kind: str, key: object) -> dict[str, str]:
    return {"reference": f"urn:uuid:{_id(kind, key)}"}


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
