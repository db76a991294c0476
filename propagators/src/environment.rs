//! Environment variables as a carrier, between a process and its children.

use core::fmt;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use throughline_core::w3c::{Getter, Setter};

/// Environment variables that carry a context: `TRACEPARENT`, `TRACESTATE`,
/// `BAGGAGE`, and so on for each propagator.
///
/// Names are normalised, values are opaque and as they are. Nothing is started
/// here, and the variables of this process are never changed:
///
/// ```
/// use throughline_propagation::{Environment, Propagator, TraceContext};
/// # use throughline_runtime::Context;
///
/// // In a child: the context in which it was started.
/// let context = TraceContext.extract(Context::empty(), &Environment::of_process());
///
/// // In a parent.
/// let mut variables = Environment::new();
/// TraceContext.inject(&context, &mut variables);
/// let mut command = std::process::Command::new("make");
/// command.envs(&variables);
/// ```
///
/// ([Environment variables as carriers](https://opentelemetry.io/docs/specs/otel/context/env-carriers/))
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// No variables.
    pub const fn new() -> Self {
        Environment(BTreeMap::new())
    }

    /// The variables of this process whose names are in normal form, as they are
    /// now.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The name of a variable for this key: letters in upper case, `_` for what is
    /// neither a letter nor a digit of ASCII, and before a leading digit.
    /// ([Key name normalization](https://opentelemetry.io/docs/specs/otel/context/env-carriers/#key-name-normalization))
    pub fn normalize(key: &str) -> String {
        let mut name = String::with_capacity(key.len() + 1);
        if key.is_empty() || key.starts_with(|first: char| first.is_ascii_digit()) {
            name.push('_');
        }
        let normal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        name.extend(key.chars().map(normal));
        name
    }

    /// The variables, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_os_str()))
    }
}

/// Variables whose names are not in normal form are left out, since nobody could
/// ask for them.
impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let normal = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            (Environment::normalize(&name) == name).then_some((name, value))
        };
        Environment(variables.into_iter().filter_map(normal).collect())
    }
}

impl<'a> IntoIterator for &'a Environment {
    type Item = (&'a String, &'a OsString);
    type IntoIter = std::collections::btree_map::Iter<'a, String, OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Getter for Environment {
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.get(&Environment::normalize(name)).map(|value| value.as_encoded_bytes()).into_iter()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Setter for Environment {
    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(Environment::normalize(name), value.into());
    }
}

/// The names alone: there may be credentials among the values.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.0.keys()).finish()
    }
}
