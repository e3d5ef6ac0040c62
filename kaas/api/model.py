"""The base of every model, and the words that the CRD generator reads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kaas.api.constants import API_VERSION, VERSION
from kaas.api.rules import VALIDATIONS, Rule


class Model(BaseModel):
    """Frozen, camelCase outside, unknown fields refused. `rules` are about the object as a whole."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        if cls.rules:
            handler.resolve_ref_schema(schema)[VALIDATIONS] = [rule.as_validation() for rule in cls.rules]
        return schema

    def to_json(self) -> dict[str, Any]:
        """Plain JSON in camelCase, defaults filled in, what is None left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ListMap:
    """On a list field: server-side apply merges its items by these keys, which must be unique."""

    def __init__(self, *keys: str) -> None:
        self._extra = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | self._extra


class ListSet:
    """On a list of scalars: items are unique, and every manager owns its own."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"x-kubernetes-list-type": "set"}


class Atomic:
    """On a list whose order counts: one manager owns all of it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"x-kubernetes-list-type": "atomic"}


class IntOrString:
    """On `int | str`: Kubernetes has a word of its own for it, and takes no type beside it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"x-kubernetes-int-or-string": True}


class Condition(Model):
    """One aspect of an object's state, in the shape of Kubernetes' own conditions."""

    type: str = Field(max_length=316)
    """Name of the aspect, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds; Unknown is not the same as unhealthy."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this was found for."""
    last_transition_time: datetime
    """When the status last changed (UTC)."""
    reason: str = Field(min_length=1, max_length=1024)
    """Why, as one CamelCase word for programs."""
    message: str = Field(max_length=32768)
    """Why, for people: the deepest cause, quoted."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=32), ListMap("type")]


class Metadata(BaseModel):
    """What this project reads of an object's metadata; the rest is accepted and kept out of sight."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)
    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()


class Column(Model):
    """A printer column of `kubectl get`; priority 1 is shown with `-o wide` only."""

    name: str
    json_path: str
    type: Literal["string", "integer", "date"] = "string"
    priority: int = 0
    description: str = ""

    def as_crd(self) -> dict[str, Any]:
        """Its entry in `additionalPrinterColumns`."""
        return self.model_dump(exclude_defaults=True, exclude={"json_path"}) | {
            "jsonPath": self.json_path,
            "type": self.type,
        }


AGE = Column(name="Age", json_path=".metadata.creationTimestamp", type="date")


def condition_message(condition: str, priority: int = 0) -> Column:
    """Column "Reason" with the message of a condition."""
    path = f'.status.conditions[?(@.type=="{condition}")].message'
    return Column(name="Reason", json_path=path, priority=priority)


# Cluster API finds the version of a kind that speaks its contract by this label of the CRD.
CONTRACT_LABELS = {"cluster.x-k8s.io/v1beta2": VERSION}


class Resource(Model):
    """A kind of the group. Subclasses narrow `kind`, add `spec` and `status`, and say how kubectl shows them."""

    plural: ClassVar[str]
    scope: ClassVar[Literal["Namespaced", "Cluster"]]
    short_names: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = (AGE,)
    crd_labels: ClassVar[dict[str, str]] = {}

    api_version: str = API_VERSION
    """APIVersion and group of this object."""
    kind: str
    """Kind of this object."""
    metadata: Metadata
    """Standard metadata of the object."""
