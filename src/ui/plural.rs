//! Counted nouns.

/// `1 node`, `3 nodes`; for nouns that take an `s`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    plural_as(count, noun, &format!("{noun}s"))
}

/// `1 copy`, `3 copies`.
#[must_use]
pub fn plural_as(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!([plural(0, "node"), plural(1, "node"), plural(3, "node")], ["0 nodes", "1 node", "3 nodes"]);
        assert_eq!(plural_as(2, "copy", "copies"), "2 copies");
    }
}
