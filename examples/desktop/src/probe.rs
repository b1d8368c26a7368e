//! Which GPUs there are. Drivers take their time to say so, and memory: they are asked once, when the list is first opened.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use trm::{Device, DeviceInfo};

/// The GPUs of the machine, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    found: Option<Vec<DeviceInfo>>,
    asked: Option<(Receiver<Vec<DeviceInfo>>, JoinHandle<()>)>,
}

impl Probe {
    /// Asks the drivers, unless they have been asked. `wake` is called from another thread when they have answered.
    pub(crate) fn ask(&mut self, wake: impl Fn() + Send + 'static) {
        if self.found.is_some() || self.asked.is_some() {
            return;
        }
        let (sender, receiver) = channel();
        let look = move || {
            let _ = sender.send(trm::devices());
            wake();
        };
        match std::thread::Builder::new().name("probe".into()).spawn(look) {
            Ok(thread) => self.asked = Some((receiver, thread)),
            Err(e) => {
                log::warn!("no thread to look for GPUs: {e}");
                self.found = Some(Vec::new());
            }
        }
    }

    /// Takes in what the drivers have answered.
    pub(crate) fn look(&mut self) {
        use std::sync::mpsc::TryRecvError;
        let Some((receiver, _)) = &self.asked else { return };
        match receiver.try_recv() {
            Ok(found) => self.found = Some(found),
            // A driver that panicked offers nothing.
            Err(TryRecvError::Disconnected) => self.found = Some(Vec::new()),
            Err(TryRecvError::Empty) => return,
        }
        self.join();
    }

    /// What was found; `None` until the drivers have answered.
    pub(crate) fn found(&self) -> Option<&[DeviceInfo]> {
        self.found.as_deref()
    }

    fn join(&mut self) {
        if let Some((_, thread)) = self.asked.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Probe {
    /// A driver that is being loaded must not be pulled down by the end of the program.
    fn drop(&mut self) {
        self.join();
    }
}

/// As `--device` takes it.
pub(crate) fn device_name(device: Device) -> String {
    match device {
        Device::Auto => "auto".into(),
        Device::Cpu => "cpu".into(),
        Device::Reference => "reference".into(),
        Device::Gpu(None) => "gpu".into(),
        Device::Gpu(Some(n)) => format!("gpu:{n}"),
    }
}
