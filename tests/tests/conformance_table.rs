//! `docs/conformance.md` says nothing that the tests do not show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A row of the table.
struct Row {
    id: String,
    rule: String,
    state: String,
    tests: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder above").to_owned()
}

fn rows(table: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| ID ");
    let rows = table.lines().filter(is_row).map(|line| {
        let mut cells = cells(line).into_iter();
        let mut next = || cells.next().unwrap_or_default();
        let (id, rule, state, tests) = (next(), next(), next(), next());
        let tests = tests.split("<br>").map(|test| test.trim_matches(['`', ' ', '|']).to_owned());
        let tests = tests.filter(|test| !test.is_empty()).collect();
        Row { id, rule, state, tests }
    });
    rows.collect()
}

/// What stands directly above each test: comments and attributes. A name may be used
/// in several files. Some cases are mounted on each runtime.
fn tests(folder: &Path, found: &mut BTreeMap<String, Vec<String>>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                tests(&path, found);
            }
        } else if name.ends_with(".rs") {
            let source = fs::read_to_string(&path).expect("UTF-8");
            let of_cases = ["tests/src", "examples/relay/tests/relay"];
            let is_case = of_cases.iter().any(|folder| path.starts_with(root().join(folder)));
            let mut above: Vec<&str> = Vec::new();
            for line in source.lines().map(str::trim) {
                let declaration = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
                let declaration = declaration.trim_start_matches("async ");
                if let Some(rest) = declaration.strip_prefix("fn ") {
                    let end = rest.find(['(', '<']).unwrap_or(rest.len());
                    let is_test = |line: &&str| line.starts_with("#[test]") || is_async(line);
                    if is_case || above.iter().any(is_test) {
                        found.entry(rest[..end].to_owned()).or_default().push(above.join("\n"));
                    }
                }
                if line.starts_with("//") || line.starts_with("#[") {
                    above.push(line);
                } else {
                    above.clear();
                }
            }
        }
    }
}

/// `#[tokio::test]` and its like.
fn is_async(line: &str) -> bool {
    line.starts_with("#[") && line.contains("::test")
}

/// Whether the text names the ID, and not one that only begins like it.
fn names(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let before = text[..at].chars().next_back();
        let after = text[at + id.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// What the table says that is not so.
fn lies(rows: &[Row], found: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut lies = Vec::new();
    for Row { id, rule, state, tests } in rows {
        if !rule.contains("](https://") {
            lies.push(format!("{id} has no link to the section that binds"));
        }
        match state.split(':').next().unwrap_or_default() {
            "implemented" if tests.is_empty() => {
                lies.push(format!("{id} is implemented and no test is named"));
            }
            "implemented" => {
                for test in tests {
                    match found.get(test) {
                        None => lies.push(format!("{id}: there is no test {test}")),
                        Some(above) if !above.iter().any(|text| names(text, id)) => {
                            lies.push(format!("{id}: the test {test} does not name the ID"));
                        }
                        Some(_) => {}
                    }
                }
            }
            "not applicable" if state.len() > "not applicable: ".len() => {}
            "not applicable" => lies.push(format!("{id} is not applicable without a reason")),
            "not yet" if tests.is_empty() => {}
            "not yet" => lies.push(format!("{id} is not yet there, and tests are named")),
            other => lies.push(format!("{id} has a state that nobody knows: {other:?}")),
        }
    }
    lies
}

#[test]
fn every_row_that_is_implemented_has_a_test_that_names_it() {
    let table = fs::read_to_string(root().join("docs/conformance.md")).expect("the table");
    let mut found = BTreeMap::new();
    tests(&root(), &mut found);
    let lies = lies(&rows(&table), &found);
    assert!(lies.is_empty(), "\n{}", lies.join("\n"));
}

#[test]
fn no_row_is_missing_and_none_is_there_twice() {
    let table = fs::read_to_string(root().join("docs/conformance.md")).expect("the table");
    let rows = rows(&table);
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(listed.len(), rows.len(), "an ID is there twice");
    let expected = ROWS
        .iter()
        .flat_map(|(area, numbers)| numbers.iter().map(move |number| format!("{area}-{number}")));
    let missing: Vec<String> = expected.filter(|id| !listed.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_table_that_lies_is_found_out() {
    let row = |state: &str, tests: &str| {
        rows(&format!("| A-1 | rule ([x](https://y)) | {state} | {tests} |"))
    };
    let found = BTreeMap::from([
        ("shows_it".to_owned(), vec!["/// A-1 (x)\n#[test]".to_owned()]),
        ("shows_another".to_owned(), vec!["/// A-12 (x)\n#[test]".to_owned()]),
    ]);
    let count = |state, tests| lies(&row(state, tests), &found).len();
    assert_eq!(count("implemented", "`shows_it`"), 0);
    assert_eq!(count("implemented", "`shows_it`<br>`shows_another`"), 1);
    assert_eq!(count("implemented", "`nowhere`"), 1);
    assert_eq!(count("implemented", ""), 1);
    assert_eq!(count("not yet", ""), 0);
    assert_eq!(count("not yet: half of it", ""), 0);
    assert_eq!(count("not applicable", ""), 1);
    assert_eq!(count("not applicable: no such thing", ""), 0);
    assert_eq!(count("perhaps", ""), 1);
    assert_eq!(lies(&rows("| A-1 | rule | not yet | |"), &found).len(), 1);
}

/// The rows that are MUST or SHOULD and stable, and some more of the areas that
/// are about names.
const ROWS: [(&str, &[u8]); 22] = [
    ("BAG", &[1, 2, 3, 4, 5, 6, 7]),
    ("PROP", &[1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]),
    ("TP", &[1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15]),
    ("WB", &[2, 3, 4, 6]),
    ("B3", &[1, 2, 3, 4, 5]),
    ("SMP", &[2, 4, 5]),
    ("SAM", &[1, 2, 5]),
    ("PRB", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("SP", &[1, 2, 3, 4, 5, 6]),
    ("EXP", &[1, 3]),
    ("OTLP", &[1, 2, 3, 5, 6, 8, 9, 11, 12, 13, 14]),
    ("GRPC", &[2, 3, 4, 5, 6]),
    ("HTTP", &[2, 3, 4, 5, 6, 7]),
    ("PAY", &[2, 5]),
    ("NON", &[1, 2, 3, 4]),
    ("ENV", &[2, 3, 4, 5, 6, 7, 8, 9]),
    ("ENV", &[10, 11, 12, 13, 14, 15, 16, 17, 19]),
    ("CFG", &[1, 2, 3, 4]),
    ("RES", &[1, 2, 3, 4]),
    ("RES", &[5, 6, 7, 8, 10]),
    ("LOG", &[2, 3]),
    ("LOG", &[5]),
];
