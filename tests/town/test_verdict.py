"""The verdict sorts people into the right four boxes and says so in two languages."""

import json

from bluezone.town.verdict import Contact, Verdict


def contact(number: int, close: float, warned: float | None, together: float = 60.0) -> Contact:
    return Contact(
        number=number,
        name=f"Người {number}",
        minutes_close=close,
        minutes_near=close,
        minutes_together=max(close, together),
        confirmed_at=1000.0,
        released_at=None if warned is None else 4000.0,
        warned_at=warned,
    )


def verdict(*contacts: Contact) -> Verdict:
    return Verdict(
        people=len(contacts) + 1,
        days=7,
        seed=1,
        cases=("Trần Thị Lan",),
        contacts=contacts,
        scans=10,
        packets=200,
        packets_heard=150,
        requests=5,
        wall_seconds=1.23,
    )


def test_each_person_is_in_one_box():
    told = verdict(
        contact(1, 15.0, 4600.0),
        contact(2, 200.0, 7600.0),
        contact(3, 16.0, None),
        contact(4, 14.9, 4600.0),
        contact(5, 0.0, 4600.0, together=0.0),
        contact(6, 0.0, None, together=0.0),
    ).as_json()
    assert (told["close_contacts"], told["warned_close"], told["missed"]) == (3, 2, 1)
    assert (told["false_alarms"], told["false_alarms_never_met"]) == (2, 1)
    assert told["missed_people"] == ["Người 3"]
    assert told["false_alarm_people"] == ["Người 4", "Người 5"]
    # Delays are those of people who were rightly warned: 60 and 110 minutes.
    assert told["minutes_to_warning_median"] == 85.0
    assert told["minutes_from_release"] == {
        "count": 2,
        "median": 35.0,
        "shortest": 10.0,
        "longest": 60.0,
    }
    assert json.loads(json.dumps(told)) == told


def test_nobody_warned_has_no_median():
    told = verdict(contact(1, 20.0, None)).as_json()
    assert told["minutes_to_warning_median"] is None
    assert told["missed"] == 1


def test_the_table_names_who_was_missed_and_warned_wrongly():
    text = verdict(contact(1, 20.0, None), contact(2, 3.0, 4600.0)).text("vi")
    assert "Người 1: 20 phút trong vòng 2 m" in text
    assert "Cảnh báo nhầm" in text
    assert "Người 2: 3 min within 2 m" in verdict(contact(2, 3.0, 4600.0)).text("en")
