//! The C ABI's functions as native methods of `dev.trm.Native` (`android/trm`), which says what each does.
//!
//! What fails calls `Native.fail`, which throws. The watcher of steps is called on the thread that solves; what it throws stops the
//! solve and goes on to whoever asked for it.

mod java;

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use jni::objects::{JByteArray, JByteBuffer, JClass, JIntArray, JObject, JObjectArray, JString, JValue};
use jni::sys::{jfloat, jint, jlong};
use jni::{Env, EnvUnowned, jni_sig, jni_str};
use trm::capi::*;

use java::{Options, check, ints, method, path, string};

/// `open(path, texts, numbers, haltThreshold)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_open<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    file: JString<'local>,
    texts: JObjectArray<'local, JString<'local>>,
    numbers: JIntArray<'local>,
    halt_threshold: jfloat,
) -> jlong {
    method(&mut env, &class, |env| {
        let file = path(env, &class, &file)?;
        let options = Options::new(env, &class, &texts, &numbers, halt_threshold)?;
        let mut solver = 0;
        // SAFETY: the strings end with 0 and live until the call returns, as the options do.
        check(env, &class, unsafe {
            trm_solver_open(file.as_ptr(), &options.for_c(), &raw mut solver)
        })?;
        Ok(solver as jlong)
    })
}

/// `openArray(bytes, texts, numbers, haltThreshold)`: copies the bytes.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_openArray<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    bytes: JByteArray<'local>,
    texts: JObjectArray<'local, JString<'local>>,
    numbers: JIntArray<'local>,
    halt_threshold: jfloat,
) -> jlong {
    method(&mut env, &class, |env| {
        let options = Options::new(env, &class, &texts, &numbers, halt_threshold)?;
        let bytes = env.convert_byte_array(&bytes)?;
        let (start, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: what is lent goes with its owner, and nobody else has it.
        unsafe { lend(env, &class, start, length, bytes, &options) }
    })
}

/// `openBuffer(bytes, texts, numbers, haltThreshold)`: a direct buffer, from its first byte to its capacity. It is lent, and kept from
/// Java's collector until the solver needs it no more.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_openBuffer<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    bytes: JByteBuffer<'local>,
    texts: JObjectArray<'local, JString<'local>>,
    numbers: JIntArray<'local>,
    halt_threshold: jfloat,
) -> jlong {
    method(&mut env, &class, |env| {
        let options = Options::new(env, &class, &texts, &numbers, halt_threshold)?;
        let start = env.get_direct_buffer_address(&bytes)?;
        let length = env.get_direct_buffer_capacity(&bytes)?;
        let kept = env.new_global_ref(&bytes)?;
        // SAFETY: the memory of a buffer stays as long as the buffer. That nobody writes it is asked of the caller, in Kotlin.
        unsafe { lend(env, &class, start, length, kept, &options) }
    })
}

/// A model of bytes that are lent with their owner.
///
/// # Safety
/// `length` bytes at `start` can be read, and nobody changes them, as long as `owner` lives.
unsafe fn lend<'local, Owner>(
    env: &mut Env<'local>,
    class: &JClass<'local>,
    start: *const u8,
    length: usize,
    owner: Owner,
    options: &Options,
) -> jni::errors::Result<jlong> {
    /// On any thread: a global reference attaches it for a moment if need be.
    unsafe extern "C" fn release<Owner>(owner: *mut c_void) {
        // SAFETY: made below, and the library calls this once.
        drop(unsafe { Box::from_raw(owner.cast::<Owner>()) });
    }
    let mut solver = 0;
    let owner = Box::into_raw(Box::new(owner)).cast();
    // SAFETY: as the caller promises, until `release`; the options live until the call returns.
    check(env, class, unsafe {
        trm_solver_from_bytes(
            start.cast(),
            length,
            Some(release::<Owner>),
            owner,
            &options.for_c(),
            &raw mut solver,
        )
    })?;
    Ok(solver as jlong)
}

/// `device(solver)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_device<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    solver: jlong,
) -> JString<'local> {
    method(&mut env, &class, |env| {
        let mut device = ptr::null();
        // SAFETY: a place of our own.
        check(env, &class, unsafe {
            trm_solver_device(solver as trm_solver, &raw mut device)
        })?;
        // SAFETY: it stays until this thread asks again.
        unsafe { string(env, device) }
    })
}

/// `free(solver)`. That it was freed before is no error.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_free<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
    solver: jlong,
) {
    trm_solver_free(solver as trm_solver);
}

/// `newStop()`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_newStop<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
) -> jlong {
    method(&mut env, &class, |env| {
        let mut stop = 0;
        // SAFETY: a place of our own.
        check(env, &class, unsafe { trm_cancel_new(&raw mut stop) })?;
        Ok(stop as jlong)
    })
}

/// `stop(stop)`. That it was freed before is no error: what it stopped has ended.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_stop<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
    stop: jlong,
) {
    trm_cancel_now(stop as trm_cancel);
}

/// `freeStop(stop)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_freeStop<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
    stop: jlong,
) {
    trm_cancel_free(stop as trm_cancel);
}

/// `solve(solver, puzzle, stop, watcher)`: what `Native.answer` makes of the answer.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_trm_Native_solve<'local>(
    mut env: EnvUnowned<'local>,
    class: JClass<'local>,
    solver: jlong,
    puzzle: JByteArray<'local>,
    stop: jlong,
    watcher: JObject<'local>,
) -> JObject<'local> {
    method(&mut env, &class, |env| {
        let puzzle = env.convert_byte_array(&puzzle)?;
        let on_step: trm_on_step = if watcher.is_null() { None } else { Some(on_step) };
        let mut watch = Watch {
            env,
            class: &class,
            watcher: &watcher,
            failed: None,
        };
        let mut made = Made(0);
        // SAFETY: the puzzle and `watch`, which only `on_step` uses meanwhile, live until the call returns.
        let status = unsafe {
            trm_solver_solve(
                solver as trm_solver,
                puzzle.as_ptr().cast(),
                puzzle.len(),
                stop as trm_cancel,
                on_step,
                (&raw mut watch).cast(),
                &raw mut made.0,
            )
        };
        let Watch { env, failed, .. } = watch;
        match failed {
            Some(Failed::Thrown(error)) => return Err(error),
            Some(Failed::Panicked(panic)) => resume_unwind(panic),
            None => check(env, &class, status)?,
        }
        // SAFETY: an answer that was made can be read until it is freed.
        answer(env, &class, unsafe { &*trm_answer_read(made.0) })
    })
}

/// An answer of the library, freed at the end.
struct Made(trm_answer);

impl Drop for Made {
    fn drop(&mut self) {
        if self.0 != 0 {
            trm_answer_free(self.0);
        }
    }
}

/// Who watches the steps of a solve.
struct Watch<'a, 'local> {
    env: &'a mut Env<'local>,
    class: &'a JClass<'local>,
    watcher: &'a JObject<'local>,
    failed: Option<Failed>,
}

/// Why a watcher saw no more.
enum Failed {
    /// An exception, mostly the watcher's own, which is pending.
    Thrown(jni::errors::Error),
    Panicked(Box<dyn Any + Send>),
}

/// # Safety
/// `context` is a [`Watch`] that nobody else uses, `step` is a step.
unsafe extern "C" fn on_step(context: *mut c_void, step: *const trm_step) -> bool {
    // SAFETY: as the caller promises. Nobody names the lifetimes: they are those of the solve that this is called from.
    let (watch, step) = unsafe { (&mut *context.cast::<Watch<'_, '_>>(), &*step) };
    watch.failed = match catch_unwind(AssertUnwindSafe(|| watch.show(step))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Failed::Thrown(error)),
        Err(panic) => Some(Failed::Panicked(panic)),
    };
    watch.failed.is_none()
}

impl Watch<'_, '_> {
    fn show(&mut self, step: &trm_step) -> jni::errors::Result<()> {
        let (class, watcher) = (self.class, self.watcher);
        // Of each step, Java's references go with it.
        self.env.with_local_frame(8, |env| {
            // SAFETY: a step's text and arrays stay until this call returns.
            let (text, tokens, changed) = unsafe {
                (
                    string(env, step.answer)?,
                    ints(env, step.tokens, step.token_count)?,
                    ints(env, step.changed, step.changed_count)?,
                )
            };
            env.call_static_method(
                class,
                jni_str!("onStep"),
                jni_sig!("(Ldev/trm/Watcher;Ljava/lang/String;[I[IIFZ)V"),
                &[
                    watcher.into(),
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

/// A `dev.trm.Answer`.
fn answer<'local>(
    env: &mut Env<'local>,
    class: &JClass<'local>,
    answer: &trm_answer_record,
) -> jni::errors::Result<JObject<'local>> {
    // SAFETY: an answer's texts and tokens stay until it is freed.
    let (text, tokens, why, task, device) = unsafe {
        (
            string(env, answer.answer)?,
            ints(env, answer.tokens, answer.token_count)?,
            string(env, answer.why)?,
            string(env, answer.task)?,
            string(env, answer.device)?,
        )
    };
    let made = env.call_static_method(
        class,
        jni_str!("answer"),
        jni_sig!("(Ljava/lang/String;[ILjava/lang/String;Ljava/lang/String;Ljava/lang/String;DIIIIFFZ)Ldev/trm/Answer;"),
        &[
            (&text).into(),
            (&tokens).into(),
            (&why).into(),
            (&task).into(),
            (&device).into(),
            JValue::Double(answer.milliseconds),
            JValue::Int(answer.valid as jint),
            JValue::Int(answer.shortest as jint),
            JValue::Int(answer.correct as jint),
            JValue::Int(answer.steps as jint),
            JValue::Float(answer.q_halt),
            JValue::Float(answer.halt_probability),
            JValue::Bool(answer.halted),
        ],
    )?;
    made.l()
}
