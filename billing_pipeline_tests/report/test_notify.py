"""Sending: to a real SMTP server and a real webhook; what refuses is named, and no secret is shown anywhere."""

from __future__ import annotations

import logging
import traceback

import pytest

from billing_pipeline.report.alert_text import Alert
from billing_pipeline.report.notify import AlertNotSent, AlertTargetsInvalid, Notifier
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.support.receivers import mail_server, webhook

ALERT = Alert("Billing 2026-10: 1 customer is not delivered", "Kunde Müller: <b>9 < 10</b> & 5 €\nline two\n")
NOBODY = "json://127.0.0.1:1/services/t0ken-canary"


def test_an_e_mail_arrives_once_at_each_address_with_its_text_as_it_was() -> None:
    with mail_server() as received:
        assert Notifier([received.url]).send(ALERT) == []
    assert received.titles == [ALERT.title] * len(received.titles)
    assert sorted(address for addresses in received.recipients for address in addresses) == [
        "accountant@example.com",
        "operations@example.com",
    ]
    assert "Kunde Müller: <b>9 < 10</b> & 5 €" in received.bodies[0]


def test_a_webhook_is_called_once() -> None:
    with webhook() as received:
        assert Notifier([received.url]).send(ALERT) == []
    assert (received.titles, received.bodies) == ([ALERT.title], [ALERT.body.rstrip()])


def test_a_target_that_refuses_is_named_and_the_others_are_told_once() -> None:
    with mail_server() as mail, webhook() as hook:
        mail.refuses = True
        assert Notifier([mail.url, hook.url]).send(ALERT) == ["alert target 1 (E-Mail)"]
    assert hook.titles == [ALERT.title]


def test_where_no_target_takes_it_the_alert_is_not_sent() -> None:
    with pytest.raises(AlertNotSent, match=r"alert target 1 \(JSON\)"):
        Notifier([NOBODY]).send(ALERT)
    with pytest.raises(AlertNotSent):
        Notifier([]).send(ALERT)


def test_a_url_that_apprise_does_not_know_is_refused_before_anything_is_sent() -> None:
    with webhook() as received, pytest.raises(AlertTargetsInvalid, match="URL 2 of 2") as refused:
        Notifier([received.url, "mailtoo://billing:p4ssword-canary@example.com"]).send(ALERT)
    assert received.titles == []
    assert "canary" not in str(refused.value)


def test_no_secret_is_logged_or_in_a_traceback_even_at_the_lowest_level(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    logging.getLogger("apprise").setLevel(1)
    seen = []
    with mail_server() as mail, webhook() as hook:
        no_server = "mailto://billing:p4ssword-canary@127.0.0.1:1?from=a@example.com&to=b@example.com"
        for urls in ([mail.url, hook.url], [no_server], [NOBODY], ["jsons:/none/t0ken-canary"]):
            notifier = Notifier(urls)
            seen.append(repr(notifier))
            try:
                notifier.send(ALERT)
            except (AlertNotSent, AlertTargetsInvalid):
                seen.append(traceback.format_exc())
        assert mail.titles
        assert hook.titles
    assert len(seen) == 7
    assert "canary" not in "".join([*seen, caplog.text, *capfd.readouterr()])


def test_the_loggers_speak_again_afterwards() -> None:
    with webhook() as received:
        Notifier([received.url]).send(ALERT)
    assert not logging.getLogger("apprise").disabled
    assert not logging.getLogger("urllib3.connectionpool").disabled


def test_several_urls_are_one_setting_and_a_comma_between_addresses_is_the_urls_own() -> None:
    mail = "mailtos://u:p@mail.example.com?to=a@example.com,b@example.com"
    hook = "msteams://token/a/b/c"
    for separator in (",", " ", ", ", "\n"):
        settings = load_settings({"BILLING_ALERT_URLS": f"{mail}{separator}{hook}\n"})
        assert settings.alert_targets == (mail, hook)
    assert load_settings({}).alert_targets == ()
    assert "example.com" not in repr(settings)
