//! The book: what is known about each trace, and what was decided.

use core::time::Duration;

use super::ended::{Ended, FAILED, PANICKED};
use super::mark::Mark;
use super::table::Table;
use super::trace::{State, Trace};
use super::{Facts, Rules, TailStats, Traces};
use crate::live::LocalRoot;
use crate::sampler::Randomness;
use crate::w3c::TraceState;
use crate::{OtelTraceState, Pipeline, Threshold, TraceId, frame};

/// What is known about the traces of one or several pipelines, and how they were
/// decided. The frames themselves are in a [`Buffer`](super::Buffer) per pipeline.
///
/// Pipelines that share a book decide together: a trace that has spans in several
/// of them is kept or dropped in all. Their flushers are to have one clock then.
///
/// `M` is its memory: [`Traces`] for as many as may be undecided or remembered.
#[derive(Debug)]
pub struct Book<M, R> {
    pub(super) table: Table<M>,
    rules: R,
    takes_notes: bool,
    settings: BookSettings,
    members: [Option<Member>; MAX_PIPELINES],
    /// Counts the moments of which members tell that they have drained all that
    /// had ended before.
    pub(super) epoch: u64,
    epoch_began: Duration,
    /// The traces that were not found under way in this epoch are to be decided.
    looking: Option<u64>,
    /// The last look for local roots under way.
    last_look: u64,
    next_look: Duration,
    forcing: Option<Forcing>,
    /// The number of the last decision.
    pub(super) decisions: u64,
    stats: TailStats,
}

/// How long a book waits, and how much it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BookSettings {
    /// The most traces that are undecided at once; the oldest is decided early
    /// where there are more. 8,192 by default.
    pub max_traces: usize,
    /// The most traces that are known at once, undecided or remembered: each has a
    /// [`Chain`](super::Chain) in the [`Buffer`](super::Buffer) of each pipeline. By default as
    /// many as there is memory for.
    pub max_known: usize,
    /// When a trace is decided though local roots of it are under way, counted
    /// from its first span that ended. 30 s by default.
    pub decision_time: Duration,
    /// How often the live-span tables are looked through for local roots, while
    /// there are undecided traces. 25 ms by default, 1 ms at least.
    pub look_interval: Duration,
}

impl BookSettings {
    /// The defaults.
    pub const fn new() -> Self {
        BookSettings {
            max_traces: 8_192,
            max_known: usize::MAX,
            decision_time: Duration::from_secs(30),
            look_interval: Duration::from_millis(25),
        }
    }
}

impl Default for BookSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// A pipeline that shares the book.
#[derive(Clone, Copy, Debug)]
struct Member {
    pipeline: &'static Pipeline,
    /// Its sampler keeps every root, so that a trace which begins there and says
    /// nothing of a threshold has that of all.
    keeps_roots: bool,
    /// The last epoch before which it has drained everything.
    drained: u64,
}

/// Everything is to be decided, for a flush.
#[derive(Clone, Copy, Debug)]
struct Forcing {
    since: Duration,
    /// After this epoch; none while a former one is waited for.
    epoch: Option<u64>,
}

/// Why a trace is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// No local root is under way.
    Over,
    Overdue,
    Early,
    Flush,
}

impl<M, R> Book<M, R>
where
    M: AsRef<[Traces]> + AsMut<[Traces]>,
    R: Rules,
{
    /// An empty book; `None` if the rules note more than [`Facts::MAX_NOTES`]
    /// bits. The seed is random, so that nobody outside can choose trace ids that
    /// are slow to find.
    pub fn new(memory: M, rules: R, settings: BookSettings, seed: u64) -> Option<Self> {
        let width = rules.width();
        let look_interval = settings.look_interval.max(Duration::from_millis(1));
        let settings = BookSettings { look_interval, ..settings };
        (width <= Facts::MAX_NOTES).then(|| Book {
            table: Table::new(memory, settings.max_known, seed),
            takes_notes: width > 0,
            rules,
            settings,
            members: [None; MAX_PIPELINES],
            epoch: 0,
            epoch_began: Duration::ZERO,
            looking: None,
            last_look: 0,
            next_look: Duration::ZERO,
            forcing: None,
            decisions: 0,
            stats: TailStats::default(),
        })
    }

    /// What was decided so far.
    pub fn stats(&self) -> TailStats {
        self.stats
    }

    /// The number of traces that are not decided yet.
    pub fn undecided(&self) -> usize {
        self.table.count(State::Open)
    }

    /// The rules.
    pub fn rules(&self) -> &R {
        &self.rules
    }

    /// A pipeline joins. Returns its number, unless there are too many.
    pub(super) fn join(&mut self, pipeline: &'static Pipeline) -> Option<u8> {
        let number = self.members.iter().position(Option::is_none)?;
        let keeps_roots = pipeline.sampler().root_threshold() == Some(Threshold::ALWAYS);
        self.members[number] = Some(Member { pipeline, keeps_roots, drained: self.epoch });
        u8::try_from(number).ok()
    }

    /// A pipeline leaves; nothing of it waits.
    pub(super) fn leave(&mut self, number: u8) {
        if let Some(member) = self.members.get_mut(usize::from(number)) {
            *member = None;
        }
    }

    fn has_others(&self) -> bool {
        self.members.iter().flatten().count() > 1
    }

    /// Wakes all other members.
    fn announce(&self, me: u8) {
        for (number, member) in self.members.iter().enumerate() {
            if let Some(member) = member
                && number != usize::from(me)
            {
                member.pipeline.announce();
            }
        }
    }

    /// Whether a trace is not decided yet.
    #[inline]
    pub(super) fn is_open(&self, index: u32) -> bool {
        self.table.get(index).is_some_and(|trace| trace.state == State::Open)
    }

    /// How a trace was kept; `None` if it was not, or is not decided yet.
    pub(super) fn kept(&self, index: u32) -> Option<Mark> {
        self.table.get(index).and_then(|trace| trace.kept)
    }

    /// Whether one more trace has room, if need be in place of one that is only
    /// remembered.
    pub(super) fn can_open(&self) -> bool {
        self.table.can_open()
    }

    /// Makes room for a trace, if need be by deciding the oldest one.
    pub(super) fn open(&mut self, now: Duration, span: &Ended<'_>, me: u8) -> Option<u32> {
        let is_full = self.table.count(State::Open) >= self.settings.max_traces.max(1);
        if is_full && let Some(oldest) = self.table.first(State::Open) {
            self.decide(oldest, now, Why::Early);
        }
        let index = self.table.open(span.trace)?;
        let deadline = nanos(now.saturating_add(self.settings.decision_time));
        let opened = self.epoch;
        if self.table.count(State::Open) == 1 {
            self.next_look = now.saturating_add(self.settings.look_interval);
        }
        let randomness = self.randomness_of(span, me);
        let trace = self.table.get_mut(index)?;
        (trace.deadline, trace.opened) = (deadline, opened);
        (trace.randomness, trace.first_end) = (randomness, span.end);
        Some(index)
    }

    /// A buffer has a frame of a trace.
    pub(super) fn hold(&mut self, index: u32, me: u8) {
        if let Some(trace) = self.table.get_mut(index) {
            trace.hold(me);
        }
    }

    /// Whether the rules ask for more than is noted of every trace.
    #[inline(always)]
    pub(super) fn takes_notes(&self) -> bool {
        self.takes_notes
    }

    /// Notes what a span says about its trace, decided or not.
    #[inline(never)]
    pub(super) fn note(&mut self, index: u32, span: &Ended<'_>, me: u8) {
        let (notes, begins_here) = (self.notes_of(span), self.begins_in(me, span));
        let Some(trace) = self.table.get_mut(index) else { return };
        let is_first_error = is_error(span.seen) && !is_error(trace.seen);
        trace.see(span, notes);
        match trace.state {
            State::Open => trace.is_head_known |= begins_here,
            _ if is_first_error => {
                let is_kept = trace.kept.is_some();
                self.count_error(is_kept);
            }
            _ => {}
        }
    }

    /// What the rules note about a span.
    #[inline(always)]
    pub(super) fn notes_of(&self, span: &Ended<'_>) -> u64 {
        if self.takes_notes { self.rules.note(&span.view()) } else { 0 }
    }

    /// Whether a trace begins with this span, where every such trace is sampled at
    /// the head.
    #[inline(always)]
    pub(super) fn begins_in(&self, member: u8, span: &Ended<'_>) -> bool {
        let keeps_roots = |member: &Option<Member>| member.is_some_and(|m| m.keeps_roots);
        !span.has_parent && self.members.get(usize::from(member)).is_some_and(keeps_roots)
    }

    fn count_error(&mut self, is_kept: bool) {
        self.stats.error_traces += 1;
        self.stats.error_traces_kept += u64::from(is_kept);
    }

    /// Decides a trace that is open.
    pub(super) fn decide(&mut self, index: u32, now: Duration, why: Why) {
        let Some(&trace) = self.table.get(index) else { return };
        let kept = self.judge(&trace, now, why);
        let decision = self.decisions;
        let Some(trace) = self.table.get_mut(index) else { return };
        (trace.kept, trace.deadline) = (kept, decision);
        let state = if trace.holders == 0 { State::Remembered } else { State::Settling };
        self.table.move_to(index, state);
    }

    /// Decides about a span for whose trace there is no room at all.
    pub(super) fn decide_alone(&mut self, span: &Ended<'_>, now: Duration, me: u8) -> Option<Mark> {
        let mut trace = Trace::EMPTY;
        trace.see(span, self.notes_of(span));
        trace.is_head_known = self.begins_in(me, span);
        trace.randomness = self.randomness_of(span, me);
        self.judge(&trace, now, Why::Early)
    }

    fn judge(&mut self, trace: &Trace, now: Duration, why: Why) -> Option<Mark> {
        self.decisions += 1;
        let duration = self.duration(trace, now, why);
        let facts = Facts { seen: trace.seen, notes: trace.notes, duration };
        let nanos = nanos(now);
        let stats = &mut self.stats;
        let threshold = self.rules.amount_for(&facts).and_then(|(number, amount)| {
            let threshold = amount.threshold(nanos)?;
            let is_kept = threshold.keeps(Randomness::new(trace.randomness)) && amount.take(nanos);
            if is_kept {
                stats.kept_by_rule[number.min(TailStats::RULES - 1)] += 1;
            }
            is_kept.then_some(threshold)
        });
        let is_kept = threshold.is_some();
        *(if is_kept { &mut stats.traces_kept } else { &mut stats.traces_dropped }) += 1;
        match why {
            Why::Over => stats.decided_without_root += u64::from(!trace.has_local_root),
            Why::Overdue => stats.decided_overdue += 1,
            Why::Early => stats.decided_early += 1,
            Why::Flush => stats.decided_by_flush += 1,
        }
        if is_error(trace.seen) {
            self.count_error(is_kept);
        }
        threshold.map(|threshold| Mark { threshold, is_head_known: trace.is_head_known })
    }

    /// How long a trace took; at least, if a local root of it is under way.
    fn duration(&self, trace: &Trace, now: Duration, why: Why) -> Duration {
        let ended = trace.end.saturating_sub(trace.begin);
        let is_under_way = why != Why::Over && trace.looked != 0 && trace.looked == self.last_look;
        let under_way = if is_under_way {
            // It became known when, or after, its first span ended.
            let known = trace.deadline.saturating_sub(nanos(self.settings.decision_time));
            let until_known = trace.first_end.saturating_sub(trace.begin);
            nanos(now).saturating_sub(known).saturating_add(until_known)
        } else {
            0
        };
        Duration::from_nanos(ended.max(under_way))
    }

    /// By what a part of all traces is chosen.
    ///
    /// What the specification calls randomness, so that services which sample at
    /// different rates keep the same traces. But where the sampler at the head may have chosen
    /// by the same bits, without saying so, a part of what it kept is chosen by others: as
    /// `TraceIdRatioBased` keeps what is little by them.
    fn randomness_of(&self, span: &Ended<'_>, me: u8) -> u64 {
        let keeps_roots = |member: &Option<Member>| member.is_some_and(|m| m.keeps_roots);
        let is_plain = self.members.get(usize::from(me)).is_some_and(keeps_roots);
        let text = span.trace_state();
        if !text.is_empty() {
            let state = TraceState::parse(text).unwrap_or_default();
            let said = OtelTraceState::of(state);
            if is_plain || said.threshold().is_some() || said.randomness().is_some() {
                return Randomness::of(span.trace, state).get();
            }
        }
        let bits = if is_plain { span.trace.randomness() } else { mixed(span.trace) };
        Randomness::new(bits).get()
    }

    /// The number of the decision about a trace.
    pub(super) fn decision_of(&self, index: u32) -> Option<u64> {
        self.table.get(index).map(|trace| trace.deadline)
    }

    /// A buffer has frames again of a trace that is decided.
    pub(super) fn settle_again(&mut self, index: u32, me: u8) {
        let decision = self.decisions;
        let Some(trace) = self.table.get_mut(index) else { return };
        trace.hold(me);
        if trace.state == State::Remembered {
            // A flush waits for what was decided before it.
            trace.deadline = decision;
            self.table.move_to(index, State::Settling);
        }
    }

    /// A buffer has no frames of a trace any more.
    pub(super) fn let_go(&mut self, index: u32, me: u8) {
        let Some(trace) = self.table.get_mut(index) else { return };
        trace.holders &= !(1 << me);
        if trace.holders == 0 && trace.state == State::Settling {
            self.table.move_to(index, State::Remembered);
        }
    }

    /// Whether frames of a trace wait in a buffer.
    pub(super) fn holds(&self, index: u32, me: u8) -> bool {
        self.table.get(index).is_some_and(|trace| trace.holders & 1 << me != 0)
    }

    /// Looks through the live-span tables, if it is time.
    pub(super) fn look(&mut self, now: Duration, me: u8, unix_nanos: &impl Fn(u64) -> u64) {
        if now < self.next_look || self.table.count(State::Open) == 0 {
            return;
        }
        self.next_look = now.saturating_add(self.settings.look_interval);
        let Some(epoch) = self.begin_epoch(now, me) else { return };
        let is_sure = self.find_roots(epoch, unix_nanos);
        // A slot that was just being taken or given back may be a root: another
        // look will tell.
        self.looking = is_sure.then_some(epoch);
    }

    /// Notes at which traces local roots are under way, and since when. Returns whether
    /// these are sure to be all.
    fn find_roots(&mut self, look: u64, unix_nanos: &impl Fn(u64) -> u64) -> bool {
        self.last_look = look;
        let table = &mut self.table;
        let mut is_sure = true;
        for Member { pipeline, keeps_roots, .. } in self.members.iter().flatten() {
            let note = |table: &mut Table<M>, root: LocalRoot| {
                if let Some(index) = table.find(root.trace)
                    && let Some(trace) = table.get_mut(index)
                {
                    trace.looked = look;
                    if trace.state == State::Open {
                        trace.is_head_known |= !root.has_parent && *keeps_roots;
                        trace.begin = trace.begin.min(frame::unix_of(root.start, unix_nanos));
                    }
                }
            };
            // One is noted while the trace of the next one comes near.
            let mut last = None;
            is_sure &= pipeline.live_table().each_local_root(|root| {
                table.expect(root.trace);
                if let Some(last) = last.replace(root) {
                    note(table, last);
                }
            });
            if let Some(last) = last {
                note(table, last);
            }
        }
        is_sure
    }

    /// Begins an epoch, unless the last one is still waited for.
    fn begin_epoch(&mut self, now: Duration, me: u8) -> Option<u64> {
        if !self.is_over(self.epoch, now, LAGGING) {
            return None;
        }
        self.epoch += 1;
        self.epoch_began = now;
        self.announce(me);
        Some(self.epoch)
    }

    /// Whether all members have drained what had ended before the epoch, or had
    /// their time for it.
    fn is_over(&self, epoch: u64, now: Duration, patience: Duration) -> bool {
        self.members.iter().flatten().all(|member| member.drained >= epoch)
            || self.has_others() && now >= self.epoch_began.saturating_add(patience)
    }

    /// A member has drained everything that had ended before the epoch began.
    pub(super) fn on_drained(&mut self, me: u8, epoch: u64) {
        if let Some(Some(member)) = self.members.get_mut(usize::from(me)) {
            member.drained = epoch;
        }
    }

    /// Decides what is over, and what has waited too long.
    pub(super) fn decide_due(&mut self, now: Duration, me: u8) {
        let before = self.decisions;
        if let Some(epoch) = self.looking
            && self.is_over(epoch, now, LAGGING)
        {
            self.looking = None;
            self.decide_where(now, Why::Over, |trace| {
                trace.opened != epoch && trace.looked != epoch
            });
        }
        while let Some(oldest) = self.table.first(State::Open)
            && self.table.get(oldest).is_some_and(|trace| trace.deadline <= nanos(now))
        {
            self.decide(oldest, now, Why::Overdue);
        }
        if self.decisions != before && self.has_others() {
            self.announce(me);
        }
    }

    fn decide_where(&mut self, now: Duration, why: Why, which: impl Fn(&Trace) -> bool) {
        let mut next = self.table.first(State::Open);
        while let Some(index) = next {
            next = self.table.next(index);
            if self.table.get(index).is_some_and(&which) {
                self.decide(index, now, why);
            }
        }
    }

    /// Decides everything, for a flush; whether that is done. Others that share
    /// the book get a moment to drain what has ended.
    pub(super) fn force(
        &mut self,
        now: Duration,
        me: u8,
        unix_nanos: &impl Fn(u64) -> u64,
    ) -> bool {
        if self.has_others() {
            let forcing = self.forcing.unwrap_or(Forcing { since: now, epoch: None });
            let epoch = forcing.epoch.or_else(|| self.begin_epoch(now, me));
            self.forcing = Some(Forcing { epoch, ..forcing });
            let is_patient = now < forcing.since.saturating_add(PATIENCE);
            if is_patient && !epoch.is_some_and(|epoch| self.is_over(epoch, now, PATIENCE)) {
                return false;
            }
        }
        (self.forcing, self.looking) = (None, None);
        if self.table.count(State::Open) > 0 {
            // How long they take until now.
            self.find_roots(LOOK_OF_FLUSH, unix_nanos);
        }
        self.decide_where(now, Why::Flush, |_| true);
        self.announce(me);
        true
    }

    /// When something is to be done again, if nothing else happens.
    pub(super) fn until(&self) -> Option<Duration> {
        let oldest = self.table.get(self.table.first(State::Open)?)?;
        Some(self.next_look.min(Duration::from_nanos(oldest.deadline)))
    }
}

impl Trace {
    /// A buffer has a frame of it.
    #[inline(always)]
    pub(super) fn hold(&mut self, me: u8) {
        self.holders |= 1 << me;
    }

    /// It took as long as this span at least.
    #[inline(always)]
    pub(super) fn cover(&mut self, begin: u64, end: u64) {
        self.begin = self.begin.min(begin);
        self.end = self.end.max(end);
    }

    #[inline]
    pub(super) fn see(&mut self, span: &Ended<'_>, notes: u64) {
        self.cover(span.begin, span.end);
        self.notes |= notes;
        self.seen |= span.seen;
        self.has_local_root |= span.is_local_root();
    }
}

/// All bits of an id in each bit, the same in every process.
fn mixed(trace: TraceId) -> u64 {
    let [high, low] = trace.halves();
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product >> 64) as u64 ^ product as u64
    };
    fold(fold(high ^ 0xa076_1d64_78bd_642f, low ^ 0xe703_7ed1_a0b4_28db), 0x8ebc_6af0_9c88_c6e3)
}

fn is_error(seen: u8) -> bool {
    seen & (FAILED | PANICKED) != 0
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The most pipelines that share a book.
pub const MAX_PIPELINES: usize = 16;

/// No epoch has this number.
const LOOK_OF_FLUSH: u64 = u64::MAX;

/// How long a flush waits for the other pipelines that share a book: their
/// exporters may be in trouble.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long other decisions wait for them. One whose buffer is full of what its exporter is
/// to take leaves frames in its rings meanwhile, and an error may be among them.
const LAGGING: Duration = Duration::from_secs(10);
