"""The HTTP Data Collector API: named errors, signatures, limits, columns, and posts that come twice."""

import gzip
import os
import zlib
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.errors import Category, OmsError
from shared.loganalytics.ingestion.collector import MAX_POST_BYTES, Post
from shared.loganalytics.logstore.errors import CommitUnresolved, TailLimitExceeded
from tests.ingestion.world import CLOSED, CONTOSO, FABRIKAM, KEYS, NOON, World, key


@pytest.fixture
def world() -> World:
    return World()


def refused(world: World, post: Post) -> OmsError:
    before = world.stored()
    with pytest.raises(OmsError) as error:
        world.collector.take(post)
    assert world.stored() == before
    return error.value


def test_a_post_becomes_records_with_the_columns_that_the_service_sets(world: World):
    world.send(
        [{"message": "up", "load": 0.5}],
        headers={"x-ms-azureresourceid": "/subscriptions/ABC/resourceGroups/G"},
    )
    (row,) = world.rows("App_CL")
    assert row.pop("_BilledSize") > 0
    assert row == {
        "TenantId": CONTOSO,
        "Type": "App_CL",
        "SourceSystem": "RestAPI",
        "TimeGenerated": "2026-11-22T12:00:00Z",
        "_ResourceId": "/subscriptions/abc/resourcegroups/g",
        "_SubscriptionId": "abc",
        "_IsBillable": "True",
        "message_s": "up",
        "load_d": 0.5,
    }
    assert world.rows("App_CL", FABRIKAM) == []


def test_either_key_signs(world: World):
    world.send([{"a": 1}])
    world.send([{"a": 2}], key=KEYS.secondary)
    assert [row["a_d"] for row in world.rows("App_CL")] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("code", "category", "change"),
    [
        ("MissingApiVersion", Category.INVALID, {"api_version": ""}),
        ("InvalidApiVersion", Category.INVALID, {"api_version": "2015-01-01"}),
        ("MissingContentType", Category.INVALID, {"headers": {"content-type": None}}),
        ("UnsupportedContentType", Category.INVALID, {"headers": {"content-type": "text/plain"}}),
        ("MissingLogType", Category.INVALID, {"headers": {"log-type": None}}),
        ("InvalidLogType", Category.INVALID, {"headers": {"log-type": "My-Log"}}),
        ("InvalidLogType", Category.INVALID, {"headers": {"log-type": "x" * 101}}),
        ("InvalidCustomerId", Category.INVALID, {"workspace": "contoso"}),
        ("InvalidCustomerId", Category.INVALID, {"workspace": "99999999-9999-4999-8999-999999999999"}),
        ("InactiveCustomer", Category.INVALID, {"workspace": CLOSED}),
        ("InvalidAuthorization", Category.FORBIDDEN, {"headers": {"authorization": None}}),
        ("InvalidAuthorization", Category.FORBIDDEN, {"headers": {"authorization": "Bearer x"}}),
        (
            "InvalidAuthorization",
            Category.FORBIDDEN,
            {"headers": {"authorization": f"SharedKey {CONTOSO}:%%%"}},
        ),
        ("InvalidAuthorization", Category.FORBIDDEN, {"headers": {"x-ms-date": None}}),
        ("InvalidAuthorization", Category.FORBIDDEN, {"headers": {"x-ms-date": "yesterday"}}),
        ("InvalidAuthorization", Category.FORBIDDEN, {"key": key("c")}),
        ("InvalidDataFormat", Category.INVALID, {"body": b"[{"}),
        ("InvalidDataFormat", Category.INVALID, {"body": b""}),
        ("InvalidDataFormat", Category.INVALID, {"body": b'[{"a":NaN}]'}),
        ("InvalidDataFormat", Category.INVALID, {"body": b'"text"'}),
        ("InvalidDataFormat", Category.INVALID, {"body": b'[{"a":"\xff"}]'}),
        ("InvalidDataFormat", Category.INVALID, {"body": b'[{"a":1},2]'}),
        ("InvalidDataFormat", Category.INVALID, {"body": b'[{"tenant":1}]'}),
        ("InvalidDataFormat", Category.INVALID, {"headers": {"content-encoding": "br"}}),
        ("InvalidDataFormat", Category.INVALID, {"headers": {"content-encoding": "gzip"}}),
        ("NotFound", Category.NOT_FOUND, {"body": b" " * (MAX_POST_BYTES + 1)}),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(
    world: World, code: str, category: Category, change: dict[str, Any]
):
    change = dict(change)
    body = change.pop("body", [{"a": 1}])
    error = refused(world, world.post(body, **change))
    assert (error.code, error.category) == (code, category)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_date_more_than_15_minutes_off_is_refused(world: World, minutes: int):
    date = format_datetime(NOON + timedelta(minutes=minutes), usegmt=True)
    assert refused(world, world.post([{"a": 1}], date=date)).code == "InvalidAuthorization"


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_date_less_than_15_minutes_off_is_accepted(world: World, minutes: int):
    world.send([{"a": 1}], date=format_datetime(NOON + timedelta(minutes=minutes), usegmt=True))
    assert len(world.rows("App_CL")) == 1


def test_the_workspace_of_the_address_is_that_of_the_signature(world: World):
    world.send([{"a": 1}], address=CONTOSO)
    error = refused(world, world.post([{"a": 2}], address=FABRIKAM))
    assert error.code == "InvalidAuthorization"


def test_a_charset_in_the_content_type_is_fine(world: World):
    world.send([{"a": 1}], headers={"content-type": "application/json; charset=utf-8"})
    assert len(world.rows("App_CL")) == 1


def bare_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


def zlib_deflate(data: bytes) -> bytes:
    return zlib.compress(data)


def packed_gzip(data: bytes) -> bytes:
    return gzip.compress(data)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", packed_gzip),
        ("deflate", zlib_deflate),
        ("deflate", bare_deflate),
    ],
)
def test_packed_bodies_are_unpacked(world: World, encoding: str, pack: Callable[[bytes], bytes]):
    world.send(pack(b'[{"a":1}]'), headers={"content-encoding": encoding})
    assert [row["a_d"] for row in world.rows("App_CL")] == [1.0]


def test_a_packed_body_that_unpacks_to_more_than_30_mb_is_refused(world: World):
    bomb = gzip.compress(b"[" + b" " * (2 * MAX_POST_BYTES) + b"]")
    assert (
        refused(world, world.post(bomb, headers={"content-encoding": "gzip"})).category is Category.NOT_FOUND
    )


def test_the_same_post_twice_is_one_record(world: World):
    post = world.post([{"a": 1}])
    world.collector.take(post)
    world.collector.take(post)
    assert len(world.rows("App_CL")) == 1


def test_two_bodies_of_equal_length_in_one_second_are_both_kept(world: World):
    first, second = world.post([{"a": 1}]), world.post([{"a": 2}])
    assert first.headers["authorization"] == second.headers["authorization"]
    world.collector.take(first)
    world.collector.take(second)
    assert sorted(row["a_d"] for row in world.rows("App_CL")) == [1.0, 2.0]


def test_one_body_for_two_tables_in_one_second_is_kept_in_both(world: World):
    world.send([{"a": 1}])
    world.send([{"a": 1}], headers={"log-type": "Other"})
    assert len(world.rows("App_CL")) == len(world.rows("Other_CL")) == 1


def test_the_same_body_a_second_later_is_another_record(world: World):
    world.send([{"a": 1}])
    world.clock.advance(1)
    world.send([{"a": 1}])
    assert len(world.rows("App_CL")) == 2


@pytest.mark.parametrize(
    "trouble", [TailLimitExceeded("later", retry_after=30), CommitUnresolved("who knows")]
)
def test_a_post_that_was_put_off_is_taken_when_it_comes_again(world: World, trouble: OmsError):
    post = world.post([{"a": 1}])
    world.gate.refuses = trouble
    with pytest.raises(type(trouble)):
        world.collector.take(post)
    world.gate.refuses = None
    world.collector.take(post)
    world.collector.take(post)
    assert len(world.rows("App_CL")) == 1


def test_an_empty_array_is_taken_and_is_nothing(world: World):
    world.send([])
    assert world.stored() == []


def test_the_time_field_is_believed_for_two_days(world: World):
    world.send(
        [{"at": "2026-11-21T12:00:00.1234567Z"}, {"at": "2026-11-19T12:00:00Z"}],
        headers={"time-generated-field": "at"},
    )
    assert [row["TimeGenerated"] for row in world.rows("App_CL")] == [
        "2026-11-21T12:00:00.1234567Z",
        "2026-11-22T12:00:00Z",
    ]


def test_mixed_values_come_out_of_the_columns_they_went_into(world: World):
    world.send([{"v": 1}, {"v": "x"}, {"v": True}, {"v": {"a": [1]}}, {"v": None}, {"v": 1.5}])
    rows = [{k: v for k, v in row.items() if k.startswith("v_")} for row in world.rows("App_CL")]
    assert rows == [{"v_d": 1.0}, {"v_s": "x"}, {"v_b": True}, {"v_s": '{"a":[1]}'}, {}, {"v_d": 1.5}]


def test_texts_that_say_values_are_stored_as_these(world: World):
    world.send(
        [{"n": 1, "b": True, "t": "2026-11-22T10:00:00Z", "g": "8145d822-13a7-44ad-859c-36f31a84f6dd"}]
    )
    world.clock.advance(1)
    world.send(
        [{"n": "2.5", "b": "false", "t": "2026-11-22 11:00:00", "g": "8145d82213a744ad859c36f31a84f6dd"}]
    )
    row = world.rows("App_CL")[1]
    assert (row["n_d"], row["b_b"], row["t_t"]) == (2.5, False, "2026-11-22T11:00:00Z")
    assert row["g_g"] == "8145d822-13a7-44ad-859c-36f31a84f6dd"


bodies = st.binary(max_size=60) | st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
).map(lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) if _fits(value) else b"")


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True


@settings(deadline=None, max_examples=40)
@given(bodies)
def test_any_body_is_either_kept_whole_or_refused_by_name_without_a_trace(body: bytes):
    world = World()
    post = world.post(body)
    try:
        world.collector.take(post)
    except OmsError as error:
        assert error.code == "InvalidDataFormat"  # noqa: PT017 - either outcome is right
        assert world.stored() == []
    else:
        value: list[Any] | dict[str, Any] = orjson.loads(body)
        assert len(world.rows("App_CL")) == (len(value) if isinstance(value, list) else 1)


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30)
            for name in (
                "authorization",
                "x-ms-date",
                "content-type",
                "log-type",
                "content-encoding",
                "time-generated-field",
                "x-ms-azureresourceid",
            )
        },
    )
)
def test_any_header_is_either_accepted_or_refused_by_name(headers: dict[str, str]):
    world = World()
    try:
        world.send([{"a": 1}], headers=headers)
    except OmsError as error:
        assert error.code.startswith(("Invalid", "Missing", "Unsupported"))  # noqa: PT017 - either outcome is right
        assert world.stored() == []
    else:
        assert len([row for row in world.stored() if row.startswith("b|")]) == 1


if "OMS_SHARED" in os.environ:

    def test_the_wide_mixed_records_of_real_machines_come_out_of_the_store_with_every_value(world: World):
        packed = (Path(os.environ["OMS_SHARED"]) / "logstore/security_events.ndjson.gz").read_bytes()
        records = [orjson.loads(line) for line in gzip.decompress(packed).splitlines()]
        for start in range(0, len(records), 300):
            world.send(records[start : start + 300])
        rows = world.rows("App_CL")
        assert len(rows) == len(records)
        sent = sum(value not in (None, "") for record in records for value in record.values())
        assert sum(name[-2:-1] == "_" for row in rows for name in row) == sent
