//! What a kernel did wrong.

/// As the driver numbers them.
pub mod status {
    pub const INVALID_VALUE: u32 = 1;
    pub const OUT_OF_MEMORY: u32 = 2;
    pub const INVALID_CONTEXT: u32 = 201;
    pub const INVALID_PTX: u32 = 218;
    pub const NOT_FOUND: u32 = 500;
    pub const ILLEGAL_ADDRESS: u32 = 700;
    pub const LAUNCH_OUT_OF_RESOURCES: u32 = 701;
    pub const ASSERT: u32 = 710;
    pub const MISALIGNED: u32 = 716;
    pub const LAUNCH_FAILED: u32 = 719;
    pub const NOT_SUPPORTED: u32 = 801;
}

/// A violation; where it happened is added by whoever knows.
#[derive(Debug)]
pub struct Fault {
    pub status: u32,
    pub message: String,
    pub lane: Option<usize>,
}

impl Fault {
    pub fn new(status: u32, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { status, message: message.into(), lane: None })
    }

    pub fn of_lane(status: u32, lane: usize, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { status, message: message.into(), lane: Some(lane) })
    }
}

pub type Result<T> = std::result::Result<T, Box<Fault>>;
