"""What a phone with a full life would answer: used by `canned.CannedCore`."""

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import segno

from bluezone.phone.app import interface as api

VIETNAM: Final = 7 * 3600


def both(vi: str, en: str) -> api.Text:
    return {"vi": vi, "en": en}


def usual_state(**change: Any) -> api.State:
    """A phone that runs well; `change` sets fields anew."""
    now = time.time()
    state = api.State(
        version=api.VERSION,
        now=now,
        started=True,
        stopped=False,
        running=True,
        radio="on",
        last_scan_at=now - 70,
        scans=412,
        problems=[],
        check=api.CheckSummary(now - 7200, now + 7300, 1204, 14, False, None),
        today=api.Today(7, 95),
        exposure=api.Exposure("none", 0, False),
        report=api.ReportSummary(None, False),
        unread_news=1,
        unread_notices=2,
        language="vi",
        text_size="normal",
        theme="system",
    )
    for name, value in change.items():
        setattr(state, name, value)
    return state


def usual_settings(**change: Any) -> api.Settings:
    settings = api.Settings(
        language="vi",
        text_size="normal",
        theme="system",
        battery="usual",
        province="48",
        commune="20194",
        carrier="Viettel",
        phone_number="+84912345678",
        desktop_notices=True,
        commitments=False,
    )
    for name, value in change.items():
        setattr(settings, name, value)
    return settings


def history() -> api.History:
    """Fourteen days; one busy, two empty."""
    dice = random.Random(4)
    today = datetime.fromtimestamp(time.time() + VIETNAM, UTC).date()
    days = []
    for back in range(14):
        day = today - timedelta(days=back)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() - VIETNAM
        contacts = [_contact(dice, midnight) for _ in range((5, 9, 0, 24, 3, 6, 0, 11)[back % 8])]
        contacts.sort(key=lambda contact: contact.start)
        near = [contact.minutes for contact in contacts if contact.closeness == "near"]
        count = len(contacts)
        days.append(
            api.HistoryDay(
                day=day.isoformat(),
                people=count,
                people_least=max(1, count // 2) if count else 0,
                people_most=count * 2,
                minutes=sum(contact.minutes for contact in contacts),
                near_minutes=sum(near),
                contacts=contacts,
            )
        )
    return api.History(days)


def _contact(dice: random.Random, midnight: float) -> api.HistoryContact:
    minutes = dice.choice((2, 4, 8, 15, 40, 110))
    start = midnight + dice.uniform(6.5, 20) * 3600
    closeness: list[Literal["near", "middle", "far"]] = ["near", "middle", "far"]
    return api.HistoryContact(start, start + minutes * 60, minutes, dice.choice(closeness))


STATION: Final = api.Station(
    "Trạm Y tế phường Hải Châu I", "0236 3822 116", "123 Trần Phú, Hải Châu, Đà Nẵng"
)


def warning(day: str = "2021-02-03") -> api.Warning:
    return api.Warning(
        day=day,
        parts=[both("buổi sáng", "in the morning"), both("buổi chiều", "in the afternoon")],
        minutes=32,
        certainty=both(
            "rất có thể trong vòng 2 mét từ 15 phút trở lên",
            "very likely within 2 metres for 15 minutes or more",
        ),
        text=both(
            "Ngày 03/02/2021 (buổi sáng, buổi chiều), điện thoại này đã ở gần điện thoại của một"
            " người sau đó được xác nhận mắc COVID-19, tổng cộng khoảng 32 phút.",
            "On 03/02/2021 (in the morning, in the afternoon) this phone was near the phone of a"
            " person who has since been confirmed with COVID-19, for about 32 minutes in all.",
        ),
        why=[
            both(
                "Một người được xác nhận mắc bệnh đã đồng ý công bố mã khóa của mình.",
                "A person confirmed with the disease agreed to publish their keys.",
            ),
            both(
                "Điện thoại này đã nghe 2 mã tạo ra từ các mã khóa đó.",
                "This phone had heard 2 identifiers that come from those keys.",
            ),
        ],
        noticed_at=time.time() - 3600,
    )


def handover(state: Literal["received", "confirmed", "cleared", "withdrawn"]) -> api.Handover:
    said = {
        "received": both("", ""),
        "confirmed": both(
            "Anh chị là người tiếp xúc gần. Mời đến trạm y tế lấy mẫu sáng mai lúc 8 giờ.",
            "You are a close contact. Please come to the station for a test at 8 tomorrow.",
        ),
        "cleared": both("Anh chị không cần làm gì thêm.", "You need not do anything more."),
        "withdrawn": both("", ""),
    }
    now = time.time()
    return api.Handover("XZC4-WJQF", "details", state, said[state], now - 5400, now - 600)


def exposures(state: api.ExposureState = "none") -> api.Exposures:
    told: dict[api.ExposureState, Literal["received", "confirmed", "cleared"]] = {
        "possible": "received",
        "confirmed": "confirmed",
        "cleared": "cleared",
    }
    return api.Exposures(
        state=state,
        warnings=[] if state == "none" else [warning()],
        advice=both(
            "Hãy ở nhà, tránh tiếp xúc với người khác và gọi trạm y tế phường xã hoặc đường dây"
            " nóng của Bộ Y tế.",
            "Stay at home and away from others, and call your commune health station or the"
            " Ministry of Health.",
        ),
        station=STATION,
        hotline="1900 9095",
        handovers=[] if state == "none" else [handover(told[state])],
    )


def preview() -> api.Preview:
    return api.Preview(
        lines=[
            api.PreviewLine(both("Tên", "Name"), both("Nguyễn Thị Lan", "Nguyễn Thị Lan")),
            api.PreviewLine(both("Điện thoại", "Telephone"), both("0912345678", "0912345678")),
            api.PreviewLine(
                both("Ngày tiếp xúc", "Day of contact"),
                both("03/02/2021, buổi sáng, 32 phút", "03/02/2021, in the morning, 32 min"),
            ),
        ],
        raw='{"name":"Nguyễn Thị Lan","phone":"+84912345678","days":[{"day":"2021-02-03"}]}',
        bytes=78,
        recipient=both("Trạm Y tế phường Hải Châu I", "Health station of Hải Châu I"),
    )


def usual_answers() -> dict[str, Any]:
    """By method and path; a test puts others in their place."""
    state, places = usual_state, [api.Place("48", "Đà Nẵng"), api.Place("01", "Hà Nội")]
    communes = api.Places([api.Place("20194", "Hải Châu"), api.Place("20195", "Thanh Khê")])
    now = time.time()
    qr = segno.make("https://bluezone.example/moi/MEO7Q2AB").svg_data_uri(scale=6, border=2)
    around = api.Around(
        "3F9…",
        "on",
        True,
        [
            api.Neighbour("A41…", True, -52, 0.5),
            api.Neighbour("07C…", True, -58, 12.0),
            api.Neighbour("E2B…", False, -78, 2.0),
            api.Neighbour("95D…", False, -90, 24.0),
        ],
    )
    progress = api.ReportProgress("none", "", 0, None, None, None)
    return {
        "GET state": lambda _: state(),
        "POST start": lambda _: state(),
        "POST stop": lambda _: state(stopped=True, running=False, started=False),
        "POST resume": lambda _: state(started=False),
        "POST check": lambda _: state(),
        "GET settings": usual_settings(),
        "POST settings": usual_settings(),
        "POST number": api.NumberSent("+84912345678", now + 300),
        "POST number/confirm": usual_settings(),
        "DELETE number": usual_settings(phone_number=None),
        "GET places": api.Places(places),
        "GET places/48": communes,
        "GET places/01": api.Places([api.Place("00004", "Ba Đình")]),
        "GET carriers": api.Carriers(["Viettel", "VinaPhone", "MobiFone", "Vietnamobile"]),
        "GET around": around,
        "GET history": history(),
        "DELETE history": api.History([]),
        "GET exposures": exposures(),
        "POST exposures/read": exposures(),
        "POST handovers/refresh": exposures("confirmed"),
        "POST handovers/withdraw": exposures("possible"),
        "POST details/preview": preview(),
        "POST details": handover("received"),
        "POST report/preview": api.ReportPreview(
            lines=[
                api.PreviewLine(
                    both("Mã khóa của 14 ngày", "Keys of 14 days"),
                    both("14 mã khóa, 224 byte", "14 keys, 224 bytes"),
                )
            ],
            consent=both(
                "Tôi đồng ý công bố mã khóa của điện thoại này để những người đã ở gần được cảnh"
                " báo.",
                "I agree that the keys of this phone are published so that people who were near"
                " are warned.",
            ),
            keys=14,
            diary_records=0,
            recipient=both("Hệ thống Bluezone quốc gia", "The national Bluezone service"),
        ),
        "GET report": progress,
        "POST report": api.ReportProgress("sending", "permission", 0, None, None, None),
        "GET news": news(),
        "POST news/read": news(),
        "GET notices": notices(),
        "POST notices/read": notices(),
        "GET invitation": api.Invitation(
            "MEO7Q2AB",
            "https://bluezone.example/moi/MEO7Q2AB",
            qr,
            both(
                "Tôi dùng Bluezone để bảo vệ mình và mọi người. Mời bạn cài cùng:",
                "I use Bluezone to protect myself and others. Join me:",
            ),
            3,
        ),
        "GET ledger": ledger(),
        "GET about": about(),
        "POST delete": api.Done(),
    }


def news() -> api.News:
    now = time.time()
    items = [
        api.NewsItem(
            "n2",
            now - 9000,
            both("Ổ dịch mới tại Hải Dương", "A new outbreak in Hải Dương"),
            both(
                "Người từng đến Hải Dương từ ngày 14/01 hãy khai báo y tế.\n\nGọi 1900 9095.",
                "Whoever was in Hải Dương since 14 January: please declare.\n\nCall 1900 9095.",
            ),
            True,
            False,
        ),
        api.NewsItem(
            "n1",
            now - 400_000,
            both("Thông điệp 5K", "The 5K message"),
            both(
                "Khẩu trang, khử khuẩn, khoảng cách, không tụ tập, khai báo y tế.",
                "Masks, disinfection, distance, no gatherings, declaration.",
            ),
            False,
            True,
        ),
    ]
    return api.News(items, now - 900, None)


def notices() -> api.Notices:
    now = time.time()
    return api.Notices(
        [
            api.NoticeItem(
                "2",
                "bluetooth",
                now - 4000,
                both("Bluetooth đã tắt hơn một giờ.", "Bluetooth has been off for an hour."),
                False,
            ),
            api.NoticeItem(
                "1",
                "check",
                now - 190_000,
                both("Đã hơn 24 giờ chưa kiểm tra được.", "No check has succeeded for 24 hours."),
                True,
            ),
        ]
    )


def ledger() -> api.Ledger:
    now = time.time()
    check = both("Tải mã khóa của người mắc bệnh", "Download of the keys of cases")
    cdn = "https://cdn.bluezone.example/v1"
    cover = both("Tin nhắn ngụy trang", "Cover message, so that reports do not stand out")
    return api.Ledger(
        [
            api.LedgerEntry(now - 7200, check, f"{cdn}/index", 0, 9120, True),
            api.LedgerEntry(now - 30_000, cover, "https://api.bluezone.example/v1", 1420, 64, True),
            api.LedgerEntry(now - 93_000, check, f"{cdn}/index", 0, 0, False),
        ],
        [api.LedgerSum(check, 12, 0, 118_400), api.LedgerSum(cover, 4, 5680, 256)],
    )


def about() -> api.About:
    return api.About(
        version="0.1.0",
        source="https://bluezone.example/source",
        licence="Apache-2.0",
        service="https://api.bluezone.example",
        pins=["3f:9a:11:c0:77:12:5e:aa:04:8b:cd:21:9e:60:13:f8"],
        controller="BlueZ 5.66, hci0",
        capabilities=[
            api.Capability(both("Nghe điện thoại xung quanh", "Hear phones around"), True),
            api.Capability(both("Phát mã của mình", "Broadcast its own identifier"), True),
            api.Capability(
                both("Đổi địa chỉ cùng lúc với mã", "Turn address with the identifier"), False
            ),
        ],
        key_place=both("trong kho khóa của thiết bị", "in the keyring of this device"),
        home="/home/lan/.local/share/bluezone",
    )
