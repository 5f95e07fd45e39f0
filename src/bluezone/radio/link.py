"""The virtual air as Bluetooth controllers: every advertisement an event, real HCI bytes.

Bumble's own link doubles every report, hears everybody at -50 dBm and never loses a
packet; these three classes put the air's physics and a real controller's refusals in its
place. Whoever hears a connectable advertisement may connect to it; what then passes over the
connection takes its time, but is not lost.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

from bluezone.protocol.beacon import MAX_LEGACY_ADVERTISEMENT_BYTES
from bluezone.radio.air import ADV_DELAY_SECONDS, MEAN_INTERVAL_SECONDS, Air, Position
from bluezone.radio.physics import fading, survival

_SLOT_SECONDS: Final = 0.625e-3  # unit of advertising and scanning times in HCI
_VIEW_SECONDS: Final = 1.0  # bodies and shadows move over minutes
# Behind by this much, a packet is dropped: hearing it later than a real radio would have
# is worse than a loss that is counted.
_LATE_SECONDS: Final = 0.1
_MAX_QUEUED: Final = 8192  # some 0.1 s of work
_CONNECTION_SECONDS: Final = 7.5e-3  # shortest interval at which a connection takes turns
# Who goes out of the air is missed after this time (supervision time-out of a connection).
_SUPERVISION_SECONDS: Final = 1.0
_ADV_IND: Final = 0x00
_ADV_SCAN_IND: Final = 0x02
_ADV_NONCONN_IND: Final = 0x03
_REFUSED: Final = hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
_INVALID: Final = hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR)


class AirAdvertiser(LegacyAdvertiser):
    """Sends at the asked interval (units of 0.625 ms) plus 0-10 ms, and knows when it is late."""

    controller: "AirController"

    def start(self) -> None:
        self.stop()
        self.enabled = True
        self._due = asyncio.get_running_loop().time()
        self.timer_handle = asyncio.get_running_loop().call_soon(self._on_timer_fired)

    def _on_timer_fired(self) -> None:
        loop = asyncio.get_running_loop()
        interval = self.advertising_interval_min * _SLOT_SECONDS
        late = loop.time() - self._due
        missed = int(late / interval)  # turns that passed while this computer was busy
        self.controller.link.transmit(self.controller, late, missed)
        jitter = ADV_DELAY_SECONDS * self.controller.station.rng.random()
        self._due += interval * (missed + 1) + jitter
        self.timer_handle = loop.call_at(self._due, self._on_timer_fired)


class AirController(Controller):
    """A Bluetooth 4 controller on an `AirLink`: legacy advertising, scanning, connections.

    It refuses what real controllers refuse: a new random address, new advertising or scan
    parameters while the thing they concern is running (Core Specification, Vol 4, Part E,
    7.8.4, 7.8.5, 7.8.10), and to cancel a connection that it is not making (7.8.13).
    """

    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )
    link: "AirLink"

    def __init__(
        self,
        link: "AirLink",
        position: Position = (0.0, 0.0),
        space: str = "",
        *,
        tx_power: int | None = None,
        host_source: Any = None,
        host_sink: Any = None,
    ) -> None:
        self.station = link.air.join(position, space, tx_power)
        super().__init__(f"phone-{self.station.serial}", host_source, host_sink, link)
        self.le_legacy_advertiser: AirAdvertiser = AirAdvertiser(self)
        # True when the host does not read fast enough: reports are then dropped, counted.
        self.congested: Callable[[], bool] = lambda: False
        self._heard: set[bytes] = set()
        self._scan_started = 0.0
        self._view: dict[int, tuple[float, float]] = {}
        self._view_of = (-1, -math.inf)

    def listening(self, time: float) -> bool:
        """Whether the receiver is open at loop time `time`."""
        if not self.le_scan_enable:
            return False
        if self.le_scan_window >= self.le_scan_interval:
            return True
        phase = (time - self._scan_started) / _SLOT_SECONDS % self.le_scan_interval
        return phase < self.le_scan_window

    def view(self) -> dict[int, tuple[float, float]]:
        """Level (dBm) and chance of survival of every advertiser in range, by serial."""
        air, now = self.link.air, self.link.air.clock.now()
        version, since = self._view_of
        if version != air.version or not 0.0 <= now - since < _VIEW_SECONDS:
            neighbours = self.station.neighbours()
            rows = [i for i, s in enumerate(neighbours.stations) if self.link.advertises(s.serial)]
            levels = air.levels(neighbours, now)[rows]
            chances = survival(air.physics, levels, MEAN_INTERVAL_SECONDS)
            serials = (neighbours.stations[row].serial for row in rows)
            pairs = zip(levels.tolist(), chances.tolist(), strict=True)
            self._view = dict(zip(serials, pairs, strict=True))
            self._view_of = (air.version, now)
        return self._view

    def forget_view(self) -> None:
        """Look again: somebody began to advertise."""
        self._view_of = (-1, -math.inf)

    def hear(self, kind: int, address: hci.Address, data: bytes, rssi: int) -> None:
        """Report one PDU to the host, once (LE Advertising Report, 7.7.65.2)."""
        source = bytes(address)
        if self.filter_duplicates:
            if source in self._heard:
                return
            self._heard.add(source)
        report = (
            bytes((0x02, 1, kind, address.address_type))
            + source
            + bytes((len(data),))
            + data
            + rssi.to_bytes(1, "little", signed=True)
        )
        if self.host:
            self.host.on_packet(bytes((hci.HCI_EVENT_PACKET, 0x3E, len(report))) + report)

    def meet(self, kind: int, address: hci.Address) -> None:
        """An advertiser was heard: connect, if it is the one this controller waits for."""
        wanted = self.pending_le_connection
        if wanted is not None and kind == _ADV_IND and wanted.peer_address == address:
            self.create_le_connection(address)

    def leave(self) -> None:
        """Take the controller off the air."""
        self._fall_silent()
        self.station.leave()
        self.link.controllers.discard(self)

    def _fall_silent(self) -> None:
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        for connection in self.le_connections.values():
            self.link.miss(connection)
        self.le_connections.clear()

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        super().on_le_connect_ind(packet)
        self.link.advertising_changed()  # a controller that was connected to stops advertising

    def on_ll_control_pdu(self, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        if sender_address in self.le_connections:  # it may have hung up in the same moment
            super().on_ll_control_pdu(sender_address, packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        # Bumble formats every packet for a debug line nobody reads.
        if self.host:
            asyncio.get_running_loop().call_soon(self.host.on_packet, bytes(packet))

    def on_hci_reset_command(self, command: hci.HCI_Reset_Command) -> Any:
        self._fall_silent()
        self.link.advertising_changed()
        return super().on_hci_reset_command(command)

    def on_hci_le_set_random_address_command(
        self, command: hci.HCI_LE_Set_Random_Address_Command
    ) -> hci.HCI_StatusReturnParameters:
        if (
            self.le_legacy_advertiser.enabled
            or self.le_scan_enable
            or self.pending_le_connection is not None
        ):
            return _REFUSED
        return super().on_hci_le_set_random_address_command(command)

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        wanted = self.pending_le_connection
        if wanted is None:
            return _REFUSED
        self.pending_le_connection = None
        cancelled = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=wanted.peer_address.address_type,
            peer_address=wanted.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, cancelled)
        return super().on_hci_le_create_connection_cancel_command(command)

    def on_hci_le_set_advertising_parameters_command(
        self, command: hci.HCI_LE_Set_Advertising_Parameters_Command
    ) -> hci.HCI_StatusReturnParameters:
        if self.le_legacy_advertiser.enabled:
            return _REFUSED
        if not 0x20 <= command.advertising_interval_min <= 0x4000:
            return _INVALID
        if command.advertising_type not in (_ADV_IND, _ADV_SCAN_IND, _ADV_NONCONN_IND):
            return _INVALID
        return super().on_hci_le_set_advertising_parameters_command(command)

    def on_hci_le_set_advertising_data_command(
        self, command: hci.HCI_LE_Set_Advertising_Data_Command
    ) -> hci.HCI_StatusReturnParameters:
        if len(command.advertising_data) > MAX_LEGACY_ADVERTISEMENT_BYTES:
            return _INVALID
        return super().on_hci_le_set_advertising_data_command(command)

    def on_hci_le_set_advertising_enable_command(
        self, command: hci.HCI_LE_Set_Advertising_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        if command.advertising_enable and not self.le_legacy_advertiser.advertising_interval_min:
            return _INVALID  # no parameters since the reset
        status = super().on_hci_le_set_advertising_enable_command(command)
        self.link.advertising_changed()
        return status

    def on_hci_le_set_scan_parameters_command(
        self, command: hci.HCI_LE_Set_Scan_Parameters_Command
    ) -> hci.HCI_StatusReturnParameters:
        if not 4 <= command.le_scan_window <= command.le_scan_interval <= 0x4000:
            return _INVALID
        return super().on_hci_le_set_scan_parameters_command(command)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        if not self.le_scan_enable:
            self._heard.clear()
            self._scan_started = asyncio.get_running_loop().time()
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_le_read_advertising_physical_channel_tx_power_command(
        self, _command: hci.HCI_LE_Read_Advertising_Physical_Channel_Tx_Power_Command
    ) -> hci.HCI_LE_Read_Advertising_Physical_Channel_Tx_Power_ReturnParameters:
        return hci.HCI_LE_Read_Advertising_Physical_Channel_Tx_Power_ReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, tx_power_level=self.station.tx_power
        )


class AirLink(LocalLink):
    """Carries every advertisement to whoever is in range and listening.

    When this computer cannot keep up, packets are dropped and counted in
    `air.statistics`; the loop stays responsive and nothing piles up.
    """

    controllers: set[Any]  # of AirController

    def __init__(self, air: Air) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.air = air
        self._queued = 0
        self._advertising: set[int] = set()

    def advertises(self, serial: int) -> bool:
        """Whether the station with this serial is sending."""
        return serial in self._advertising

    def advertising_changed(self) -> None:
        """Somebody began or stopped: whom everybody hears is computed again."""
        self._advertising = {
            c.station.serial for c in self.controllers if c.le_legacy_advertiser.enabled
        }
        for controller in self.controllers:
            controller.forget_view()

    def transmit(self, sender: AirController, late: float, missed: int) -> None:
        """Send one advertisement, `late` seconds after its time, `missed` turns left out."""
        loop, statistics, physics = (
            asyncio.get_running_loop(),
            self.air.statistics,
            self.air.physics,
        )
        now = loop.time()
        statistics.worst_lag = max(statistics.worst_lag, late)
        advertiser = sender.le_legacy_advertiser
        kind, address = advertiser.advertising_type, advertiser.address
        data = bytes(advertiser.advertising_data)
        behind = late > _LATE_SECONDS
        for receiver in self.controllers:
            if receiver is sender or not (
                receiver.listening(now) or receiver.pending_le_connection is not None
            ):
                continue
            reception = receiver.view().get(sender.station.serial)
            if reception is None:
                continue
            statistics.offered += 1 + missed
            statistics.dropped += missed
            if behind or self._queued >= _MAX_QUEUED or receiver.congested():
                statistics.dropped += 1
                continue
            level, chance = reception
            draw = receiver.station.rng
            rssi = round(
                level + fading(physics.rician_k, draw.standard_normal(), draw.standard_normal())
            )
            if rssi < physics.floor_dbm or draw.random() >= chance:
                statistics.faded += 1
                continue
            statistics.delivered += 1
            self._queued += 1
            loop.call_soon(self._arrive, receiver, kind, address, data, min(20, rssi))

    def _arrive(
        self, receiver: AirController, kind: int, address: hci.Address, data: bytes, rssi: int
    ) -> None:
        self._queued -= 1
        if receiver.le_scan_enable:
            receiver.hear(kind, address, data, rssi)
        receiver.meet(kind, address)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry data over a connection, which keeps the addresses it was made with."""
        ours = sender_controller.le_connections.get(destination_address)
        peer = self.find_le_controller(destination_address)
        if ours is not None and peer is not None:
            asyncio.get_running_loop().call_later(
                _CONNECTION_SECONDS, peer.on_link_acl_data, ours.self_address, transport, data
            )

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        if self.find_le_controller(receiver_address) is not None:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    def miss(self, connection: Connection) -> None:
        """One end of a connection fell silent: the other notices after a while."""
        timeout = ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        asyncio.get_running_loop().call_later(
            _SUPERVISION_SECONDS,
            self.send_ll_control_pdu,
            connection.self_address,
            connection.peer_address,
            timeout,
        )
