//! Operations as an OpenAPI document.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tidewright_schemas::api::Problem;

use super::{Answered, Operation};
use crate::pages::error_title;
use crate::problem::{PROBLEM_JSON, status_of};

/// Where the document keeps its schemas.
const SCHEMAS: &str = "/components/schemas";

pub(super) fn render(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(operation, &mut schemas);
        paths.entry(operation.path).or_default().insert(operation.method.to_owned(), described);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidewright",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Any node answers for any workflow. What goes wrong is a problem (RFC 9457) with a stable \
                            code, whose page is at /errors/{code}; one with a `retry-after` header passes by itself. A \
                            path that is not described here is answered with TW0603, a method that is not with TW0604.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.take_definitions(true)},
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = path_parameters(operation.path);
    if let Some(query) = operation.query {
        parameters.extend(query_parameters(&query(schemas).to_value()));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses(operation, schemas),
    });
    if let Some(body) = operation.body {
        let content = json!({"application/json": {"schema": body(schemas)}});
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

/// What stands in braces.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema =
            if name == "partition" { json!({"type": "integer", "minimum": 0}) } else { json!({"type": "string"}) };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    };
    names.map(parameter).collect()
}

fn query_parameters(schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
    };
    properties.map(parameter).collect()
}

fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    for Answered { status, says, content } in &operation.answers {
        let mut response = json!({ "description": says });
        if let Some((media_type, schema)) = content {
            response["content"] = json!({ *media_type: {"schema": schema(schemas)} });
        }
        responses.insert(status.to_string(), response);
    }
    let mut by_status: BTreeMap<StatusCode, Vec<&str>> = BTreeMap::new();
    for code in &operation.problems {
        by_status.entry(status_of(code)).or_default().push(code);
    }
    for (status, mut codes) in by_status {
        codes.sort_unstable();
        codes.dedup();
        responses.insert(status.as_str().to_owned(), problems(&codes, schemas));
    }
    responses
}

/// The problems that share a status.
fn problems(codes: &[&str], schemas: &mut SchemaGenerator) -> Value {
    let named: Vec<_> = codes.iter().map(|code| format!("{code} {}", error_title(code).unwrap_or_default())).collect();
    let problem = schemas.subschema_for::<Problem>();
    let schema = json!({"allOf": [problem, {"properties": {"code": {"enum": codes}}}]});
    json!({"description": named.join(", "), "content": {PROBLEM_JSON: {"schema": schema}}})
}
