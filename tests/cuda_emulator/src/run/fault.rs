//! What a kernel did wrong.

use crate::status::Status;

/// A violation; where it happened is added by whoever knows.
#[derive(Debug)]
pub struct Fault {
    pub status: Status,
    pub message: String,
    pub lane: Option<usize>,
}

impl Fault {
    pub fn new(status: Status, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { status, message: message.into(), lane: None })
    }

    pub fn of_lane(status: Status, lane: usize, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { status, message: message.into(), lane: Some(lane) })
    }
}

pub type Result<T> = std::result::Result<T, Box<Fault>>;
