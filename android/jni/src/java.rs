//! Between Java's values and C's, and how a native method fails.

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::ptr;

use jni::errors::{Error, ErrorPolicy, Result};
use jni::objects::{JClass, JIntArray, JObjectArray, JString, JValue};
use jni::sys::{jfloat, jint};
use jni::{Env, EnvUnowned, jni_sig, jni_str};
use trm::capi::{trm_error, trm_options, trm_status};

/// Runs a native method. If it fails an exception is pending when it returns.
pub(crate) fn method<'local, T: Default>(
    env: &mut EnvUnowned<'local>,
    class: &JClass<'local>,
    body: impl FnOnce(&mut Env<'local>) -> Result<T>,
) -> T {
    env.with_env(body).resolve_with::<Throw, _>(|| class)
}

/// Throws what is not yet thrown.
struct Throw;

impl<T: Default> ErrorPolicy<T, Error> for Throw {
    type Captures<'local: 'method, 'method> = &'method JClass<'local>;

    fn on_error<'local: 'method, 'method>(
        env: &mut Env<'local>,
        class: &mut Self::Captures<'local, 'method>,
        error: Error,
    ) -> Result<T> {
        if !env.exception_check() {
            fail(env, class, trm_status::TRM_STATUS_PANIC, &format!("JNI: {error}"));
        }
        Ok(T::default())
    }

    fn on_panic<'local: 'method, 'method>(
        env: &mut Env<'local>,
        class: &mut Self::Captures<'local, 'method>,
        panic: Box<dyn Any + Send>,
    ) -> Result<T> {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let said = said.unwrap_or("it panicked");
        fail(env, class, trm_status::TRM_STATUS_PANIC, said);
        Ok(T::default())
    }
}

/// Throws what `Native.fail` makes of it, and says so.
fn fail(env: &mut Env<'_>, class: &JClass<'_>, status: trm_status, text: &str) -> Error {
    let thrown = JString::new(env, text).and_then(|text| {
        let args = [JValue::Int(status as jint), (&text).into()];
        let signature = jni_sig!("(ILjava/lang/String;)V");
        env.call_static_method(class, jni_str!("fail"), signature, &args)
    });
    thrown.err().unwrap_or(Error::JavaException)
}

/// Throws what went wrong in the call that this thread has just made.
pub(crate) fn check(env: &mut Env<'_>, class: &JClass<'_>, status: trm_status) -> Result<()> {
    if status == trm_status::TRM_STATUS_OK {
        return Ok(());
    }
    // SAFETY: it stays until this thread's next failure.
    let text = unsafe { CStr::from_ptr(trm_error()) };
    Err(fail(env, class, status, &text.to_string_lossy()))
}

/// A string of C; null stays null.
///
/// # Safety
/// `text` is null, or ends with 0 and does not change during the call.
pub(crate) unsafe fn string<'local>(env: &mut Env<'local>, text: *const c_char) -> Result<JString<'local>> {
    if text.is_null() {
        return Ok(JString::null());
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    JString::new(env, text.to_string_lossy())
}

/// Numbers of C, which are tokens or cells: Java's `int` holds them all.
///
/// # Safety
/// `count` numbers can be read at `start`, also if there are none.
pub(crate) unsafe fn ints<'local>(
    env: &mut Env<'local>,
    start: *const u32,
    count: usize,
) -> Result<JIntArray<'local>> {
    // SAFETY: as the caller promises; both are numbers of 32 bits.
    let numbers = unsafe { std::slice::from_raw_parts(start.cast::<jint>(), count) };
    let array = env.new_int_array(count)?;
    array.set_region(env, 0, numbers)?;
    Ok(array)
}

/// A path for C.
pub(crate) fn path(env: &mut Env<'_>, class: &JClass<'_>, path: &JString<'_>) -> Result<CString> {
    c_string(env, class, path, "path")
}

/// Text for C, which ends strings with the character 0. `name` is what an error calls it.
fn c_string(env: &mut Env<'_>, class: &JClass<'_>, text: &JString<'_>, name: &str) -> Result<CString> {
    let text = text.try_to_string(env)?;
    match CString::new(text) {
        Ok(text) => Ok(text),
        Err(_) => {
            let why = format!("{name} has a character 0 inside");
            Err(fail(env, class, trm_status::TRM_STATUS_ARGUMENT, &why))
        }
    }
}

/// The texts of [`trm_options`], in the order of `Native.open`'s `texts`.
const TEXTS: [&str; 5] = ["device", "cacheFolder", "kind", "format", "halt"];

/// A [`trm_options`] and its texts.
pub(crate) struct Options {
    texts: [Option<CString>; TEXTS.len()],
    /// threads, minSteps, maxSteps, timeLimit in milliseconds.
    numbers: [jint; 4],
    halt_threshold: f32,
}

impl Options {
    pub(crate) fn new<'local>(
        env: &mut Env<'local>,
        class: &JClass<'local>,
        texts: &JObjectArray<'local, JString<'local>>,
        numbers: &JIntArray<'local>,
        halt_threshold: jfloat,
    ) -> Result<Options> {
        let mut options = Options {
            texts: Default::default(),
            numbers: [0; 4],
            halt_threshold,
        };
        for (index, name) in TEXTS.into_iter().enumerate() {
            let text = texts.get_element(env, index)?;
            if !text.is_null() {
                options.texts[index] = Some(c_string(env, class, &text, name)?);
            }
        }
        numbers.get_region(env, 0, &mut options.numbers)?;
        Ok(options)
    }

    /// It points into `self`.
    pub(crate) fn for_c(&self) -> trm_options {
        let [device, cache_dir, task, dtype, halt] = self
            .texts
            .each_ref()
            .map(|text| text.as_ref().map_or(ptr::null(), |text| text.as_ptr()));
        // Kotlin lets nothing below 0 through.
        let [threads, min_steps, max_steps, time_limit_ms] = self.numbers.map(jint::cast_unsigned);
        trm_options {
            size: size_of::<trm_options>(),
            device,
            cache_dir,
            task,
            dtype,
            halt,
            halt_threshold: self.halt_threshold,
            threads,
            min_steps,
            max_steps,
            time_limit_ms,
        }
    }
}
