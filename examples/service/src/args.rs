//! The command line.

use clap::{Parser, ValueEnum};
use example_runtimes::On;

use crate::sampling::{HeadSampler, TailRules};

/// Runs two HTTP services and a bounded load against them, and shows the traces.
///
/// Without an endpoint the traces go to an embedded receiver, which then checks
/// that every one of them is whole. Ctrl-C and SIGTERM end the load, and report what
/// there is; a second one does not wait for that.
///
/// Ends with 0 if every trace is whole, every span is accounted for and none was lost but
/// those that were to be left out, with 1 if not, and with 2 if it could not run.
#[derive(Clone, Debug, Parser)]
#[command(name = "service", version)]
pub(crate) struct Args {
    /// The runtime of services, load and export. (smol runs one thread, or as
    /// many as SMOL_THREADS says; the others one per processor.)
    #[arg(long, value_enum, default_value_t = On::Tokio)]
    pub(crate) runtime: On,
    /// Requests to make.
    #[arg(long, default_value_t = 300, value_name = "N")]
    pub(crate) requests: usize,
    /// Requests under way at once.
    #[arg(long, default_value_t = 32, value_name = "C", value_parser = positive)]
    pub(crate) concurrency: usize,
    /// The collector to export to, instead of the embedded receiver. (`OTEL_*` variables
    /// are honoured too, but for `OTEL_TRACES_EXPORTER` and the service's name; flags win.)
    /// An `https` URL needs the feature `tls`: `cargo run -p service --features tls`.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// How to talk to the collector or receiver.
    #[arg(long, value_enum)]
    pub(crate) protocol: Option<Protocol>,
    /// Which traces are recorded: `always_on`, `always_off`, `traceidratio=R` or one of
    /// these as `parentbased_…`; `probability=R` or `parentbased_probability=R`
    /// (consistent, with thresholds in `tracestate`); `rate_limited=PER_SECOND`. A ratio
    /// that is not given is 1.
    #[arg(long, value_name = "NAME[=ARG]")]
    pub(crate) sampler: Option<HeadSampler>,
    /// Which of these are exported, decided when they are over: any of `errors`,
    /// `panicked`, `cancelled`, `slow=DURATION`, `attribute=KEY:PATTERN`, with commas
    /// between them, then `ratio=R` or `rate=PER_SECOND` of the rest; each of them once.
    /// `bytes=N` is the buffer of each service. As `errors,slow=250ms,ratio=0.05`.
    #[arg(long, value_name = "RULES")]
    pub(crate) tail: Option<TailRules>,
    /// One request makes so many spans in a loop. Beyond 10,000, which is the usual budget
    /// of one span, their parent tells how many there were.
    #[arg(long, default_value_t = 12_000, value_name = "SPANS")]
    pub(crate) flood: u64,
    /// Print on stderr what is in force, and where it came from.
    #[arg(long)]
    pub(crate) config: bool,
    /// Print the summary as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, in binary protobuf.
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

impl Protocol {
    pub(crate) fn of_otlp(self) -> throughline::exporters::Protocol {
        match self {
            Protocol::Grpc => throughline::exporters::Protocol::Grpc,
            Protocol::HttpProtobuf => throughline::exporters::Protocol::HttpProtobuf,
        }
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
