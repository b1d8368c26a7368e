//! The GPUs of the machine. Asking the drivers takes time and memory, so that it happens once, in a
//! thread, when the list is first opened.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use trm_runtime::DeviceInfo;

/// The GPUs of the machine, once the drivers have reported them.
#[derive(Debug, Default)]
pub(crate) struct DeviceList {
    gpus: Option<Vec<DeviceInfo>>,
    pending: Option<(Receiver<Vec<DeviceInfo>>, JoinHandle<()>)>,
}

impl DeviceList {
    /// Starts asking the drivers, unless that has happened. The thread calls `wake` at the end.
    pub(crate) fn request(&mut self, wake: impl Fn() + Send + 'static) {
        if self.gpus.is_some() || self.pending.is_some() {
            return;
        }
        let (sender, receiver) = channel();
        let list = move || {
            let _ = sender.send(trm_runtime::devices());
            wake();
        };
        match std::thread::Builder::new()
            .name("devices".into())
            .spawn(list)
        {
            Ok(thread) => self.pending = Some((receiver, thread)),
            Err(e) => {
                log::warn!("cannot start a thread to list the GPUs: {e}");
                self.gpus = Some(Vec::new());
            }
        }
    }

    /// Applies the answer of the drivers.
    pub(crate) fn poll(&mut self) {
        use std::sync::mpsc::TryRecvError;
        let Some((receiver, _)) = &self.pending else {
            return;
        };
        match receiver.try_recv() {
            Ok(gpus) => self.gpus = Some(gpus),
            // A driver panicked.
            Err(TryRecvError::Disconnected) => self.gpus = Some(Vec::new()),
            Err(TryRecvError::Empty) => return,
        }
        self.join();
    }

    /// Returns the GPUs, or `None` until the drivers have reported them.
    pub(crate) fn gpus(&self) -> Option<&[DeviceInfo]> {
        self.gpus.as_deref()
    }

    fn join(&mut self) {
        if let Some((_, thread)) = self.pending.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for DeviceList {
    /// Waits for the thread, because the program must not end while a driver is loading.
    fn drop(&mut self) {
        self.join();
    }
}
