"""A radio that is not there, in place of None: it can be asked everything and does nothing."""

from typing import NoReturn

from bluezone.radio.interface import Capabilities, RadioError, RadioState, Sighting


class AbsentRadio:
    """A `Radio` that refuses with one sentence."""

    def __init__(self, why: str, state: RadioState = RadioState.UNAVAILABLE) -> None:
        self.state = state
        self.tx_power = 0
        self.capabilities = Capabilities("none", why, broadcasts=False)
        self._why = why

    async def advertise(self, payload: bytes) -> None:
        self._refuse()

    async def stop(self) -> None:
        pass

    async def scan(self, seconds: float) -> list[Sighting]:
        self._refuse()

    async def close(self) -> None:
        pass

    def _refuse(self) -> NoReturn:
        raise RadioError(self._why, self.state)
