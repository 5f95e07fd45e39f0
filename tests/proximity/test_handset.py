"""What is known of a phone moves what its levels are expected to be."""

from dataclasses import replace

import pytest

from bluezone.proximity import SHIPPED, UNKNOWN, Carriage, Handset
from bluezone.proximity.handset import expected_offset
from bluezone.proximity.parameters import ModelOffsets

NUMBERS = replace(
    SHIPPED,
    models={"Loud": ModelOffsets(-4.0, 1.0), "Deaf": ModelOffsets(0.5, 6.0)},
    sends_sd_db=3.0,
    receives_sd_db=4.0,
    carriage_db={"pocket": 2.5, "hand": -2.0},
    diary_attenuation_db=60.0,
    diary_weight=0.5,
    diary_bound_db=8.0,
)


def offset(receiver: Handset = UNKNOWN, sender: Handset = UNKNOWN) -> tuple[float, float]:
    return expected_offset(receiver, sender, NUMBERS)


def test_of_unknown_phones_nothing_is_expected_and_much_is_possible() -> None:
    assert offset() == (0.0, 5.0)


def test_each_model_counts_in_its_own_role() -> None:
    assert offset(Handset("Deaf"), Handset("Loud")) == (2.0, 0.0)
    assert offset(Handset("Loud"), Handset("Deaf")) == (1.5, 0.0)


def test_one_known_model_leaves_the_doubt_of_the_other() -> None:
    assert offset(Handset("Deaf")) == (6.0, 3.0)
    assert offset(sender=Handset("Loud")) == (-4.0, 4.0)
    assert offset(Handset("never seen"), Handset("Loud")) == (-4.0, 4.0)


def test_carriage_of_both_adds_up_and_an_unfitted_one_adds_nothing() -> None:
    pocket, hand, bag = (Handset(carriage=carriage) for carriage in ("pocket", "hand", "bag"))
    assert offset(pocket, pocket)[0] == 5.0
    assert offset(pocket, hand)[0] == 0.5
    assert offset(bag, UNKNOWN)[0] == 0.0
    assert offset(Handset(carriage=Carriage.POCKET))[0] == 2.5


@pytest.mark.parametrize(
    ("median", "added"), [(60.0, 0.0), (64.0, 2.0), (55.0, -2.5), (99.0, 4.0), (20.0, -4.0)]
)
def test_a_phone_that_hears_everybody_weakly_is_half_believed_and_within_bounds(
    median: float, added: float
) -> None:
    assert offset(Handset(diary_attenuation=median))[0] == added


def test_what_the_model_explains_is_not_counted_again_in_the_diary() -> None:
    assert offset(Handset("Deaf", diary_attenuation=66.0))[0] == 6.0
    assert offset(Handset("Deaf", diary_attenuation=70.0))[0] == 8.0


def test_only_the_diary_of_the_one_that_hears_counts() -> None:
    assert offset(sender=Handset(diary_attenuation=70.0))[0] == 0.0
