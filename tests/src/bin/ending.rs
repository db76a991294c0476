//! A program that ends in a way which needs a process of its own.
//!
//! `ending signal|panic|fork|dump|leak|list URL` makes spans, exports to the URL, and says
//! `ready` when it can be ended.

use core::time::Duration;

use throughline::exporters::Otlp;
use throughline::{DumpSignal, Guard, Outcome, Thread, builder, span};
use throughline_tests::places::{block_on, make_spans};

fn main() {
    let mut args = std::env::args().skip(1);
    let (mode, url) = (args.next().expect("a mode"), args.next().expect("a URL"));
    if mode == "list" {
        return list();
    }
    let otlp = Otlp::http().endpoint(&url).expect("a URL");
    let guard = install(otlp.clone());
    match &*mode {
        "signal" => wait_for_a_signal(guard),
        "panic" => panic_without_a_guard(guard),
        "fork" => fork(guard, otlp),
        "dump" => dump(guard),
        "leak" => leak(otlp),
        _ => panic!("unknown: {mode}"),
    }
}

fn install(otlp: Otlp) -> Guard {
    let thread = Thread::start().expect("a thread");
    // Nothing leaves by itself.
    let builder = builder().schedule_delay(Duration::from_secs(3_600));
    let guard = builder.install(thread, otlp).expect("the first");
    make_spans(guard.telemetry().expect("installed"));
    guard
}

/// Everything is as the variables say.
fn list() {
    let guard = throughline::init().expect("a pipeline");
    make_spans(guard.telemetry().expect("installed"));
    println!("{}", guard.config().get("exporter").expect("it is told"));
    let receipt = guard.shutdown_blocking();
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(receipt.destinations().len(), 2, "{receipt}");
}

fn wait_for_a_signal(guard: Guard) {
    let _guard = guard.shutdown_on_signals().expect("handlers");
    println!("ready");
    loop {
        std::thread::park();
    }
}

fn panic_without_a_guard(guard: Guard) {
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        println!("the former hook");
        former(info);
    }));
    // Whatever leaves now, it is the hook that sends it.
    core::mem::forget(guard.flush_on_panic());
    panic!("as the test wants");
}

/// Prints what is live when a signal asks, and when something panics.
fn dump(guard: Guard) {
    let guard = guard.dump_on_signal(DumpSignal::Usr1).expect("a handler").dump_on_panic();
    let hanging = span!("hangs");
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the test goes on");
    drop(hanging);
    let panicking = span!("panics");
    let caught = std::panic::catch_unwind(|| panic!("as the test wants"));
    assert!(caught.is_err());
    panicking.end();
    assert!(guard.shutdown_blocking().is_complete());
}

/// Shuts down twice while a span lives.
fn leak(otlp: Otlp) {
    let builder = builder().report_leaks(true);
    let telemetry = builder.start(Thread::start().expect("a thread"), otlp);
    let leaked = telemetry.context().scope(|| span!("leaked"));
    for _ in 0..2 {
        let receipt = telemetry.shutdown_blocking(Guard::DEADLINE);
        assert_eq!(receipt.leaked(), 1, "{receipt}");
    }
    drop(leaked);
}

fn fork(guard: Guard, otlp: Otlp) {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, alarm};

    // SAFETY: the child calls what allocates and locks, which is sound where the
    // allocator and the standard library handle forks, as on Linux and macOS;
    // locks that other threads held it finds locked, and this is what is tested:
    // should it wait for one, the alarm ends it.
    match unsafe { nix::unistd::fork() }.expect("a child") {
        ForkResult::Child => {
            alarm::set(30);
            in_the_child(guard, otlp);
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            let status = waitpid(child, None).expect("it ends");
            assert_eq!(status, WaitStatus::Exited(child, 0));
            // From where the child began, too.
            make_spans(guard.telemetry().expect("installed"));
            let receipt = guard.shutdown_blocking();
            assert!(receipt.is_complete(), "{receipt}");
            println!("ready");
        }
    }
}

fn in_the_child(guard: Guard, otlp: Otlp) {
    let telemetry = guard.telemetry().expect("installed").clone();
    span!("on the parent's pipeline").end();
    for receipt in [
        telemetry.flush_blocking(Guard::DEADLINE),
        block_on(telemetry.flush(Guard::DEADLINE)),
        block_on(telemetry.shutdown(Guard::DEADLINE)),
        guard.shutdown_blocking(),
    ] {
        assert_eq!(receipt.outcome(), Outcome::Forked, "{receipt}");
        assert_eq!(receipt.ledger().exported(), 0, "{receipt}");
    }
    // A pipeline of its own works as any other.
    let own = builder().start(Thread::start().expect("a thread"), otlp);
    make_spans(&own);
    let receipt = own.shutdown_blocking(Guard::DEADLINE);
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(receipt.ledger().exported(), receipt.ledger().started(), "{receipt}");
}
