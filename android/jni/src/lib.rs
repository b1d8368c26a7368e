//! The native methods of the Kotlin object `dev.trm.Native` (`android/trm`), over the C ABI.
//!
//! `Native.kt` documents each method. A failed call throws through `Native.throwException`. The
//! step listener runs on the solving thread. An exception that it throws stops the solve and
//! propagates to the caller of `solve`.

mod java;

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use jni::objects::{
    JByteArray, JByteBuffer, JClass, JIntArray, JObject, JObjectArray, JString, JValue,
};
use jni::sys::{jfloat, jint, jlong};
use jni::{Env, EnvUnowned, jni_sig, jni_str};
use trm_runtime::capi::*;

use java::{Options, c_string, check, java_ints, java_string, run_method};

/// `open(path, strings, integers, haltThreshold)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_open<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    path: JString<'local>,
    strings: JObjectArray<'local, JString<'local>>,
    integers: JIntArray<'local>,
    halt_threshold: jfloat,
) -> jlong {
    run_method(&mut env, &class, |env| {
        let path = c_string(env, &class, &path, "path")?;
        let options = Options::new(env, &class, &strings, &integers, halt_threshold)?;
        let mut solver = 0;
        // SAFETY: the strings are NUL-terminated. They and the options outlive the call.
        check(env, &class, unsafe {
            trm_solver_open(path.as_ptr(), &options.as_c(), &raw mut solver)
        })?;
        Ok(solver as jlong)
    })
}

/// `openArray(bytes, strings, integers, haltThreshold)`: copies the bytes.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_openArray<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    bytes: JByteArray<'local>,
    strings: JObjectArray<'local, JString<'local>>,
    integers: JIntArray<'local>,
    halt_threshold: jfloat,
) -> jlong {
    run_method(&mut env, &class, |env| {
        let options = Options::new(env, &class, &strings, &integers, halt_threshold)?;
        let bytes = env.convert_byte_array(&bytes)?;
        let (start, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: `bytes` owns the memory at `start` and is dropped by `release`.
        unsafe { open_borrowed(env, &class, start, length, bytes, &options) }
    })
}

/// `openBuffer(bytes, strings, integers, haltThreshold)`: borrows a direct buffer, from its first
/// byte to its capacity. A global reference keeps it alive until the solver releases it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_openBuffer<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    bytes: JByteBuffer<'local>,
    strings: JObjectArray<'local, JString<'local>>,
    integers: JIntArray<'local>,
    halt_threshold: jfloat,
) -> jlong {
    run_method(&mut env, &class, |env| {
        let options = Options::new(env, &class, &strings, &integers, halt_threshold)?;
        let start = env.get_direct_buffer_address(&bytes)?;
        let length = env.get_direct_buffer_capacity(&bytes)?;
        let owner = env.new_global_ref(&bytes)?;
        // SAFETY: the memory lives as long as the buffer. The Kotlin documentation requires that it
        // does not change.
        unsafe { open_borrowed(env, &class, start, length, owner, &options) }
    })
}

/// Opens a model from borrowed bytes. `owner` keeps them alive and is dropped on release.
///
/// # Safety
/// `length` bytes can be read at `start` and do not change as long as `owner` lives.
unsafe fn open_borrowed<'local, Owner>(
    env: &mut Env<'local>,
    class: &JClass<'local>,
    start: *const u8,
    length: usize,
    owner: Owner,
    options: &Options,
) -> jni::errors::Result<jlong> {
    /// Runs on any thread. Dropping a global reference attaches the thread to the JVM if needed.
    unsafe extern "C" fn release<Owner>(owner: *mut c_void) {
        // SAFETY: the box is created below, and the library calls this function once.
        drop(unsafe { Box::from_raw(owner.cast::<Owner>()) });
    }
    let mut solver = 0;
    let owner = Box::into_raw(Box::new(owner)).cast();
    // SAFETY: the caller guarantees the bytes until `release`. The options outlive the call.
    check(env, class, unsafe {
        trm_solver_from_bytes(
            start.cast(),
            length,
            Some(release::<Owner>),
            owner,
            &options.as_c(),
            &raw mut solver,
        )
    })?;
    Ok(solver as jlong)
}

/// `prepareDevice(solver)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_prepareDevice<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    solver: jlong,
) -> JString<'local> {
    run_method(&mut env, &class, |env| {
        let mut device = ptr::null();
        // SAFETY: `device` is a local variable.
        check(env, &class, unsafe {
            trm_solver_device(solver as trm_solver, &raw mut device)
        })?;
        // SAFETY: the text is valid until this thread calls `trm_solver_device` again.
        unsafe { java_string(env, device) }
    })
}

/// `free(solver)`. Freeing twice is not an error.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_free<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
    solver: jlong,
) {
    trm_solver_free(solver as trm_solver);
}

/// `newCancelToken()`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_newCancelToken<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
) -> jlong {
    run_method(&mut env, &class, |env| {
        let mut token = 0;
        // SAFETY: `token` is a local variable.
        check(env, &class, unsafe { trm_cancel_new(&raw mut token) })?;
        Ok(token as jlong)
    })
}

/// `cancel(token)`. A freed token is not an error: the call that used it has ended.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_cancel<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
    token: jlong,
) {
    trm_cancel_now(token as trm_cancel);
}

/// `freeCancelToken(token)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_freeCancelToken<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
    token: jlong,
) {
    trm_cancel_free(token as trm_cancel);
}

/// `solve(solver, puzzle, token, listener)`: returns an `Answer` that `Native.newAnswer` creates.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_solve<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    solver: jlong,
    puzzle: JByteArray<'local>,
    token: jlong,
    listener: JObject<'local>,
) -> JObject<'local> {
    run_method(&mut env, &class, |env| {
        let puzzle = env.convert_byte_array(&puzzle)?;
        let on_step: trm_on_step = if listener.is_null() {
            None
        } else {
            Some(on_step)
        };
        let mut context = StepContext {
            env,
            class: &class,
            listener: &listener,
            error: None,
        };
        let mut solved = OwnedAnswer(0);
        // SAFETY: the puzzle and `context` outlive the call. During the call only `on_step` uses
        // `context`.
        let status = unsafe {
            trm_solver_solve(
                solver as trm_solver,
                puzzle.as_ptr().cast(),
                puzzle.len(),
                token as trm_cancel,
                on_step,
                (&raw mut context).cast(),
                &raw mut solved.0,
            )
        };
        let StepContext { env, error, .. } = context;
        match error {
            Some(ListenerError::Exception(error)) => return Err(error),
            Some(ListenerError::Panic(panic)) => resume_unwind(panic),
            None => check(env, &class, status)?,
        }
        // SAFETY: the answer exists until `solved` is dropped.
        new_answer(env, &class, unsafe { &*trm_answer_read(solved.0) })
    })
}

/// An answer handle, freed on drop. 0 = no answer.
struct OwnedAnswer(trm_answer);

impl Drop for OwnedAnswer {
    fn drop(&mut self) {
        if self.0 != 0 {
            trm_answer_free(self.0);
        }
    }
}

/// The context of [`on_step`]: the listener, and the error that ended the solve.
struct StepContext<'a, 'local> {
    env: &'a mut Env<'local>,
    class: &'a JClass<'local>,
    listener: &'a JObject<'local>,
    error: Option<ListenerError>,
}

/// Why a step did not reach the listener, or was its last.
enum ListenerError {
    /// A pending Java exception, usually thrown by the listener.
    Exception(jni::errors::Error),
    Panic(Box<dyn Any + Send>),
}

/// # Safety
/// `context` is a [`StepContext`] that nothing else uses during the call. `step` is a valid step.
unsafe extern "C" fn on_step(context: *mut c_void, step: *const trm_step) -> bool {
    // SAFETY: guaranteed by the caller. The elided lifetimes are those of the enclosing solve.
    let (context, step) = unsafe { (&mut *context.cast::<StepContext<'_, '_>>(), &*step) };
    context.error = match catch_unwind(AssertUnwindSafe(|| context.deliver(step))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(ListenerError::Exception(error)),
        Err(panic) => Some(ListenerError::Panic(panic)),
    };
    context.error.is_none()
}

impl StepContext<'_, '_> {
    /// Passes a step to the listener.
    fn deliver(&mut self, step: &trm_step) -> jni::errors::Result<()> {
        let (class, listener) = (self.class, self.listener);
        // The frame frees the local references of each step.
        self.env.with_local_frame(8, |env| {
            // SAFETY: the text and the arrays of a step are valid during the callback.
            let (text, tokens, changed) = unsafe {
                (
                    java_string(env, step.answer)?,
                    java_ints(env, step.tokens, step.token_count)?,
                    java_ints(env, step.changed, step.changed_count)?,
                )
            };
            env.call_static_method(
                class,
                jni_str!("onStep"),
                jni_sig!("(Ldev/trm/StepListener;Ljava/lang/String;[I[IIFZ)V"),
                &[
                    listener.into(),
                    (&text).into(),
                    (&tokens).into(),
                    (&changed).into(),
                    JValue::Int(step.step as jint),
                    JValue::Float(step.halt_probability),
                    JValue::Bool(step.last),
                ],
            )?;
            Ok(())
        })
    }
}

/// Creates a `dev.trm.Answer`.
fn new_answer<'local>(
    env: &mut Env<'local>,
    class: &JClass<'local>,
    record: &trm_answer_record,
) -> jni::errors::Result<JObject<'local>> {
    // SAFETY: the texts and tokens are valid until the answer is freed.
    let (text, tokens, reason, task, device) = unsafe {
        (
            java_string(env, record.answer)?,
            java_ints(env, record.tokens, record.token_count)?,
            java_string(env, record.why)?,
            java_string(env, record.task)?,
            java_string(env, record.device)?,
        )
    };
    let answer = env.call_static_method(
        class,
        jni_str!("newAnswer"),
        jni_sig!(
            "(Ljava/lang/String;[ILjava/lang/String;Ljava/lang/String;Ljava/lang/String;\
             DIIIIFFZ)Ldev/trm/Answer;"
        ),
        &[
            (&text).into(),
            (&tokens).into(),
            (&reason).into(),
            (&task).into(),
            (&device).into(),
            JValue::Double(record.milliseconds),
            JValue::Int(record.valid as jint),
            JValue::Int(record.shortest as jint),
            JValue::Int(record.correct as jint),
            JValue::Int(record.steps as jint),
            JValue::Float(record.q_halt),
            JValue::Float(record.halt_probability),
            JValue::Bool(record.halted),
        ],
    )?;
    answer.l()
}
