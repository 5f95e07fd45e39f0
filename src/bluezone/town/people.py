"""The people of a town: families, jobs, school classes, friends; drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bluezone.town import places
from bluezone.town.places import Kind, Space

_SURNAMES = (
    "Nguyễn",
    "Trần",
    "Lê",
    "Phạm",
    "Hoàng",
    "Phan",
    "Vũ",
    "Đặng",
    "Bùi",
    "Đỗ",
    "Hồ",
    "Ngô",
)
_WOMEN = (
    "Lan",
    "Hoa",
    "Mai",
    "Thu",
    "Hương",
    "Linh",
    "Ngọc",
    "Trang",
    "Yến",
    "Hạnh",
    "Phương",
    "Vân",
)
_MEN = (
    "Nam",
    "Hùng",
    "Dũng",
    "Minh",
    "Tuấn",
    "Sơn",
    "Long",
    "Quang",
    "Thành",
    "Đức",
    "Bình",
    "Khoa",
)
# Shares of households by size, after Viet Nam's 2019 census (mean 3.5), cut at six.
_HOUSEHOLD_SIZES = (1, 2, 3, 4, 5, 6)
_HOUSEHOLD_SHARES = (0.09, 0.17, 0.22, 0.29, 0.15, 0.08)
_DESKS_IN_OFFICE = 4
_DESKS_IN_SCHOOL = 12
_SELLERS = 12
_COMMUNES = ("00004", "00008", "00025")  # of area 001
_BUS_RIDERS = 0.4  # of those who work: the others ride their own motorbike


@dataclass(frozen=True, slots=True)
class Person:
    """One resident. Spaces are indices into `Residents.spaces`."""

    number: int
    name: str
    age: int
    home: int
    bed: int
    work: int | None  # office, market stall or classroom
    desk: int
    bus: int | None
    canteen: int
    cafe: int
    friends: tuple[int, ...]

    @property
    def is_pupil(self) -> bool:
        return self.age < 18

    @property
    def phone_number(self) -> str:
        """A made-up number (E.164)."""
        return f"+8490{self.number:07d}"

    @property
    def commune(self) -> str:
        """The code of where they live: neighbours in one house have one commune."""
        return _COMMUNES[self.home % len(_COMMUNES)]


@dataclass(frozen=True, slots=True)
class Residents:
    """Everybody, and every space of the town."""

    people: tuple[Person, ...]
    spaces: tuple[Space, ...]

    def spaces_of(self, kind: Kind) -> list[int]:
        """Indices of the spaces of a kind."""
        return [index for index, space in enumerate(self.spaces) if space.kind is kind]


def settle(count: int, rng: np.random.Generator) -> Residents:
    """A town of `count` people. ValueError below two: one alone meets nobody."""
    if count < 2:
        raise ValueError(f"a town needs at least 2 people, not {count}")
    ages, family = _families(count, rng)
    spaces: list[Space] = []

    pupils = [number for number in range(count) if 6 <= ages[number] < 18]
    workers = [number for number in range(count) if 18 <= ages[number] < 62]
    rng.shuffle(workers)
    sellers = workers[: min(_SELLERS, len(workers) // 8)]
    clerks = workers[len(sellers) :]

    def add(made: Sequence[Space], columns: int = 1, in_a_block: int = 1) -> list[int]:
        block = spaces[-1].block + 1 if spaces else 0
        spaces.extend(places.build(made, block, columns, in_a_block))
        return list(range(len(spaces) - len(made), len(spaces)))

    add([places.home(n + 1) for n in range(family[-1] + 1)], columns=2, in_a_block=2)
    rooms = -(-len(clerks) // _DESKS_IN_OFFICE)
    offices = add([places.office(n + 1) for n in range(rooms)], columns=2, in_a_block=4)
    classes = -(-len(pupils) // _DESKS_IN_SCHOOL)
    schools = add([places.school(n + 1) for n in range(classes)], columns=2, in_a_block=2)
    (market,) = add([places.market(1)])
    several = 1 + count // 60
    canteens = add([places.tables(f"canteen-{n + 1}", Kind.CANTEEN, 4, 2) for n in range(several)])
    cafes = add([places.tables(f"cafe-{n + 1}", Kind.CAFE, 3, 2) for n in range(several)])
    buses = add([places.bus(n + 1) for n in range(several)])
    add([places.park(1)])
    add([places.hospital()])

    work: dict[int, tuple[int, int]] = {}
    for desk, number in enumerate(sellers):
        work[number] = (market, desk)
    for place, number in enumerate(clerks):
        work[number] = (offices[place // _DESKS_IN_OFFICE], place % _DESKS_IN_OFFICE)
    for place, number in enumerate(pupils):
        work[number] = (schools[place // _DESKS_IN_SCHOOL], place % _DESKS_IN_SCHOOL)

    friends = _friends(ages, rng)
    beds: dict[int, int] = {}
    people = []
    for number in range(count):
        space, desk = work.get(number, (None, 0))
        bed = beds[family[number]] = beds.get(family[number], -1) + 1
        rides = number in clerks and rng.random() < _BUS_RIDERS
        people.append(
            Person(
                number=number,
                name=_name(rng),
                age=ages[number],
                home=family[number],
                bed=bed,
                work=space,
                desk=desk,
                bus=buses[number % len(buses)] if rides else None,
                canteen=canteens[(space or 0) % len(canteens)],
                cafe=cafes[number % len(cafes)],
                friends=friends[number],
            )
        )
    return Residents(tuple(people), tuple(spaces))


def _families(count: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Ages and family numbers, person by person: parents first, then children or grandparents."""
    ages: list[int] = []
    family: list[int] = []
    household = 0
    while len(ages) < count:
        size = int(rng.choice(_HOUSEHOLD_SIZES, p=_HOUSEHOLD_SHARES))
        for place in range(min(size, count - len(ages))):
            if place < 2:
                age = int(rng.integers(24, 58))
            else:
                age = int(rng.integers(6, 18) if rng.random() < 0.65 else rng.integers(62, 82))
            ages.append(age)
            family.append(household)
        household += 1
    return ages, family


def _friends(ages: Sequence[int], rng: np.random.Generator) -> list[tuple[int, ...]]:
    """For each person up to three others of about their age, met for tea or in the park."""
    rows = []
    for number, age in enumerate(ages):
        peers = [n for n, other in enumerate(ages) if n != number and abs(other - age) <= 12]
        chosen = rng.permutation(peers)[:3]
        rows.append(tuple(int(peer) for peer in chosen))
    return rows


def _name(rng: np.random.Generator) -> str:
    surname = str(rng.choice(_SURNAMES))
    if rng.random() < 0.5:
        return f"{surname} Thị {rng.choice(_WOMEN)}"
    return f"{surname} Văn {rng.choice(_MEN)}"
