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
        let value = match &self.source {
            Source::Pairs(pairs) => pairs.get(name).cloned(),
            Source::Process => match std::env::var(name) {
                Ok(value) => Some(value),
                Err(VarError::NotPresent) => None,
                Err(VarError::NotUnicode(value)) => {
                    self.warn(name, &value.to_string_lossy(), "is not Unicode, ignored");
                    None
                }
            },
        };
        value.filter(|value| !value.is_empty())
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

    /// A number within the range; anything else is a warning and unset.
    /// ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric))
    pub fn number<T>(&mut self, name: &str, range: impl RangeBounds<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        self.first_number(&[name], range, None).map(|(number, _)| number)
    }

    /// The number of the first of these variables that has one within the range, and the
    /// name of that variable. The warning about another value says which one acts instead:
    /// that of a later variable, or else `otherwise`, if it is given.
    /// ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric))
    pub fn first_number<'a, T>(
        &mut self,
        names: &[&'a str],
        range: impl RangeBounds<T>,
        otherwise: Option<&dyn fmt::Display>,
    ) -> Option<(T, &'a str)>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let mut wrong = Vec::new();
        let mut found = None;
        for name in names {
            let Some(value) = self.text(name) else { continue };
            let problem = match value.trim().parse::<T>() {
                Ok(number) if range.contains(&number) => {
                    found = Some((number, *name));
                    break;
                }
                Ok(_) => "is out of range",
                Err(_) => "is not a number in range",
            };
            wrong.push((*name, value, problem));
        }
        let instead: Option<&dyn fmt::Display> = match &found {
            Some((number, _)) => Some(number),
            None => otherwise,
        };
        let instead = instead.map(|value| format!("; {value} acts")).unwrap_or_default();
        for (name, value, problem) in wrong {
            let problem = format!("{problem}{}, ignored{instead}", Words(&range, PhantomData));
            self.warn(name, &value, &problem);
        }
        found
    }

    /// A whole number of milliseconds from 0 on; zero is a duration of zero.
    /// ([Duration](https://opentelemetry.io/docs/specs/otel/configuration/common/#duration))
    pub fn duration_millis(&mut self, name: &str) -> Option<Duration> {
        let value = self.text(name)?;
        match value.trim().parse() {
            Ok(millis) => Some(Duration::from_millis(millis)),
            Err(_) => {
                let problem = "is not a whole number of milliseconds from 0 on, ignored";
                self.warn(name, &value, problem);
                None
            }
        }
    }

    /// Like [`duration_millis`](Self::duration_millis), where zero means that
    /// there is no limit: `None` is unset, `Some(None)` no limit.
    /// ([Timeout](https://opentelemetry.io/docs/specs/otel/configuration/common/#timeout))
    pub fn timeout_millis(&mut self, name: &str) -> Option<Option<Duration>> {
        let limit = self.duration_millis(name)?;
        Some((!limit.is_zero()).then_some(limit))
    }

    /// One of several words, in any letter case; another one is a warning that
    /// lists them, and unset.
    /// ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum))
    pub fn choice<T: Clone>(&mut self, name: &str, options: &[(&str, T)]) -> Option<T> {
        let value = self.text(name)?;
        let word = value.trim();
        for (option, meaning) in options {
            if option.eq_ignore_ascii_case(word) {
                return Some(meaning.clone());
            }
        }
        let known: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
        let problem = format!("is none of {}, ignored", known.join(", "));
        self.warn(name, &value, &problem);
        None
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
mod tests {
    use super::*;

    fn env(value: &str) -> Env {
        Env::from_pairs([("NAME", value)])
    }

    fn one_warning(env: &mut Env) -> String {
        let warnings = env.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        warnings[0].to_string()
    }

    /// ENV-2 ([Empty value](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#parsing-empty-value)).
    #[test]
    fn an_empty_value_is_unset_for_every_kind() {
        let mut env = env("");
        assert_eq!(env.text("NAME"), None);
        assert_eq!(env.boolean("NAME"), None);
        assert_eq!(env.number::<u32>("NAME", ..), None);
        assert_eq!(env.duration_millis("NAME"), None);
        assert_eq!(env.timeout_millis("NAME"), None);
        assert_eq!(env.choice("NAME", &[("none", ())]), None);
        assert_eq!(env.warnings(), []);
    }

    /// ENV-3 ([Boolean](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#boolean)).
    #[test]
    fn only_true_is_true() {
        assert_eq!(env("TrUe").boolean("NAME"), Some(true));
        assert_eq!(env("False").boolean("NAME"), Some(false));
        for other in ["1", "yes", "on", "truee"] {
            let mut env = env(other);
            assert_eq!(env.boolean("NAME"), Some(false));
            assert_eq!(
                one_warning(&mut env),
                format!("NAME={other:?} is neither true nor false, taken as false"),
            );
        }
    }

    /// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
    #[test]
    fn a_number_out_of_range_is_unset_and_named() {
        assert_eq!(env("2147483647").number("NAME", 0..), Some(2_147_483_647));
        assert_eq!(env(" 7 ").number("NAME", 0..), Some(7));
        assert_eq!(env("0.25").number("NAME", 0.0..=1.0), Some(0.25));

        let mut too_large = env("1.5");
        assert_eq!(too_large.number("NAME", 0.0..=1.0), None);
        assert_eq!(one_warning(&mut too_large), "NAME=\"1.5\" is out of range 0 to 1, ignored");
        for text in ["-1", "many", "0x10", "99999999999999999999"] {
            let mut env = env(text);
            assert_eq!(env.number::<u32>("NAME", ..), None);
            assert!(one_warning(&mut env).starts_with(&format!("NAME={text:?} ")));
        }
        let mut not_a_number = env("NaN");
        assert_eq!(not_a_number.number("NAME", 0.0..=1.0), None);
        assert_eq!(not_a_number.warnings().len(), 1);
    }

    /// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
    #[test]
    fn a_warning_about_a_number_names_the_range_and_what_acts_instead() {
        let said = |pairs: &[(&str, &str)]| {
            let mut env = Env::from_pairs(pairs.iter().copied());
            let number = env.first_number(&["OWN", "GENERAL"], 0..=9u32, Some(&5));
            let warnings = env.warnings().iter().map(ToString::to_string).collect::<Vec<_>>();
            (number, warnings)
        };
        assert_eq!(said(&[]), (None, vec![]));
        // What nobody asks for is not looked at.
        assert_eq!(said(&[("OWN", "3"), ("GENERAL", "x")]), (Some((3, "OWN")), vec![]));
        let (number, warnings) = said(&[("OWN", "10"), ("GENERAL", "7")]);
        assert_eq!(number, Some((7, "GENERAL")));
        assert_eq!(warnings, ["OWN=\"10\" is out of range 0 to 9, ignored; 7 acts"]);
        let (number, warnings) = said(&[("OWN", "10"), ("GENERAL", "-1")]);
        assert_eq!(number, None);
        assert_eq!(
            warnings,
            [
                "OWN=\"10\" is out of range 0 to 9, ignored; 5 acts",
                "GENERAL=\"-1\" is not a number in range 0 to 9, ignored; 5 acts",
            ]
        );
        let mut open = Env::from_pairs([("NAME", "0")]);
        assert_eq!(open.number("NAME", 1..), None);
        assert_eq!(one_warning(&mut open), "NAME=\"0\" is out of range from 1 on, ignored");
    }

    /// ENV-5 ([Duration, timeout](https://opentelemetry.io/docs/specs/otel/configuration/common/#duration)).
    #[test]
    fn zero_is_a_duration_but_no_timeout() {
        assert_eq!(env("0").duration_millis("NAME"), Some(Duration::ZERO));
        assert_eq!(env("0").timeout_millis("NAME"), Some(None));
        let expected = Duration::from_millis(1500);
        assert_eq!(env("1500").duration_millis("NAME"), Some(expected));
        assert_eq!(env("1500").timeout_millis("NAME"), Some(Some(expected)));
        for text in ["-1", "1.5", "10s"] {
            let mut env = env(text);
            assert_eq!(env.timeout_millis("NAME"), None);
            assert!(one_warning(&mut env).contains(text));
        }
    }

    /// ENV-6 ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum)).
    #[test]
    fn a_choice_ignores_case_and_a_warning_shows_the_original() {
        let options = [("none", 0), ("gzip", 1)];
        assert_eq!(env("GZip").choice("NAME", &options), Some(1));
        let mut unknown = env("Brotli");
        assert_eq!(unknown.choice("NAME", &options), None);
        assert_eq!(one_warning(&mut unknown), "NAME=\"Brotli\" is none of none, gzip, ignored");
    }

    #[test]
    fn warnings_are_recorded_once_and_drained() {
        let mut env = env("x");
        assert_eq!(env.number::<u8>("NAME", ..), None);
        assert_eq!(env.number::<u8>("NAME", ..), None);
        assert_eq!(env.warnings().len(), 1);
        assert_eq!(env.warnings(), []);
    }

    #[test]
    fn debug_shows_no_value() {
        assert!(!format!("{:?}", env("secret")).contains("secret"));
    }
}
