//! The pages that explain error codes, as they are under `docs/errors/`.

static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of an error code, as Markdown.
#[must_use]
pub fn error_page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, page)| *page)
}

/// The name of an error code, for instance `WorkflowNotFound`: the rest of its page's first line.
#[must_use]
pub fn error_title(code: &str) -> Option<&'static str> {
    let heading = error_page(code)?.lines().next()?;
    heading.trim_start_matches('#').trim().split_once(' ').map(|(_, title)| title.trim())
}

/// All codes that have a page.
pub fn error_codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}
