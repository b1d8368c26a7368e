//! From the device to the host: copies into buffers that the host maps, now or later.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{self, Poll, Waker};

use super::device::Context;
use crate::error::Result;

/// A piece of a buffer, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Buffers that can be mapped, kept for the next time.
#[derive(Debug, Default)]
pub(super) struct Readback {
    free: Mutex<Vec<wgpu::Buffer>>,
}

/// Copies on their way.
#[derive(Debug)]
pub(super) struct Pending {
    staging: wgpu::Buffer,
    size: u64,
    submission: wgpu::SubmissionIndex,
    state: Arc<Mutex<State>>,
}

impl Readback {
    /// Submits `encoder` with copies of the pieces, one after the other, and does not wait.
    pub(super) async fn start(
        &self,
        context: &Context,
        mut encoder: wgpu::CommandEncoder,
        pieces: &[Piece<'_>],
    ) -> Result<Pending> {
        let size: u64 = pieces.iter().map(|p| p.size).sum();
        let staging = self.staging(context, size).await?;
        let mut at = 0;
        for piece in pieces {
            encoder.copy_buffer_to_buffer(piece.buffer, piece.offset, &staging, at, piece.size);
            at += piece.size;
        }
        let submission = context.queue.submit([encoder.finish()]);
        context.check()?;
        let state = Arc::new(Mutex::new(State::default()));
        let done = state.clone();
        staging.map_async(wgpu::MapMode::Read, ..size, move |result| {
            let mut state = done.lock().unwrap_or_else(|e| e.into_inner());
            state.result = Some(result);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        Ok(Pending {
            staging,
            size,
            submission,
            state,
        })
    }

    /// Waits for the copies and puts them in place of `words`.
    pub(super) async fn finish(
        &self,
        context: &Context,
        pending: Pending,
        words: &mut Vec<u32>,
    ) -> Result<()> {
        let Pending {
            staging,
            size,
            submission,
            state,
        } = pending;
        wait(context, submission)?;
        let mapped = Mapped(state).await;
        context.check()?;
        mapped.map_err(|why| context.error(format!("cannot be read: {why}")))?;
        let view = staging
            .get_mapped_range(..size)
            .map_err(|e| context.error(format!("cannot be read: {e}")).with_source(e))?;
        words.clear();
        words.extend(
            view.as_chunks()
                .0
                .iter()
                .map(|word| u32::from_ne_bytes(*word)),
        );
        drop(view);
        staging.unmap();
        self.kept().push(staging);
        context.check()
    }

    /// A free buffer of at least `size` bytes.
    async fn staging(&self, context: &Context, size: u64) -> Result<wgpu::Buffer> {
        let kept = {
            let mut free = self.kept();
            let fits = free.iter().position(|s| s.size() >= size);
            // What is too small for one reading is too small for those that will follow.
            let kept = fits.map(|at| free.swap_remove(at));
            if kept.is_none() {
                free.clear();
            }
            kept
        };
        match kept {
            Some(staging) => Ok(staging),
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                context.buffer("staging", size as usize, usage).await
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<wgpu::Buffer>> {
        self.free.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Waits until the device has done a submission and all before it. On the web this does nothing, and the page's event loop
/// calls back.
fn wait(context: &Context, submission: wgpu::SubmissionIndex) -> Result<()> {
    let until = wgpu::PollType::Wait {
        submission_index: Some(submission),
        timeout: None,
    };
    // wgpu panics here, and only here, when the driver loses the device while it is waited for.
    match catch_unwind(AssertUnwindSafe(|| context.device.poll(until))) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) => Err(context.error(format!("waiting failed: {e}")).with_source(e)),
        Err(_) => {
            context.health.fail("the device was lost while it worked");
            context.check()
        }
    }
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

/// Waits for the callback of a mapping, or for its end without a call.
struct Mapped(Arc<Mutex<State>>);

impl Future for Mapped {
    type Output = Result<(), String>;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let alone = Arc::strong_count(&self.0) == 1;
        let mut state = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match state.result.take() {
            Some(result) => Poll::Ready(result.map_err(|e| e.to_string())),
            None if alone => Poll::Ready(Err("wgpu gave the mapping up".into())),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
