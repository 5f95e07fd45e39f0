"""What the phone tells its owner about its own state, and whose move it is."""

from enum import Enum
from typing import Final

from bluezone.radio.interface import RadioState
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate


class Notice(Enum):
    """A state the owner should know of; the value is the sentence."""

    BLUETOOTH_OFF = _(
        "Bluetooth is off. Switch it on: without it this phone notices nobody, and nobody notices"
        " it."
    )
    NO_PERMISSION = _("Bluezone may not use Bluetooth. Allow it in the settings of this device.")
    RADIO_UNAVAILABLE = _(
        "The Bluetooth radio does not answer. Check that it is plugged in and not used by another"
        " program; the phone keeps trying."
    )
    ONLY_LISTENS = _(
        "The Bluetooth of this device can only listen: it notices others and can warn you, but"
        " other phones do not notice it."
    )
    CLOCK_WRONG = _(
        "The clock of this phone is behind. Set date and time to automatic: until then the phone"
        " broadcasts nothing, and what it hears is not used for warnings."
    )
    DISK_FULL = _(
        "The diary cannot be written: the disk is full, read-only or held by another program. Free"
        " some space; until then encounters are not kept."
    )
    DIARY_SET_ASIDE = _(
        "The diary was damaged or locked with another key. It was kept aside, nothing was deleted,"
        " and a new diary was begun: encounters from before cannot be checked."
    )
    DIARY_PAGE_DAMAGED = _(
        "A page of the diary is damaged and cannot be read. The other pages are still checked."
    )
    KEY_IN_FILE = _(
        "The diary is encrypted. This device has no keyring, so the key lies in a file beside the"
        " diary that only your account can read."
    )
    KEY_IN_KEYRING = _("The diary is encrypted. Its key is in the keyring of this device.")

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """The sentence in `language`."""
        return translate(self.value, language)


RADIO_NOTICES: Final = {
    RadioState.OFF: Notice.BLUETOOTH_OFF,
    RadioState.NO_PERMISSION: Notice.NO_PERMISSION,
    RadioState.UNAVAILABLE: Notice.RADIO_UNAVAILABLE,
}
