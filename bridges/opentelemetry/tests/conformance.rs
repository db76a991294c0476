//! What holds on every runtime holds while the contexts of another API are kept in step.

struct Bridged;

impl Bridged {
    fn with_workers(workers: usize) -> throughline_tests::conformance::OnTokio {
        let provider = throughline_bridge_opentelemetry::TracerProvider::default();
        assert!(provider.is_in_step());
        throughline_tests::conformance::OnTokio::with_workers(workers)
    }
}

mod current_thread {
    throughline_tests::conformance!(super::Bridged::with_workers(0));
}

mod several_workers {
    throughline_tests::conformance!(super::Bridged::with_workers(4));
}
