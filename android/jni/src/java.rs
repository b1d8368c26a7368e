//! Converts between Java and C values, and turns errors into Java exceptions.

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::ptr;

use jni::errors::{Error, ErrorPolicy, Result};
use jni::objects::{JClass, JIntArray, JObjectArray, JString, JValue};
use jni::sys::{jfloat, jint};
use jni::{Env, EnvUnowned, jni_sig, jni_str};
use trm_runtime::capi::{trm_error, trm_options, trm_status};

/// Runs the body of a native method. If it fails, a Java exception is pending on return.
pub(crate) fn run_method<'local, T: Default>(
    env: &mut EnvUnowned<'local>,
    class: &JClass<'local>,
    body: impl FnOnce(&mut Env<'local>) -> Result<T>,
) -> T {
    env.with_env(body)
        .resolve_with::<ThrowTrmException, _>(|| class)
}

/// Error policy that throws a `TrmException`, unless an exception is pending already.
struct ThrowTrmException;

impl<T: Default> ErrorPolicy<T, Error> for ThrowTrmException {
    type Captures<'local: 'method, 'method> = &'method JClass<'local>;

    fn on_error<'local: 'method, 'method>(
        env: &mut Env<'local>,
        class: &mut Self::Captures<'local, 'method>,
        error: Error,
    ) -> Result<T> {
        if !env.exception_check() {
            throw(
                env,
                class,
                trm_status::TRM_STATUS_PANIC,
                &format!("JNI: {error}"),
            );
        }
        Ok(T::default())
    }

    fn on_panic<'local: 'method, 'method>(
        env: &mut Env<'local>,
        class: &mut Self::Captures<'local, 'method>,
        panic: Box<dyn Any + Send>,
    ) -> Result<T> {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("it panicked");
        throw(env, class, trm_status::TRM_STATUS_PANIC, message);
        Ok(T::default())
    }
}

/// Throws the exception of a status through `Native.throwException`. Returns the error to
/// propagate.
fn throw(env: &mut Env<'_>, class: &JClass<'_>, status: trm_status, message: &str) -> Error {
    let thrown = JString::new(env, message).and_then(|message| {
        let args = [JValue::Int(status as jint), (&message).into()];
        let signature = jni_sig!("(ILjava/lang/String;)V");
        env.call_static_method(class, jni_str!("throwException"), signature, &args)
    });
    thrown.err().unwrap_or(Error::JavaException)
}

/// Throws the exception of a failed call. `status` is the result of this thread's last call.
pub(crate) fn check(env: &mut Env<'_>, class: &JClass<'_>, status: trm_status) -> Result<()> {
    if status == trm_status::TRM_STATUS_OK {
        return Ok(());
    }
    // SAFETY: the message is valid until this thread's next failed call.
    let message = unsafe { CStr::from_ptr(trm_error()) };
    Err(throw(env, class, status, &message.to_string_lossy()))
}

/// Converts a C string to a Java string. Null stays null.
///
/// # Safety
/// `text` is null, or ends with a NUL byte and does not change during the call.
pub(crate) unsafe fn java_string<'local>(
    env: &mut Env<'local>,
    text: *const c_char,
) -> Result<JString<'local>> {
    if text.is_null() {
        return Ok(JString::null());
    }
    // SAFETY: guaranteed by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    JString::new(env, text.to_string_lossy())
}

/// Converts a C array of tokens or cell indices to a Java `int[]`. All of them fit into `int`.
///
/// # Safety
/// `start` is not null, and `count` numbers can be read there.
pub(crate) unsafe fn java_ints<'local>(
    env: &mut Env<'local>,
    start: *const u32,
    count: usize,
) -> Result<JIntArray<'local>> {
    // SAFETY: guaranteed by the caller. Both types have 32 bits.
    let numbers = unsafe { std::slice::from_raw_parts(start.cast::<jint>(), count) };
    let array = env.new_int_array(count)?;
    array.set_region(env, 0, numbers)?;
    Ok(array)
}

/// Converts a Java string to a C string. `name` is the argument's name in the error message.
///
/// # Errors
/// Throws an argument exception if the string contains a NUL character.
pub(crate) fn c_string(
    env: &mut Env<'_>,
    class: &JClass<'_>,
    text: &JString<'_>,
    name: &str,
) -> Result<CString> {
    let text = text.try_to_string(env)?;
    match CString::new(text) {
        Ok(text) => Ok(text),
        Err(_) => {
            let message = format!("{name} contains a NUL character");
            Err(throw(env, class, trm_status::TRM_STATUS_ARGUMENT, &message))
        }
    }
}

/// Kotlin's names of the string options, in the order of the array that `Native.open` takes.
const STRING_OPTIONS: [&str; 5] = ["device", "cacheDir", "task", "dtype", "halt"];

/// The values of a [`trm_options`].
pub(crate) struct Options {
    strings: [Option<CString>; STRING_OPTIONS.len()],
    /// threads, minSteps, maxSteps, timeLimit in milliseconds.
    integers: [jint; 4],
    halt_threshold: f32,
}

impl Options {
    /// Reads the option arrays of `Native.open`.
    pub(crate) fn new<'local>(
        env: &mut Env<'local>,
        class: &JClass<'local>,
        strings: &JObjectArray<'local, JString<'local>>,
        integers: &JIntArray<'local>,
        halt_threshold: jfloat,
    ) -> Result<Self> {
        let mut options = Self {
            strings: Default::default(),
            integers: [0; 4],
            halt_threshold,
        };
        for (index, name) in STRING_OPTIONS.into_iter().enumerate() {
            let string = strings.get_element(env, index)?;
            if !string.is_null() {
                options.strings[index] = Some(c_string(env, class, &string, name)?);
            }
        }
        integers.get_region(env, 0, &mut options.integers)?;
        Ok(options)
    }

    /// Returns the C struct, which points into `self`.
    pub(crate) fn as_c(&self) -> trm_options {
        let [device, cache_dir, task, dtype, halt] = self.strings.each_ref().map(|string| {
            string
                .as_ref()
                .map_or(ptr::null(), |string| string.as_ptr())
        });
        // Kotlin rejects negative numbers.
        let [threads, min_steps, max_steps, time_limit_ms] = self.integers.map(jint::cast_unsigned);
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
