//! An OpenTelemetry collector that keeps what it gets.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A span with the service that it is from.
#[derive(Debug, Clone)]
pub struct Received {
    pub service: String,
    pub span: Span,
}

impl Received {
    /// The value of an attribute that is text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.span.attributes.iter().find(|attribute| attribute.key == name)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is a child of a span.
    pub fn is_child_of(&self, span_id: &[u8]) -> bool {
        self.span.parent_span_id == span_id
    }

    /// Whether it links to a span of the same trace.
    pub fn links_to(&self, span_id: &[u8]) -> bool {
        self.span.links.iter().any(|link| link.span_id == span_id && link.trace_id == self.span.trace_id)
    }
}

/// A collector; it ends with the test's runtime.
#[derive(Clone)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Received>>>,
    url: String,
}

impl Collector {
    /// Listens on any port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept = Arc::clone(&spans);
        let take = move |body: Bytes| {
            let kept = Arc::clone(&kept);
            async move {
                let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
                let received = request.resource_spans.into_iter().flat_map(|of_resource| {
                    let resource = of_resource.resource.unwrap_or_default();
                    let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name").cloned();
                    let service = match name.and_then(|name| name.value).and_then(|value| value.value) {
                        Some(Value::StringValue(service)) => service,
                        _ => String::new(),
                    };
                    let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
                    spans.map(move |span| Received { service: service.clone(), span })
                });
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(received);
                StatusCode::OK
            }
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { spans, url })
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has of a trace.
    pub fn trace(&self, trace_id: u128) -> Vec<Received> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|received| received.span.trace_id == trace_id.to_be_bytes()).cloned().collect()
    }
}
