//! The HTTP API, described by OpenAPI 3.1 at `/api/v1/openapi.json`.
//!
//! An [`Operation`] is a route and its description in one: the router is built of nothing else ([`Routes::serve`]), so no
//! route is without a description and no description without a route. Schemas are those of the types that handlers read
//! and answer with. Which status a problem's code has is said in one place, [`crate::problem::status_of`].

mod document;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::router::Api;

/// Where the description is.
pub(crate) const PATH: &str = "/api/v1/openapi.json";

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub(crate) struct Operation {
    method: &'static str,
    filter: MethodFilter,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Every property is a parameter in the query.
    query: Option<MakeSchema>,
    body: Option<MakeSchema>,
    answers: Vec<Answered>,
    /// Codes of problems.
    problems: Vec<&'static str>,
}

/// A way to succeed, or to fail otherwise than by a problem.
struct Answered {
    status: u16,
    says: &'static str,
    content: Option<(&'static str, MakeSchema)>,
}

impl Operation {
    fn new(method: &'static str, filter: MethodFilter, path: &'static str) -> Self {
        let (query, body, answers, problems) = (None, None, Vec::new(), Vec::new());
        Self { method, filter, path, id: "", summary: "", query, body, answers, problems }
    }

    pub(crate) fn get(path: &'static str) -> Self {
        Self::new("get", MethodFilter::GET, path)
    }

    pub(crate) fn post(path: &'static str) -> Self {
        Self::new("post", MethodFilter::POST, path)
    }

    pub(crate) fn delete(path: &'static str) -> Self {
        Self::new("delete", MethodFilter::DELETE, path)
    }

    /// Its name for generated clients, and what it does.
    pub(crate) fn named(self, id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, ..self }
    }

    /// The fields of `T` are parameters in the query.
    pub(crate) fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(T::json_schema), ..self }
    }

    /// The body is JSON.
    pub(crate) fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// An answer of JSON.
    pub(crate) fn answers<T: JsonSchema>(mut self, status: u16, says: &'static str) -> Self {
        let content = Some(("application/json", SchemaGenerator::subschema_for::<T> as MakeSchema));
        self.answers.push(Answered { status, says, content });
        self
    }

    /// An answer of text.
    pub(crate) fn answers_text(mut self, media_type: &'static str, says: &'static str) -> Self {
        let content = Some((media_type, SchemaGenerator::subschema_for::<String> as MakeSchema));
        self.answers.push(Answered { status: 200, says, content });
        self
    }

    /// An answer without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, says: &'static str) -> Self {
        self.answers.push(Answered { status, says, content: None });
        self
    }

    /// Problems that it can be answered with, by their codes.
    pub(crate) fn fails(mut self, codes: &[&'static str]) -> Self {
        self.problems.extend(codes);
        self
    }
}

/// A router and its description, as they grow.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Arc<Api>>,
    operations: Vec<Operation>,
}

impl Routes {
    /// Adds an operation and what serves it.
    pub(crate) fn serve<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Arc<Api>>,
        T: 'static,
    {
        self.router = self.router.route(operation.path, on(operation.filter, handler));
        self.operations.push(operation);
        self
    }

    /// Adds what nodes ask each other, which nobody else may rely on.
    pub(crate) fn internal(mut self, path: &str, served: MethodRouter<Arc<Api>>) -> Self {
        self.router = self.router.route(path, served);
        self
    }

    /// The router, which serves its own description.
    pub(crate) fn described(mut self) -> Router<Arc<Api>> {
        let itself = Operation::get(PATH)
            .named("describeApi", "This description")
            .answers::<schemars::Schema>(200, "OpenAPI 3.1");
        self.operations.push(itself);
        let document = Bytes::from(document::render(&self.operations).to_string());
        self.router.route(PATH, get(move || std::future::ready(answer(document.clone()))))
    }
}

fn answer(document: Bytes) -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], document).into_response()
}
