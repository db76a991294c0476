//! The span whose scope the current code runs in.

use core::marker::PhantomData;

use crate::body::Attributes;
#[cfg(not(target_os = "none"))]
use crate::body::EventConstants;
use crate::start::UNIX;
use crate::writer::Writer;
use crate::{Carry, Context, Local, Platform, Span, StatusCode, Value};

/// The span whose scope the current code runs in, to add to it.
///
/// Inside of a context that was captured elsewhere (a spawned task, say) there
/// is no such span: nothing is added, and the methods return false.
#[derive(Debug)]
pub struct CurrentSpan<P>(PhantomData<P>);

impl<P: Platform> CurrentSpan<P> {
    /// Sets an attribute of the current span, as [`Span::set_attribute`].
    pub fn set_attribute<'v>(key: &str, value: impl Into<Value<'v>>) -> bool {
        let value = value.into();
        Self::with(&mut |span| span.set_attribute(key, &value))
    }

    /// Adds an event to the current span, as [`Span::add_event`].
    pub fn add_event(name: &str, attributes: &Attributes<'_>) -> bool {
        let now = P::ticks();
        Self::with(&mut |span| span.add_event(name, now, attributes))
    }

    /// Adds an event to the current span, as [`Span::add_event_with`].
    #[cfg(not(target_os = "none"))]
    #[doc(hidden)]
    pub fn add_event_with(
        name: &str,
        attributes: &Attributes<'_>,
        constants: &EventConstants,
    ) -> bool {
        let now = P::ticks();
        Self::with(&mut |span| span.add_event_with(name, now, attributes, constants))
    }

    /// Adds an event with its own time to the current span, as
    /// [`Span::add_event_at`].
    pub fn add_event_at(name: &str, unix_nanos: u64, attributes: &Attributes<'_>) -> bool {
        Self::with(&mut |span| span.add_event(name, unix_nanos | UNIX, attributes))
    }

    /// Links the current span to another one, as [`Span::add_link`].
    pub fn add_link(to: &Context<P>, attributes: &Attributes<'_>) -> bool {
        let state = to.carried().trace_state();
        Self::with(&mut |mut span| span.add_link(&to.span_context(), state.as_str(), attributes))
    }

    /// Sets the status of the current span, as [`Span::set_status`].
    pub fn set_status(code: StatusCode, description: &str) -> bool {
        Self::with(&mut |mut span| span.set_status(code, description))
    }

    /// Renames the current span, as [`Span::update_name`].
    pub fn update_name(name: &str) -> bool {
        Self::with(&mut |mut span| span.rename(name))
    }

    /// Whether there is a current span that records.
    pub fn is_recording() -> bool {
        Self::with(&mut |_| ())
    }

    /// Hands the current span to a closure that runs no foreign code.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn with(use_it: &mut dyn FnMut(Writer<'_>)) -> bool {
        let mut former = None;
        while let Some(token) = P::with_local(Local::current_token) {
            let mut write = |span: &mut Span<P>| span.writer().map(&mut *use_it).is_some();
            // Where it was left already, it may be another one now.
            if former == Some(token) || P::with_guarded_span(token, &mut write) {
                return former != Some(token);
            }
            former = Some(token);
        }
        P::with_local(|local| {
            local.with_live(|live| match live {
                Some(live) if !live.is_surplus() => {
                    // SAFETY: the closures are those above and in `exception`,
                    // which add data.
                    use_it(unsafe { Writer::of_current(live) });
                    true
                }
                _ => false,
            })
        })
    }
}
