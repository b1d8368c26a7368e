/// Returns whether the long form of the tests runs (`TRM_TEST_LONG=1`, as in `.ci/long`): more
/// rounds, and every size, dtype and model on the GPU. A software GPU compiles each kernel again
/// for each size, which takes 200 ms.
pub(crate) fn long() -> bool {
    std::env::var("TRM_TEST_LONG").is_ok_and(|v| v == "1")
}
