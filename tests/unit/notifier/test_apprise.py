"""What Apprise is asked for."""

import pytest

from connectors.notifier.channels.apprise_url import AppriseSender
from connectors.notifier.subscriptions import AppriseChannel


@pytest.mark.parametrize(
    ("url", "is_paced"),
    [("mailto://127.0.0.1:1/?from=a@example.org&to=b@example.org", False), ("rocket://u:p@127.0.0.1/room", True)],
)
def test_mails_are_not_spaced_out_and_other_services_limits_are_kept(tmp_path, url, is_paced):
    (tmp_path / "channel.url").write_text(url)
    channel = AppriseChannel.model_validate({"type": "apprise", "url_file": tmp_path / "channel.url"})
    (service,) = AppriseSender(channel)._apprise
    assert (service.request_rate_per_sec > 0) is is_paced
