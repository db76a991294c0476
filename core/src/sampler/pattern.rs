//! Texts with wildcards.

/// Whether the text is like the pattern, in which `*` stands for any characters
/// and all else for itself.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, mut pattern)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    // Between two wildcards, the first place is as good as any later one.
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some((_, after)) = text.split_once(part) else { return false };
        (text, pattern) = (after, rest);
    }
    text.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_anything_and_all_else_for_itself() {
        for (pattern, texts) in [
            ("", &[""][..]),
            ("*", &["", "a", "/x/y"]),
            ("/api/*", &["/api/", "/api/orders/7"]),
            ("*.png", &[".png", "a.png.png"]),
            ("/a/*/c/*", &["/a//c/", "/a/b/c/d", "/a/c/c/"]),
            ("a*a", &["aa", "aba"]),
            ("**", &["", "a"]),
        ] {
            for text in texts {
                assert!(is_like(text, pattern), "{text} {pattern}");
            }
        }
        for (pattern, text) in
            [("", "a"), ("/api/*", "/api"), ("a*a", "a"), ("/a/*/c", "/a/b/c/d"), ("A", "a")]
        {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
    }
}
