//! The command line.

use core::net::SocketAddr;
use core::time::Duration;

use clap::Parser;
use throughline_viewer::console::Colour;
use throughline_viewer::{StoreLimits, ViewerConfig};

/// Receives traces over OTLP and prints each when it is complete.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    /// Where to receive OTLP/gRPC; port 0 for any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4317")]
    pub(crate) grpc: SocketAddr,

    /// Where to receive OTLP/HTTP (protobuf); port 0 for any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4318")]
    pub(crate) http: SocketAddr,

    /// Print one JSON object per span instead of a waterfall per trace
    #[arg(long)]
    pub(crate) json: bool,

    /// Colour the waterfall: auto, always or never
    #[arg(long, alias = "color", value_name = "WHEN", default_value = "auto")]
    pub(crate) colour: Colour,

    /// Columns of the waterfall [default: those of the terminal, else 100]
    #[arg(long, value_name = "COLUMNS")]
    pub(crate) width: Option<usize>,

    /// How long a trace must be quiet to count as complete, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub(crate) settle: u64,

    /// Spans held in memory; the oldest trace makes room for the newest
    #[arg(long, value_name = "N", default_value_t = 200_000,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) max_spans: usize,
}

impl Arguments {
    pub(crate) fn config(&self) -> ViewerConfig {
        ViewerConfig {
            grpc: self.grpc,
            http: self.http,
            settle: Duration::from_millis(self.settle),
            limits: StoreLimits { max_spans: self.max_spans, ..StoreLimits::default() },
            ..ViewerConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_spans_at_all_is_refused() {
        let parsed = Arguments::try_parse_from(["throughline-viewer", "--max-spans", "0"]);
        assert!(parsed.is_err());
    }
}
