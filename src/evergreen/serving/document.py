"""The OpenAPI document: the fields of the model that serves, with their types, what training has seen, and an example that works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from evergreen.serving.unfit import MAX_FAULTS

if TYPE_CHECKING:
    from evergreen.serving.service import Service

FAULT: dict[str, Any] = {
    "type": "object",
    "properties": {"row": {"type": "integer"}, "field": {"type": "string"}, "got": {"type": "string"}, "expected": {"type": "string"}},
    "required": ["field", "got", "expected"],
}
DETAIL: dict[str, Any] = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
REFUSALS = {
    "401": "The API key is missing or wrong.",
    "405": "Only POST is answered.",
    "408": "The body did not arrive in time.",
    "413": "The request is too large.",
    "415": "Another content type is expected.",
    "503": "Not now; try again after the seconds of Retry-After.",
    "504": "There was no answer in time.",
}


def document(pages: FastAPI, service: Service) -> dict[str, Any]:
    """The document for the version that serves at this moment; without one, of what does not predict."""
    told = get_openapi(title=pages.title, version=str(service.serves or "none"), description=pages.description, routes=pages.routes)
    schema, task = service.batcher.schema, service.problem.task
    if schema is None:
        return told
    row = schema.document()
    schemas = told.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"Row": {**row, "title": "Row"}, "Prediction": _prediction(task), "Fault": FAULT, "Detail": DETAIL}
    schemas["Unfit"] = _unfit()
    example = service.example()
    one, several = _ref("Row"), {**_list("Row"), "minItems": 1, "maxItems": schema.max_rows}
    schemas["Invocation"] = _invocation(list(row["properties"]), several)
    asked: dict[str, Any] = {
        "schema": {"anyOf": [one, several]},
        "examples": {"one row": {"value": example}, "several rows": {"value": [example, example]}},
    }
    answer = {"anyOf": [_answer(), _answers()]}
    split = {"dataframe_split": {"columns": list(example), "data": [list(example.values())]}}
    scoring: dict[str, dict[str, Any]] = {
        "application/json": {"schema": _ref("Invocation"), "examples": {"dataframe_split": {"value": split}}},
        "text/csv": {"schema": {"type": "string", "minLength": 1}},
    }
    if not example:
        del asked["examples"], scoring["application/json"]["examples"]
    told["paths"]["/predict"] = _post("Predict one row, or a list of rows", {"application/json": asked}, answer, "predict")
    told["paths"]["/invocations"] = _post("Predict in MLflow's scoring protocol", scoring, _scores(), "invocations")
    if service.settings.api_key.get_secret_value():
        told["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        for path in ("/predict", "/invocations", "/version", "/follow"):
            for operation in told["paths"][path].values():
                operation["security"] = [{"key": []}, {"bearer": []}]
                operation["responses"].setdefault("401", _json(REFUSALS["401"], _ref("Detail")))
    return told


def _post(summary: str, asked: dict[str, Any], answer: dict[str, Any], name: str) -> dict[str, Any]:
    wrong = f"What is wrong with the request; of more than {MAX_FAULTS} faults the first."
    replies = {"200": _json("The answer.", answer), "422": _json(wrong, _ref("Unfit"))}
    replies |= {status: _json(what, _ref("Detail")) for status, what in REFUSALS.items()}
    body = {"required": True, "content": asked}
    return {"post": {"summary": summary, "operationId": name, "tags": ["predictions"], "requestBody": body, "responses": replies}}


def _unfit() -> dict[str, Any]:
    version = {"type": ["integer", "null"], "description": "The version that would have answered."}
    faults = {**_list("Fault"), "minItems": 1, "maxItems": MAX_FAULTS}
    return {
        "type": "object",
        "properties": {**DETAIL["properties"], "faults": faults, "model_version": version},
        "required": ["detail", "faults", "model_version"],
    }


def _prediction(task: str) -> dict[str, Any]:
    scalar: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "boolean"}, {"type": "number"}]}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    several = {"type": "object", "additionalProperties": share}
    fields = {"value": {"type": "number"}} if task == "regression" else {"decision": scalar, "probability": share, "probabilities": several}
    needed = "value" if task == "regression" else "decision"
    return {"type": "object", "properties": {**fields, "prediction_id": {"type": "string"}}, "required": [needed, "prediction_id"]}


def _answer() -> dict[str, Any]:
    version = {"type": "object", "properties": {"model_version": {"type": "integer"}}, "required": ["model_version"]}
    return {"allOf": [_ref("Prediction"), version]}


def _answers() -> dict[str, Any]:
    fields = {"predictions": _list("Prediction"), "model_version": {"type": "integer"}}
    return {"type": "object", "properties": fields, "required": list(fields)}


def _scores() -> dict[str, Any]:
    ids = {"type": "array", "items": {"type": "string"}}
    fields = {"predictions": {"type": "array", "items": {}}, "model_version": {"type": "integer"}, "prediction_ids": ids}
    return {"type": "object", "properties": fields, "required": list(fields)}


def _invocation(names: list[str], rows: dict[str, Any]) -> dict[str, Any]:
    limits = {name: rows[name] for name in ("minItems", "maxItems")}
    known = {"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": True}
    data = {"type": "array", "items": {"type": "array", "items": {}}, **limits}
    split = {"type": "object", "properties": {"columns": known, "data": data}, "required": ["columns", "data"]}
    columns = {"type": "object", "propertyNames": {"enum": names}, "minProperties": 1}
    forms: dict[str, Any] = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": rows,
        "inputs": {"anyOf": [rows, {**columns, "title": "Columns", "description": "A list of values for each field."}]},
    }
    params = {"type": ["object", "null"], "maxProperties": 0, "description": "The model takes none."}
    return {
        "oneOf": [
            {
                "type": "object",
                "title": name,
                "properties": {name: form, "params": params},
                "required": [name],
                "additionalProperties": False,
            }
            for name, form in forms.items()
        ]
    }


def _json(what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}
