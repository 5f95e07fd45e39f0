"""The key for what a browser keeps of forms that are not sent yet.

The browser keeps ciphertext and a cookie; the key is derived of that cookie, the account and a
secret of the service, and comes with pages for that account alone. So who has the browser's disk
has no key; an expired session costs nothing, since signing in again brings the same key; and
signing out takes the cookie, after which nobody can make the key again.
"""

import hmac
import secrets
from typing import Final

from fastapi import Request, Response

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.server import forms
from bluezone.server.context import services_of
from bluezone.server.people.rules import Staff
from bluezone.server.secret_files import secret_file

_TAG: Final = b"BZ1-DRAFTS"
_KEPT_SECONDS: Final = 14 * 86400  # from the last page on


def issue(request: Request, staff: Staff) -> tuple[str, str]:
    """The key for this account in this browser (hex, 32 bytes), and the cookie to set with it."""
    browser = request.cookies.get(_cookie(staff.account_id)) or secrets.token_urlsafe(24)
    secret = secret_file(services_of(request).settings.secrets_folder / "drafts-key")
    message = bytes_to_sign(_TAG, browser.encode(), str(staff.account_id).encode())
    return hmac.digest(secret, message, "sha256").hex(), browser


def remember(request: Request, response: Response, staff: Staff, browser: str) -> None:
    """Set the cookie that `issue` gave, for another fortnight."""
    forms.set_cookie(request, response, _cookie(staff.account_id), browser, _KEPT_SECONDS)


def forget(response: Response, staff: Staff) -> None:
    """After this nobody can read what this browser kept for the account."""
    response.delete_cookie(_cookie(staff.account_id), path="/", httponly=True, samesite="strict")


def _cookie(account_id: int) -> str:
    return f"bluezone_drafts_{account_id}"
