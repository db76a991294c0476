//! What is in force, and where each value came from.

use core::fmt;
use std::collections::BTreeMap;

/// The settings of a pipeline as they are in force: a table to print when a
/// program does not do what its variables seem to say.
///
/// `Display` is an aligned table of name, value and [`Origin`]; `Debug` is a map.
/// Values of headers and passwords in URLs are masked before they come here, so
/// that both may go into a log. Settings come in the order in which they were
/// added.
///
/// ```
/// use throughline_runtime::{Config, Origin};
///
/// let mut config = Config::default();
/// config.set("schedule_delay", "5s", Origin::Default);
/// config.set("sampler", "AlwaysOffSampler", Origin::Variable("OTEL_TRACES_SAMPLER".into()));
/// assert_eq!(
///     config.to_string(),
///     "schedule_delay  5s                default\n\
///      sampler         AlwaysOffSampler  OTEL_TRACES_SAMPLER\n",
/// );
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Config {
    settings: Vec<Setting>,
}

/// One setting of a [`Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    name: String,
    value: String,
    origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything: the default of the specification, or ours.
    #[default]
    Default,
    /// The environment variable of this name.
    Variable(String),
    /// The program itself.
    Code,
    /// The resource detector of this name.
    Detector(&'static str),
}

/// Notes where values came from while settings are gathered. What is not noted
/// is a default.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    known: BTreeMap<String, Origin>,
}

impl Config {
    /// Adds a setting; a former value of the name is replaced in its place.
    pub fn set(&mut self, name: &str, value: impl fmt::Display, origin: Origin) {
        let setting = Setting { name: name.to_owned(), value: value.to_string(), origin };
        match self.settings.iter_mut().find(|former| former.name == name) {
            Some(former) => *former = setting,
            None => self.settings.push(setting),
        }
    }

    /// The setting of this name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// All settings.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// Whether nothing was set up.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }
}

impl Setting {
    /// The name, as that of the option in code: `schedule_delay`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, as text; masked where it is a secret.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Origins {
    /// Notes where the value of a setting came from.
    pub fn note(&mut self, name: &str, origin: Origin) {
        self.known.insert(name.to_owned(), origin);
    }

    /// Where the value of a setting came from.
    pub fn of(&self, name: &str) -> Origin {
        self.known.get(name).cloned().unwrap_or_default()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Variable(name) => f.write_str(name),
            Origin::Code => f.write_str("code"),
            Origin::Detector(name) => write!(f, "detector {name}"),
        }
    }
}

/// `name=value (origin)`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.name, Line(&self.value), self.origin)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing is set up\n");
        }
        let shown = |setting: &Setting| Line(&setting.value).to_string();
        let width = |of: &dyn Fn(&Setting) -> usize| self.iter().map(of).max().unwrap_or(0);
        let names = width(&|setting| setting.name.chars().count());
        // One long value shall not push the column of origins off the screen.
        let values = width(&|setting| shown(setting).chars().count()).min(WIDEST);
        for setting in self.iter() {
            let (name, value, origin) = (&setting.name, shown(setting), &setting.origin);
            writeln!(f, "{name:names$}  {value:values$}  {origin}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|setting| (&setting.name, (&setting.value, &setting.origin)));
        f.debug_map().entries(entries).finish()
    }
}

/// A value on one line: what comes from outside may hold line breaks and codes
/// that move a terminal's cursor.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char.is_control() {
                true => write!(f, "{}", char.escape_default())?,
                false => write!(f, "{char}")?,
            }
        }
        Ok(())
    }
}

const WIDEST: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_names_every_origin() {
        let mut config = Config::default();
        config.set("a", "1", Origin::Default);
        config.set("longer", "é", Origin::Variable("OTEL_X".to_owned()));
        config.set("b", "two words", Origin::Code);
        config.set("c", "x", Origin::Detector("host"));
        let table = "a       1          default\n\
                     longer  é          OTEL_X\n\
                     b       two words  code\n\
                     c       x          detector host\n";
        assert_eq!(config.to_string(), table);
        assert_eq!(config.get("b").map(Setting::value), Some("two words"));
    }

    #[test]
    fn a_value_that_is_set_again_replaces_the_former_one() {
        let mut config = Config::default();
        config.set("a", "1", Origin::Default);
        config.set("a", "2", Origin::Code);
        assert_eq!(config.to_string(), "a  2  code\n");
    }

    #[test]
    fn a_value_with_line_breaks_stays_on_its_line() {
        let mut config = Config::default();
        config.set("a", "x\ny\u{1b}[2J", Origin::Default);
        assert_eq!(config.to_string(), "a  x\\ny\\u{1b}[2J  default\n");
    }

    #[test]
    fn an_empty_configuration_says_so() {
        assert_eq!(Config::default().to_string(), "nothing is set up\n");
    }

    #[test]
    fn a_long_value_keeps_the_origins_of_the_others_near() {
        let mut config = Config::default();
        config.set("a", "x".repeat(200), Origin::Code);
        config.set("b", "y", Origin::Default);
        let table = config.to_string();
        let last = table.lines().last().unwrap_or_default();
        assert_eq!(last.len(), "b".len() + 2 + WIDEST + 2 + "default".len());
    }
}
