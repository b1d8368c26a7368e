//! The guides of `docs/`, as the library's documentation shows them.
//!
//! Links between pages are written as Markdown reference links. Here the same labels are defined
//! first, so that they lead to these modules instead of files: the first definition counts.

#![allow(
    clippy::doc_markdown,
    reason = "the pages are prose, with names of operators, states and programs"
)]

/// Includes a page of `docs/` as the documentation of a module.
macro_rules! pages {
    ($($name:ident $path:literal)*) => {$(
        /// [arc]: crate::guide::arc
        /// [c]: crate::guide::c
        /// [checkpoints]: crate::guide::checkpoints
        /// [command-line]: crate::guide::command_line
        /// [config-json]: crate::guide::config_json
        /// [device-problems]: crate::guide::device_problems
        /// [devices]: crate::guide::devices
        /// [environment]: crate::guide::environment
        /// [exit-codes]: crate::guide::exit_codes
        /// [getting-started]: crate::guide::getting_started
        /// [glossary]: crate::guide::glossary
        /// [gpu-step]: crate::guide::gpu_step
        /// [halting]: crate::guide::halting
        /// [json]: crate::guide::json
        /// [multi-start]: crate::guide::multi_start
        /// [number-formats]: crate::guide::number_formats
        /// [onnx]: crate::guide::onnx
        /// [performance]: crate::guide::performance
        /// [puzzles]: crate::guide::puzzles
        /// [stability]: crate::guide::stability
        /// [streams]: crate::guide::streams
        /// [what-is-a-trm]: crate::guide::what_is_a_trm
        /// [window]: crate::guide::window
        /// [your-own-puzzle]: crate::guide::your_own_puzzle
        ///
        #[doc = include_str!(concat!("../docs/", $path, ".md"))]
        pub mod $name {}
    )*};
}

pages! {
    getting_started "guide/getting-started"
    window "guide/window"
    halting "guide/halting"
    multi_start "guide/multi-start"
    streams "guide/streams"
    checkpoints "guide/checkpoints"
    arc "guide/arc"
    devices "guide/devices"
    device_problems "guide/device-problems"
    number_formats "guide/number-formats"
    onnx "guide/onnx"
    your_own_puzzle "guide/your-own-puzzle"
    c "guide/c"
    what_is_a_trm "concepts/what-is-a-trm"
    gpu_step "concepts/gpu-step"
    performance "concepts/performance"
    command_line "reference/command-line"
    puzzles "reference/puzzles"
    json "reference/json"
    exit_codes "reference/exit-codes"
    config_json "reference/config-json"
    environment "reference/environment"
    glossary "glossary"
    stability "stability"
}
