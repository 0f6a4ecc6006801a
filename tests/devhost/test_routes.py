"""Route templates: what ASP.NET matches, and which of several."""

from collections.abc import Mapping

import pytest

from devhost.routes import Found, RouteTable, TemplateInvalid, WrongMethod, compile_route, split_path


def match(template: str, path: str) -> Mapping[str, str] | None:
    found = RouteTable([compile_route(template, ["GET"], template)]).find("GET", path)
    return found.values if isinstance(found, Found) else None


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("", "/", {}),
        ("health", "/health", {}),
        ("health", "/HEALTH/", {}),
        ("Health", "/health", {}),
        ("items/{id}", "/items/7", {"id": "7"}),
        ("items/{Id}", "/Items/A%20b", {"Id": "A b"}),
        ("items/{id}", "/items/a%2Fb", {"id": "a%2Fb"}),
        ("items/{id?}", "/items", {}),
        ("items/{id=3}", "/items", {"id": "3"}),
        ("items/{id=3}", "/items/4", {"id": "4"}),
        ("items/{id:int?}", "/items/", {}),
        ("items/{id:int}", "/items/-12", {"id": "-12"}),
        ("a/{*rest}", "/a/b/c%20d/e", {"rest": "b/c d/e"}),
        ("a/{*rest}", "/a", {}),
        ("a/{**rest}", "/a/b/c", {"rest": "b/c"}),
        ("{*rest}", "/", {}),
        ("a/{*rest=home}", "/a", {"rest": "home"}),
        ("files/{name}.{ext}", "/files/a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("files/{name}.{ext?}", "/files/readme", {"name": "readme"}),
        ("v{version:int}/x", "/v12/x", {"version": "12"}),
        (
            "subscriptions/{s}/resourceGroups/{g}",
            "/Subscriptions/1/resourcegroups/My-Rg",
            {"s": "1", "g": "My-Rg"},
        ),
        ("vaults('{id}')", "/vaults('7')", {"id": "7"}),
        ("{n:range(1,5)}", "/5", {"n": "5"}),
        ("{n:min(2)}", "/2", {"n": "2"}),
        ("{n:max(2)}", "/2", {"n": "2"}),
        ("{w:length(3)}", "/abc", {"w": "abc"}),
        ("{w:length(1,3)}", "/ab", {"w": "ab"}),
        ("{w:alpha:minlength(2)}", "/ab", {"w": "ab"}),
        ("{g:guid}", "/6f6d7300-0000-5000-8000-000000000000", {"g": "6f6d7300-0000-5000-8000-000000000000"}),
        ("{w:regex(^a\\d{{2}}$)}", "/A12", {"w": "A12"}),
        ("{b:bool}", "/True", {"b": "True"}),
        ("{d:datetime}", "/2026-03-04", {"d": "2026-03-04"}),
        ("{x:double}", "/1.5e3", {"x": "1.5e3"}),
        ("{f:file}", "/a.txt", {"f": "a.txt"}),
        ("{f:nonfile}", "/a", {"f": "a"}),
        ("api/logs", "//api/logs", {}),
        ("api/logs", "/api//logs", {}),
        ("api/logs", "/%61pi/logs", {}),
        ("a/b", "/a/./x/../b", {}),
        ("a/b", "/a/x/%2e%2e/b", {}),
    ],
)
def test_a_path_that_fits_gives_its_values(template: str, path: str, values: Mapping[str, str]) -> None:
    assert match(template, path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("", "/x"),
        ("health", "/healthy"),
        ("items/{id}", "/items"),
        ("items/{id}", "/items/7/8"),
        ("items/{id:int}", "/items/x"),
        ("items/{id:int}", "/items/2147483648"),
        ("items/{id:long}", "/items/9223372036854775808"),
        ("{n:range(1,5)}", "/6"),
        ("{w:length(1,3)}", "/abcd"),
        ("{w:alpha}", "/a1"),
        ("{g:guid}", "/6f6d7300"),
        ("{b:bool}", "/yes"),
        ("{f:file}", "/a"),
        ("{f:nonfile}", "/a.txt"),
        ("v{version:int}/x", "/vx/x"),
        ("a/{*rest:int}", "/a/b"),
    ],
)
def test_a_path_that_does_not_fit_is_left_alone(template: str, path: str) -> None:
    assert match(template, path) is None


@pytest.mark.parametrize(
    "template",
    ["a//b", "{id", "{}", "{id:odd}", "{*rest}/a", "a{*rest}", "{id:range(a,b)}", "{id?}x", "{w:regex([)}"],
)
def test_a_template_that_asp_net_refuses_is_refused(template: str) -> None:
    with pytest.raises(TemplateInvalid):
        compile_route(template, [], None)


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/a/b", "a/b"),
        ("/a/5", "a/{id:int}"),
        ("/a/x", "a/{name}"),
        ("/a/f.txt", "a/{name}.{ext}"),
        ("/a/x/y", "a/{*rest}"),
        ("/z", "{*all}"),
        ("/", "{*all}"),
    ],
)
def test_the_more_literal_route_wins(path: str, winner: str) -> None:
    templates = ["{*all}", "a/{*rest}", "a/{name}", "a/{name}.{ext}", "a/{id:int}", "a/b"]
    found = RouteTable([compile_route(each, [], each) for each in templates]).find("GET", path)
    assert isinstance(found, Found)
    assert found.target == winner


def test_a_method_may_choose_a_less_literal_route() -> None:
    table = RouteTable(
        [compile_route("a/b", ["GET"], "literal"), compile_route("a/{x}", ["PUT"], "parameter")]
    )
    found = table.find("PUT", "/a/b")
    assert isinstance(found, Found)
    assert (found.target, found.values) == ("parameter", {"x": "b"})


def test_a_known_path_with_another_method_names_the_methods_it_takes() -> None:
    table = RouteTable([compile_route("a/b", ["GET", "PUT"], 1), compile_route("a/{x}", ["POST"], 2)])
    assert table.find("DELETE", "/a/b") == WrongMethod(allowed=["GET", "POST", "PUT"])


def test_strangers_do_not_fill_the_memory_of_a_table() -> None:
    table = RouteTable([compile_route("a/{x}", [], 1), compile_route("{*rest}", [], 2)])
    for n in range(100):
        table.find("GET", f"/stranger{n}/x")
    table.find("GET", "/a/1")
    assert table.remembered == 1


def test_dot_segments_do_not_climb_above_the_root() -> None:
    assert split_path("/../../etc/passwd") == ["etc", "passwd"]
