//! ARC tasks as text.
