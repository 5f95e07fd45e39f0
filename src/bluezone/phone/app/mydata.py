"""My data: take it along, delete it, stop."""

from bluezone.phone.app.core import App, Refused
from bluezone.phone.app.interface import Delete, Done, State
from bluezone.phone.app.reporting import Reporting
from bluezone.phone.app.status import state
from bluezone.phone.phone import Everything
from bluezone.web.catalogue import _


async def export(app: App) -> Everything:
    """`GET export`: everything that is kept, for its owner alone."""
    return app.phone.everything()


async def delete(app: App, wish: Delete) -> Done:
    """`POST delete`."""
    if not wish.confirm:
        raise Refused.saying(
            400, "not-confirmed", _("Nothing was deleted: it was not confirmed."), "confirm"
        )
    if wish.what == "everything":
        await _delete(app, stop=False)
    else:
        app.phone.forget_warnings()
    return Done()


async def stop(app: App) -> State:
    """`POST stop`."""
    await _delete(app, stop=True)
    return await state(app)


async def resume(app: App) -> State:
    """`POST resume`: the first start comes again."""
    app.phone.choose(stopped_at=None)
    return await state(app)


async def _delete(app: App, *, stop: bool) -> None:
    if app.reporting.sending:
        raise Refused.saying(
            409, "sending", _("A report is being sent. Wait until it is done, then delete.")
        )
    await app.phone.delete_everything(stop=stop)
    app.reporting = Reporting()
