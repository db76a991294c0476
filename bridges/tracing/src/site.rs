//! What is known of the places where spans and events of `tracing` are created.

use core::cell::Cell;
use core::ptr;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use throughline_core::{Callsite, EventConstants, Key, Scope, Value};
use tracing::Metadata;
use tracing::field::Field;

/// The call site of a span or an event, made when it is first met and then kept: as `tracing`'s own,
/// there are as many as the program's text has.
#[derive(Debug)]
pub(crate) struct Site {
    metadata: &'static Metadata<'static>,
    pub(crate) callsite: Callsite,
    fields: Vec<Named>,
    /// Whether there is a field for the name or the kind, which samplers see.
    pub(crate) has_beforehand: bool,
    /// Whether there is a field for the status.
    pub(crate) has_status: bool,
    /// Whether all fields are attributes.
    pub(crate) is_simple: bool,
    /// Whether there are no fields.
    pub(crate) is_bare: bool,
    /// Whether no two fields have one name.
    pub(crate) is_distinct: bool,
    /// What events have besides their fields.
    pub(crate) constants: EventConstants,
}

/// A field by name.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) key: Key,
    pub(crate) role: Role,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Attribute,
    Name,
    Kind,
    StatusCode,
    StatusDescription,
}

impl Site {
    /// The site of this metadata.
    #[inline]
    pub(crate) fn of(metadata: &'static Metadata<'static>) -> &'static Site {
        let place = ptr::from_ref(metadata).addr() / size_of::<Metadata<'_>>() % PLACES;
        MET.with(|met| {
            let Some(met) = met.get(place) else { return Site::find(metadata) };
            match met.get() {
                Some(site) if ptr::eq(site.metadata, metadata) => site,
                _ => {
                    let site = Site::find(metadata);
                    met.set(Some(site));
                    site
                }
            }
        })
    }

    #[cold]
    fn find(metadata: &'static Metadata<'static>) -> &'static Site {
        let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
        let sites = sites.get_or_insert_default();
        sites.entry(ptr::from_ref(metadata).addr()).or_insert_with(|| Site::leaked(metadata))
    }

    fn leaked(metadata: &'static Metadata<'static>) -> &'static Site {
        let scope = Box::leak(Box::new(Scope::new(metadata.target(), "")));
        // What events have is formatted first.
        let fields = if metadata.is_event() { None } else { Some(metadata.fields().iter()) };
        let fields: Vec<_> = fields.into_iter().flatten().map(|field| Named::of(&field)).collect();
        let is_distinct = (1..fields.len()).all(|end| {
            let (before, from) = fields.split_at(end);
            let name = from.first().map(|field| field.key.as_str());
            before.iter().all(|field| Some(field.key.as_str()) != name)
        });
        let has = |roles: &[Role]| fields.iter().any(|field| roles.contains(&field.role));
        Box::leak(Box::new(Site {
            metadata,
            callsite: Callsite::new(metadata.name(), scope),
            has_beforehand: has(&[Role::Name, Role::Kind]),
            has_status: has(&[Role::StatusCode, Role::StatusDescription]),
            is_simple: fields.iter().all(|field| field.role == Role::Attribute),
            is_bare: fields.is_empty(),
            is_distinct,
            fields,
            constants: match metadata.is_event() {
                true => constants(metadata),
                false => *EventConstants::NONE,
            },
        }))
    }

    /// What the field is here; nothing for one of another site.
    #[inline]
    pub(crate) fn field(&'static self, field: &Field) -> Option<&'static Named> {
        self.fields.get(field.index())
    }
}

impl Named {
    fn of(field: &Field) -> Self {
        let role = match field.name() {
            "otel.name" => Role::Name,
            "otel.kind" => Role::Kind,
            "otel.status_code" => Role::StatusCode,
            "otel.status_description" | "otel.status_message" => Role::StatusDescription,
            _ => Role::Attribute,
        };
        Named { key: Key::new(field.name()), role }
    }
}

fn constants(metadata: &'static Metadata<'static>) -> EventConstants {
    let level = ("level", Value::Str(metadata.level().as_str()));
    let all = Box::leak(Box::new([level, ("target", Value::Str(metadata.target()))]));
    let text = |value: &Value<'_>| if let Value::Str(text) = value { text.len() } else { 0 };
    let room: usize = all.iter().map(|(key, value)| key.len() + text(value) + 17).sum();
    EventConstants::new(all, vec![0; room].leak())
}

/// All that were met.
static SITES: Mutex<Option<HashMap<usize, &'static Site>>> = Mutex::new(None);

thread_local! {
    /// Those that the thread met last, by their place in memory. It needs no destructor, so
    /// it is there as long as the thread.
    static MET: [Cell<Option<&'static Site>>; PLACES] = const { [const { Cell::new(None) }; PLACES] };
}

const PLACES: usize = 256;
