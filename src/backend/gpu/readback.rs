//! From the device to the host: copies into a buffer that the host maps.

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

/// The buffer that is mapped, kept for the next time.
#[derive(Debug, Default)]
pub(super) struct Readback {
    staging: Mutex<Option<wgpu::Buffer>>,
}

impl Readback {
    /// Finishes `encoder`, waits until the device has done everything, and returns the pieces one after the other.
    pub(super) async fn fetch(
        &self,
        context: &Context,
        mut encoder: wgpu::CommandEncoder,
        pieces: &[Piece<'_>],
    ) -> Result<Vec<u32>> {
        let size: u64 = pieces.iter().map(|p| p.size).sum();
        if size == 0 {
            return Ok(Vec::new());
        }
        let kept = self.kept().take();
        let staging = match kept.filter(|s| s.size() >= size) {
            Some(staging) => staging,
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                context.buffer("staging", size as usize, usage).await?
            }
        };
        let mut at = 0;
        for piece in pieces {
            encoder.copy_buffer_to_buffer(piece.buffer, piece.offset, &staging, at, piece.size);
            at += piece.size;
        }
        context.queue.submit([encoder.finish()]);
        context.check()?;
        map(context, &staging, size).await?;
        let view = staging
            .get_mapped_range(..size)
            .map_err(|e| context.error(format!("cannot be read: {e}")).because(e))?;
        let words = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        staging.unmap();
        *self.kept() = Some(staging);
        context.check()?;
        Ok(words)
    }

    fn kept(&self) -> MutexGuard<'_, Option<wgpu::Buffer>> {
        self.staging.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Waits until the host may read the buffer.
async fn map(context: &Context, staging: &wgpu::Buffer, size: u64) -> Result<()> {
    let state = Arc::new(Mutex::new(State::default()));
    let done = state.clone();
    staging.map_async(wgpu::MapMode::Read, ..size, move |result| {
        let mut state = done.lock().unwrap_or_else(|e| e.into_inner());
        state.result = Some(result);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    });
    // On the web this does nothing, and the page's event loop calls back. wgpu panics here, and only here, when the driver loses
    // the device while it is waited for.
    let wait = || context.device.poll(wgpu::PollType::wait_indefinitely());
    match catch_unwind(AssertUnwindSafe(wait)) {
        Ok(Ok(_)) => {}
        Ok(Err(e)) => return Err(context.error(format!("waiting failed: {e}")).because(e)),
        Err(_) => {
            context.health.fail("the device was lost while it worked");
            return context.check();
        }
    }
    let mapped = Mapped(state).await;
    context.check()?;
    mapped.map_err(|why| context.error(format!("cannot be read: {why}")))
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
