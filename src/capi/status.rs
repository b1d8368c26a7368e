//! The result of a call.

/// Result of a call.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trm_status {
    /// Success.
    TRM_STATUS_OK = 0,
    /// A file cannot be opened or read.
    TRM_STATUS_IO = 1,
    /// A model file is damaged, malicious, or in an unsupported format.
    TRM_STATUS_CHECKPOINT = 2,
    /// A hyper-parameter is missing, contradictory or out of range.
    TRM_STATUS_CONFIG = 3,
    /// A puzzle cannot be parsed, contradicts itself, or does not fit this model.
    TRM_STATUS_PUZZLE = 4,
    /// A device is not available or failed.
    TRM_STATUS_DEVICE = 5,
    /// An argument is NULL, too long, or out of range.
    TRM_STATUS_ARGUMENT = 6,
    /// A step callback, a cancel token, or freeing the solver stopped the call.
    TRM_STATUS_CANCELLED = 7,
    /// The time limit expired.
    TRM_STATUS_DEADLINE = 8,
    /// A handle is 0, was freed, or has another type.
    TRM_STATUS_HANDLE = 9,
    /// Called from inside a callback that must not call this function.
    TRM_STATUS_REENTRY = 10,
    /// A bug in this library. Free the solver and do not use it again.
    TRM_STATUS_PANIC = 11,
}
