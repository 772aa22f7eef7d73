//! What the repository promises of itself.

mod commands;
mod error_pages;
mod examples;
mod layering;
mod sources;
