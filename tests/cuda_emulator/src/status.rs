//! How a call of the driver ended.

/// As the driver numbers what went well or not.
pub type Status = u32;

pub const SUCCESS: Status = 0;
pub const INVALID_VALUE: Status = 1;
pub const OUT_OF_MEMORY: Status = 2;
pub const INVALID_CONTEXT: Status = 201;
pub const INVALID_PTX: Status = 218;
pub const UNSUPPORTED_PTX_VERSION: Status = 222;
pub const NOT_FOUND: Status = 500;
pub const NOT_READY: Status = 600;
pub const ILLEGAL_ADDRESS: Status = 700;
pub const LAUNCH_OUT_OF_RESOURCES: Status = 701;
pub const ASSERT: Status = 710;
pub const MISALIGNED: Status = 716;
pub const LAUNCH_FAILED: Status = 719;
pub const NOT_SUPPORTED: Status = 801;
