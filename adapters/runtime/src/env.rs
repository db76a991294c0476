//! Configuration from environment variables.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Bound, RangeBounds};
use core::str::FromStr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::env::VarError;

/// Reads settings from environment variables and remembers what was wrong with
/// them.
///
/// No method fails: a value that makes no sense is recorded as a [`Warning`] and
/// treated as unset, since telemetry must not stop its host from starting. An
/// empty value equals an unset variable everywhere.
/// ([Parsing of values](https://opentelemetry.io/docs/specs/otel/configuration/common/),
/// [empty value](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#parsing-empty-value))
///
/// A test gives the variables by hand, as those of the process are shared by
/// all its threads.
pub struct Env {
    source: Source,
    warnings: Vec<Warning>,
}

enum Source {
    Process,
    Pairs(BTreeMap<String, String>),
}

/// A variable whose value was ignored, in whole or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The name of the variable.
    pub variable: String,
    /// The value, as the user wrote it; of a secret only the part that is none.
    pub value: String,
    /// What is wrong with it, and what was done instead.
    pub problem: String,
}

impl Env {
    /// The environment of this process.
    pub fn process() -> Self {
        Env { source: Source::Process, warnings: Vec::new() }
    }

    /// These variables and no others. Of a name given twice the last counts.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Env { source: Source::Pairs(pairs), warnings: Vec::new() }
    }

    /// The value as it stands, unless it is empty.
    ///
    /// A value that is not Unicode is a warning and unset.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.look_up(name).unwrap_or_else(|value| {
            self.warn(name, &value, &format!("{NOT_UNICODE}, taken as unset"));
            None
        })
    }

    /// `true` in any letter case is true and everything else is false, with a
    /// warning unless it is `false`.
    /// ([Boolean](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#boolean))
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        let word = value.trim();
        if word.eq_ignore_ascii_case("true") {
            return Some(true);
        }
        if !word.eq_ignore_ascii_case("false") {
            self.warn(name, &value, "is neither true nor false, taken as false");
        }
        Some(false)
    }

    /// The number of the first of these variables that has one within the range, and the
    /// name of that variable.
    ///
    /// Anything else is a warning and unset, for this as for the other methods that take
    /// several names; the warning says what acts instead: the value of a later variable, or
    /// else `otherwise`, which is what the caller goes by.
    /// ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric))
    pub fn number<'a, T>(
        &mut self,
        names: &[&'a str],
        range: impl RangeBounds<T>,
        otherwise: &dyn fmt::Display,
    ) -> Option<(T, &'a str)>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let parse = |text: &str| match text.parse::<T>() {
            Ok(number) if range.contains(&number) => Ok(number),
            Ok(_) => Err(format!("is out of range{}", Words(&range, PhantomData))),
            Err(_) => Err(format!("is not a number in range{}", Words(&range, PhantomData))),
        };
        self.first(names, parse, T::to_string, otherwise)
    }

    /// A whole number of milliseconds from 0 on; zero is a duration of zero.
    /// ([Duration](https://opentelemetry.io/docs/specs/otel/configuration/common/#duration))
    pub fn duration_millis<'a>(
        &mut self,
        names: &[&'a str],
        otherwise: Duration,
    ) -> Option<(Duration, &'a str)> {
        self.first(names, millis, shown, &shown(&otherwise))
    }

    /// Like [`duration_millis`](Self::duration_millis), where zero means that there is no
    /// limit, which is `None` inside.
    /// ([Timeout](https://opentelemetry.io/docs/specs/otel/configuration/common/#timeout))
    pub fn timeout_millis<'a>(
        &mut self,
        names: &[&'a str],
        otherwise: Option<Duration>,
    ) -> Option<(Option<Duration>, &'a str)> {
        let limit = |text: &str| Ok(Some(millis(text)?).filter(|limit| !limit.is_zero()));
        let shown = |limit: &Option<Duration>| match limit {
            Some(limit) => shown(limit),
            None => "no limit".to_owned(),
        };
        self.first(names, limit, shown, &shown(&otherwise))
    }

    /// One of several words, in any letter case; the warning about another one lists them.
    /// ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum))
    pub fn choice<'a, T: Clone>(
        &mut self,
        names: &[&'a str],
        options: &[(&str, T)],
        otherwise: &dyn fmt::Display,
    ) -> Option<(T, &'a str)> {
        let chosen = |word: &str| {
            let known = options.iter().find(|(option, _)| option.eq_ignore_ascii_case(word));
            known.ok_or_else(|| {
                let known: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
                format!("is none of {}", known.join(", "))
            })
        };
        let ((_, meaning), name) =
            self.first(names, chosen, |(option, _)| (*option).to_owned(), otherwise)?;
        Some((meaning.clone(), name))
    }

    /// The value of the first of these variables that has one which makes sense.
    fn first<'a, T>(
        &mut self,
        names: &[&'a str],
        parse: impl Fn(&str) -> Result<T, String>,
        shown: impl Fn(&T) -> String,
        otherwise: &dyn fmt::Display,
    ) -> Option<(T, &'a str)> {
        let mut wrong = Vec::new();
        let mut found = None;
        for name in names {
            let value = match self.look_up(name) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(value) => {
                    wrong.push((*name, value, NOT_UNICODE.to_owned()));
                    continue;
                }
            };
            match parse(value.trim()) {
                Ok(value) => {
                    found = Some((value, *name));
                    break;
                }
                Err(problem) => wrong.push((*name, value, problem)),
            }
        }
        if wrong.is_empty() {
            return found;
        }
        let instead = match &found {
            Some((value, name)) => format!("{} acts, of {name}", shown(value)),
            None => format!("{otherwise} acts"),
        };
        for (name, value, problem) in wrong {
            self.warn(name, &value, &format!("{problem}, ignored; {instead}"));
        }
        found
    }

    /// The value, unless it is empty; an error if it is not Unicode.
    fn look_up(&self, name: &str) -> Result<Option<String>, String> {
        let value = match &self.source {
            Source::Pairs(pairs) => pairs.get(name).cloned(),
            Source::Process => match std::env::var(name) {
                Ok(value) => Some(value),
                Err(VarError::NotPresent) => None,
                Err(VarError::NotUnicode(value)) => {
                    return Err(value.to_string_lossy().into_owned());
                }
            },
        };
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// Records a problem that only the reader of the variable could see. The
    /// same one is recorded once, however often the variable is read.
    pub fn warn(&mut self, variable: &str, value: &str, problem: &str) {
        let warning = Warning {
            variable: variable.to_owned(),
            value: value.to_owned(),
            problem: problem.to_owned(),
        };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Takes the warnings recorded so far, in the order of reading.
    pub fn warnings(&mut self) -> Vec<Warning> {
        core::mem::take(&mut self.warnings)
    }
}

/// Without the values, among which there may be credentials.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Process => "process",
            Source::Pairs(_) => "pairs",
        };
        f.debug_struct("Env").field("source", &source).field("warnings", &self.warnings).finish()
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} {}", self.variable, self.value, self.problem)
    }
}

fn millis(text: &str) -> Result<Duration, String> {
    let problem = |_| "is not a whole number of milliseconds from 0 on".to_owned();
    text.parse().map(Duration::from_millis).map_err(problem)
}

/// As the configuration that is in force shows it.
fn shown(duration: &Duration) -> String {
    format!("{duration:?}")
}

const NOT_UNICODE: &str = "is not Unicode";

/// A range, as a warning names it: ` 0 to 1`, ` from 1 on`, or nothing where all is in it.
struct Words<'a, R, T>(&'a R, PhantomData<T>);

impl<R: RangeBounds<T>, T: fmt::Display> fmt::Display for Words<'_, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = |f: &mut fmt::Formatter<'_>| match self.0.end_bound() {
            Bound::Included(end) => write!(f, " to {end}"),
            Bound::Excluded(end) => write!(f, " to below {end}"),
            Bound::Unbounded => Ok(()),
        };
        match (self.0.start_bound(), self.0.end_bound()) {
            (Bound::Unbounded, _) => below(f),
            (Bound::Included(start), Bound::Unbounded) => write!(f, " from {start} on"),
            (Bound::Excluded(start), Bound::Unbounded) => write!(f, " above {start}"),
            (Bound::Included(start) | Bound::Excluded(start), _) => {
                write!(f, " {start}")?;
                below(f)
            }
        }
    }
}

#[cfg(test)]
mod tests;
