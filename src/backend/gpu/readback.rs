//! Readback: copies from the device to buffers that the host maps.
//!
//! [`Readback::submit`] submits work and the copies after it, and does not wait.
//! [`Readback::collect`] waits for them. Several readbacks can be in flight.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{self, Poll, Waker};

use super::device::Context;
use crate::error::Result;

/// A range of a buffer, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BufferRange<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A pool of staging buffers, which the host can map.
#[derive(Debug, Default)]
pub(super) struct Readback {
    free: Mutex<Vec<wgpu::Buffer>>,
}

/// A readback in flight.
#[derive(Debug)]
pub(super) struct PendingReadback {
    staging: wgpu::Buffer,
    size: u64,
    submission: wgpu::SubmissionIndex,
    state: Arc<Mutex<MapState>>,
}

impl Readback {
    /// Submits `encoder` with copies of the ranges, one after the other, and does not wait.
    ///
    /// # Errors
    /// The device has failed, or memory is exhausted.
    pub(super) async fn submit(
        &self,
        context: &Context,
        mut encoder: wgpu::CommandEncoder,
        ranges: &[BufferRange<'_>],
    ) -> Result<PendingReadback> {
        let size: u64 = ranges.iter().map(|p| p.size).sum();
        let staging = self.staging(context, size).await?;
        let mut at = 0;
        for range in ranges {
            encoder.copy_buffer_to_buffer(range.buffer, range.offset, &staging, at, range.size);
            at += range.size;
        }
        let submission = context.queue.submit([encoder.finish()]);
        context.check()?;
        let state = Arc::new(Mutex::new(MapState::default()));
        let callback_state = state.clone();
        staging.map_async(wgpu::MapMode::Read, ..size, move |result| {
            let mut state = callback_state.lock().unwrap_or_else(|e| e.into_inner());
            state.result = Some(result);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        Ok(PendingReadback {
            staging,
            size,
            submission,
            state,
        })
    }

    /// Waits for the copies and replaces `words` by them.
    ///
    /// # Errors
    /// The device has failed.
    pub(super) async fn collect(
        &self,
        context: &Context,
        pending: PendingReadback,
        words: &mut Vec<u32>,
    ) -> Result<()> {
        let PendingReadback {
            staging,
            size,
            submission,
            state,
        } = pending;
        wait(context, submission)?;
        let mapped = MapFuture(state).await;
        context.check()?;
        mapped.map_err(|reason| context.error(format!("cannot be read: {reason}")))?;
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
        self.free_buffers().push(staging);
        context.check()
    }

    /// Takes a free buffer of at least `size` bytes, or creates one.
    async fn staging(&self, context: &Context, size: u64) -> Result<wgpu::Buffer> {
        let reused = {
            let mut free = self.free_buffers();
            let index = free.iter().position(|s| s.size() >= size);
            let reused = index.map(|index| free.swap_remove(index));
            // Readbacks of a program have the same size, so smaller buffers are of no more use.
            if reused.is_none() {
                free.clear();
            }
            reused
        };
        match reused {
            Some(staging) => Ok(staging),
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                context.buffer("staging", size, usage).await
            }
        }
    }

    fn free_buffers(&self) -> MutexGuard<'_, Vec<wgpu::Buffer>> {
        self.free.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Waits until the device has finished a submission and all earlier ones. On the web this does
/// nothing: the page's event loop calls back.
pub(super) fn wait(context: &Context, submission: wgpu::SubmissionIndex) -> Result<()> {
    let until = wgpu::PollType::Wait {
        submission_index: Some(submission),
        timeout: None,
    };
    // wgpu panics here, and only here, when the driver loses the device during the wait.
    match catch_unwind(AssertUnwindSafe(|| context.device.poll(until))) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) => Err(context.error(format!("waiting failed: {e}")).with_source(e)),
        Err(_) => {
            context.health.fail("the device was lost while it worked");
            context.check()
        }
    }
}

/// What the callback of a mapping has reported.
#[derive(Debug, Default)]
struct MapState {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

/// Completes when the callback of a mapping is called, or dropped without a call.
struct MapFuture(Arc<Mutex<MapState>>);

impl Future for MapFuture {
    type Output = Result<(), String>;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let callback_dropped = Arc::strong_count(&self.0) == 1;
        let mut state = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match state.result.take() {
            Some(result) => Poll::Ready(result.map_err(|e| e.to_string())),
            None if callback_dropped => Poll::Ready(Err("wgpu dropped the mapping".into())),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
