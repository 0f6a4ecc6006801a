"""From a request's body to the resource it asks for: tags, location, extra fields, preconditions and merge patches."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from shared.arm.declarations import Location, ResourceType
from shared.arm.requests import ArmRequest, InvalidRequestContent
from shared.arm.resource_ids import ResourceId
from shared.arm.resources import PreconditionFailed, Resource
from shared.kernel.errors import Category, OmsError

MAX_TAGS: Final = 50
MAX_TAG_NAME: Final = 512
MAX_TAG_VALUE: Final = 256
_LOCATION: Final = re.compile(r"[a-z0-9]{2,60}")


class LocationRequired(OmsError):
    code = "LocationRequired"


class LocationNotAvailable(OmsError):
    code = "LocationNotAvailableForResourceType"


class InvalidResourceLocation(OmsError):
    """A resource stays where it was made."""

    category = Category.CONFLICT
    code = "InvalidResourceLocation"


class InvalidTag(OmsError):
    code = "InvalidTagNameOrValue"


class InvalidResourceName(OmsError):
    code = "InvalidResourceName"


def asked(
    declared: ResourceType, resource_id: ResourceId, request: ArmRequest, known: Resource | None
) -> Resource:
    """What a PUT asks for, whole: what it leaves out is gone. ValidationError, and the errors above."""
    check_name(declared, resource_id)
    body = request.json()
    properties = _object(body, "properties")
    if declared.properties is not None:
        declared.properties.model_validate(properties)
    return Resource(
        id=resource_id,
        location=_location(declared, body, known),
        tags=tags_of(body.get("tags")),
        properties=properties,
        extra={name: body[name] for name in declared.extra if body.get(name) is not None},
        etag="" if known is None else known.etag,
    )


def patched(declared: ResourceType, request: ArmRequest, known: Resource) -> Resource:
    """What a PATCH asks for: RFC 7396 on the properties, tags replaced as a whole where they are named."""
    body = request.json()
    properties = cast("dict[str, Any]", merged(known.properties, _object(body, "properties")))
    if declared.properties is not None:
        declared.properties.model_validate(properties)
    extra = cast(
        "dict[str, Any]", merged(known.extra, {name: body[name] for name in declared.extra if name in body})
    )
    _location(declared, {"location": known.location} | body, known)
    return replace(
        known,
        tags=tags_of(body["tags"]) if "tags" in body else known.tags,
        properties=properties,
        extra=extra,
    )


def merged(known: object, patch: object) -> object:
    """RFC 7396: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result: dict[str, object] = (
        dict(cast("Mapping[str, object]", known)) if isinstance(known, Mapping) else {}
    )
    for name, value in cast("dict[str, object]", patch).items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def check_name(declared: ResourceType, resource_id: ResourceId) -> None:
    """InvalidResourceName."""
    name = resource_id.name
    if declared.name.fullmatch(name) is None or name.endswith(".") or name != name.strip():
        raise InvalidResourceName(
            f"The resource name '{name[:260]}' is invalid for {declared.type}.", target=name[:260]
        )


def check_conditions(
    request: ArmRequest, known: Resource | None, *, body_etag: bool = False, absent_fails: bool = True
) -> bool:
    """Whether the caller named the etag it read. PreconditionFailed where If-Match or If-None-Match does not hold."""
    none_match = request.headers.get("if-none-match", "")
    if none_match == "*" and known is not None:
        raise PreconditionFailed("the resource exists, and If-None-Match asked that it does not")
    if none_match not in ("", "*") and known is not None and _same_etag(none_match, known.etag):
        raise PreconditionFailed("the resource has the etag that If-None-Match names")
    wanted = request.headers.get("if-match", "")
    if not wanted and body_etag and request.body:
        wanted = str(request.json().get("etag") or "")
        if wanted and known is None:  # a body that was copied from an old answer may make the resource anew
            return False
    if not wanted:
        return False
    if known is None:
        if absent_fails:
            raise PreconditionFailed("the resource does not exist, and If-Match asked that it does")
        return False
    if wanted == "*":
        return False
    if not _same_etag(wanted, known.etag):
        raise PreconditionFailed("the resource has changed: its etag is not the one that If-Match names")
    return True


def tags_of(value: object) -> dict[str, str]:
    """InvalidTag."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidTag("tags is an object of strings", target="tags")
    tags = cast("dict[str, object]", value)
    if len(tags) > MAX_TAGS:
        raise InvalidTag(f"a resource has at most {MAX_TAGS} tags", target="tags")
    if len({name.lower() for name in tags}) != len(tags):
        raise InvalidTag("tag names differ in more than case", target="tags")
    found: dict[str, str] = {}
    for name, text in tags.items():
        if not name or len(name) > MAX_TAG_NAME or re.search(r"[<>%&\\?/]", name):
            raise InvalidTag(f"the tag name '{name[:60]}' is invalid", target="tags")
        if not isinstance(text, str) or len(text) > MAX_TAG_VALUE:
            raise InvalidTag(
                f"the value of the tag '{name[:60]}' is not a string of up to {MAX_TAG_VALUE}", target=name
            )
        found[name] = text
    return found


def normal_location(text: str) -> str:
    """`West Europe` is `westeurope`."""
    return text.replace(" ", "").lower()


def _location(declared: ResourceType, body: Mapping[str, Any], known: Resource | None) -> str | None:
    given: object = body.get("location")
    if declared.location is Location.NONE:
        return None
    if given is None or given == "":
        if known is not None:
            return known.location
        if declared.location is Location.REQUIRED:
            raise LocationRequired(
                "The location property is required for this definition.", target="location"
            )
        return None
    if not isinstance(given, str) or _LOCATION.fullmatch(normal_location(given)) is None:
        raise LocationNotAvailable(
            f"The provided location is not available for resource type '{declared.type}'.", target="location"
        )
    location = normal_location(given)
    if known is not None and known.location and known.location != location:
        raise InvalidResourceLocation(
            f"The resource '{known.id.name}' already exists in location '{known.location}' in resource group "
            f"'{known.id.group}'. A resource with the same name cannot be created in location '{location}'.",
            target="location",
        )
    return location


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value: object = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequestContent(f"'{name}' must be a JSON object.", target=name)
    return cast("dict[str, Any]", value)


def _same_etag(one: str, other: str) -> bool:
    return one.strip().removeprefix("W/").strip('"') == other.strip().removeprefix("W/").strip('"')
