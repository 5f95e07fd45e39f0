"""Recordings that are made once, for all tests of the folder."""

from pathlib import Path

import pytest

from bluezone.proximity import Parameters
from bluezone.proximity.study.fit import fit
from bluezone.proximity.study.readers import read
from bluezone.proximity.study.recordings import Recording
from tests.proximity.simulated import crowd, write_results


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Two scenarios of nine people."""
    folder = tmp_path_factory.mktemp("recorded") / "simulated"
    paths = [
        write_results(folder / f"{name}.sqlite", crowd(seed, minutes=24).results())
        for name, seed in (("canteen", 1), ("train", 2))
    ]
    return [recording for path in paths for recording in read(path)]


@pytest.fixture(scope="session")
def fitted(recorded: list[Recording]) -> Parameters:
    """What the fit finds in both scenarios."""
    return fit(recorded, fitted_at="2021-02-03")


@pytest.fixture(scope="session")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A dozen people in a third scenario, which no fit has seen."""
    path: Path = tmp_path_factory.mktemp("unseen") / "simulated" / "party.sqlite"
    (recording,) = read(write_results(path, crowd(3, people=12).results()))
    return recording
