//! What the repository promises of itself.

mod alerts;
mod commands;
mod error_pages;
mod examples;
mod json;
mod layering;
mod licences;
mod lifecycles;
mod links;
mod sources;
mod variables;
