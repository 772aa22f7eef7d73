//! Names of types: the field's habit is camel case, whatever the language of the worker.

/// `process_payment` becomes `ProcessPayment`.
pub(crate) fn camel_case(snake_case: &str) -> String {
    let words = snake_case.trim_start_matches("r#").split('_').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::camel_case;

    #[test]
    fn snakes_become_camels() {
        assert_eq!(camel_case("process_payment"), "ProcessPayment");
        assert_eq!(camel_case("charge"), "Charge");
        assert_eq!(camel_case("_step_2b"), "Step2b");
        assert_eq!(camel_case("r#move"), "Move");
    }
}
