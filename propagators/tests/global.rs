//! The global propagator. A process of its own, and one test: the global is of the
//! whole process.

use throughline_core::w3c::Setter;
use throughline_propagation::{
    B3, Composite, Standard, extract, global, inject, preset_global, set_global,
};

const PARENT: &str = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01";

struct Names(Vec<String>);

impl Setter for Names {
    fn set(&mut self, name: &str, _: &str) {
        self.0.push(name.to_owned());
    }
}

fn forwarded() -> Vec<String> {
    let b3 = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1";
    let mut names = Names(Vec::new());
    inject(&extract(&[("traceparent", PARENT), ("b3", b3), ("baggage", "a=1")][..]), &mut names);
    names.0
}

/// PROP-10, PROP-11: [Global propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#global-propagators).
#[test]
fn the_global_does_nothing_until_it_is_set_and_can_be_replaced_and_switched_off() {
    assert!(forwarded().is_empty() && global().fields().is_empty());
    assert!(preset_global(Standard));
    assert_eq!(forwarded(), ["traceparent", "baggage"]);
    assert_eq!(global().fields(), ["traceparent", "tracestate", "baggage"]);
    set_global(B3::single());
    assert_eq!(forwarded(), ["b3"]);
    assert!(!preset_global(Standard), "somebody has chosen");
    assert_eq!(forwarded(), ["b3"]);
    set_global(Composite::none());
    assert!(forwarded().is_empty());
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| set_global(Standard))).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(forwarded(), ["traceparent", "baggage"]);
}
