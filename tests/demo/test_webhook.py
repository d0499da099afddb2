"""The receiver of alerts in the demo."""

import httpx
import pytest

from demo.webhook import Pages, ReceivedAlert, alert_receiver


def body(status: str, tenant: str | None = "globex") -> dict[str, object]:
    labels = {"alertname": "ttfb-p95"} | ({"tenant_id": tenant} if tenant else {})
    alert = {
        "fingerprint": f"of-{tenant}",
        "status": status,
        "labels": labels,
        "annotations": {"summary": "slow"},
    }
    return {"version": "4", "alerts": [alert]}


def test_each_alert_once() -> None:
    """An alert that is sent again is told once; firing and resolved are two things."""
    told: list[ReceivedAlert] = []
    with alert_receiver(Pages(told.append)) as url:
        for status in ("firing", "firing", "resolved"):
            assert httpx.post(url, json=body(status)).status_code == 204

    assert [alert.status for alert in told] == ["firing", "resolved"]
    assert told[0] == ReceivedAlert("of-globex", "firing", "ttfb-p95", "globex", "slow")


def test_what_is_still_firing() -> None:
    """All is resolved when each alert that fired has been, that for all tenants, too."""
    pages = Pages(lambda _: None)
    with alert_receiver(pages) as url:
        assert pages.all_resolved()
        for tenant in ("globex", None):
            httpx.post(url, json=body("firing", tenant))
        assert pages.has_fired("globex")
        assert not pages.has_fired("acme")
        httpx.post(url, json=body("resolved"))
        assert not pages.all_resolved()
        httpx.post(url, json=body("resolved", None))
        assert pages.all_resolved()


@pytest.mark.parametrize("sent", [b"", b"{}", b'{"alerts": [{}]}', b'{"alerts": [{"labels": 1}]}'])
def test_not_an_alert(sent: bytes) -> None:
    """What is not an alert is refused and told to nobody."""
    told: list[ReceivedAlert] = []
    with alert_receiver(Pages(told.append)) as url:
        assert httpx.post(url, content=sent).status_code == 400

    assert told == []
