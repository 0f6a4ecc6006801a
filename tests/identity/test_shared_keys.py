"""Signatures of the Data Collector, the OMS agent and registrations, with either key and a clock that may be off."""

import base64
from datetime import timedelta
from email.utils import format_datetime

import pytest

from shared.identity.shared_keys import (
    InvalidSignature,
    KeyPair,
    agent_signature,
    check_agent,
    check_data_collector,
    check_registration,
    content_hash,
    data_collector_signature,
    new_key,
    parse_agent_authorization,
    parse_shared_key,
    registration_signature,
)
from shared.kernel.clock import ManualClock

KEYS = KeyPair(primary=new_key(bytes(range(64))), secondary=new_key(bytes(range(64, 128))))
BODY = b'[{"a":1}]'


def test_a_key_is_64_bytes_in_base64():
    assert len(base64.b64decode(KEYS.primary)) == 64


def test_the_collectors_signature_is_the_one_microsoft_documents():
    # The string to sign of learn.microsoft.com/azure/azure-monitor/logs/data-collector-api, signed independently with openssl.
    signature = data_collector_signature(
        KEYS.primary,
        length=1024,
        content_type="application/json",
        date="Mon, 04 Apr 2016 08:00:00 GMT",
    )
    assert signature == "kQfMluP3yBFQzfwH0Ye5adOjNq2FCEIWGh0n4uEtCrg="


@pytest.mark.parametrize("key", [KEYS.primary, KEYS.secondary])
def test_either_key_signs_for_the_collector(key: str, clock: ManualClock):
    date = format_datetime(clock.now(), usegmt=True)
    signature = data_collector_signature(key, length=9, content_type="application/json", date=date)
    check_data_collector(
        KEYS, signature, length=9, content_type="application/json; charset=utf-8", date=date, now=clock.now()
    )


@pytest.mark.parametrize(
    "change", [{"length": 10}, {"date": "Mon, 04 Apr 2016 08:00:00 GMT"}, {"resource": "/api/other"}]
)
def test_a_signature_over_anything_else_is_refused(change: dict[str, object], clock: ManualClock):
    date = format_datetime(clock.now(), usegmt=True)
    signature = data_collector_signature(KEYS.primary, length=9, content_type="application/json", date=date)
    asked: dict[str, object] = {"length": 9, "content_type": "application/json", "date": date} | change
    with pytest.raises(InvalidSignature):
        check_data_collector(KEYS, signature, now=clock.now(), **asked)  # pyright: ignore[reportArgumentType] - by case


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_that_is_off_by_14_minutes_is_forgiven(minutes: int, clock: ManualClock):
    date = format_datetime(clock.now() + timedelta(minutes=minutes), usegmt=True)
    signature = data_collector_signature(KEYS.primary, length=9, content_type="application/json", date=date)
    check_data_collector(
        KEYS, signature, length=9, content_type="application/json", date=date, now=clock.now()
    )


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off_by_16_minutes_is_named(minutes: int, clock: ManualClock):
    date = format_datetime(clock.now() + timedelta(minutes=minutes), usegmt=True)
    signature = data_collector_signature(KEYS.primary, length=9, content_type="application/json", date=date)
    with pytest.raises(InvalidSignature, match="x-ms-date"):
        check_data_collector(
            KEYS, signature, length=9, content_type="application/json", date=date, now=clock.now()
        )


def test_the_agents_signature_holds_with_its_nine_digit_date(clock: ManualClock):
    date = clock.now().strftime("%Y-%m-%dT%H:%M:%S.166990296+00:00")
    body_hash = content_hash(BODY)
    signature = agent_signature(KEYS.secondary, date=date, body_hash=body_hash)
    check_agent(KEYS, signature, body=BODY, sent_hash=body_hash, date=date, now=clock.now())


def test_an_agents_signature_over_another_body_is_refused(clock: ManualClock):
    date = clock.now().isoformat()
    body_hash = content_hash(BODY)
    signature = agent_signature(KEYS.primary, date=date, body_hash=body_hash)
    with pytest.raises(InvalidSignature, match="hash"):
        check_agent(KEYS, signature, body=BODY + b" ", sent_hash=body_hash, date=date, now=clock.now())


def test_a_registration_is_signed_with_the_key_as_text(clock: ManualClock):
    date = clock.now().strftime("%Y-%m-%dT%H:%M:%S.4424255Z")
    signature = registration_signature(KEYS.primary, body=BODY, date=date)
    check_registration(
        [KEYS.secondary, KEYS.primary], f"Shared {signature}", body=BODY, date=date, now=clock.now()
    )
    with pytest.raises(InvalidSignature):
        check_registration([KEYS.secondary], f"Shared {signature}", body=BODY, date=date, now=clock.now())


@pytest.mark.parametrize("header", ["", "SharedKey", "SharedKey abc", "SharedKey :x", "Bearer a:b"])
def test_a_malformed_shared_key_header_is_refused(header: str):
    with pytest.raises(InvalidSignature):
        parse_shared_key(header)


@pytest.mark.parametrize("signature", ["", "%%%", "AAAA", "é"])
def test_a_signature_that_is_not_one_is_refused(signature: str, clock: ManualClock):
    date = format_datetime(clock.now(), usegmt=True)
    with pytest.raises(InvalidSignature):
        check_data_collector(
            KEYS, signature, length=9, content_type="application/json", date=date, now=clock.now()
        )


def test_workspace_ids_in_headers_are_lower_cased():
    assert parse_shared_key("SharedKey ABC-1:c2ln")[0] == "abc-1"
    assert parse_agent_authorization("ABC-1; c2ln") == ("abc-1", "c2ln")


def test_keys_do_not_show_in_a_repr():
    assert KEYS.primary not in repr(KEYS)
