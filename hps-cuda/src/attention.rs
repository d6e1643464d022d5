//! Attention over spans.

/// What is computed of spans once and used in every layer.
#[derive(Debug)]
pub struct Plan;
