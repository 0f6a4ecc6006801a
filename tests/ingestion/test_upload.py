"""The Logs Ingestion API: rules, streams, named errors, limits, coercion, and uploads that come twice."""

import gzip
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.errors import Category, OmsError
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion.ports import RuleDocument
from shared.loganalytics.ingestion.upload import MAX_UPLOAD_BYTES
from shared.loganalytics.logstore.errors import TailLimitExceeded
from shared.loganalytics.logstore.model import WorkspaceId
from tests.ingestion.world import CONTOSO, DEFAULT_RULE, FABRIKAM, STRANGER, World

MADE_RULE = "dcr-0123456789abcdef0123456789abcdef"
UNKNOWN_RULE = "dcr-" + "0" * 32


@pytest.fixture
def world() -> World:
    return World()


def make_rule(
    world: World,
    *,
    transform: str | None = "source",
    output: str | None = "Custom-Out_CL",
    to: WorkspaceId = FABRIKAM,
    column_type: str = "int",
) -> None:
    """A rule that takes Custom-In with the columns a, b and drops nothing on the way."""
    flow: dict[str, Any] = {"streams": ["Custom-In"], "destinations": ["there"]}
    flow |= {} if transform is None else {"transformKql": transform}
    flow |= {} if output is None else {"outputStream": output}
    world.directory.rules[MADE_RULE] = RuleDocument(
        immutable_id=MADE_RULE,
        resource_id="/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/made",
        properties={
            "streamDeclarations": {
                "Custom-In": {
                    "columns": [
                        {"name": "TimeGenerated", "type": "datetime"},
                        {"name": "a", "type": column_type},
                        {"name": "b", "type": "string"},
                    ]
                }
            },
            "destinations": {
                "logAnalytics": [
                    {
                        "name": "there",
                        "workspaceResourceId": world.directory.workspaces[to].resource_id.upper(),
                    }
                ]
            },
            "dataFlows": [flow],
        },
    )


def refused(world: World, body: Any, **change: Any) -> OmsError:
    before = world.stored()
    with pytest.raises(OmsError) as error:
        world.upload(body, **change)
    assert world.stored() == before
    return error.value


def test_the_default_rule_takes_every_standard_table(world: World):
    world.upload(
        [
            {
                "TimeGenerated": "2026-11-22T10:00:00.1234567Z",
                "Computer": "web01",
                "ComputerPrivateIPs": ["10.0.0.1"],
                "RemoteIPLatitude": "51.5",
                "SourceSystem": "Linux",
                "_ResourceId": "/subscriptions/s",
                "TenantId": "forged",
                "Type": "Forged",
                "Nonsense": 1,
            }
        ]
    )
    (row,) = world.rows("Heartbeat")
    row.pop("_BilledSize")
    assert row == {
        "TimeGenerated": "2026-11-22T10:00:00.1234567Z",
        "TenantId": CONTOSO,
        "Type": "Heartbeat",
        "SourceSystem": "Linux",
        "Computer": "web01",
        "ComputerPrivateIPs": '["10.0.0.1"]',
        "RemoteIPLatitude": 51.5,
        "_ResourceId": "/subscriptions/s",
        "_SubscriptionId": "s",
        "_IsBillable": "False",
    }


def test_the_default_rule_takes_custom_tables_that_are_there(world: World):
    world.tables.create(
        CONTOSO, "My_CL", [Column(name="Msg", type=KqlType.STRING), Column(name="N", type=KqlType.LONG)]
    )
    world.upload([{"Msg": "hello", "N": 7}, {"N": "8", "Msg": None}], stream="Custom-My_CL")
    assert [(row.get("Msg"), row.get("N")) for row in world.rows("My_CL")] == [("hello", 7), (None, 8)]


def test_a_record_without_a_time_has_that_of_its_receipt(world: World):
    world.upload([{"Computer": "a"}, {"Computer": "b", "TimeGenerated": "nonsense"}])
    assert {row["TimeGenerated"] for row in world.rows("Heartbeat")} == {"2026-11-22T12:00:00Z"}


@pytest.mark.parametrize(
    "stream",
    [
        "Microsoft-Nope",
        "Custom-Nope_CL",
        "Custom-Heartbeat",
        "Microsoft-My_CL",
        "Heartbeat",
        "Custom-",
        "Custom-../x",
    ],
)
def test_an_unknown_stream_is_refused_by_name(world: World, stream: str):
    world.tables.create(CONTOSO, "My_CL", [])
    error = refused(world, [{"a": 1}], stream=stream)
    assert (error.code, error.category, error.target) == ("InvalidStream", Category.INVALID, stream)


@pytest.mark.parametrize("rule", [UNKNOWN_RULE, "dcr-x", "westeurope", "dcr-" + "g" * 32])
def test_an_unknown_rule_is_refused_by_name(world: World, rule: str):
    error = refused(world, [{"a": 1}], rule=rule)
    assert (error.code, error.category) == ("NotFound", Category.NOT_FOUND)
    assert error.message == f"Data collection rule with immutable Id '{rule}' not found."


def test_a_caller_without_the_role_on_the_rule_is_refused(world: World):
    error = refused(world, [{"a": 1}], principal=STRANGER)
    assert (error.code, error.category) == ("OperationFailed", Category.FORBIDDEN)


@pytest.mark.parametrize("version", ["2021-11-01-preview", "2022-06-01", "2023-01-01"])
def test_all_versions_of_the_api_are_taken(world: World, version: str):
    world.upload([{"Computer": "a"}], api_version=version)
    assert len(world.rows("Heartbeat")) == 1


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("MissingApiVersionParameter", {"api_version": ""}),
        ("InvalidApiVersionParameter", {"api_version": "latest"}),
        ("InvalidRequestPayload", {"body": b""}),
        ("InvalidRequestPayload", {"body": b"{"}),
        ("InvalidRequestPayload", {"body": b'{"a":1}'}),
        ("InvalidRequestPayload", {"body": b"[1]"}),
        ("InvalidRequestPayload", {"body": b'[{"a":1},null]'}),
        ("InvalidRequestPayload", {"body": b"[{}]", "headers": {"content-encoding": "gzip"}}),
        (
            "InvalidRequestPayload",
            {"body": gzip.compress(b"[{}]")[:-4], "headers": {"content-encoding": "gzip"}},
        ),
        ("UnsupportedContentEncoding", {"headers": {"content-encoding": "zstd"}}),
        ("ContentLengthLimitExceeded", {"body": b"[" + b" " * MAX_UPLOAD_BYTES + b"]"}),
        (
            "ContentLengthLimitExceeded",
            {"body": gzip.compress(b"[" + b" " * 10**8 + b"]"), "headers": {"content-encoding": "gzip"}},
        ),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(world: World, code: str, change: dict[str, Any]):
    assert refused(world, **{"body": [{"Computer": "a"}], **change}).code == code


def test_exactly_one_megabyte_is_taken_and_a_byte_more_is_too_large(world: World):
    fits = b'[{"Computer":"' + b"x" * (MAX_UPLOAD_BYTES - 17) + b'"}]'
    assert len(fits) == MAX_UPLOAD_BYTES
    world.upload(fits)
    error = refused(world, fits + b" ")
    assert error.category is Category.TOO_LARGE
    assert (
        error.message
        == f"Maximum allowed content length: 1048576 bytes (1 MB). Provided content length: {MAX_UPLOAD_BYTES + 1} bytes."
    )


def test_a_packed_body_is_measured_as_the_clients_measure_it(world: World):
    many = [{"a": n} for n in range(80_000)]
    size = sum(len(json.dumps(each)) for each in many)
    while size <= MAX_UPLOAD_BYTES:
        many.append({"a": 0})
        size += len(json.dumps(many[-1]))
    headers = {"content-encoding": "gzip"}
    world.upload(gzip.compress(json.dumps(many[:-1]).encode()), headers=headers)
    assert (
        refused(world, gzip.compress(json.dumps(many).encode()), headers=headers).code
        == "ContentLengthLimitExceeded"
    )


def test_an_empty_array_is_taken_and_is_nothing(world: World):
    world.upload([])
    assert world.stored() == []


def test_a_rule_leads_a_stream_to_its_output_table_and_drops_what_is_not_declared(world: World):
    world.tables.create(
        FABRIKAM,
        "Out_CL",
        [
            Column(name="a", type=KqlType.INT),
            Column(name="b", type=KqlType.STRING),
            Column(name="c", type=KqlType.STRING),
        ],
    )
    make_rule(world)
    world.upload([{"a": "5", "b": 6, "c": "not declared"}], stream="Custom-In", rule=MADE_RULE)
    (row,) = world.rows("Out_CL", FABRIKAM)
    assert (row["a"], row["b"], row.get("c")) == (5, "6", None)
    assert world.tables.schema(CONTOSO, "Out_CL") is None


@pytest.mark.parametrize("transform", [None, "", "source", " Source ; "])
def test_a_rule_may_pass_its_source_on_unchanged(world: World, transform: str | None):
    world.tables.create(FABRIKAM, "Out_CL", [Column(name="a", type=KqlType.INT)])
    make_rule(world, transform=transform)
    world.upload([{"a": 1}], stream="Custom-In", rule=MADE_RULE)
    assert len(world.rows("Out_CL", FABRIKAM)) == 1


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("InvalidTransformQuery", {"transform": "source | whre a > 1"}),
        ("InvalidTransformQuery", {"transform": "source | where nope > 1"}),
        ("InvalidTransformQuery", {"transform": "Heartbeat"}),
        ("InvalidTransformQuery", {"transform": "workspace('x').source"}),
        ("InvalidStream", {"output": "Custom-Gone_CL"}),
        ("InvalidStream", {"output": None}),
        ("InvalidDataCollectionRule", {"column_type": "blob"}),
    ],
)
def test_a_rule_that_cannot_be_followed_says_so(world: World, code: str, change: dict[str, Any]):
    world.tables.create(FABRIKAM, "Out_CL", [Column(name="a", type=KqlType.INT)])
    make_rule(world, **change)
    assert refused(world, [{"a": 1}], stream="Custom-In", rule=MADE_RULE).code == code


def test_a_rules_transformation_filters_computes_and_renames(world: World):
    world.tables.create(
        FABRIKAM,
        "Out_CL",
        [
            Column(name="Double", type=KqlType.LONG),
            Column(name="Text", type=KqlType.STRING),
            Column(name="Bag", type=KqlType.DYNAMIC),
        ],
    )
    make_rule(
        world,
        transform="source | where a > 1 | project TimeGenerated, Double = a * 2, Text = toupper(b), Bag = pack('k', a), Gone = 1",
    )
    records = [{"a": n, "b": "it's", "TimeGenerated": f"2026-11-22T10:00:0{n}.1234567Z"} for n in range(4)]
    world.upload(records, stream="Custom-In", rule=MADE_RULE, headers={"x-ms-client-request-id": "1"})
    world.upload(records, stream="Custom-In", rule=MADE_RULE, headers={"x-ms-client-request-id": "1"})
    assert [
        (row["TimeGenerated"], row["Double"], row["Text"], row["Bag"])
        for row in world.rows("Out_CL", FABRIKAM)
    ] == [
        ("2026-11-22T10:00:02.1234567Z", 4, "IT'S", '{"k":2}'),
        ("2026-11-22T10:00:03.1234567Z", 6, "IT'S", '{"k":3}'),
    ]


def test_a_transformation_that_keeps_nothing_writes_nothing(world: World):
    world.tables.create(FABRIKAM, "Out_CL", [Column(name="a", type=KqlType.INT)])
    make_rule(world, transform="source | where a > 100")
    before = world.stored()
    world.upload([{"a": 1}], stream="Custom-In", rule=MADE_RULE)
    assert world.stored() == before


def test_a_stream_that_a_made_rule_does_not_have_is_refused(world: World):
    make_rule(world)
    for stream in ("Microsoft-Heartbeat", "Custom-Out_CL"):
        assert refused(world, [{"a": 1}], stream=stream, rule=MADE_RULE).code == "InvalidStream"


def test_the_same_upload_twice_is_one_record(world: World):
    headers = {"x-ms-client-request-id": "6c87aece-e6af-11f1-a18a-02fc00000001"}
    world.upload([{"Computer": "a"}], headers=headers)
    world.upload([{"Computer": "a"}], headers=headers)
    assert len(world.rows("Heartbeat")) == 1


def test_two_chunks_under_one_request_id_are_both_kept(world: World):
    headers = {"x-ms-client-request-id": "one"}
    world.upload([{"Computer": "a"}], headers=headers)
    world.upload([{"Computer": "b"}], headers=headers)
    assert len(world.rows("Heartbeat")) == 2


def test_back_pressure_reaches_the_sender(world: World):
    world.gate.refuses = TailLimitExceeded("later", retry_after=30)
    error = refused(world, [{"Computer": "a"}])
    assert (error.category, error.retry_after) == (Category.THROTTLED, 30)


def test_a_rules_workspace_is_the_only_one_that_gets_its_records(world: World):
    world.upload([{"Computer": "a"}], rule=DEFAULT_RULE)
    world.upload([{"Computer": "b"}], rule=f"dcr-{FABRIKAM.replace('-', '')}")
    assert [row["Computer"] for row in world.rows("Heartbeat", CONTOSO)] == ["a"]
    assert [row["Computer"] for row in world.rows("Heartbeat", FABRIKAM)] == ["b"]


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=80), st.sampled_from(["", "gzip", "deflate"]))
def test_any_bytes_are_either_kept_whole_or_refused_by_name_without_a_trace(body: bytes, encoding: str):
    world = World()
    try:
        world.upload(body, headers={"content-encoding": encoding})
    except OmsError as error:
        assert error.code == "InvalidRequestPayload"  # noqa: PT017 - either outcome is right
        assert world.stored() == []
    else:
        assert len(world.rows("Heartbeat")) == len(orjson.loads(body))
