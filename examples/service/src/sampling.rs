//! Samplers and rules of the command line.

use core::str::FromStr;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::Arc;

use throughline::tail::{
    AnyTrace, Cancelled, Failed, HasAttribute, Panicked, Predicate, SlowerThan,
};
use throughline::{
    AlwaysOff, AlwaysOn, ComposableParentThreshold, ComposableProbability, ComposableRateLimiting,
    CompositeSampler, ParentBased, ProbabilitySampler, Sampler, TailSampler, TailSampling,
    TraceIdRatioBased,
};

/// Decides which traces are recorded.
#[derive(Clone)]
pub(crate) struct HeadSampler(pub(crate) Arc<dyn Sampler + Send + Sync>);

impl core::fmt::Debug for HeadSampler {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.description(f)
    }
}

impl FromStr for HeadSampler {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = name_and_argument(text);
        let plain = || match argument {
            Some(_) => Err(format!("`{name}` takes no argument")),
            None => Ok(()),
        };
        let ratio = || parse_ratio(argument.unwrap_or("1"));
        let rate = || parse_rate(argument.ok_or("it needs traces per second: rate_limited=N")?);
        Ok(HeadSampler(match name {
            "always_on" => plain().map(|()| Arc::new(AlwaysOn))?,
            "always_off" => plain().map(|()| Arc::new(AlwaysOff))?,
            "traceidratio" => Arc::new(TraceIdRatioBased::new(ratio()?)),
            "parentbased_always_on" => plain().map(|()| Arc::new(ParentBased::new(AlwaysOn)))?,
            "parentbased_always_off" => plain().map(|()| Arc::new(ParentBased::new(AlwaysOff)))?,
            "parentbased_traceidratio" => {
                Arc::new(ParentBased::new(TraceIdRatioBased::new(ratio()?)))
            }
            "probability" => Arc::new(ProbabilitySampler::new(ratio()?)),
            "parentbased_probability" => {
                let root = ComposableProbability::new(ratio()?);
                Arc::new(CompositeSampler::new(ComposableParentThreshold::new(root)))
            }
            "rate_limited" => {
                let root = ComposableRateLimiting::new(rate()?, Duration::from_secs(1));
                Arc::new(CompositeSampler::new(ComposableParentThreshold::new(root)))
            }
            _ => return Err(format!("`{name}` is no sampler; there are {SAMPLERS}")),
        }))
    }
}

/// What `--sampler` takes.
const SAMPLERS: &str = "always_on, always_off, traceidratio, parentbased_always_on, \
    parentbased_always_off, parentbased_traceidratio, probability, parentbased_probability \
    and rate_limited";

/// What is kept at the tail, in the order in which it was said; what is about any
/// trace comes last.
#[derive(Clone, Debug)]
pub(crate) struct TailRules {
    rules: Vec<Keep>,
    bytes: Option<usize>,
}

#[derive(Clone, Debug)]
enum Keep {
    Errors,
    Panicked,
    Cancelled,
    Slow(Duration),
    Attribute(String, String),
    Ratio(f64),
    Rate(u32),
}

impl FromStr for TailRules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut rules, mut bytes) = (Vec::new(), None);
        for part in text.split(',') {
            let (name, value) = name_and_argument(part);
            let plain = |rule| match value {
                Some(_) => Err(format!("`{name}` takes no value")),
                None => Ok(rule),
            };
            let given = || value.ok_or_else(|| format!("`{name}` needs a value: {EXAMPLES}"));
            rules.push(match name {
                "errors" => plain(Keep::Errors)?,
                "panicked" => plain(Keep::Panicked)?,
                "cancelled" => plain(Keep::Cancelled)?,
                "slow" => Keep::Slow(parse_duration(given()?)?),
                "attribute" => {
                    let (key, pattern) = given()?
                        .split_once(':')
                        .filter(|(key, _)| !key.is_empty())
                        .ok_or_else(|| format!("`{part}` is not as attribute=KEY:PATTERN"))?;
                    Keep::Attribute(key.to_owned(), pattern.to_owned())
                }
                "ratio" => Keep::Ratio(parse_ratio(given()?)?),
                "rate" => Keep::Rate(parse_rate(given()?)?),
                "bytes" => {
                    if bytes.replace(parse_bytes(given()?)?).is_some() {
                        return Err(format!("`{part}`: there is one buffer, with one size"));
                    }
                    continue;
                }
                _ => return Err(format!("`{part}` is no rule; there are errors, {EXAMPLES}")),
            });
        }
        rules.sort_by_key(Keep::is_of_the_rest);
        if rules.iter().filter(|rule| rule.is_of_the_rest()).count() > 1 {
            return Err("the rest has one `ratio` or one `rate`".to_owned());
        }
        let rules = TailRules { rules, bytes };
        // What each rule kept is told by its name.
        let mut names = HashSet::new();
        if let Some(twice) = rules.names().into_iter().find(|name| !names.insert(name.clone())) {
            return Err(format!("the rule `{twice}` is there twice"));
        }
        if rules.rules.is_empty() {
            return Err("without a rule nothing would be kept".to_owned());
        }
        // Now, so that it is said of the flag.
        rules.sampler().map_err(|error| error.to_string())?;
        Ok(rules)
    }
}

/// What `--tail` takes, beside `errors`.
const EXAMPLES: &str = "panicked, cancelled, slow=250ms, attribute=KEY:PATTERN, ratio=0.05, \
    rate=10 and bytes=1000000";

impl Keep {
    /// Whether it is about all traces, and so about those that are left.
    fn is_of_the_rest(&self) -> bool {
        matches!(self, Keep::Ratio(_) | Keep::Rate(_))
    }
}

impl TailRules {
    /// The sampler that both services share: their spans of one trace are one.
    pub(crate) fn sampler(&self) -> Result<TailSampler, throughline::TailError> {
        let mut tail = TailSampling::new();
        if let Some(bytes) = self.bytes {
            tail = tail.max_bytes(bytes);
        }
        for rule in &self.rules {
            tail = match rule {
                Keep::Errors => tail.keep(Failed.or(Panicked)),
                Keep::Panicked => tail.keep(Panicked),
                Keep::Cancelled => tail.keep(Cancelled),
                Keep::Slow(duration) => tail.keep(SlowerThan(*duration)),
                Keep::Attribute(key, pattern) => {
                    tail.keep(HasAttribute(key.clone(), pattern.clone()))
                }
                Keep::Ratio(ratio) => tail.sample(AnyTrace, *ratio),
                Keep::Rate(rate) => tail.limit(AnyTrace, *rate, Duration::from_secs(1)),
            };
        }
        tail.build()
    }

    /// What each rule is called, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |rule: &Keep| match rule {
            Keep::Errors => "errors".to_owned(),
            Keep::Panicked => "panicked".to_owned(),
            Keep::Cancelled => "cancelled".to_owned(),
            Keep::Slow(duration) => format!("slow={duration:?}"),
            Keep::Attribute(key, pattern) => format!("attribute={key}:{pattern}"),
            Keep::Ratio(ratio) => format!("ratio={ratio}"),
            Keep::Rate(rate) => format!("rate={rate}"),
        };
        self.rules.iter().map(name).collect()
    }
}

/// `NAME=ARGUMENT`, or `NAME`.
fn name_and_argument(text: &str) -> (&str, Option<&str>) {
    text.split_once('=').map_or((text, None), |(name, argument)| (name, Some(argument)))
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("`{text}` is no ratio from 0 to 1")),
    }
}

fn parse_rate(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no whole number per second"))
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    let most = TailSampling::LARGEST_BUFFER;
    let number = text.parse().ok().filter(|bytes| *bytes <= most);
    number.ok_or_else(|| format!("`{text}` is no number of bytes up to {most}"))
}

/// A whole number of `ms` or `s`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let number = |unit| text.strip_suffix(unit).and_then(|digits: &str| digits.parse().ok());
    let duration = number("ms").map(Duration::from_millis);
    duration
        .or_else(|| number("s").map(Duration::from_secs))
        .ok_or_else(|| format!("`{text}` is no duration as 250ms or 2s"))
}
