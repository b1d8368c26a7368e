//! Adapters and the opened device.
//!
//! [`adapters`] lists the adapters of all drivers, the best first. A [`Context`] is one of them,
//! opened: the device, its queue, and its health. wgpu reports errors and losses through callbacks;
//! the health keeps the first report, and [`Context::check`] returns it as an error.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use wgpu::{Adapter, BufferUsages, DeviceType, ErrorFilter};

use super::selection::{KernelPolicy, KernelSelection};
use crate::backend::info::{DeviceInfo, DeviceKind, DeviceLimits};
use crate::error::{Error, ErrorKind, Hint, Result};

/// Lists all adapters, the best first: GPUs before software. The index is the N of `gpu:N`.
pub(crate) async fn adapters() -> Vec<(Adapter, DeviceInfo)> {
    // Validation adds a dispatch to each indirect dispatch. Their arguments come from `gather`,
    // which is trusted.
    let flags =
        wgpu::InstanceFlags::empty().with_env() - wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        flags,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    // A GPU with a Vulkan driver appears again through GLES. GLES is used only if nothing else is
    // found.
    let requested = wgpu::Backends::from_env();
    let native = requested.unwrap_or(wgpu::Backends::all() - wgpu::Backends::GL);
    let mut adapters = instance.enumerate_adapters(native).await;
    if adapters.is_empty() && requested.is_none() {
        adapters = instance.enumerate_adapters(wgpu::Backends::GL).await;
    }
    adapters.sort_by_key(|adapter| device_kind(adapter.get_info().device_type));
    let with_info = |(number, adapter): (usize, Adapter)| {
        let info = device_info(number, &adapter);
        (adapter, info)
    };
    adapters.into_iter().enumerate().map(with_info).collect()
}

fn device_kind(device_type: DeviceType) -> DeviceKind {
    match device_type {
        DeviceType::DiscreteGpu => DeviceKind::Discrete,
        DeviceType::IntegratedGpu => DeviceKind::Integrated,
        DeviceType::VirtualGpu => DeviceKind::Virtual,
        DeviceType::Other => DeviceKind::Other,
        DeviceType::Cpu => DeviceKind::Software,
    }
}

fn device_info(number: usize, adapter: &Adapter) -> DeviceInfo {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let driver = [info.driver, info.driver_info];
    DeviceInfo {
        number,
        name: info.name,
        backend: info.backend.to_str().to_string(),
        driver: driver.join(" ").trim().to_string(),
        kind: device_kind(info.device_type),
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroups: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some([info.subgroup_min_size, info.subgroup_max_size]),
        cooperative_matrix: features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
            && !adapter.cooperative_matrix_properties().is_empty(),
        limits: device_limits(&limits),
        unsupported_reason: unsupported_reason(adapter, &limits),
    }
}

fn device_limits(limits: &wgpu::Limits) -> DeviceLimits {
    DeviceLimits {
        buffer: limits
            .max_buffer_size
            .min(limits.max_storage_buffer_binding_size),
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        workgroup_size: limits.max_compute_invocations_per_workgroup,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
    }
}

/// Returns the limits that a device is opened with: what the kernels need, which is within WebGPU's
/// defaults, and buffers of any size that the adapter allows.
fn required_limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffers_per_shader_stage: 8,
        max_compute_workgroup_storage_size: 16 << 10,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroup_size_y: 8,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroups_per_dimension: MAX_WORKGROUPS_PER_AXIS,
        max_buffer_size: adapter.max_buffer_size,
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        ..wgpu::Limits::downlevel_webgl2_defaults()
    }
}

/// The most workgroups along one axis of a dispatch.
pub(super) const MAX_WORKGROUPS_PER_AXIS: u32 = 65_535;

/// Returns why the kernels cannot run with these limits of the adapter or of a device, or `None`.
fn unsupported_reason(adapter: &Adapter, limits: &wgpu::Limits) -> Option<String> {
    let flags = adapter.get_downlevel_capabilities().flags;
    if !flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it has no compute shaders".into());
    }
    let mut reason = None;
    required_limits(limits).check_limits_with_fail_fn(limits, false, |name, needed, has| {
        reason.get_or_insert(format!("its {name} is {has}, {needed} are needed"));
    });
    reason
}

/// The first failure of a device, if any. wgpu's callbacks report failures here.
#[derive(Debug, Default)]
pub(super) struct DeviceHealth {
    failure: Mutex<Option<String>>,
}

impl DeviceHealth {
    /// Records a failure. Only the first one is kept.
    pub(super) fn fail(&self, message: impl fmt::Display) {
        let mut failure = self.failure.lock().unwrap_or_else(|e| e.into_inner());
        failure.get_or_insert_with(|| on_one_line(message));
    }
}

/// Joins the indented lines of wgpu's messages.
fn on_one_line(message: impl fmt::Display) -> String {
    let message = message.to_string();
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An opened device.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) health: Arc<DeviceHealth>,
    /// Whether a dispatch can read its number of workgroups from a buffer.
    pub(super) has_indirect_dispatch: bool,
    /// Buffers, pipelines and bind groups created so far.
    resource_count: AtomicUsize,
    info: DeviceInfo,
    vendor_id: u32,
}

impl Context {
    /// Opens the adapter with this number, or the best one that can run the kernels.
    ///
    /// # Errors
    /// There is no such adapter, it cannot run the kernels, or the driver does not open it.
    pub(super) async fn open(number: Option<usize>) -> Result<Self> {
        let mut all = adapters().await;
        let count = all.len();
        let position = match number {
            Some(number) => (number < count).then_some(number),
            None => all
                .iter()
                .position(|(_, info)| info.unsupported_reason.is_none()),
        };
        let Some(position) = position else {
            let message = match (number, all.first()) {
                (_, None) => "no GPU: no driver offers an adapter".to_string(),
                (Some(n), _) if count == 1 => format!("GPU {n} not found: 1 GPU is available"),
                (Some(n), _) => format!("GPU {n} not found: {count} GPUs are available"),
                (None, Some((_, info))) => {
                    let reason = info.unsupported_reason.as_deref().unwrap_or_default();
                    format!("no GPU can run the kernels; {}: {reason}", info.name)
                }
            };
            let hint = match (number, count) {
                (Some(_), 1..) => Hint::ListDevices,
                _ => Hint::UseCpu,
            };
            return Err(Error::new(ErrorKind::Device, message).with_hint(hint));
        };
        let (adapter, info) = all.swap_remove(position);
        let name = info.to_string();
        if let Some(reason) = &info.unsupported_reason {
            let message = format!("it cannot run the kernels: {reason}");
            return Err(Error::new(ErrorKind::Device, message).context(name));
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("trm"),
            required_limits: required_limits(&adapter.limits()),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|e| {
            Error::new(ErrorKind::Device, format!("cannot be opened: {e}"))
                .context(name)
                .with_source(e)
        })?;
        let context = Self::new(&adapter, device, queue, info);
        let (errors, losses) = (context.health.clone(), context.health.clone());
        context
            .device
            .on_uncaptured_error(Arc::new(move |e| errors.fail(e)));
        context
            .device
            .set_device_lost_callback(move |reason, message| {
                losses.fail(format_args!("the device was lost ({reason:?}): {message}"));
            });
        Ok(context)
    }

    /// Wraps a device that the app has opened. The app keeps its callbacks for errors and losses.
    ///
    /// # Errors
    /// A limit of the device is too small for the kernels.
    pub(super) fn shared(
        adapter: &Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
    ) -> Result<Self> {
        let limits = device.limits();
        let info = DeviceInfo {
            name: format!("{} of the app", adapter.get_info().name),
            limits: device_limits(&limits),
            unsupported_reason: unsupported_reason(adapter, &limits),
            ..device_info(0, adapter)
        };
        if let Some(reason) = &info.unsupported_reason {
            let message = format!(
                "it cannot run the kernels: {reason}; ask for more when the device is opened"
            );
            return Err(Error::new(ErrorKind::Device, message).context(info));
        }
        Ok(Self::new(adapter, device, queue, info))
    }

    fn new(adapter: &Adapter, device: wgpu::Device, queue: wgpu::Queue, info: DeviceInfo) -> Self {
        let flags = adapter.get_downlevel_capabilities().flags;
        Self {
            device,
            queue,
            health: Arc::default(),
            has_indirect_dispatch: flags.contains(wgpu::DownlevelFlags::INDIRECT_EXECUTION),
            resource_count: AtomicUsize::new(0),
            info,
            vendor_id: adapter.get_info().vendor,
        }
    }

    /// Returns the adapter's name and how it is reached, for messages.
    pub(super) fn description(&self) -> String {
        self.info.to_string()
    }

    /// Returns whether the adapter computes on the CPU.
    pub(super) fn is_software(&self) -> bool {
        self.info.kind == DeviceKind::Software
    }

    /// Returns the policy that chooses kernel implementations on this adapter.
    pub(super) fn kernel_policy(&self, selection: KernelSelection) -> KernelPolicy {
        KernelPolicy {
            selection,
            kind: self.info.kind,
            vendor_id: self.vendor_id,
        }
    }

    /// Returns adapter and driver, as they stand in the keys of stored measurements.
    pub(super) fn adapter_key(&self) -> String {
        let DeviceInfo {
            name,
            backend,
            driver,
            ..
        } = &self.info;
        format!("{name} ({backend}, {driver})")
    }

    /// Returns an error of kind `Device` about this adapter.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Device, message).context(&self.info)
    }

    /// Returns the first failure of the device, if it has failed since it was opened.
    pub(super) fn check(&self) -> Result<()> {
        let failure = self
            .health
            .failure
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        match &*failure {
            Some(message) => Err(self.error(message.clone())),
            None => Ok(()),
        }
    }

    /// Creates a resource of the device. A failure is an error of this call only: the device stays
    /// usable.
    pub(super) async fn create<T>(
        &self,
        what: &str,
        create: impl FnOnce(&wgpu::Device) -> T,
    ) -> Result<T> {
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(ErrorFilter::Internal);
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let resource = create(&self.device);
        let errors = [
            validation.pop().await,
            internal.pop().await,
            memory.pop().await,
        ];
        if let Some(e) = errors.into_iter().flatten().next() {
            let message = on_one_line(e);
            return Err(self.error(format!("{what}: {message}")));
        }
        self.check()?;
        self.resource_count.fetch_add(1, Ordering::Relaxed);
        Ok(resource)
    }

    /// Returns how many buffers, pipelines and bind groups were created so far.
    pub(super) fn resource_count(&self) -> usize {
        self.resource_count.load(Ordering::Relaxed)
    }

    /// Creates a buffer of zeros of at least `bytes` bytes: a multiple of 16, and not empty, so
    /// that it can be bound as vectors.
    ///
    /// # Errors
    /// It is larger than the device allows, or memory is exhausted.
    pub(super) async fn buffer(
        &self,
        name: &str,
        bytes: usize,
        usage: BufferUsages,
    ) -> Result<wgpu::Buffer> {
        let size = (bytes.max(1) as u64)
            .checked_next_multiple_of(16)
            .unwrap_or(u64::MAX);
        let limit = self.info.limits.buffer;
        if size > limit {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let message = format!(
                "{name} takes {} MiB, a buffer here holds {}",
                mib(size),
                mib(limit)
            );
            return Err(self.error(message).with_hint(Hint::ReduceBatch));
        }
        let descriptor = wgpu::BufferDescriptor {
            label: Some(name),
            size,
            usage,
            mapped_at_creation: false,
        };
        self.create(name, |device| device.create_buffer(&descriptor))
            .await
    }
}
