//! Equal scopes as one.
//!
//! Each call site has a scope of its own, and those of one crate say the same. A batch is
//! grouped by scopes, which is quick where equal ones have one address.

use core::ptr;

use crate::Scope;

/// The scopes that a flusher met. Where it has no room for more, spans are grouped by
/// what their scopes say: that takes longer, and is the same.
#[derive(Debug)]
pub(crate) struct Scopes {
    /// No two of them are equal.
    distinct: heapless::Vec<&'static Scope, DISTINCT>,
    /// The scope of a call site, and the one that stands for it, by the address.
    recent: [(&'static Scope, &'static Scope); RECENT],
}

impl Scopes {
    pub(crate) const fn new() -> Self {
        Scopes { distinct: heapless::Vec::new(), recent: [(&NOWHERE, &NOWHERE); RECENT] }
    }

    /// The one that stands for all that are equal to this one.
    #[inline]
    pub(crate) fn one_of(&mut self, scope: &'static Scope) -> &'static Scope {
        if IS_SMALL {
            return scope;
        }
        let place = ptr::from_ref(scope).addr() / align_of::<Scope>() % RECENT;
        match self.recent[place] {
            (known, one) if ptr::eq(known, scope) => one,
            _ => self.learn(scope, place),
        }
    }

    #[inline(never)]
    fn learn(&mut self, scope: &'static Scope, place: usize) -> &'static Scope {
        let one = self.distinct.iter().copied().find(|known| *known == scope);
        let one = one.unwrap_or_else(|| {
            // Without room it stands for itself.
            let _ = self.distinct.push(scope);
            scope
        });
        self.recent[place] = (scope, one);
        one
    }
}

static NOWHERE: Scope = Scope::new("", "");

/// Bare targets have few call sites and little memory.
const IS_SMALL: bool = cfg!(target_os = "none");
/// The crates of most programs that make spans.
const DISTINCT: usize = if IS_SMALL { 0 } else { 32 };
/// Call sites that are busy at once.
const RECENT: usize = if IS_SMALL { 1 } else { 64 };

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::string::String;

    use super::*;

    fn scope(name: &str) -> &'static Scope {
        let name: &'static str = String::from(name).leak();
        Box::leak(Box::new(Scope::new(name, "1.0")))
    }

    #[test]
    fn one_stands_for_all_that_are_equal_however_many_there_are() {
        let mut scopes = Scopes::new();
        let (one, other) = (scope("one"), scope("other"));
        for scope_of in [|| scope("one"), || scope("other")].iter().cycle().take(4 * RECENT) {
            let met = scope_of();
            let first = if met == one { one } else { other };
            assert!(ptr::eq(scopes.one_of(first), first));
            assert!(ptr::eq(scopes.one_of(met), first));
        }
        assert_eq!(scopes.distinct.len(), 2);
    }

    #[test]
    fn one_for_which_there_is_no_room_stands_for_itself() {
        let mut scopes = Scopes::new();
        for number in 0..DISTINCT + 4 {
            let scope = scope(&std::format!("{number}"));
            assert!(ptr::eq(scopes.one_of(scope), scope));
        }
        let (known, unknown) = (scope("0"), scope(&std::format!("{}", DISTINCT + 1)));
        assert!(!ptr::eq(scopes.one_of(known), known));
        assert!(ptr::eq(scopes.one_of(unknown), unknown));
    }
}
