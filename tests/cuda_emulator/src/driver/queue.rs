//! What streams have to do: work is done at the call, or, in lazy mode, not before somebody waits for it.
//!
//! In lazy mode every stream has a line of steps. A wait does the steps of the stream that it is for, up to where it is
//! for, and of others only what those steps are ordered behind: by events, or by the null stream's rule. So whatever no
//! wait and no event orders comes in the worst order.

use super::{alive, broken, set_broken};
use crate::options::options;
use crate::status::{LAUNCH_FAILED, SUCCESS, Status};
use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub type Stream = *mut c_void;

/// A piece of work.
#[derive(Clone)]
pub struct Work(Arc<dyn Fn() -> Result<(), Status> + Send + Sync>);

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Work")
    }
}

impl Work {
    fn run(&self) -> Status {
        match (self.0)() {
            Ok(()) => SUCCESS,
            Err(status) => {
                // What a kernel does wrong breaks the context; what is refused beforehand does not. Where nobody is there
                // any more to be told of a refusal it does.
                if status >= 700 && status != 701 && status < 800 {
                    set_broken(status);
                } else if options().lazy {
                    set_broken(LAUNCH_FAILED);
                }
                status
            }
        }
    }
}

/// A step of a stream.
#[derive(Debug, Clone)]
enum Step {
    Do(Work),
    /// Memory that comes or goes, which is done even where all is broken.
    Always(Work),
    /// Not before another stream has come there.
    After(Place),
}

/// A stream: how many steps it was given, how many are done because somebody waited for them, and those that are not.
///
/// Where work is done at the call no step is left, and only whether somebody waited is kept.
#[derive(Debug, Default)]
struct Line {
    submitted: u64,
    waited: u64,
    steps: VecDeque<Step>,
    /// It waits for the null stream, and the null stream for it.
    blocking: bool,
}

static LINES: Mutex<Option<HashMap<usize, Line>>> = Mutex::new(None);
/// Held while steps are done: by one thread at a time, so that each stream's are done in order.
static RUNNING: Mutex<()> = Mutex::new(());
static CAPTURED: Mutex<Option<HashMap<usize, Vec<Work>>>> = Mutex::new(None);

fn lines<R>(act: impl FnOnce(&mut HashMap<usize, Line>) -> R) -> R {
    act(LINES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

fn captured<R>(act: impl FnOnce(&mut HashMap<usize, Vec<Work>>) -> R) -> R {
    act(CAPTURED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Behind what a stream was given so far.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    stream: usize,
    submitted: u64,
}

impl Place {
    pub fn now(stream: Stream) -> Place {
        let stream = stream as usize;
        Place { stream, submitted: lines(|all| all.entry(stream).or_default().submitted) }
    }

    /// Waits until here.
    pub fn wait(self) {
        if options().lazy {
            let _turn = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            self.reach();
        } else {
            lines(|all| {
                let line = all.entry(self.stream).or_default();
                line.waited = line.waited.max(self.submitted);
            });
        }
    }

    /// Whether the stream has come here; who learns that it has need not wait any more. Every question lets a lazy stream
    /// do a step, for a device gets on while it is asked.
    pub fn ask(self) -> bool {
        if !options().lazy {
            self.wait();
        } else if !self.is_done() {
            let waited = lines(|all| all.entry(self.stream).or_default().waited);
            Place { submitted: waited + 1, ..self }.wait();
        }
        self.is_done()
    }

    /// Whether somebody has waited until here. Work may be done by then; on a device it would be under way yet.
    pub fn is_done(self) -> bool {
        lines(|all| all.entry(self.stream).or_default().waited >= self.submitted)
    }

    /// Does the steps until here, and those that they come behind. Streams are ordered behind what was there before, so
    /// this ends.
    fn reach(self) {
        loop {
            let next = lines(|all| {
                let line = all.entry(self.stream).or_default();
                line.steps.front().filter(|_| line.waited < self.submitted).cloned()
            });
            match next {
                None => return,
                Some(Step::After(place)) => place.reach(),
                Some(Step::Do(work)) if broken() == SUCCESS => drop(work.run()),
                Some(Step::Do(_)) => {}
                Some(Step::Always(work)) => drop(work.run()),
            }
            lines(|all| {
                let line = all.entry(self.stream).or_default();
                line.steps.pop_front();
                line.waited += 1;
            });
        }
    }
}

/// Waits for all streams.
pub fn wait_for_all() {
    let streams: Vec<usize> = lines(|all| all.keys().copied().collect());
    for stream in streams {
        Place::now(stream as Stream).wait();
    }
}

/// The context has ended, and what was not waited for with it: only memory comes and goes.
pub fn abandon() {
    set_broken(LAUNCH_FAILED);
    if options().lazy {
        wait_for_all();
    }
    set_broken(SUCCESS);
}

/// Tells whether a stream's work and the null stream's wait for each other.
pub fn set_blocking(stream: Stream, blocking: bool) {
    lines(|all| all.entry(stream as usize).or_default().blocking = blocking);
}

/// What comes before a step of this stream though nobody says so: the null stream's work and that of blocking streams.
fn null_rule(all: &HashMap<usize, Line>, stream: usize) -> Vec<Place> {
    let blocking = all.get(&stream).is_some_and(|line| line.blocking);
    let before = |other: usize, line: &Line| match stream {
        0 => other != 0 && line.blocking,
        _ => other == 0 && blocking,
    };
    all.iter()
        .filter(|(other, line)| !line.steps.is_empty() && before(**other, line))
        .map(|(other, line)| Place { stream: *other, submitted: line.submitted })
        .collect()
}

fn push(stream: Stream, step: Step) {
    lines(|all| {
        let before = null_rule(all, stream as usize);
        let line = all.entry(stream as usize).or_default();
        for step in before.into_iter().map(Step::After).chain([step]) {
            line.submitted += 1;
            line.steps.push_back(step);
        }
    });
}

/// Records work, or does it, or keeps it for later.
pub fn submit(stream: Stream, work: impl Fn() -> Result<(), Status> + Send + Sync + 'static) -> Status {
    submit_work(stream, Work(Arc::new(work)))
}

/// The same with work that was recorded before.
pub fn submit_work(stream: Stream, work: Work) -> Status {
    alive!();
    let recorded = captured(|captured| match captured.get_mut(&(stream as usize)) {
        Some(list) => {
            list.push(work.clone());
            true
        }
        None => false,
    });
    if recorded {
        return SUCCESS;
    }
    if options().lazy {
        push(stream, Step::Do(work));
        return SUCCESS;
    }
    lines(|all| all.entry(stream as usize).or_default().submitted += 1);
    work.run()
}

/// Memory comes or goes in a stream's order: at once, where work is done at the call.
pub fn submit_always(stream: Stream, work: impl Fn() -> Result<(), Status> + Send + Sync + 'static) -> Status {
    let work = Work(Arc::new(work));
    if options().lazy {
        push(stream, Step::Always(work));
        return SUCCESS;
    }
    work.run()
}

/// What the stream does from now on comes behind a place of another.
pub fn order_behind(stream: Stream, place: Place) {
    if options().lazy && !place.is_done() {
        push(stream, Step::After(place));
    }
}

pub fn is_capturing(stream: Stream) -> bool {
    captured(|captured| captured.contains_key(&(stream as usize)))
}

pub fn begin(stream: Stream) -> bool {
    captured(|captured| captured.insert(stream as usize, Vec::new()).is_none())
}

pub fn end(stream: Stream) -> Option<Vec<Work>> {
    captured(|captured| captured.remove(&(stream as usize)))
}
