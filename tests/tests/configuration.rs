//! What is in force, as a user prints it. One process has one default pipeline, so
//! this is one story.

use throughline::{Env, HealthState, InitError, builder};

const VARIABLES: [(&str, &str); 9] = [
    ("OTEL_SERVICE_NAME", "shop"),
    ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=blue%20one"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:sekrit@127.0.0.1:1/base"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=sekrit"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
    ("OTEL_TRACES_SAMPLER", "always_on"),
    ("THROUGHLINE_RESOURCE_DETECTORS", "process,host"),
];

/// ENV-8, ENV-13, ENV-17, ENV-7, RES-1: the variables in force, with where each came
/// from
/// ([Environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)).
#[test]
fn what_is_in_force_is_told_with_its_origin_and_without_secrets() {
    assert!(throughline::config().is_empty());
    let mut env = Env::from_pairs([("OTEL_SDK_DISABLED", "true")]);
    let disabled = builder().init_from(&mut env).expect("nothing to fail");
    assert!(disabled.telemetry().is_none());
    assert_eq!(disabled.health().state(), HealthState::Off);
    let row = |config: &throughline::Config, name: &str| {
        config.get(name).map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(row(disabled.config(), "disabled"), "disabled=true (OTEL_SDK_DISABLED)");
    drop(disabled);

    let mut env = Env::from_pairs(VARIABLES);
    let guard = builder().poll_profile(false).init_from(&mut env).expect("a pipeline");
    assert_eq!(guard.warnings(), []);
    let config = guard.config();
    assert_eq!(config, &throughline::config());
    for expected in [
        "disabled=false (default)",
        "resource.service.name=shop (OTEL_SERVICE_NAME)",
        "resource.deployment.environment.name=blue one (OTEL_RESOURCE_ATTRIBUTES)",
        "sampler=AlwaysOnSampler (OTEL_TRACES_SAMPLER)",
        "max_queue_size=512 (OTEL_BSP_MAX_QUEUE_SIZE)",
        "max_export_batch_size=512 (default)",
        "schedule_delay=5s (default)",
        "poll_profile=false (code)",
        "exporter=otlp (default)",
        "otlp.protocol=http/protobuf (default)",
        "otlp.endpoint=http://127.0.0.1:1/base/v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT)",
        "otlp.headers=authorization=*** (OTEL_EXPORTER_OTLP_HEADERS)",
        "otlp.compression=gzip (OTEL_EXPORTER_OTLP_COMPRESSION)",
        "otlp.timeout=250ms (OTEL_EXPORTER_OTLP_TRACES_TIMEOUT)",
        "otlp.max_request_bytes=67108864 (default)",
    ] {
        let name = expected.split('=').next().unwrap_or_default();
        assert_eq!(row(config, name), expected);
    }
    let pid = format!("resource.process.pid={} (detector process)", std::process::id());
    assert_eq!(row(config, "resource.process.pid"), pid);
    assert_eq!(row(config, "resource.os.type"), "", "nobody asked for it");
    for text in [config.to_string(), format!("{config:?}")] {
        assert!(!text.contains("sekrit"), "{text}");
    }
    let table = config.to_string();
    let columns: Vec<usize> = table.lines().filter_map(|line| line.rfind("  ")).collect();
    assert!(columns.iter().any(|column| *column == columns[0]), "{table}");
    assert_eq!(guard.health().state(), HealthState::Ok);

    // A pipeline without export is one, too.
    let again = builder().init_from(&mut Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]));
    assert!(matches!(again, Err(InitError::AlreadyInstalled)), "{again:?}");
}
