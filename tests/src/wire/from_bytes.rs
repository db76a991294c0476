//! Plans made as arbitrary bytes say, for fuzzing: what is near in the bytes is
//! near in the plans.

use throughline_core::{Ending, SpanContext, SpanKind, StatusCode, Value};

use super::{CALLSITES, End, Pairs, Plan, Step, span_context};

/// At least one plan, and no more than a batch holds easily.
pub fn plans_from(bytes: &[u8]) -> Vec<Plan> {
    let mut source = Source { rest: bytes };
    let mut plans = vec![source.plan()];
    while plans.len() < 8 && !source.rest.is_empty() {
        plans.push(source.plan());
    }
    plans
}

/// The bytes that are left; where they end, all is zero.
struct Source<'a> {
    rest: &'a [u8],
}

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        self.rest.split_off_first().copied().unwrap_or(0)
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        [(); N].map(|()| self.byte())
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Bytes of a length below 256, or up to 16 times that.
    fn bytes(&mut self) -> Vec<u8> {
        let (length, stretch) = (usize::from(self.byte()), self.byte());
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken.repeat(1 + usize::from(stretch % 16))
    }

    fn text(&mut self) -> &'static str {
        String::from_utf8_lossy(&self.bytes()).into_owned().leak()
    }

    fn plan(&mut self) -> Plan {
        let callsite = &CALLSITES[usize::from(self.byte()) % CALLSITES.len()];
        let choice = self.byte();
        let kinds = [SpanKind::Internal, SpanKind::Server, SpanKind::Consumer];
        Plan {
            callsite,
            kind: (choice & 1 != 0).then(|| self.of(&kinds)),
            parent: (choice & 2 != 0).then(|| (self.context(), self.of(&STATES))),
            start: u64::from_be_bytes(self.number()) >> 4,
            own_start: (choice & 4 != 0).then(|| self.time()),
            steps: {
                let most = self.byte();
                (0..most).map_while(|_| self.step()).collect()
            },
            end: match choice >> 3 {
                0 => End::At(self.time()),
                1 => End::As(Ending::Cancelled),
                2 => End::As(Ending::Panicked),
                3 => End::Drop,
                _ => End::Now,
            },
        }
    }

    /// None where the bytes end.
    fn step(&mut self) -> Option<Step> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match self.byte() % 8 {
            0 => Step::Event(self.text(), None, self.pairs()),
            1 => Step::Event(self.text(), Some(self.time()), self.pairs()),
            2 => Step::Link(self.context(), self.of(&STATES), self.pairs()),
            3 => {
                let codes = [StatusCode::Unset, StatusCode::Error, StatusCode::Ok];
                Step::Status(self.of(&codes), self.text())
            }
            4 => Step::Name(self.text()),
            5 => Step::Attribute(self.text(), self.value(4)),
            _ => Step::Attribute(self.of(&["", "a", "b", "ключ"]), self.value(4)),
        })
    }

    fn pairs(&mut self) -> Pairs {
        let count = self.byte() % 8;
        (0..count).map(|_| (self.text(), self.value(2))).collect()
    }

    fn value(&mut self, depth: u8) -> Value<'static> {
        let choice = self.byte() % if depth == 0 { 7 } else { 9 };
        match choice {
            0 => Value::Empty,
            1 => Value::Bool(self.byte() & 1 != 0),
            2 => Value::I64(i64::from_be_bytes(self.number())),
            3 => Value::U64(u64::from_be_bytes(self.number())),
            4 => Value::F64(f64::from_bits(u64::from_be_bytes(self.number()))),
            5 => Value::Str(self.text()),
            6 => Value::Bytes(self.bytes().leak()),
            7 => {
                let count = self.byte() % 5;
                let values: Vec<_> = (0..count).map(|_| self.value(depth - 1)).collect();
                Value::Array(values.leak())
            }
            _ => {
                let count = self.byte() % 5;
                let entry = |_| (self.text(), self.value(depth - 1));
                Value::Map((0..count).map(entry).collect::<Vec<_>>().leak())
            }
        }
    }

    fn context(&mut self) -> SpanContext {
        match self.byte() % 4 {
            0 => SpanContext::INVALID,
            flags => {
                let (trace, span) = (u128::from_be_bytes(self.number()), self.number());
                // An id of zeros would be no id.
                span_context(trace | 1, u64::from_be_bytes(span) | 1, flags >> 1, flags & 1 != 0)
            }
        }
    }

    /// Until the year 2262.
    fn time(&mut self) -> u64 {
        u64::from_be_bytes(self.number()) >> 1
    }
}

const STATES: [&str; 3] = ["", "rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=1"];
